import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from tests.integration.authority import TRUST_DOMAIN, Authority, Server, make_authority, serving
from tests.integration.outsiders import CA, stolen_issuer

from certmint import Client, Identity, Registration, keys
from certmint.ca.v1.resources_pb2 import ISSUER_STATE_ACTIVE, ISSUER_STATE_OFFLINE, Issuer, IssuerState


@dataclass(frozen=True, slots=True)
class Running:
    """A served authority, shared by the tests of a session: each makes identities of its own."""

    authority: Authority
    server: Server
    operator: Client

    def enroll(self, name: str = "", **granted: object) -> Identity:
        """A new identity with its first certificate."""
        return self.authority.enroll(self.server, name or fresh_name(), **granted)  # type: ignore[arg-type]  # passed on as they are

    def register(self, **granted: object) -> Registration:
        """A new identity without a certificate, of all profiles unless it is said otherwise."""
        granted = {"identity": fresh_identity(), "profiles": ["service", "server", "client"], **granted}
        return self.operator.create_registration(Registration(**granted)).registration  # type: ignore[arg-type]  # likewise

    def client(self, identity: Identity) -> Client:
        """A client with its own connection."""
        return Client(self.server.address, identity)

    def issuer(self, state: IssuerState.ValueType = ISSUER_STATE_ACTIVE) -> Issuer:
        """The issuing CA, or with ISSUER_STATE_OFFLINE the root."""
        return next(issuer for issuer in self.operator.get_configuration().issuers if issuer.state == state)

    def certificates(self) -> tuple[x509.Certificate, x509.Certificate]:
        """Those of the issuing CA and of the root."""
        issuers = (self.issuer(), self.issuer(ISSUER_STATE_OFFLINE))
        issuing, root = (x509.load_der_x509_certificate(issuer.certificate_der) for issuer in issuers)
        return issuing, root

    def identity_of(self, key: keys.PrivateKey, chain_der: list[bytes]) -> Identity:
        """An identity of this trust domain, whoever signed the chain."""
        return Identity.from_der(
            key=key, chain_der=chain_der, trust_bundle_der=[self.issuer(ISSUER_STATE_OFFLINE).certificate_der]
        )


def fresh_name() -> str:
    """A name that no other test has."""
    return f"service-{uuid.uuid4().hex[:8]}"


def fresh_identity() -> str:
    """An identity that no other test has."""
    return f"spiffe://{TRUST_DOMAIN}/{fresh_name()}"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An authority on each engine, served for the whole session."""
    authority = make_authority(tmp_path_factory.mktemp(request.param) / "ca", database_url=_database_url(request))
    with serving(authority.data) as server, authority.operator(server) as operator:
        yield Running(authority, server, operator)


@pytest.fixture(scope="session")
def thief(running: Running) -> CA:
    """Whoever stole the key of the issuing CA, and signs without the registry."""
    return stolen_issuer(running.authority.data, running.certificates()[0])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for an authority of one test's own."""
    return tmp_path / "ca"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def own_authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority on each engine that nobody serves: a test starts, stops and kills servers of its own on it."""
    return make_authority(tmp_path_factory.mktemp("own") / "ca", database_url=_database_url(request))


def _database_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return "sqlite:///certmint.db"
    cluster = request.getfixturevalue("postgres")
    url: str = cluster.url(cluster.create_database())
    return url
