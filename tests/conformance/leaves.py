"""Issuances as the service makes them: real certificates, of one key that is quick to sign with."""

import hashlib
import ipaddress
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certmint_server.issuance.log import Issuance, RequestKey
from certmint_server.issuance.serial import new_serial
from certmint_server.registry.certificate import CertificateRecord

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
PAYMENTS = "spiffe://example.test/payments"

_KEY = ec.generate_private_key(ec.SECP256R1())
_SUBJECT = x509.Name([])


def issuance(
    issuer_id: str,
    *,
    identity: str = PAYMENTS,
    dns_names: tuple[str, ...] = ("payments.example.test",),
    ip_addresses: tuple[str, ...] = (),
    profile: str = "service",
    not_after: datetime = NOW + timedelta(days=1),
    spki_sha256: bytes | None = None,
    crl_shard: int = 1,
    labels: dict[str, str] | None = None,
    request: RequestKey | None = None,
) -> Issuance:
    serial = new_serial(NOW)
    not_before = not_after - timedelta(days=1)
    record = CertificateRecord(
        issuer_id=issuer_id,
        serial=serial,
        identity=identity,
        profile=profile,
        profile_version=1,
        not_before=not_before,
        not_after=not_after,
        spki_sha256=spki_sha256 or secrets.token_bytes(32),
        crl_shard=crl_shard,
        requested_by=identity,
        certificate_der=_sign(serial, not_before, not_after, identity, dns_names, ip_addresses),
        labels=labels or {},
    )
    return Issuance(record, request)


def request_key(request_id: UUID, *, content: str = "csr", requester: str = PAYMENTS) -> RequestKey:
    return RequestKey(requester, request_id, hashlib.sha256(content.encode()).digest())


def _sign(
    serial: int,
    not_before: datetime,
    not_after: datetime,
    identity: str,
    dns_names: tuple[str, ...],
    ip_addresses: tuple[str, ...],
) -> bytes:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity)]
    names += [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses]
    builder = x509.CertificateBuilder(
        issuer_name=_SUBJECT,
        subject_name=_SUBJECT,
        public_key=_KEY.public_key(),
        serial_number=serial,
        not_valid_before=not_before,
        not_valid_after=not_after,
        extensions=[x509.Extension(x509.SubjectAlternativeName.oid, True, x509.SubjectAlternativeName(names))],
    )
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
