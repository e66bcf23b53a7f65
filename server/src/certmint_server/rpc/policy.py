"""Which roles may call which method. What has no row may not be called, and stops the server from starting."""

from collections.abc import Iterable

from certmint_server.errors import MethodNotAllowedError
from certmint_server.registry.callers import Caller
from certmint_server.registry.registration import Role

EVERYONE = frozenset({Role.SERVICE})
READERS = frozenset({Role.AUDITOR, Role.OPERATOR})
OPERATORS = frozenset({Role.OPERATOR})

POLICY: dict[str, frozenset[Role]] = {
    "/certmint.ca.v1.CertificateAuthorityService/SignCSR": EVERYONE,
    "/certmint.ca.v1.CertificateAuthorityService/Revoke": EVERYONE,
    "/certmint.ca.v1.CertificateAuthorityService/GetCRL": EVERYONE,
    "/certmint.ca.v1.CertificateAuthorityService/VerifyChain": EVERYONE,
    "/certmint.ca.v1.CertificateAuthorityService/GetConfiguration": EVERYONE,
    "/certmint.ca.v1.TrustService/GetTrustBundle": EVERYONE,
    "/certmint.ca.v1.RegistryService/GetCertificate": EVERYONE,
    "/certmint.ca.v1.RegistryService/ListCertificates": EVERYONE,
    "/certmint.ca.v1.AdminService/CreateRegistration": OPERATORS,
    "/certmint.ca.v1.AdminService/GetRegistration": READERS,
    "/certmint.ca.v1.AdminService/ListRegistrations": READERS,
    "/certmint.ca.v1.AdminService/UpdateRegistration": OPERATORS,
    "/certmint.ca.v1.AdminService/DeleteRegistration": OPERATORS,
    "/certmint.ca.v1.AdminService/GetProfile": READERS,
    "/certmint.ca.v1.AdminService/ListProfiles": READERS,
    "/certmint.ca.v1.AdminService/ApplyProfile": OPERATORS,
    "/grpc.health.v1.Health/Check": EVERYONE,
    "/grpc.health.v1.Health/List": EVERYONE,
    "/grpc.health.v1.Health/Watch": EVERYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": EVERYONE,
}


def authorize_method(method: str, caller: Caller) -> None:
    """Lets pass a caller with a role that may call the method.

    Raises:
        MethodNotAllowedError: none of its roles may.
    """
    allowed = POLICY.get(method, frozenset())
    if allowed.isdisjoint(caller.roles):
        names = " or ".join(sorted(role.name.lower().replace("_", "-") for role in allowed)) or "no role"
        raise MethodNotAllowedError(f"This method is for {names}. Ask an operator for the role.")


def verify_every_method_has_a_row(methods: Iterable[str]) -> None:
    """Stops a server that would serve a method nobody decided about.

    Raises:
        RuntimeError: a method has no row, or a row has no method.
    """
    served = set(methods)
    if served != POLICY.keys():
        raise RuntimeError(f"the policy table and the served methods differ: {sorted(served ^ POLICY.keys())}")
