"""PEM around DER (RFC 7468)."""

import base64
import re
from typing import Final

CERTIFICATE: Final = "CERTIFICATE"
CERTIFICATE_REQUEST: Final = "CERTIFICATE REQUEST"
X509_CRL: Final = "X509 CRL"


def encode(label: str, der: bytes) -> bytes:
    """One PEM block, in lines of 64, with a final newline."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def decode(label: str, pem: bytes) -> tuple[bytes, ...]:
    """The DER of every block with this label, in order. What stands between blocks is skipped.

    Raises:
        ValueError: there is no such block, or one is not base64.
    """
    name = re.escape(label).encode()
    blocks = re.findall(b"-----BEGIN " + name + b"-----([^-]*)-----END " + name + b"-----", pem)
    if not blocks:
        raise ValueError(f"There is no PEM block {label!r}.")
    return tuple(base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
