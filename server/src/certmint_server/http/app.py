"""The distribution points: exactly the URLs that certificates carry, and the trust bundle. Nothing else is answered.

All of it is public and signed, so it is plain HTTP (RFC 5280 section 8).
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

import structlog
from cryptography.hazmat.primitives import serialization
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from certmint_server.clock import Clock
from certmint_server.errors import CRLNotFoundError, StoreUnavailableError
from certmint_server.http.caching import Resource, respond
from certmint_server.issuers.issuer import Issuer, Issuers
from certmint_server.revocation.crls import CRLs

log = structlog.get_logger()

_ISSUER_ID = re.compile(r"[0-9a-f]{16}")
_SHARD = re.compile(r"[1-9][0-9]{0,5}")

# A revocation is published within seconds, and a cache must not undo that: this is what a shared cache may add. It
# still turns any number of clients into one request, mostly answered by 304. How long a CRL may be *used* is said by
# its own nextUpdate.
_CRL_AGE = timedelta(seconds=5)
# A renewed certificate of the same key, or a new root, is staged long before it is needed.
_CERTIFICATE_AGE = timedelta(hours=1)
_RETRY_SECONDS = "5"


def make_app(issuers: Issuers, crls: CRLs, clock: Clock) -> Starlette:
    """The ASGI application."""
    handlers = Distribution(issuers, crls, clock)
    app = Starlette(
        routes=[
            Route("/crl/{issuer_id}/{shard}.crl", handlers.crl, methods=["GET"]),
            Route("/aia/{issuer_id}.cer", handlers.certificate, methods=["GET"]),
            Route("/bundle.pem", handlers.bundle, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refused, StoreUnavailableError: _unavailable},
    )
    app.router.redirect_slashes = False
    return app


class Distribution:
    """Answers the three kinds of request. HEAD comes with GET."""

    def __init__(self, issuers: Issuers, crls: CRLs, clock: Clock) -> None:
        self._issuers = issuers
        self._crls = crls
        self._clock = clock

    async def crl(self, request: Request) -> Response:
        """The current CRL of a shard (RFC 5280 section 4.2.1.13)."""
        issuer = self._issuer(request)
        shard = request.path_params["shard"]
        if not _SHARD.fullmatch(shard) or int(shard) > issuer.crl_shard_count:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        try:
            crl = await self._crls.current(issuer.issuer_id, int(shard))
        except CRLNotFoundError:
            raise HTTPException(HTTPStatus.NOT_FOUND) from None
        resource = Resource(
            content=crl.crl_der,
            media_type="application/pkix-crl",
            sha256=crl.sha256,
            last_modified=crl.this_update,
            fresh_until=crl.next_update,
        )
        return respond(request, resource, now=self._clock.now(), age=_CRL_AGE)

    async def certificate(self, request: Request) -> Response:
        """The certificate of an issuer: DER, as RFC 5280 section 4.2.2.1 wants it."""
        issuer = self._issuer(request)
        return self._certificates(request, "application/pkix-cert", issuer.certificate_der, issuer)

    async def bundle(self, request: Request) -> Response:
        """The roots, as PEM."""
        roots = self._issuers.roots()
        pem = b"".join(root.certificate.public_bytes(serialization.Encoding.PEM) for root in roots)
        return self._certificates(request, "application/pem-certificate-chain", pem, *roots)

    def _certificates(self, request: Request, media_type: str, content: bytes, *issuers: Issuer) -> Response:
        resource = Resource(
            content=content,
            media_type=media_type,
            sha256=hashlib.sha256(content).digest(),
            last_modified=max(issuer.certificate.not_valid_before_utc for issuer in issuers),
            fresh_until=min(issuer.not_after for issuer in issuers),
        )
        return respond(request, resource, now=self._clock.now(), age=_CERTIFICATE_AGE)

    def _issuer(self, request: Request) -> Issuer:
        issuer_id = request.path_params["issuer_id"]
        if not _ISSUER_ID.fullmatch(issuer_id) or not self._issuers.knows(issuer_id):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return self._issuers.get(issuer_id)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(f"{error.detail}.", error.status_code, error.headers or {})


async def _unavailable(_request: Request, error: Exception) -> Response:
    log.error("http.store_unavailable", exc_info=error)
    return _problem("The registry cannot be reached. Try again.", 503, {"Retry-After": _RETRY_SECONDS})


def _problem(sentence: str, status: int, headers: Mapping[str, str]) -> Response:
    # Not to be kept: a CRL that is not there yet is there a second later.
    return PlainTextResponse(sentence + "\n", status, headers={"Cache-Control": "no-store", **headers})
