"""The gRPC server: which services it offers, over what, and within which limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from certmint.ca.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    certificate_authority_service_pb2,
    certificate_authority_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
    trust_service_pb2,
    trust_service_pb2_grpc,
)
from certmint_server.errors import ConfigError
from certmint_server.rpc.admin import AdminServicer
from certmint_server.rpc.certificate_authority import CertificateAuthorityServicer
from certmint_server.rpc.credentials import RotatingCredentials
from certmint_server.rpc.drain import Drain
from certmint_server.rpc.health import HealthServicer
from certmint_server.rpc.identity import PeerAuthenticator
from certmint_server.rpc.interceptors import CallInterceptor
from certmint_server.rpc.policy import verify_every_method_has_a_row
from certmint_server.rpc.registry import RegistryServicer
from certmint_server.rpc.trust import TrustServicer

# 16 certificates of 64 KiB and 16 anchors, with what stands around them.
MAXIMUM_REQUEST_BYTES = 3 * 1024 * 1024
MAXIMUM_CONCURRENT_RPCS = 4096
DEFAULT_DEADLINE_SECONDS = 30.0

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MAXIMUM_REQUEST_BYTES),
    # Two servers on one port would share its connections without a word.
    ("grpc.so_reuseport", 0),
    # A connection is given up for a new one now and then, so that a client's handshake is checked again.
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 60 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20 * 1000),
)


@dataclass(frozen=True, slots=True)
class Servicers:
    """What the server offers."""

    certificate_authority: CertificateAuthorityServicer
    trust: TrustServicer
    registry: RegistryServicer
    admin: AdminServicer


class RPCServer:
    """A gRPC server over mTLS. Health and reflection stand behind the same checks as everything else."""

    def __init__(self, servicers: Servicers, authenticator: PeerAuthenticator) -> None:
        self._drain = Drain()
        self._server = grpc.aio.server(
            interceptors=[CallInterceptor(authenticator, self._drain, default_deadline=DEFAULT_DEADLINE_SECONDS)],
            options=_OPTIONS,
            maximum_concurrent_rpcs=MAXIMUM_CONCURRENT_RPCS,
        )
        self._health = HealthServicer()
        self._services = self._register(servicers)
        verify_every_method_has_a_row(
            f"/{service.full_name}/{method.name}" for service in self._services for method in service.methods
        )

    async def start(self, address: str, credentials: RotatingCredentials) -> int:
        """Serves at `host:port`; port 0 takes a free one. Returns the port.

        Raises:
            ConfigError: the address is taken, or not one of this machine.
        """
        try:
            port = self._server.add_secure_port(address, credentials.server_credentials)
        except RuntimeError as error:  # all that grpc raises
            raise ConfigError(
                f"Cannot listen on {address}: it is taken, or not of this machine. Change grpc.listen in certmint.toml."
            ) from error
        await self._server.start()
        for service in ("", *(service.full_name for service in self._services)):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace: float) -> None:
        """Ends the streams, takes no new calls, lets those under way end for `grace` seconds, and closes."""
        await self._health.enter_graceful_shutdown()
        await self._drain.run()
        await self._server.stop(grace)

    def _register(self, servicers: Servicers) -> Sequence[ServiceDescriptor]:
        # Generated code takes any object with these two methods, which its types do not say.
        server: Any = _GenericHandlers(self._server)
        certificate_authority_service_pb2_grpc.add_CertificateAuthorityServiceServicer_to_server(
            servicers.certificate_authority, server
        )
        trust_service_pb2_grpc.add_TrustServiceServicer_to_server(servicers.trust, server)
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicers.registry, server)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(servicers.admin, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        files = (
            certificate_authority_service_pb2,
            trust_service_pb2,
            registry_service_pb2,
            admin_service_pb2,
            health_pb2,
            reflection_pb2,
        )
        services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
        reflection.enable_server_reflection([service.full_name for service in services], self._server)
        return services


class _GenericHandlers:
    """What generated code registers its methods with, of which grpc is told in one of two ways only.

    For every method that is also registered by its name, grpc.aio (1.85) keeps a task, and at each call waits on all of
    them anew: with twenty methods that was a quarter of what a call cost.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, object]) -> None:
        """Leaves them to the generic handlers."""
