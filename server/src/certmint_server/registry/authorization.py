"""May this caller have this certificate? Everything that is not granted is refused."""

from collections.abc import Sequence

from certmint_server.errors import (
    IdentityNotAllowedError,
    NameNotGrantedError,
    ProfileNotGrantedError,
    RegistrationDisabledError,
)
from certmint_server.registry.callers import Caller
from certmint_server.registry.identity import is_reserved
from certmint_server.registry.registration import Grant, Role


def authorize_identity(caller: Caller, identity: str) -> str:
    """The identity that the caller may ask a certificate for; its own if `identity` is empty.

    Raises:
        IdentityNotAllowedError: it is another's, and the caller is no registration authority.
    """
    if identity in ("", caller.identity):
        return caller.identity
    if Role.REGISTRATION_AUTHORITY not in caller.roles:
        raise IdentityNotAllowedError(
            "Only a registration authority asks for another identity's certificate. Leave identity empty for your own.",
            field="identity",
        )
    return identity


def authorize_issuance_for(caller: Caller, grant: Grant) -> None:
    """Lets a registration authority ask for services only; the host itself asks for operators and for the server.

    A certificate of an identity with more rights would be those rights.

    Raises:
        IdentityNotAllowedError: the identity is another's, and is more than a service.
    """
    is_own, is_host = grant.identity == caller.identity, caller.certificate is None
    is_more = grant.roles != {Role.SERVICE} or is_reserved(grant.identity)
    if is_more and not (is_own or is_host):
        raise IdentityNotAllowedError(
            "A registration authority asks for services only. For an operator, use certmint-server operator issue.",
            field="identity",
        )


def authorize_profile(grant: Grant, profile: str) -> None:
    """Lets pass what the registration grants.

    Raises:
        RegistrationDisabledError: it is disabled.
        ProfileNotGrantedError: it does not grant the profile.
    """
    if grant.disabled:
        raise RegistrationDisabledError("This identity's registration is disabled. Ask an operator.", field="identity")
    if profile not in grant.profiles:
        granted = ", ".join(grant.profiles) or "no profile"
        raise ProfileNotGrantedError(
            f"The registration of {grant.identity} grants {granted}, not {profile}.", field="profile"
        )


def authorize_names(
    grant: Grant, *, dns_names: Sequence[str], ip_addresses: Sequence[str], uris: Sequence[str]
) -> None:
    """Lets pass names that are all granted, each for itself.

    Raises:
        NameNotGrantedError: one is not.
    """
    for kind, asked, granted in (
        ("DNS name", dns_names, grant.dns_names),
        ("IP address", ip_addresses, grant.ip_addresses),
        ("URI", uris, (grant.identity,)),
    ):
        refused = [name for name in asked if name not in granted]
        if refused:
            raise NameNotGrantedError(
                f"The registration of {grant.identity} does not grant the {kind} {refused[0]}.", field="csr_der"
            )
