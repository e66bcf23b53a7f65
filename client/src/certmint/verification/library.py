"""`cryptography.x509.verification`, asked by our criteria."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from certmint.verification.criteria import Criteria, Purpose
from certmint.verification.explain import MAXIMUM_INTERMEDIATES
from certmint.verification.name import DnsName, IpAddress


def verify_by_library(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    trust_anchors: Sequence[x509.Certificate],
    criteria: Criteria,
) -> tuple[x509.Certificate, ...] | None:
    """The path that the library accepts, leaf first and anchor last; None when it refuses.

    It compares the expected name only where that is a DNS name or an IP address and the purpose is SERVER_AUTH. Why it
    refuses stands in a text for people only, so that is found out elsewhere.
    """
    if not trust_anchors:  # the library's store cannot be empty
        return None
    builder = (
        PolicyBuilder().store(Store(list(trust_anchors))).time(criteria.at_time).max_chain_depth(MAXIMUM_INTERMEDIATES)
    )
    server = _server_name(criteria)
    try:
        if server is not None:
            return tuple(builder.build_server_verifier(server).verify(leaf, list(intermediates)))
        return tuple(
            _for_purpose(builder, criteria.purpose).build_client_verifier().verify(leaf, list(intermediates)).chain
        )
    except VerificationError:
        return None


def _server_name(criteria: Criteria) -> x509.DNSName | x509.IPAddress | None:
    if criteria.purpose is not Purpose.SERVER_AUTH:
        return None
    match criteria.expected_name:
        case DnsName(value):
            return x509.DNSName(value)
        case IpAddress(address):
            return x509.IPAddress(address)
        case _:
            return None


def _for_purpose(builder: PolicyBuilder, purpose: Purpose) -> PolicyBuilder:
    """Replace what the client verifier asks of extended key usage, unless it is clientAuth, which is what it asks."""
    if purpose is Purpose.CLIENT_AUTH:
        return builder
    leaf_check, issuer_check = (None, None) if purpose is Purpose.ANY else (_leaf_serves, _issuer_serves)
    kind, criticality = x509.ExtendedKeyUsage, Criticality.NON_CRITICAL
    return builder.extension_policies(
        ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(kind, criticality, leaf_check),
        ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(kind, criticality, issuer_check),
    )


def _leaf_serves(_policy: Policy, _certificate: x509.Certificate, usages: x509.ExtendedKeyUsage | None) -> None:
    if usages is not None and ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        raise ValueError("The leaf is not for serverAuth.")


def _issuer_serves(_policy: Policy, _certificate: x509.Certificate, usages: x509.ExtendedKeyUsage | None) -> None:
    if usages is not None and not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(
        usages
    ):
        raise ValueError("The issuer is not for serverAuth.")
