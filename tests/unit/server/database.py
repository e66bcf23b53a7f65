"""The registry on a real SQLite file, with the two-tier CA in it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.unit.server.authority import ISSUING, NOW, ROOT

from certmint_server.issuance.log import Issuance
from certmint_server.issuers.issuer import Authority, Issuers
from certmint_server.registry.certificate import CertificateRecord, RevocationReason, SubjectNames
from certmint_server.revocation.crls import CRLStore
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.migrate import migrate
from certmint_server.store.store import Store

AUTHORITY = Authority("demo.test", 1)
ISSUERS = Issuers(AUTHORITY, [ROOT.issuer, ISSUING.issuer], {ISSUING.issuer.issuer_id: ISSUING.signer})


class ManualClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@dataclass(frozen=True)
class Database:
    """The store with what the tests of CRLs do to it."""

    path: Path
    clock: ManualClock
    store: Store

    @property
    def crls(self) -> CRLStore:
        """Where its CRLs are."""
        return self.store.crls

    async def record(self, serial: int, *, lifetime: timedelta = timedelta(days=90)) -> None:
        """Records a certificate. Its bytes do not matter here."""
        now = self.clock.now()
        certificate = CertificateRecord(
            issuer_id=ISSUING.issuer.issuer_id,
            serial=serial,
            identity="spiffe://demo.test/payments",
            profile="service",
            profile_version=1,
            not_before=now,
            not_after=now + lifetime,
            spki_sha256=bytes(32),
            crl_shard=1,
            requested_by="spiffe://demo.test/payments",
            certificate_der=b"der",
            known_names=SubjectNames(),
        )
        await self.store.certificate_log.record(Issuance(certificate, None))

    async def revoke(self, serial: int) -> int:
        """Revokes a certificate; the number of the CRL that is promised to carry it."""
        order = RevocationOrder(
            issuer_id=ISSUING.issuer.issuer_id,
            serial=serial,
            reason=RevocationReason.SUPERSEDED,
            revoked_at=self.clock.now(),
            block_key=False,
            actor="spiffe://demo.test/operator",
        )
        revoked = await self.store.revocation_log.revoke(order)
        assert revoked
        assert revoked.certificate.revocation
        return revoked.certificate.revocation.crl_number

    def lose(self) -> None:
        """Takes the tables of CRLs away, as a database that fails does."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript("DROP TABLE crl; DROP TABLE crl_shard;")


@asynccontextmanager
async def opened_database(folder: Path) -> AsyncIterator[Database]:
    """A new database with the authority of these tests."""
    path = folder / "certmint.db"
    url = f"sqlite:///{path}"
    clock = ManualClock()
    migrate(url)
    async with await Store.open(url, clock=clock) as store:
        await store.issuers.initialise(AUTHORITY, list(ISSUERS), at=NOW, by="init")
        yield Database(path, clock, store)
