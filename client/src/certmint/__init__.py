"""Client of Certmint, the certificate authority that services call over gRPC.

    import certmint
    from certmint import keys

    key = keys.generate()
    with certmint.Client.from_directory("/etc/payments/identity") as client:
        answer = client.sign_csr(keys.csr_der(key, dns_names=["payments.example"]))
        bundle = client.get_trust_bundle().trust_bundle
    renewed = certmint.Identity.from_der(
        key=key, chain_der=answer.chain_der, trust_bundle_der=bundle.roots_der, server="ca.example:8443"
    )
    certmint.save_identity("/etc/payments/identity", renewed)

`certmint.aio.Client` is the same for asyncio. Failures are classes of `certmint.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from certmint._version import __version__

if TYPE_CHECKING:
    from certmint import aio, errors, keys
    from certmint.ca.v1.certificate_authority_service_pb2 import Purpose, RevocationPolicy
    from certmint.ca.v1.resources_pb2 import CertificateStatus, Profile, Registration, RevocationReason, Role
    from certmint.client import Client
    from certmint.identity import Identity, IdentityError, save_identity

__all__ = [
    "CertificateStatus",
    "Client",
    "Identity",
    "IdentityError",
    "Profile",
    "Purpose",
    "Registration",
    "RevocationPolicy",
    "RevocationReason",
    "Role",
    "__version__",
    "aio",
    "errors",
    "keys",
    "save_identity",
]

# Loaded when first used: a program that verifies chains or makes keys never loads gRPC, and gRPC reads its
# environment when it is imported, which a program may want to set first.
_HOMES: Final = {
    "Client": "certmint.client",
    "Identity": "certmint.identity",
    "IdentityError": "certmint.identity",
    "save_identity": "certmint.identity",
    "Purpose": "certmint.ca.v1.certificate_authority_service_pb2",
    "RevocationPolicy": "certmint.ca.v1.certificate_authority_service_pb2",
    "CertificateStatus": "certmint.ca.v1.resources_pb2",
    "Profile": "certmint.ca.v1.resources_pb2",
    "Registration": "certmint.ca.v1.resources_pb2",
    "RevocationReason": "certmint.ca.v1.resources_pb2",
    "Role": "certmint.ca.v1.resources_pb2",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"certmint.{name}")
    raise AttributeError(f"module 'certmint' has no attribute {name!r}")
