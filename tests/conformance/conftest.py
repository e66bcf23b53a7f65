from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from tests.conformance.leaves import NOW

from certmint_server.issuers.ceremony import make_issuing, make_root
from certmint_server.issuers.issuer import Authority, Issuer
from certmint_server.store.store import Store

_ROOT = make_root("Test", "http://crl.example.test", NOW)
_ISSUING = make_issuing("Test", _ROOT.issuer, _ROOT.signer, NOW)
AUTHORITY = Authority("example.test", 1)
OPERATOR = "spiffe://example.test/operator"


class ManualClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def advance(self, duration: timedelta) -> None:
        self.time += duration


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def root() -> Issuer:
    return _ROOT.issuer


@pytest.fixture(scope="session")
def issuing() -> Issuer:
    return _ISSUING.issuer


@pytest.fixture
def issuer_id(issuing: Issuer) -> str:
    return issuing.issuer_id


@pytest.fixture
async def store(database_url: str, clock: ManualClock, root: Issuer, issuing: Issuer) -> AsyncIterator[Store]:
    """An initialised store, once on each engine."""
    async with await Store.open(database_url, clock=clock) as opened:
        await opened.issuers.initialise(AUTHORITY, [root, issuing], at=NOW, by=OPERATOR)
        yield opened


@pytest.fixture
async def second_store(database_url: str, clock: ManualClock, store: Store) -> AsyncIterator[Store]:
    """What another server has open on the same database."""
    async with await Store.open(database_url, clock=clock) as opened:
        yield opened
