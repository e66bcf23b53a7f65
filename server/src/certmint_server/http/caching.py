"""Conditional requests and freshness (RFC 9110 section 13, RFC 9111)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


@dataclass(frozen=True, slots=True)
class Resource:
    """What is served. `fresh_until` is when it stops being of use, whatever a cache thinks."""

    content: bytes
    media_type: str
    sha256: bytes
    last_modified: datetime
    fresh_until: datetime

    @property
    def entity_tag(self) -> str:
        """A strong one: equal tags are equal bytes."""
        return f'"{self.sha256.hex()}"'


def respond(request: Request, resource: Resource, *, now: datetime, age: timedelta) -> Response:
    """The resource, or 304 if the client has it; a cache may reuse it for `age`, never past its end."""
    fresh_for = max(timedelta(0), min(age, resource.fresh_until - now))
    headers = {
        "ETag": resource.entity_tag,
        "Last-Modified": format_datetime(resource.last_modified, usegmt=True),
        "Cache-Control": f"public, max-age={int(fresh_for.total_seconds())}, must-revalidate",
        # For caches of HTTP/1.0, the same moment as max-age.
        "Expires": format_datetime(now + fresh_for, usegmt=True),
        "X-Content-Type-Options": "nosniff",
    }
    if _client_has(request, resource):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(resource.content, media_type=resource.media_type, headers=headers)


def _client_has(request: Request, resource: Resource) -> bool:
    tags = ",".join(request.headers.getlist("if-none-match"))
    if tags:
        # RFC 9110 section 13.1.3: the date counts only where no tag is given.
        return tags.strip() == "*" or resource.entity_tag in _ENTITY_TAG.findall(tags)
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
        # A date without GMT is not an HTTP-date and counts as absent.
        return since.tzinfo is not None and resource.last_modified <= since
    except (ValueError, TypeError, OverflowError):  # what the parser and the calendar make of absurd numbers
        return False
