"""A TBSCertificate (RFC 5280 section 4.1), taken apart into the bytes of its fields."""

from dataclasses import dataclass

from certmint_server.issuance.der import SEQUENCE, contents, split

_EXTENSIONS = 0xA3


@dataclass(frozen=True, slots=True)
class TBSCertificate:
    """The fields and the extensions, each the DER of its element."""

    version: bytes
    serial: bytes
    signature: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    spki: bytes
    extensions: frozenset[bytes]


def parse_tbs(tbs_der: bytes) -> TBSCertificate:
    """Takes a TBSCertificate of version 3 apart.

    Raises:
        ValueError: it is not DER, or not the eight fields of a certificate with extensions, or has an extension twice.
    """
    (outer,) = split(tbs_der)
    version, serial, signature, issuer, validity, subject, spki, extensions_der = split(contents(outer, SEQUENCE))
    (listed,) = split(contents(extensions_der, _EXTENSIONS))
    extensions = split(contents(listed, SEQUENCE))
    if len(set(extensions)) != len(extensions):
        raise ValueError("an extension comes twice")
    return TBSCertificate(version, serial, signature, issuer, validity, subject, spki, extensions=frozenset(extensions))
