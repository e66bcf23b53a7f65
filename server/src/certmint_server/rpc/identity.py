"""Who is on the other end of a connection."""

from functools import lru_cache

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certmint_server.errors import CallerRevokedError, CallerUnknownError, IssuerNotActiveError, TransportInsecureError
from certmint_server.issuers.issuer import Issuers, IssuerTrust
from certmint_server.registry.callers import Caller, Callers, PresentedCertificate
from certmint_server.unreadable import UNREADABLE

_TLS_1_3 = b"TLSv1.3"


class PeerAuthenticator:
    """Authenticates the peer of a call by the certificate of its connection."""

    def __init__(self, issuers: Issuers, issuer_trust: IssuerTrust, callers: Callers) -> None:
        self._issuers = issuers
        self._issuer_trust = issuer_trust
        self._callers = callers
        # There is no place to keep something with a connection; the certificate's own bytes are the safe key.
        self._presented = lru_cache(maxsize=10_000)(self._read)

    async def authenticate(self, context: grpc.aio.ServicerContext[object, object]) -> Caller:
        """The caller.

        Raises:
            TransportInsecureError: the connection is not TLS 1.3 with a client certificate.
            AuthenticationError: the certificate is not that of a caller in good standing.
            StoreUnavailableError: the registry cannot be asked.
        """
        connection = context.auth_context()
        if list(connection.get("ssl_tls_version", ())) != [_TLS_1_3]:
            raise TransportInsecureError("Connect with TLS 1.3.")
        certificate_pem = next(iter(connection.get("x509_pem_cert", ())), None)
        if certificate_pem is None:
            raise TransportInsecureError("Connect with a client certificate.")
        presented = self._presented(certificate_pem)
        try:
            await self._issuer_trust.verify(self._issuers.get(presented.issuer_id))
        except IssuerNotActiveError as error:
            raise CallerRevokedError("The issuer of your certificate is revoked. Ask an operator.") from error
        return await self._callers.authenticate(presented)

    def _read(self, certificate_pem: bytes) -> PresentedCertificate:
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except UNREADABLE as error:
            raise CallerUnknownError("Your certificate cannot be read. Ask an operator to enroll you.") from error
        issuer = self._issuers.of_certificate(certificate)
        if issuer is None:
            raise CallerUnknownError("Your certificate is not of an issuer we trust. Ask an operator to enroll you.")
        return PresentedCertificate(
            issuer_id=issuer.issuer_id,
            serial=certificate.serial_number,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            sha256=certificate.fingerprint(hashes.SHA256()),
        )
