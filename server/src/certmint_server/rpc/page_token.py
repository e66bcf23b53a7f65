"""Page tokens: where a list goes on. They carry no authority: what a caller may see is decided anew for each page."""

import base64
import hashlib
import json
from datetime import UTC, datetime

from google.protobuf.message import Message

from certmint_server.errors import FieldInvalidError, PageTokenInvalidError
from certmint_server.registry.certificate import parse_serial_hex, serial_hex
from certmint_server.registry.certificates import PageKey

_MAXIMUM_TOKEN = 4096
_MAXIMUM_PAGE = 1000
_DEFAULT_PAGE = 100


def page_limit(page_size: int) -> int:
    """How many rows a page has."""
    return min(page_size or _DEFAULT_PAGE, _MAXIMUM_PAGE)


def encode_page_key(key: PageKey | None, request: Message) -> str:
    """The token that goes on after `key` in the list that `request` asks for; empty at the end."""
    if key is None:
        return ""
    seconds = int(key.not_after.timestamp())
    return _encode([_fingerprint(request), key.name_reversed, seconds, key.issuer_id, serial_hex(key.serial)])


def decode_page_key(token: str, request: Message) -> PageKey | None:
    """The key in a token of the same list; None for the first page.

    Raises:
        PageTokenInvalidError: the token is of another list, or of none.
    """
    if not token:
        return None
    match _decode(token):
        case [str(fingerprint), str(name), int(seconds), str(issuer_id), str(serial)] if fingerprint == _fingerprint(
            request
        ):
            try:
                not_after = datetime.fromtimestamp(seconds, UTC)
                return PageKey(name, not_after, issuer_id, parse_serial_hex(serial, field_name="page_token"))
            except (OverflowError, ValueError, OSError, FieldInvalidError) as error:
                raise _invalid() from error
    raise _invalid()


def encode_last(last: str) -> str:
    """The token that goes on after the row named `last`."""
    return _encode([last])


def decode_last(token: str) -> str:
    """The row that a token of `encode_last` names; empty for the first page.

    Raises:
        PageTokenInvalidError: it is no such token.
    """
    if not token:
        return ""
    match _decode(token):
        case [str(last)]:
            return last
    raise _invalid()


def _encode(value: list[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _decode(token: str) -> object:
    if len(token) > _MAXIMUM_TOKEN:
        raise _invalid()
    try:
        value: object = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise _invalid() from error
    texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    # Every name in a token is; a database keeps neither a NUL nor half of a surrogate pair.
    if not all(text.isascii() and text.isprintable() for text in texts):
        raise _invalid()
    return value


def _fingerprint(request: Message) -> str:
    """What a list asks for, but for where it stands in it."""
    plain = type(request)()
    plain.CopyFrom(request)
    plain.ClearField("page_token")
    plain.ClearField("page_size")
    return hashlib.sha256(plain.SerializeToString(deterministic=True)).hexdigest()[:16]


def _invalid() -> PageTokenInvalidError:
    return PageTokenInvalidError(
        "Give next_page_token as it came, with the same filter; or leave it empty to begin anew.", field="page_token"
    )
