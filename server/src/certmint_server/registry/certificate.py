"""A certificate as the registry knows it."""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from functools import cached_property

from cryptography import x509

from certmint_server.errors import FieldInvalidError


class CertificateStatus(IntEnum):
    """Where a certificate stands. The numbers are those of `certmint.ca.v1.CertificateStatus`."""

    VALID = 1
    EXPIRED = 2
    REVOKED = 3


class RevocationReason(IntEnum):
    """CRLReason (RFC 5280 section 5.3.1). UNSPECIFIED puts no reasonCode in a CRL."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10


@dataclass(frozen=True, slots=True)
class Revocation:
    """A stored revocation. Every CRL of the shard from `crl_number` on carries it."""

    reason: RevocationReason
    revoked_at: datetime
    crl_number: int


@dataclass(frozen=True, slots=True)
class SubjectNames:
    """DNS names and IP addresses (as text) of a SAN, in their order."""

    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class CertificateRecord:
    """One issued certificate. Times are UTC, in whole seconds; `not_after` is inclusive.

    `known_names` are the names in its SAN where they are known already; else they are read from its DER when needed.
    """

    issuer_id: str
    serial: int
    identity: str
    profile: str
    profile_version: int
    not_before: datetime
    not_after: datetime
    spki_sha256: bytes
    crl_shard: int
    requested_by: str
    certificate_der: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    revocation: Revocation | None = None
    known_names: SubjectNames | None = field(default=None, repr=False, compare=False)

    def status(self, now: datetime) -> CertificateStatus:
        """Where it stands at `now`."""
        if self.revocation:
            return CertificateStatus.REVOKED
        return CertificateStatus.EXPIRED if now > self.not_after else CertificateStatus.VALID

    @cached_property
    def sha256(self) -> bytes:
        """SHA-256 of its DER."""
        return hashlib.sha256(self.certificate_der).digest()

    @property
    def issued_at(self) -> datetime:
        """When it was issued, to the millisecond: its serial says."""
        return datetime.fromtimestamp((self.serial >> SERIAL_RANDOM_BITS) / 1000, UTC)

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The dNSNames of its SAN."""
        return self._names.dns_names

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """The iPAddresses of its SAN, as text."""
        return self._names.ip_addresses

    @cached_property
    def _names(self) -> SubjectNames:
        return self.known_names or _read_names(self.certificate_der)


def _read_names(certificate_der: bytes) -> SubjectNames:
    extensions = x509.load_der_x509_certificate(certificate_der).extensions
    try:
        san = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return SubjectNames()
    addresses = tuple(str(address) for address in san.get_values_for_type(x509.IPAddress))
    return SubjectNames(tuple(san.get_values_for_type(x509.DNSName)), addresses)


SERIAL_BYTES = 20
SERIAL_TIME_BITS = 48
SERIAL_RANDOM_BITS = 111
_SERIAL_HEX = re.compile(r"[0-9A-Fa-f]{1,40}")


def serial_hex(serial: int) -> str:
    """Lower-case hex, minimal, of even length."""
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big").hex()


def is_serial(serial: int) -> bool:
    """Whether it is a positive number in at most 20 octets (RFC 5280 section 4.1.2.2)."""
    return 0 < serial < 1 << (8 * SERIAL_BYTES - 1)


def parse_serial_hex(text: str, *, field_name: str) -> int:
    """The serial; padding and upper case are forgiven.

    Raises:
        FieldInvalidError: it is not hex of a positive number of at most 20 octets (RFC 5280 section 4.1.2.2).
    """
    serial = int(text, 16) if _SERIAL_HEX.fullmatch(text) else 0
    if not is_serial(serial):
        raise FieldInvalidError("A serial is 1 to 40 hex digits and not zero.", field=field_name)
    return serial


def ip_bytes(text: str) -> bytes:
    """The octets of an IP address, the way SANs and the name index hold it.

    Raises:
        ValueError: it is not an IP address.
    """
    return ipaddress.ip_address(text).packed
