"""What is connected to what. The only module that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from certmint_server.clock import Clock
from certmint_server.config import Config
from certmint_server.errors import ConfigError
from certmint_server.issuance.profiles import Profiles
from certmint_server.issuance.service import IssuanceService
from certmint_server.issuers.issuer import Issuer, Issuers
from certmint_server.registry.blocked_keys import BlockedKeys
from certmint_server.registry.callers import Callers
from certmint_server.registry.registrations import Registrations
from certmint_server.revocation.crls import CRLs
from certmint_server.revocation.issuer_status import IssuerStatus
from certmint_server.revocation.publisher import Publisher
from certmint_server.revocation.service import RevocationService
from certmint_server.rpc.admin import AdminServicer
from certmint_server.rpc.certificate_authority import CertificateAuthorityServicer
from certmint_server.rpc.identity import PeerAuthenticator
from certmint_server.rpc.registry import RegistryServicer
from certmint_server.rpc.server import RPCServer, Servicers
from certmint_server.rpc.trust import TrustServicer
from certmint_server.signers.file import load_signer
from certmint_server.signers.signer import Signer
from certmint_server.store.store import Store
from certmint_server.verification.service import VerificationService


@dataclass(frozen=True, slots=True)
class Registry:
    """What is asked at every call, and may be a second old."""

    registrations: Registrations
    profiles: Profiles
    callers: Callers
    blocked_keys: BlockedKeys


@dataclass(frozen=True, slots=True)
class Services:
    """The domain of one authority, on its database."""

    config: Config
    clock: Clock
    store: Store
    issuers: Issuers
    registry: Registry
    crls: CRLs
    issuer_status: IssuerStatus
    issuance: IssuanceService
    revocation: RevocationService
    verification: VerificationService
    publisher: Publisher


@asynccontextmanager
async def open_services(config: Config, clock: Clock, passphrase: bytes) -> AsyncIterator[Services]:
    """The services of an authority that was initialised, with the signers whose keys the passphrase opens.

    Raises:
        ConfigError: the database was not initialised or is of another version, or a key does not open.
        StoreUnavailableError: the database cannot be reached.
    """
    async with await Store.open(config.database_url, clock=clock) as store:
        authority = await store.issuers.authority()
        if authority is None:
            raise ConfigError("This database holds no authority. Make one with: certmint-server init")
        stored = await store.issuers.list_issuers()
        signers = {issuer.issuer_id: _signer(issuer, config, passphrase) for issuer in stored if issuer.key_uri}
        yield wire(config, clock, store, Issuers(authority, stored, signers))


def wire(config: Config, clock: Clock, store: Store, issuers: Issuers) -> Services:
    """Every service on its parts of the store."""
    registry = _wire_registry(config, clock, store, issuers)
    crls = CRLs(store.crls)
    issuer_status = IssuerStatus(crls, bound=config.authorization_bound)
    publisher = Publisher(store=store.crls, issuers=issuers, clock=clock, crl_lifetime=config.crl_lifetime)
    issuance = IssuanceService(
        log=store.certificate_log,
        requests=store.requests,
        issuers=issuers,
        issuer_trust=issuer_status,
        profiles=registry.profiles,
        registrations=registry.registrations,
        blocked_keys=registry.blocked_keys,
        clock=clock,
    )
    revocation = RevocationService(
        log=store.revocation_log,
        certificates=store.certificates,
        issuers=issuers,
        callers=registry.callers,
        blocked_keys=registry.blocked_keys,
        clock=clock,
        publication_bound=config.crl_publication_bound,
        on_revoked=publisher.wake,
    )
    verification = VerificationService(
        certificates=store.certificates, blocked_keys=registry.blocked_keys, crls=crls, issuers=issuers, clock=clock
    )
    return Services(
        config, clock, store, issuers, registry, crls, issuer_status, issuance, revocation, verification, publisher
    )


def _wire_registry(config: Config, clock: Clock, store: Store, issuers: Issuers) -> Registry:
    bound = config.authorization_bound
    registrations = Registrations(store.registrations, clock, trust_domain=issuers.authority.trust_domain, bound=bound)
    blocked_keys = BlockedKeys(store.blocked_keys, clock, bound=bound)
    return Registry(
        registrations=registrations,
        profiles=Profiles(store.profiles, issuers, clock, bound=bound),
        callers=Callers(store.certificates, registrations, blocked_keys, clock, bound=bound),
        blocked_keys=blocked_keys,
    )


def rpc_server(services: Services) -> RPCServer:
    """The gRPC server on these services."""
    servicers = Servicers(
        certificate_authority=CertificateAuthorityServicer(
            issuance=services.issuance,
            revocation=services.revocation,
            crls=services.crls,
            verification=services.verification,
            issuers=services.issuers,
            profiles=services.registry.profiles,
            clock=services.clock,
        ),
        trust=TrustServicer(services.issuers),
        registry=RegistryServicer(services.store.certificates, services.issuers, services.clock),
        admin=AdminServicer(services.registry.registrations, services.registry.profiles),
    )
    return RPCServer(servicers, PeerAuthenticator(services.issuers, services.issuer_status, services.registry.callers))


def _signer(issuer: Issuer, config: Config, passphrase: bytes) -> Signer:
    return load_signer(issuer.key_uri, issuer.scheme, passphrase, config.folder, public_key=issuer.public_key)
