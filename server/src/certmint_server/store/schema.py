"""The tables. `migrations/` makes them, and a test holds the two together.

Every entry in an index costs more than the row itself once there are a million certificates, so there are few. What is
written with every certificate has no foreign keys: on PostgreSQL each would be a query per row, and servers would
queue for a share of the one issuer's row.
"""

from datetime import UTC, datetime
from enum import IntEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    TypeDecorator,
)
from sqlalchemy import Text as AnyText

from certmint_server.registry.certificate import SERIAL_BYTES

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class NameKind(IntEnum):
    """What a row of `name` holds. The numbers stand in the database."""

    IDENTITY = 1
    DNS = 2
    IP = 3


class EpochSeconds(TypeDecorator[datetime]):
    """A time, kept as whole seconds since the epoch: exact and of the same size on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  its signature
        """To the database. A fraction of a second is dropped."""
        return None if value is None else int(value.timestamp())

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  likewise
        """From the database."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


class Serial(TypeDecorator[int]):
    """A serial, kept as 20 big-endian bytes: their order is the order of the numbers, and so of time."""

    impl = LargeBinary(SERIAL_BYTES)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002  its signature
        """To the database."""
        return None if value is None else value.to_bytes(SERIAL_BYTES, "big")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> int | None:  # noqa: ARG002  likewise
        """From the database."""
        return None if value is None else int.from_bytes(value, "big")


# Compared and sorted by its bytes, whatever the locale of the database.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
Document = JSON(none_as_null=True)

authority = Table(
    "authority",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("trust_domain", Text, nullable=False),
    Column("trust_bundle_sequence", BigInteger, nullable=False),
    Column("created_at", EpochSeconds, nullable=False),
    CheckConstraint("id = 1", name="single_row"),
)

# issuer_key counts from 1 in the order in which issuers were added.
issuer = Table(
    "issuer",
    metadata,
    Column("issuer_key", SmallInteger, primary_key=True, autoincrement=False),
    Column("issuer_id", Text, nullable=False, unique=True),
    Column("parent_key", ForeignKey("issuer.issuer_key"), nullable=False),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("distribution_url", Text, nullable=False),
    Column("crl_shard_count", SmallInteger, nullable=False),
    Column("key_uri", Text, nullable=False),
    Column("added_at", EpochSeconds, nullable=False),
    CheckConstraint("crl_shard_count >= 1", name="crl_shard_count_positive"),
)

certificate = Table(
    "certificate",
    metadata,
    Column("issuer_key", SmallInteger, nullable=False),
    Column("serial", Serial, nullable=False),
    Column("identity", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("not_before", EpochSeconds, nullable=False),
    Column("not_after", EpochSeconds, nullable=False),
    Column("spki_sha256", LargeBinary(32), nullable=False),
    Column("crl_shard", SmallInteger, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("labels", Document),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("revoked_at", EpochSeconds),
    Column("revocation_reason", SmallInteger),
    Column("revocation_crl_number", BigInteger),
    PrimaryKeyConstraint("issuer_key", "serial"),
    CheckConstraint(f"length(serial) = {SERIAL_BYTES}", name="serial_length"),
    CheckConstraint("length(spki_sha256) = 32", name="spki_sha256_length"),
    CheckConstraint("not_before <= not_after", name="validity"),
    CheckConstraint("crl_shard >= 1", name="crl_shard_positive"),
    CheckConstraint(
        "(revoked_at IS NULL) = (revocation_reason IS NULL) AND (revoked_at IS NULL) = (revocation_crl_number IS NULL)",
        name="revocation_whole",
    ),
)
_is_revoked = certificate.c.revoked_at.is_not(None)
Index(
    "ix_certificate_by_expiry",
    certificate.c.not_after,
    certificate.c.issuer_key,
    certificate.c.serial,
)
Index(
    "ix_certificate_revoked_by_expiry",
    certificate.c.not_after,
    certificate.c.issuer_key,
    certificate.c.serial,
    sqlite_where=_is_revoked,
    postgresql_where=_is_revoked,
)
Index(
    "ix_certificate_revoked_in_shard",
    certificate.c.issuer_key,
    certificate.c.crl_shard,
    certificate.c.not_after,
    sqlite_where=_is_revoked,
    postgresql_where=_is_revoked,
)

# value_reversed: a DNS name reversed by label, an identity as it is written, an IP address as its octets in hex.
name = Table(
    "name",
    metadata,
    Column("kind", SmallInteger, nullable=False),
    Column("value_reversed", Text, nullable=False),
    Column("not_after", EpochSeconds, nullable=False),
    Column("issuer_key", SmallInteger, nullable=False),
    Column("serial", Serial, nullable=False),
    PrimaryKeyConstraint("kind", "value_reversed", "not_after", "issuer_key", "serial"),
    sqlite_with_rowid=False,
)

# The id comes first in the key: our clients make them in the order of time, which keeps the index local.
issuance_request = Table(
    "issuance_request",
    metadata,
    Column("request_id", LargeBinary(16), nullable=False),
    Column("requester", Text, nullable=False),
    Column("request_sha256", LargeBinary(32), nullable=False),
    Column("issuer_key", SmallInteger, nullable=False),
    Column("serial", Serial, nullable=False),
    Column("created_at", EpochSeconds, nullable=False),
    PrimaryKeyConstraint("request_id", "requester"),
    CheckConstraint("length(request_id) = 16", name="request_id_length"),
    CheckConstraint("length(request_sha256) = 32", name="request_sha256_length"),
    sqlite_with_rowid=False,
)

blocked_key = Table(
    "blocked_key",
    metadata,
    Column("spki_sha256", LargeBinary(32), primary_key=True),
    Column("blocked_at", EpochSeconds, nullable=False),
    Column("blocked_by", Text, nullable=False),
    CheckConstraint("length(spki_sha256) = 32", name="spki_sha256_length"),
    Index("ix_blocked_key_blocked_at", "blocked_at"),
)

registration = Table(
    "registration",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("dns_names", Document, nullable=False),
    Column("ip_addresses", Document, nullable=False),
    Column("profiles", Document, nullable=False),
    Column("roles", Document, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", EpochSeconds, nullable=False),
    Column("updated_at", EpochSeconds, nullable=False),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("version >= 1", name="version_positive"),
)

profile = Table(
    "profile",
    metadata,
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", Document, nullable=False),
    Column("applied_at", EpochSeconds, nullable=False),
    Column("applied_by", Text, nullable=False),
    PrimaryKeyConstraint("name", "version"),
    CheckConstraint("version >= 1", name="version_positive"),
)

# Apart from `crl`, since SQLite writes a whole row again at every update, and a CRL may have megabytes.
crl_shard = Table(
    "crl_shard",
    metadata,
    Column("issuer_key", ForeignKey("issuer.issuer_key"), nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("claimed_number", BigInteger, nullable=False),
    Column("carried_number", BigInteger, nullable=False),
    Column("published_number", BigInteger, nullable=False),
    Column("this_update", EpochSeconds),
    Column("next_update", EpochSeconds),
    Column("lease_until", EpochSeconds),
    PrimaryKeyConstraint("issuer_key", "shard"),
    CheckConstraint("shard >= 1", name="shard_positive"),
    CheckConstraint("published_number <= claimed_number", name="published_was_claimed"),
    CheckConstraint("carried_number <= claimed_number + 1", name="carried_by_next"),
)

crl = Table(
    "crl",
    metadata,
    Column("issuer_key", SmallInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("crl_der", LargeBinary, nullable=False),
    PrimaryKeyConstraint("issuer_key", "shard"),
    ForeignKeyConstraint(["issuer_key", "shard"], ["crl_shard.issuer_key", "crl_shard.shard"]),
)

# The audit trail. The key is no order: transactions commit in another one.
event = Table(
    "event",
    metadata,
    Column("event_key", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("action", SmallInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("occurred_at", EpochSeconds, nullable=False),
    Column("detail", Document),
)
