"""The registry's database, opened."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from certmint_server.clock import Clock
from certmint_server.issuance.log import CertificateLog
from certmint_server.store.certificates import SQLCertificateStore
from certmint_server.store.crls import SQLCRLStore
from certmint_server.store.engine import open_reader, open_writer, transactional
from certmint_server.store.issuers import SQLIssuerStore
from certmint_server.store.migrate import verify_current
from certmint_server.store.profiles import SQLProfileStore
from certmint_server.store.reader import Reader
from certmint_server.store.recording import Recorder
from certmint_server.store.registrations import SQLRegistrationStore
from certmint_server.store.requests import SQLRequestStore
from certmint_server.store.revocations import SQLBlockedKeyStore, SQLRevocationLog
from certmint_server.store.rows import IssuerKeys
from certmint_server.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Store:
    """All that the registry keeps, by what the parts of the domain need of it."""

    issuers: SQLIssuerStore
    profiles: SQLProfileStore
    registrations: SQLRegistrationStore
    certificate_log: CertificateLog
    requests: SQLRequestStore
    certificates: SQLCertificateStore
    revocation_log: SQLRevocationLog
    blocked_keys: SQLBlockedKeyStore
    crls: SQLCRLStore
    _reader: Reader
    _writer: Writer

    @classmethod
    async def open(cls, url: str, *, clock: Clock) -> Self:
        """Opens a database that `migrate` has made: `sqlite:///<path>` or `postgresql://...`.

        The clock dates requests and the events of issuance; all else carries its time with it.

        Raises:
            ConfigError: the URL is not one, or the tables are not those of this version.
            StoreUnavailableError: the database cannot be reached.
        """
        await asyncio.to_thread(verify_current, url)
        issuer_keys = IssuerKeys()
        writing = open_writer(url)
        writer = Writer(transactional(writing), Recorder(writing, issuer_keys, clock))
        reader = Reader(open_reader(url))
        return cls(
            issuers=SQLIssuerStore(reader, writer),
            profiles=SQLProfileStore(reader, writer),
            registrations=SQLRegistrationStore(reader, writer),
            certificate_log=writer,
            requests=SQLRequestStore(reader),
            certificates=SQLCertificateStore(reader, issuer_keys),
            revocation_log=SQLRevocationLog(writer, issuer_keys),
            blocked_keys=SQLBlockedKeyStore(reader),
            crls=SQLCRLStore(reader, writer, issuer_keys),
            _reader=reader,
            _writer=writer,
        )

    async def close(self) -> None:
        """Finishes what is pending and closes the connections."""
        await self._writer.close()
        await self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
