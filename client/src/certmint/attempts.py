"""Whether and when a failed call is made again."""

import random
import time
from datetime import UTC, datetime
from typing import Any, Final

import grpc

from certmint.calls import Call
from certmint.errors import IdentityExpiredError, from_rpc_error
from certmint.identity import Identity

MAXIMUM_ATTEMPTS: Final = 6
_FIRST_BACKOFF: Final = 0.2
# A server that stops answers calls it has not begun with CANCELLED (grpc/grpc#41785), hence both.
_WORTH_REPEATING: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Attempts:
    """The attempts at one call. `timeout` seconds from now, all of them are over."""

    def __init__(self, call: Call[Any], identity: Identity, *, timeout: float) -> None:
        self._call = call
        self._identity = identity
        self._end = time.monotonic() + timeout
        self._failed = 0

    def remaining(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def delay_after(self, failure: grpc.RpcError, *, closed: bool = False) -> float:
        """Seconds to wait before the next attempt. A client that was `closed` meanwhile makes none.

        Raises:
            CertmintError: there is to be none.
        """
        self._failed += 1
        error = from_rpc_error(failure, request_method=self._call.method)
        if failure.code() is grpc.StatusCode.UNAVAILABLE:
            self._verify_identity(failure)
        delay = _backoff(self._failed)
        if error.retry_after is not None:
            delay = max(delay, error.retry_after.total_seconds())
        repeats = self._call.repeatable and failure.code() in _WORTH_REPEATING and self._failed < MAXIMUM_ATTEMPTS
        if closed or not repeats or delay >= self.remaining():
            raise error from failure
        return delay

    def _verify_identity(self, failure: grpc.RpcError) -> None:
        # A server that refuses a client certificate closes the connection: gRPC tells us UNAVAILABLE, not why.
        not_after = self._identity.not_after
        if datetime.now(UTC) > not_after:  # noqa: TID251 - the client has no Clock
            raise IdentityExpiredError(
                f"The connection failed, and this client's own certificate ended at {not_after:%Y-%m-%dT%H:%M:%SZ}. "
                "Get a new certificate for this identity: an operator's with `certmint-server operator issue` on the "
                "CA's host, a service's from a registration authority.",
                request_method=self._call.method,
            ) from failure


def _backoff(failed: int) -> float:
    # Half to whole of 0.2, 0.4 ... 3.2 s: longer together than a restart takes, and the many clients of one stopped
    # server must not return together.
    return _FIRST_BACKOFF * 2.0 ** (failed - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter is no secret
