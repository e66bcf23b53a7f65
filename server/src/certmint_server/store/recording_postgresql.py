"""Recording certificates on PostgreSQL: one statement for a whole group, which is a transaction by itself.

Its parameters are arrays, one per column, so that its text, and with it the plan that the server keeps, is the same
for groups of any size. What may not be recorded drops out of the statement instead of failing it. Requests are
inserted in order: two servers that insert the same ones in different orders would deadlock.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from certmint_server.audit import Action
from certmint_server.store.rows import Entry

_RECORD = """
WITH item AS MATERIALIZED (
    SELECT * FROM unnest(
        %b::smallint[], %b::bytea[], %b::text[], %b::text[], %b::integer[], %b::bigint[], %b::bigint[], %b::bytea[],
        %b::smallint[], %b::text[], %b::text[], %b::bytea[], %b::bytea[], %b::text[], %b::bytea[], %b::text[]
    ) WITH ORDINALITY AS item (
        issuer_key, serial, identity, profile, profile_version, not_before, not_after, spki_sha256,
        crl_shard, requested_by, labels, certificate_der, request_id, requester, request_sha256, subject, position
    )
    WHERE NOT EXISTS (SELECT FROM blocked_key WHERE blocked_key.spki_sha256 = item.spki_sha256)
), admitted AS (
    INSERT INTO issuance_request (request_id, requester, request_sha256, issuer_key, serial, created_at)
    SELECT request_id, requester, request_sha256, issuer_key, serial, %b::bigint
    FROM item WHERE request_id IS NOT NULL ORDER BY request_id, requester
    ON CONFLICT DO NOTHING
    RETURNING issuer_key, serial
), fresh AS MATERIALIZED (
    SELECT * FROM item
    WHERE request_id IS NULL OR (issuer_key, serial) IN (SELECT issuer_key, serial FROM admitted)
), recorded AS (
    INSERT INTO certificate (
        issuer_key, serial, identity, profile, profile_version, not_before, not_after, spki_sha256,
        crl_shard, requested_by, labels, certificate_der
    )
    SELECT issuer_key, serial, identity, profile, profile_version, not_before, not_after, spki_sha256,
        crl_shard, requested_by, labels::json, certificate_der
    FROM fresh
), named AS (
    INSERT INTO name (kind, value_reversed, not_after, issuer_key, serial)
    SELECT kind, value_reversed, not_after, issuer_key, serial
    FROM unnest(%b::bigint[], %b::smallint[], %b::text[]) AS item_name (position, kind, value_reversed)
    JOIN fresh USING (position)
), audited AS (
    INSERT INTO event (action, actor, subject, occurred_at)
    SELECT %b::smallint, requested_by, subject, %b::bigint FROM fresh
)
SELECT array_agg(position) FROM fresh
"""
_NO_REQUEST = (None, None, None)


def record_entries(connection: Connection, entries: Sequence[Entry], recorded_at: int) -> set[int]:
    """Writes what may be recorded; the positions in `entries` of what was. Each position else is to be settled."""
    certificates = map(list, zip(*(entry.certificate for entry in entries), strict=True))
    requests = map(list, zip(*(entry.request or _NO_REQUEST for entry in entries), strict=True))
    names = [
        (position, kind, value)
        for position, entry in enumerate(entries, start=1)  # as WITH ORDINALITY counts
        for kind, value in entry.names
    ]
    parameters = (
        *certificates,
        *requests,
        [entry.subject for entry in entries],
        recorded_at,
        *map(list, zip(*names, strict=True)),
        Action.CERTIFICATE_ISSUED.value,
        recorded_at,
    )
    positions = connection.exec_driver_sql(_RECORD, parameters).scalar()
    return {position - 1 for position in positions or ()}
