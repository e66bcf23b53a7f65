"""Certificates as they arrive, with a cap on each before anything is parsed."""

from collections.abc import Sequence
from typing import Final

from cryptography import x509

MAXIMUM_CERTIFICATES: Final = 16
MAXIMUM_CERTIFICATE_BYTES: Final = 64 * 1024


class ChainError(ValueError):
    """The certificates cannot be taken up. `position` is that of the one at fault; None: their number is."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def parse_chain(ders: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The certificates, in the order given. Meant for a chain as well as for trust anchors.

    Args:
        ders: 1 to 16 certificates, DER, of at most 64 KiB each.

    Raises:
        ChainError: there is none or there are too many, or one is too large or not a certificate.
    """
    if not 0 < len(ders) <= MAXIMUM_CERTIFICATES:
        raise ChainError(f"1 to {MAXIMUM_CERTIFICATES} certificates are taken; these are {len(ders)}.")
    for position, der in enumerate(ders):
        if len(der) > MAXIMUM_CERTIFICATE_BYTES:
            raise ChainError(f"Certificate {position} is larger than 64 KiB.", position=position)
    return tuple(_parse(der, position) for position, der in enumerate(ders))


def _parse(der: bytes, position: int) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # These are parsed late, and everything after this point may rely on them.
        _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc, certificate.not_valid_before_utc
    except (ValueError, x509.InvalidVersion) as error:
        raise ChainError(f"Certificate {position} is not an X.509 certificate in DER.", position=position) from error
    return certificate
