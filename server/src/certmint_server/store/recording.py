"""Recording certificates: each once, whatever is repeated, and none for a blocked key."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from certmint_server.clock import Clock
from certmint_server.errors import CertmintError, KeyBlockedError, RequestIdReusedError
from certmint_server.issuance.log import Issuance, Recorded, RequestKey
from certmint_server.store import recording_postgresql, recording_sqlite
from certmint_server.store.failure import unavailable
from certmint_server.store.rows import IssuerKeys, entry_of, record_of
from certmint_server.store.schema import blocked_key, certificate, issuance_request


class Recorder:
    """Records groups of certificates, in the thread of the writer."""

    def __init__(self, engine: Engine, issuer_keys: IssuerKeys, clock: Clock) -> None:
        is_postgresql = engine.dialect.name == "postgresql"
        self._record_entries = (recording_postgresql if is_postgresql else recording_sqlite).record_entries
        self._engine = engine
        self._issuer_keys = issuer_keys
        self._clock = clock

    def record(self, issuances: Sequence[Issuance]) -> Sequence[Recorded | Exception]:
        """What became of each, once it is durable: refusals are for one alone, a failing database is for all."""
        try:
            return self._record_together(issuances)
        except Exception as error:  # noqa: BLE001  each is raised where its issuance is awaited
            if not _is_of_one(error):
                return [unavailable(error) for _ in issuances]
            if len(issuances) == 1:
                return [unavailable(error) if isinstance(error, SQLAlchemyError) else error]
            return [outcome for issuance in issuances for outcome in self.record([issuance])]

    def _record_together(self, issuances: Sequence[Issuance]) -> Sequence[Recorded | Exception]:
        recorded_at = int(self._clock.now().timestamp())
        with self._engine.begin() as connection:
            entries = [
                entry_of(issuance, self._issuer_keys.get(connection, issuance.certificate.issuer_id))
                for issuance in issuances
            ]
            recorded = self._record_entries(connection, entries, recorded_at)
            rest = [issuance for position, issuance in enumerate(issuances) if position not in recorded]
            settled = iter(self._settle(connection, rest) if rest else ())
        return [
            Recorded(issuance.certificate, replayed=False) if position in recorded else next(settled)
            for position, issuance in enumerate(issuances)
        ]

    def _settle(self, connection: Connection, issuances: Sequence[Issuance]) -> list[Recorded | CertmintError]:
        """Why each of these was not recorded: its key is blocked, or its request id is taken."""
        keys = [issuance.certificate.spki_sha256 for issuance in issuances]
        query = select(blocked_key.c.spki_sha256).where(blocked_key.c.spki_sha256.in_(keys))
        blocked = set(connection.scalars(query))
        answered = _answered(connection, [issuance.request for issuance in issuances if issuance.request])
        return [
            _blocked() if issuance.certificate.spki_sha256 in blocked else self._repeat(connection, issuance, answered)
            for issuance in issuances
        ]

    def _repeat(
        self, connection: Connection, issuance: Issuance, answered: Mapping[tuple[bytes, str], Row[Any]]
    ) -> Recorded | CertmintError:
        request = issuance.request
        row = answered.get((request.request_id.bytes, request.requester)) if request else None
        if request is None or row is None:
            # Another server removed the block or the old request in between; to ask again is safe.
            return unavailable()
        if row.request_sha256 != request.request_sha256:
            return RequestIdReusedError("This request id was used with another request.", field="request_id")
        return Recorded(record_of(row, self._issuer_keys.issuer_id(connection, row.issuer_key)), replayed=True)


def _answered(connection: Connection, requests: Sequence[RequestKey]) -> Mapping[tuple[bytes, str], Row[Any]]:
    """The certificates that these requests got, with the SHA-256 of what was asked for."""
    table = issuance_request.c
    of_request = (certificate.c.issuer_key == table.issuer_key) & (certificate.c.serial == table.serial)
    query = (
        select(certificate, table.request_id, table.requester, table.request_sha256)
        .join_from(issuance_request, certificate, of_request)
        .where(table.request_id.in_([request.request_id.bytes for request in requests]))
    )
    return {(row.request_id, row.requester): row for row in connection.execute(query)}


def _blocked() -> KeyBlockedError:
    return KeyBlockedError("This key was reported as compromised. Make a new one.", field="csr_der")


def _is_of_one(error: Exception) -> bool:
    """Whether an error comes from one of the values, so that the others may succeed without it."""
    if isinstance(error, DBAPIError):
        return isinstance(error, (IntegrityError, DataError))
    return not isinstance(error, SQLAlchemyError)
