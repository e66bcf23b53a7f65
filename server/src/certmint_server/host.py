"""What the host does for itself: whoever holds its files and its database is trusted already.

Certificates of the server and of operators go through the same steps as everybody's, with the host as the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from certmint import keys
from certmint_server.errors import (
    ConfigError,
    RegistrationExistsError,
    RegistrationNotFoundError,
    VersionMismatchError,
)
from certmint_server.issuance.request import SignRequest
from certmint_server.issuance.service import Issued
from certmint_server.issuers.issuer import Authority
from certmint_server.registry.callers import Caller
from certmint_server.registry.names import parse_dns_name, parse_ip_address
from certmint_server.registry.registration import Grant, Role
from certmint_server.wiring import Services

SERVER_PROFILE = "server"
OPERATOR_PROFILE = "client"
_ATTEMPTS = 5
_OPERATOR_ROLES = frozenset({Role.SERVICE, Role.OPERATOR, Role.AUDITOR, Role.REGISTRATION_AUTHORITY})


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key and what was issued for it. The key is left out of its repr."""

    key: keys.PrivateKey
    issued: Issued

    def __repr__(self) -> str:
        return f"KeyPair({self.issued!r})"


def host_identity(authority: Authority) -> str:
    """The identity of the server, which is also who the host's own acts are written down to."""
    return f"spiffe://{authority.trust_domain}/certmint/server"


def operator_identity(authority: Authority, name: str) -> str:
    """The identity of an operator."""
    return f"spiffe://{authority.trust_domain}/certmint/operator/{name}"


async def issue_server_certificate(services: Services, names: Sequence[str]) -> KeyPair:
    """A certificate for the server itself, with `names` (DNS names and IP addresses) in it."""
    authority = services.issuers.authority
    dns_names, ip_addresses = split_names(names)
    grant = Grant(host_identity(authority), dns_names, ip_addresses, (SERVER_PROFILE,))
    await _grant_at_least(services, grant)
    return await _issue(services, grant, SERVER_PROFILE)


async def issue_operator_certificate(services: Services, name: str) -> KeyPair:
    """A certificate for an operator, registered with every role if it is not yet."""
    grant = Grant(
        operator_identity(services.issuers.authority, name), profiles=(OPERATOR_PROFILE,), roles=_OPERATOR_ROLES
    )
    await _grant_at_least(services, grant)
    # People renew by hand, so theirs lasts as long as the profile allows.
    profile = await services.registry.profiles.current(OPERATOR_PROFILE)
    return await _issue(services, grant, OPERATOR_PROFILE, lifetime=profile.config.maximum_lifetime)


async def _issue(services: Services, grant: Grant, profile: str, *, lifetime: timedelta | None = None) -> KeyPair:
    key = keys.generate()
    csr_der = keys.csr_der(key, dns_names=grant.dns_names, ip_addresses=grant.ip_addresses, uris=[grant.identity])
    host = Caller(None, Grant(host_identity(services.issuers.authority), roles=_OPERATOR_ROLES))
    request = SignRequest(csr_der=csr_der, profile=profile, lifetime=lifetime, identity=grant.identity)
    return KeyPair(key, await services.issuance.sign_csr(host, request))


async def _grant_at_least(services: Services, wanted: Grant) -> None:
    """Registers the identity, or adds what its registration lacks; a disabled one is enabled: this breaks the glass."""
    for _ in range(_ATTEMPTS):
        try:
            await _try_to_grant(services, wanted)
        except (RegistrationExistsError, VersionMismatchError):
            continue  # another server, which starts at the same time, did the same
        return
    raise ConfigError(f"The registration of {wanted.identity} keeps changing. Start again.")


async def _try_to_grant(services: Services, wanted: Grant) -> None:
    by = host_identity(services.issuers.authority)
    try:
        registration = await services.registry.registrations.get(wanted.identity)
    except RegistrationNotFoundError:
        await services.registry.registrations.create(wanted, by=by)
        return
    held = registration.grant
    grant = replace(
        held,
        dns_names=_union(held.dns_names, wanted.dns_names),
        ip_addresses=_union(held.ip_addresses, wanted.ip_addresses),
        profiles=_union(held.profiles, wanted.profiles),
        roles=held.roles | wanted.roles,
        disabled=False,
    )
    if grant != held:
        await services.registry.registrations.update(grant, version=registration.version, by=by)


def split_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The DNS names and the IP addresses among the server's names.

    Raises:
        NameInvalidError: one is neither.
    """
    addresses = tuple(name for name in names if ":" in name or name.replace(".", "").isdigit())
    dns_names = tuple(parse_dns_name(name, field="grpc.names") for name in names if name not in addresses)
    return dns_names, tuple(parse_ip_address(address, field="grpc.names") for address in addresses)


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + second))
