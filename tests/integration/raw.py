"""Calls without a client: bytes in, bytes out."""

from typing import Any

import grpc

from certmint import Identity
from certmint.credentials import channel_credentials

SECONDS = 10.0


def channel_of(address: str, identity: Identity) -> grpc.Channel:
    """A connection of an identity."""
    return grpc.secure_channel(address, channel_credentials(identity))


def send(channel: Any, method: str, message: bytes = b"") -> bytes:
    """The answer to one message. Raises grpc.RpcError."""
    answer: bytes = channel.unary_unary(method)(message, timeout=SECONDS)
    return answer


def first_of_stream(channel: Any, method: str, message: bytes = b"") -> bytes:
    """The first message of the stream that answers one message; the rest is not wanted. Raises grpc.RpcError."""
    stream = channel.stream_stream(method)(iter([message]), timeout=SECONDS)
    first: bytes = next(stream)
    stream.cancel()
    return first
