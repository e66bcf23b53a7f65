"""How a client connects: TLS credentials from an identity, and channel options."""

from collections.abc import Sequence
from typing import Final

import grpc

from certmint.identity import Identity, IdentityError

DEFAULT_TIMEOUT: Final = 10.0
MAXIMUM_RESPONSE_BYTES: Final = 4 << 20

CHANNEL_OPTIONS: Final[Sequence[tuple[str, int]]] = (
    ("grpc.max_receive_message_length", MAXIMUM_RESPONSE_BYTES),
    # A gRPC server by default takes a ping in 5 minutes, and only while calls are open; more often is answered with
    # GOAWAY too_many_pings. The timeout is also TCP_USER_TIMEOUT, which ends a connection whose peer vanished.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # gRPC waits a second before it connects again, and fails calls at once meanwhile: longer than our retries.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    """Credentials for mutual TLS. They keep the identity's certificate for as long as the channel lives."""
    return grpc.ssl_channel_credentials(
        root_certificates=identity.trust_bundle_pem,
        private_key=identity.key_pem,
        certificate_chain=identity.chain_pem,
    )


def server_address(identity: Identity, server: str = "") -> str:
    """`server`, or else the one that the identity names.

    Raises:
        IdentityError: neither is there.
    """
    if address := server or identity.server:
        return address
    raise IdentityError("The identity names no server: give host:port.")
