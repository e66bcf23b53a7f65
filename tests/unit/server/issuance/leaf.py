"""A decided certificate in memory, and the TBS bytes of one that differs from it in one thing."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.server.authority import ISSUING, NOW

from certmint_server.init import default_profiles
from certmint_server.issuance import certificate as writing
from certmint_server.issuance.decision import CertificateToIssue
from certmint_server.issuance.keys import LeafPublicKey
from certmint_server.issuance.profile import Profile

SERIAL = 1 << 150 | 0xC0FFEE
KEY = ec.generate_private_key(ec.SECP256R1())
SERVICE = Profile.from_config(next(p for p in default_profiles() if p.name == "service"), 1)


def wanted(**changes: Any) -> CertificateToIssue:
    decided = CertificateToIssue(
        issuer=ISSUING.issuer,
        profile=SERVICE,
        public_key=KEY.public_key(),
        spki_der=spki_der(KEY.public_key()),
        spki_sha256=hashlib.sha256(spki_der(KEY.public_key())).digest(),
        identity="spiffe://demo.test/payments",
        dns_names=("payments.demo.test",),
        ip_addresses=("127.0.0.1",),
        not_before=NOW,
        not_after=NOW + timedelta(hours=24) - timedelta(seconds=1),
        crl_shard=1,
        limited_by_issuer=False,
    )
    return replace(decided, **changes)


def spki_der(key: LeafPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def tbs(
    decided: CertificateToIssue | None = None,
    *,
    fields: Mapping[str, Any] = {},
    extensions: Mapping[type[x509.ExtensionType], tuple[x509.ExtensionType, bool] | None] = {},
) -> bytes:
    """The bytes that would be signed for `decided`, but for these fields of the builder and these extensions."""
    good = writing.prepare(decided or wanted(), SERIAL, ISSUING.signer).sign()
    certificate = x509.load_der_x509_certificate(good.certificate_der)
    values: dict[str, Any] = {
        "issuer_name": certificate.issuer,
        "subject_name": certificate.subject,
        "public_key": certificate.public_key(),
        "serial_number": SERIAL,
        "not_valid_before": certificate.not_valid_before_utc,
        "not_valid_after": certificate.not_valid_after_utc,
    }
    builder = x509.CertificateBuilder()
    for name, value in {**values, **fields}.items():
        builder = getattr(builder, name)(value)
    for extension in certificate.extensions:
        changed = extensions.get(type(extension.value), (extension.value, extension.critical))
        if changed:
            builder = builder.add_extension(changed[0], critical=changed[1])
    for kind, added in extensions.items():
        if added and not any(isinstance(extension.value, kind) for extension in certificate.extensions):
            builder = builder.add_extension(added[0], critical=added[1])
    return builder.sign(ISSUING.signer.private_key, hashes.SHA256()).tbs_certificate_bytes
