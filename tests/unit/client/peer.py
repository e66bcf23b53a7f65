"""A real gRPC server over mutual TLS that answers what a test tells it to, and a small CA for both ends."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from certmint import keys, pem
from certmint.ca.v1 import admin_service_pb2_grpc as admin_grpc
from certmint.ca.v1 import certificate_authority_service_pb2_grpc as authority_grpc
from certmint.ca.v1 import registry_service_pb2_grpc as registry_grpc
from certmint.ca.v1 import trust_service_pb2_grpc as trust_grpc
from certmint.ca.v1.admin_service_pb2 import DESCRIPTOR as ADMIN
from certmint.ca.v1.certificate_authority_service_pb2 import DESCRIPTOR as AUTHORITY
from certmint.ca.v1.registry_service_pb2 import DESCRIPTOR as REGISTRY
from certmint.ca.v1.trust_service_pb2 import DESCRIPTOR as TRUST
from certmint.identity import Identity

SPIFFE_ID = "spiffe://example.org/payments"
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (AUTHORITY, REGISTRY, TRUST, ADMIN)
    for service in file.services_by_name.values()
    for method in service.methods
}

Outcome = Message | Callable[[Any, grpc.ServicerContext], Any]


class CA:
    """A root that signs leaves directly."""

    def __init__(self) -> None:
        self.key = keys.generate()
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test Root")])
        self.certificate = self._sign(
            self.key.public_key(), self.name, x509.BasicConstraints(ca=True, path_length=None)
        )
        self.der = pem.decode(pem.CERTIFICATE, self.pem)[0]

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)

    def identity(
        self,
        *,
        server: str = "",
        key: keys.PrivateKey | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Identity:
        """An identity for localhost, in date unless it is said otherwise."""
        key = key or keys.generate()
        leaf = self.certify(key.public_key(), not_before=not_before, not_after=not_after)
        return Identity(keys.to_pem(key), _pem(leaf), self.pem, server)

    def certify(
        self,
        key: CertificatePublicKeyTypes,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> x509.Certificate:
        """A leaf for a key, which works for a server on localhost too."""
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(IPv4Address("127.0.0.1")),
            x509.UniformResourceIdentifier(SPIFFE_ID),
        ]
        san = x509.SubjectAlternativeName(names)
        return self._sign(key, x509.Name([]), san, not_before=not_before, not_after=not_after)

    def crl_der(self) -> bytes:
        """An empty CRL."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now).next_update(now + timedelta(hours=1))
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def _sign(
        self,
        key: CertificatePublicKeyTypes,
        subject: x509.Name,
        extension: x509.ExtensionType,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before or now - timedelta(minutes=5))
            .not_valid_after(not_after or now + timedelta(hours=1))
            .add_extension(extension, critical=True)
        )
        return builder.sign(self.key, SHA256())


@dataclass
class Peer:
    """What the server was asked, and what it is to answer: each outcome once, the last of them again and again."""

    address: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    times_left: list[float] = field(default_factory=list)
    outcomes: dict[str, deque[Outcome]] = field(default_factory=dict)

    def answers(self, method: str, *outcomes: Outcome) -> None:
        self.outcomes[method] = deque(outcomes)

    def requests(self, method: str) -> list[Any]:
        return [request for name, request in self.asked if name == method]

    def handle(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append((method, request))
        self.times_left.append(context.time_remaining())
        outcomes = self.outcomes[method]
        outcome = outcomes.popleft() if len(outcomes) > 1 else outcomes[0]
        return outcome if isinstance(outcome, Message) else outcome(request, context)


def _servicer(peer: Peer) -> Any:
    """Every method of the four services, answered by a `Peer`. Typed Any: the methods are made in a loop."""
    services = (
        authority_grpc.CertificateAuthorityServiceServicer,
        registry_grpc.RegistryServiceServicer,
        trust_grpc.TrustServiceServicer,
        admin_grpc.AdminServiceServicer,
    )

    def answered(name: str) -> Callable[..., Any]:
        return lambda _, request, context: peer.handle(name, request, context)

    return type("Servicer", services, {method.name: answered(method.name) for method in METHODS.values()})()


def refuse(
    code: grpc.StatusCode,
    message: str,
    *,
    reason: str = "",
    domain: str = "certmint.ca.v1",
    fields: dict[str, str] | None = None,
    retry_after: timedelta | None = None,
) -> Callable[[Any, grpc.ServicerContext], None]:
    """An outcome that refuses the call, with the details that our server sends."""
    status = status_pb2.Status(code=code.value[0], message=message)
    if reason:
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    if fields:
        bad_request = error_details_pb2.BadRequest()
        for name, sentence in fields.items():
            bad_request.field_violations.add(field=name, description=sentence)
        status.details.add().Pack(bad_request)
    if retry_after:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(retry_after)
        status.details.add().Pack(retry)

    def outcome(_: Any, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return outcome


@contextmanager
def serving(ca: CA, *, identity: Identity | None = None, peer: Peer | None = None) -> Iterator[Peer]:
    """A server on a free port of the loopback, which asks for a client certificate of `ca`."""
    peer = peer or Peer()
    shown = identity or ca.identity()
    server = grpc.server(ThreadPoolExecutor(4))
    servicer = _servicer(peer)
    authority_grpc.add_CertificateAuthorityServiceServicer_to_server(servicer, server)
    registry_grpc.add_RegistryServiceServicer_to_server(servicer, server)
    trust_grpc.add_TrustServiceServicer_to_server(servicer, server)
    admin_grpc.add_AdminServiceServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials(
        [(shown.key_pem, shown.chain_pem)], root_certificates=ca.pem, require_client_auth=True
    )
    port = server.add_secure_port(peer.address or "127.0.0.1:0", credentials)
    peer.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield peer
    finally:
        server.stop(grace=None).wait()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
