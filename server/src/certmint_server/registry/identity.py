"""SPIFFE IDs, by the SPIFFE-ID standard (sections 2.1 to 2.3)."""

import re

from certmint_server.errors import IdentityInvalidError

MAXIMUM_BYTES = 2048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def is_reserved(identity: str) -> bool:
    """Whether it is one of the authority's own: below `certmint/`, where the server and its operators are."""
    return identity.removeprefix("spiffe://").partition("/")[2].startswith("certmint/")


def parse_trust_domain(text: str) -> str:
    """The trust domain, as it is given.

    Raises:
        IdentityInvalidError: it is not one.
    """
    if not _TRUST_DOMAIN.fullmatch(text):
        raise IdentityInvalidError(
            "A trust domain has lower-case letters, digits, dots, hyphens and underscores, at most 255."
        )
    return text


def parse_identity(text: str, trust_domain: str, *, field: str = "identity") -> str:
    """The SPIFFE ID, as it is given: `spiffe://<trust domain>/<path>`.

    Raises:
        IdentityInvalidError: it is not a SPIFFE ID with a path in `trust_domain`.
    """
    prefix = f"spiffe://{trust_domain}/"
    if len(text) > MAXIMUM_BYTES or not text.startswith(prefix):
        raise IdentityInvalidError(f"An identity here is {prefix}<path>, at most {MAXIMUM_BYTES} bytes.", field=field)
    for segment in text.removeprefix(prefix).split("/"):
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise IdentityInvalidError(
                "The path of an identity has segments of letters, digits, '.', '-' and '_', none empty, '.' or '..'.",
                field=field,
            )
    return text
