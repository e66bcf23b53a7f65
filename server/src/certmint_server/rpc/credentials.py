"""The server's TLS credentials, which rotate while it serves."""

import threading
from dataclasses import dataclass

import grpc


@dataclass(frozen=True, slots=True)
class TLSMaterial:
    """What a TLS server shows and trusts, PEM. The key is left out of its repr."""

    private_key_pem: bytes
    chain_pem: bytes
    client_roots_pem: bytes

    def __repr__(self) -> str:
        return "TLSMaterial()"


class RotatingCredentials:
    """Credentials of a gRPC server that insists on client certificates and takes new material at any time.

    grpc asks at every new connection. It is given a configuration once per change and None else: handing one over at
    each connection is a use-after-free in grpc-core (grpc/grpc#36693).
    """

    def __init__(self, material: TLSMaterial) -> None:
        self._lock = threading.Lock()
        self._pending: grpc.ServerCertificateConfiguration | None = None
        self.server_credentials = grpc.dynamic_ssl_server_credentials(
            _configuration(material),
            self._fetch,  # type: ignore[arg-type]  # None means no change, which the stubs do not say
            require_client_authentication=True,
        )

    def offer(self, material: TLSMaterial) -> None:
        """Shows this to every connection from now on; those that stand are not touched."""
        configuration = _configuration(material)
        with self._lock:
            self._pending = configuration

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        with self._lock:
            configuration, self._pending = self._pending, None
        return configuration


def _configuration(material: TLSMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.private_key_pem, material.chain_pem)], root_certificates=material.client_roots_pem
    )
