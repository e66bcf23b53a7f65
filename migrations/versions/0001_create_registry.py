"""Creates the registry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_REVOKED = sa.text("revoked_at IS NOT NULL")


def upgrade() -> None:
    _create_issuers()
    _create_certificate()
    _create_certificate_indexes()
    _create_name()
    _create_issuance_request()
    _create_blocked_key()
    _create_registration()
    _create_profile()
    _create_crls()
    _create_event()
    if op.get_bind().dialect.name == "postgresql":
        # DER does not shrink: trying to compress a row over 2 KiB costs more CPU than all else about it.
        op.execute("ALTER TABLE certificate ALTER COLUMN certificate_der SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE crl ALTER COLUMN crl_der SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in (
        "event",
        "crl",
        "crl_shard",
        "profile",
        "registration",
        "blocked_key",
        "issuance_request",
        "name",
        "certificate",
        "issuer",
        "authority",
    ):
        op.drop_table(table)


def _create_issuers() -> None:
    op.create_table(
        "authority",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("trust_domain", _TEXT, nullable=False),
        sa.Column("trust_bundle_sequence", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_authority_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authority")),
    )
    op.create_table(
        "issuer",
        sa.Column("issuer_key", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("issuer_id", _TEXT, nullable=False),
        sa.Column("parent_key", sa.SmallInteger(), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("scheme", _TEXT, nullable=False),
        sa.Column("distribution_url", _TEXT, nullable=False),
        sa.Column("crl_shard_count", sa.SmallInteger(), nullable=False),
        sa.Column("key_uri", _TEXT, nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("crl_shard_count >= 1", name=op.f("ck_issuer_crl_shard_count_positive")),
        sa.ForeignKeyConstraint(["parent_key"], ["issuer.issuer_key"], name=op.f("fk_issuer_parent_key")),
        sa.PrimaryKeyConstraint("issuer_key", name=op.f("pk_issuer")),
        sa.UniqueConstraint("issuer_id", name=op.f("uq_issuer_issuer_id")),
    )


def _create_certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("issuer_key", sa.SmallInteger(), nullable=False),
        sa.Column("serial", sa.LargeBinary(length=20), nullable=False),
        sa.Column("identity", _TEXT, nullable=False),
        sa.Column("profile", _TEXT, nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("crl_shard", sa.SmallInteger(), nullable=False),
        sa.Column("requested_by", _TEXT, nullable=False),
        sa.Column("labels", sa.JSON(), nullable=True),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revocation_reason", sa.SmallInteger(), nullable=True),
        sa.Column("revocation_crl_number", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(serial) = 20", name=op.f("ck_certificate_serial_length")),
        sa.CheckConstraint("length(spki_sha256) = 32", name=op.f("ck_certificate_spki_sha256_length")),
        sa.CheckConstraint("not_before <= not_after", name=op.f("ck_certificate_validity")),
        sa.CheckConstraint("crl_shard >= 1", name=op.f("ck_certificate_crl_shard_positive")),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revocation_reason IS NULL)"
            " AND (revoked_at IS NULL) = (revocation_crl_number IS NULL)",
            name=op.f("ck_certificate_revocation_whole"),
        ),
        sa.PrimaryKeyConstraint("issuer_key", "serial", name=op.f("pk_certificate")),
    )


def _create_certificate_indexes() -> None:
    by_expiry = ["not_after", "issuer_key", "serial"]
    op.create_index("ix_certificate_by_expiry", "certificate", by_expiry)
    op.create_index(
        "ix_certificate_revoked_by_expiry",
        "certificate",
        by_expiry,
        sqlite_where=_REVOKED,
        postgresql_where=_REVOKED,
    )
    op.create_index(
        "ix_certificate_revoked_in_shard",
        "certificate",
        ["issuer_key", "crl_shard", "not_after"],
        sqlite_where=_REVOKED,
        postgresql_where=_REVOKED,
    )


def _create_name() -> None:
    op.create_table(
        "name",
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("value_reversed", _TEXT, nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("issuer_key", sa.SmallInteger(), nullable=False),
        sa.Column("serial", sa.LargeBinary(length=20), nullable=False),
        sa.PrimaryKeyConstraint("kind", "value_reversed", "not_after", "issuer_key", "serial", name=op.f("pk_name")),
        sqlite_with_rowid=False,
    )


def _create_issuance_request() -> None:
    op.create_table(
        "issuance_request",
        sa.Column("request_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("requester", _TEXT, nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issuer_key", sa.SmallInteger(), nullable=False),
        sa.Column("serial", sa.LargeBinary(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(request_id) = 16", name=op.f("ck_issuance_request_request_id_length")),
        sa.CheckConstraint("length(request_sha256) = 32", name=op.f("ck_issuance_request_request_sha256_length")),
        sa.PrimaryKeyConstraint("request_id", "requester", name=op.f("pk_issuance_request")),
        sqlite_with_rowid=False,
    )


def _create_blocked_key() -> None:
    op.create_table(
        "blocked_key",
        sa.Column("spki_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("blocked_at", sa.BigInteger(), nullable=False),
        sa.Column("blocked_by", _TEXT, nullable=False),
        sa.CheckConstraint("length(spki_sha256) = 32", name=op.f("ck_blocked_key_spki_sha256_length")),
        sa.PrimaryKeyConstraint("spki_sha256", name=op.f("pk_blocked_key")),
    )
    op.create_index("ix_blocked_key_blocked_at", "blocked_key", ["blocked_at"])


def _create_registration() -> None:
    op.create_table(
        "registration",
        sa.Column("identity", _TEXT, nullable=False),
        sa.Column("dns_names", sa.JSON(), nullable=False),
        sa.Column("ip_addresses", sa.JSON(), nullable=False),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", _TEXT, nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_registration_version_positive")),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_registration")),
    )


def _create_profile() -> None:
    op.create_table(
        "profile",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_by", _TEXT, nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_profile_version_positive")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_profile")),
    )


def _create_crls() -> None:
    op.create_table(
        "crl_shard",
        sa.Column("issuer_key", sa.SmallInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("claimed_number", sa.BigInteger(), nullable=False),
        sa.Column("carried_number", sa.BigInteger(), nullable=False),
        sa.Column("published_number", sa.BigInteger(), nullable=False),
        sa.Column("this_update", sa.BigInteger(), nullable=True),
        sa.Column("next_update", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("shard >= 1", name=op.f("ck_crl_shard_shard_positive")),
        sa.CheckConstraint("published_number <= claimed_number", name=op.f("ck_crl_shard_published_was_claimed")),
        sa.CheckConstraint("carried_number <= claimed_number + 1", name=op.f("ck_crl_shard_carried_by_next")),
        sa.ForeignKeyConstraint(["issuer_key"], ["issuer.issuer_key"], name=op.f("fk_crl_shard_issuer_key")),
        sa.PrimaryKeyConstraint("issuer_key", "shard", name=op.f("pk_crl_shard")),
    )
    op.create_table(
        "crl",
        sa.Column("issuer_key", sa.SmallInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("crl_der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_key", "shard"],
            ["crl_shard.issuer_key", "crl_shard.shard"],
            name=op.f("fk_crl_issuer_key_shard"),
        ),
        sa.PrimaryKeyConstraint("issuer_key", "shard", name=op.f("pk_crl")),
    )


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("event_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        sa.Column("action", sa.SmallInteger(), nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("event_key", name=op.f("pk_event")),
    )
