"""A TBSCertificate (RFC 5280 section 4.1), taken apart into the bytes of its fields."""

from collections.abc import Mapping
from dataclasses import dataclass

from certmint_server.issuance.der import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Element, read, read_all

_EXTENSIONS_TAG = 0xA3
_TRUE = bytes.fromhex("0101ff")
_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension: whether it is critical, and the DER of its value."""

    critical: bool
    value_der: bytes


@dataclass(frozen=True, slots=True)
class TBSCertificate:
    """The fields, each the DER of its element; the extensions by the DER of their object identifier."""

    version: bytes
    serial: bytes
    signature: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    spki: bytes
    extensions: Mapping[bytes, Extension]


def parse_tbs(tbs_der: bytes) -> TBSCertificate:
    """Takes a TBSCertificate of version 3 apart.

    Raises:
        ValueError: it is not DER, or not the eight fields of a certificate with extensions, or has one extension twice.
    """
    outer = read(tbs_der)
    fields = read_all(outer.contents)
    if outer.tag != SEQUENCE or len(fields) != _FIELDS or fields[-1].tag != _EXTENSIONS_TAG:
        raise ValueError("not the fields of a certificate with extensions")
    listed = read(fields[-1].contents)
    if listed.tag != SEQUENCE:
        raise ValueError("the extensions are not a sequence")
    extensions: dict[bytes, Extension] = {}
    for element in read_all(listed.contents):
        oid, extension = _extension(element)
        if oid in extensions:
            raise ValueError("an extension comes twice")
        extensions[oid] = extension
    version, serial, signature, issuer, validity, subject, spki = (field.der for field in fields[:-1])
    return TBSCertificate(version, serial, signature, issuer, validity, subject, spki, extensions)


def _extension(element: Element) -> tuple[bytes, Extension]:
    parts = read_all(element.contents)
    critical = len(parts) == 3 and parts[1].der == _TRUE  # noqa: PLR2004  OID, critical, value
    # FALSE is the default of critical, and a default is not encoded (X.690 section 11.5).
    well_formed = len(parts) == 2 or critical  # noqa: PLR2004  OID, value
    if element.tag != SEQUENCE or not well_formed or parts[0].tag != OBJECT_IDENTIFIER or parts[-1].tag != OCTET_STRING:
        raise ValueError("an extension is not an OID, TRUE or nothing, and an OCTET STRING")
    return parts[0].der, Extension(critical, parts[-1].contents)
