"""The authority and its issuers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from certmint_server.audit import Action, Event
from certmint_server.errors import ConfigError
from certmint_server.issuers.issuer import Authority, Issuer, IssuerState
from certmint_server.signers.signer import SignatureScheme
from certmint_server.store.events import add_event
from certmint_server.store.insertion import insert_if_absent
from certmint_server.store.reader import Reader
from certmint_server.store.schema import authority as authority_table
from certmint_server.store.schema import crl_shard, issuer
from certmint_server.store.writer import Writer


class SQLIssuerStore:
    """`IssuerStore`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    async def authority(self) -> Authority | None:
        """The authority, if this database was initialised."""
        row = await self._reader.run(lambda connection: connection.execute(select(authority_table)).one_or_none())
        return None if row is None else Authority(row.trust_domain, row.trust_bundle_sequence)

    async def list_issuers(self) -> Sequence[Issuer]:
        """All issuers, in the order they were added."""
        parent = issuer.alias("parent")
        query = (
            select(issuer, parent.c.issuer_id.label("parent_id"))
            .join(parent, parent.c.issuer_key == issuer.c.parent_key)
            .order_by(issuer.c.issuer_key)
        )
        return await self._reader.run(lambda connection: [_issuer(row) for row in connection.execute(query)])

    async def initialise(self, authority: Authority, issuers: Sequence[Issuer], *, at: datetime, by: str) -> None:
        """Makes the authority with its first issuers, each with its CRL shards, in one transaction.

        Raises:
            ConfigError: this database was initialised before.
        """
        row = {
            "id": 1,
            "trust_domain": authority.trust_domain,
            "trust_bundle_sequence": authority.trust_bundle_sequence,
            "created_at": at,
        }
        keys = {value.issuer_id: key for key, value in enumerate(issuers, start=1)}

        def initialise(connection: Connection) -> None:
            if not insert_if_absent(connection, authority_table, **row):
                raise ConfigError("This database holds a certificate authority already.")
            for value in issuers:
                _add(connection, value, keys, at)
                add_event(connection, Event(Action.ISSUER_ADDED, by, value.issuer_id, at))

        await self._writer.run(initialise)


def _add(connection: Connection, value: Issuer, keys: Mapping[str, int], at: datetime) -> None:
    key = keys[value.issuer_id]
    connection.execute(
        insert(issuer).values(
            issuer_key=key,
            issuer_id=value.issuer_id,
            parent_key=keys[value.parent_id],
            certificate_der=value.certificate_der,
            state=value.state.value,
            scheme=value.scheme.value,
            distribution_url=value.distribution_url,
            crl_shard_count=value.crl_shard_count,
            key_uri=value.key_uri,
            added_at=at,
        )
    )
    shards = range(1, value.crl_shard_count + 1)
    connection.execute(
        insert(crl_shard).values(claimed_number=0, carried_number=0, published_number=0),
        [{"issuer_key": key, "shard": shard} for shard in shards],
    )


def _issuer(row: Row[Any]) -> Issuer:
    return Issuer(
        certificate_der=row.certificate_der,
        parent_id=row.parent_id,
        state=IssuerState(row.state),
        scheme=SignatureScheme(row.scheme),
        distribution_url=row.distribution_url,
        crl_shard_count=row.crl_shard_count,
        key_uri=row.key_uri,
    )
