"""Around every call: who is calling, may they, errors to statuses, and one line in the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import isawaitable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import grpc
import structlog
from google.protobuf.message import DecodeError

from certmint_server.errors import CertmintError, DeadlineExceededError, RequestMalformedError
from certmint_server.registry.callers import Caller
from certmint_server.rpc.call import CURRENT_CALL, Call
from certmint_server.rpc.drain import Drain
from certmint_server.rpc.identity import PeerAuthenticator
from certmint_server.rpc.policy import authorize_method
from certmint_server.rpc.status import INTERNAL_MESSAGE, INTERNAL_REASON, code_of, details_of, sentence
from certmint_server.rpc.streams import StreamLimit

Context = grpc.aio.ServicerContext[Any, Any]
# Generic in the stubs only.
if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler

_log = structlog.get_logger("certmint.rpc")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler once, and keeps the wrapper.

    The wrapped handler gets the raw bytes and parses them itself: a message that does not parse would otherwise be
    answered by grpc with the parser's own text, before any of this ran.
    """

    def __init__(self, authenticator: PeerAuthenticator, drain: Drain, *, default_deadline: float) -> None:
        self._authenticator = authenticator
        self._default_deadline = default_deadline
        self._drain = drain
        self._stream_limit = StreamLimit()
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of a method, wrapped; what there is no handler for stays UNIMPLEMENTED."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        if not handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler), response_serializer=handler.response_serializer
            )
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(method, handler, handler.stream_stream), response_serializer=handler.response_serializer
            )
        return grpc.unary_stream_rpc_method_handler(
            self._streaming(method, handler, handler.unary_stream), response_serializer=handler.response_serializer
        )

    # The types of a handler's functions are those of grpc's synchronous server: hence Any.
    def _unary(self, method: str, handler: Handler) -> Any:
        answer_message: Any = handler.unary_unary

        async def answer(request: bytes, context: Context) -> Any:
            async with _Outcome(method, context) as outcome:
                await self._admit(method, context, outcome)
                message = _parse(handler, request)
                if context.time_remaining() is not None:
                    return await answer_message(message, context)
                async with asyncio.timeout(self._default_deadline):
                    return await answer_message(message, context)

        return answer

    def _streaming(self, method: str, handler: Handler, stream: Any) -> Any:
        async def answer(request: Any, context: Context) -> None:
            async with _Outcome(method, context) as outcome, self._drain.stream():
                caller = await self._admit(method, context, outcome)
                with self._stream_limit.one_of(caller.identity):
                    parsed = _each(handler, request) if handler.request_streaming else _parse(handler, request)
                    await _write_all(stream(parsed, context), context)

        return answer

    async def _admit(self, method: str, context: Context, outcome: "_Outcome") -> Caller:
        self._drain.admit()
        caller = await self._authenticator.authenticate(context)
        outcome.call = Call(caller)
        CURRENT_CALL.set(outcome.call)
        authorize_method(method, caller)
        return caller


class _Outcome:
    """Turns what a call ends with into a status and a log line."""

    def __init__(self, method: str, context: Context) -> None:
        self._method = method
        self._context = context
        self._started = perf_counter()
        self.call: Call | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            self._write(grpc.StatusCode.OK)
        elif isinstance(error, CertmintError):
            await self._refuse(error)
        elif isinstance(error, TimeoutError):
            await self._refuse(DeadlineExceededError("The server's own deadline ended. Set one, and try again."))
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self._write(grpc.StatusCode.CANCELLED)
        elif isinstance(error, grpc.aio.AbortError):
            self._write(_aborted_with(self._context))
        elif isinstance(error, Exception):
            self._write(grpc.StatusCode.INTERNAL, INTERNAL_REASON, error=error)
            details = details_of(grpc.StatusCode.INTERNAL, INTERNAL_REASON, INTERNAL_MESSAGE)
            await self._context.abort(grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE, details)

    async def _refuse(self, error: CertmintError) -> None:
        code = code_of(error)
        # The cause is of interest where the fault is ours, not where callers send what does not parse.
        self._write(code, error.reason, error=error if code is grpc.StatusCode.UNAVAILABLE else None)
        message = sentence(error)
        await self._context.abort(code, message, details_of(code, error.reason, message, error.field))

    def _write(self, code: grpc.StatusCode, reason: str = "", *, error: Exception | None = None) -> None:
        write = _log.error if code is grpc.StatusCode.INTERNAL else _log.info
        extra: dict[str, Any] = {"reason": reason} if reason else {}
        if error is not None:
            extra["exc_info"] = error
        write(
            "rpc",
            method=self._method,
            caller=self.call.caller.identity if self.call else "",
            outcome=code.name,
            duration_ms=round((perf_counter() - self._started) * 1000, 3),
            **(self.call.log_fields if self.call else {}),
            **extra,
        )


def _aborted_with(context: Context) -> grpc.StatusCode:
    """What a servicer of the library, which aborts by itself, ended a call with."""
    code = context.code()
    return next((status for status in grpc.StatusCode if code in (status, status.value[0])), grpc.StatusCode.UNKNOWN)


async def _write_all(answers: Any, context: Context) -> None:
    if isawaitable(answers):  # it writes to the context itself, as Health.Watch does
        await answers
        return
    async for message in answers:
        await context.write(message)


def _parse(handler: Handler, request: bytes) -> Any:
    try:
        return handler.request_deserializer(request) if handler.request_deserializer else request
    except DecodeError as error:
        raise RequestMalformedError("The message does not parse as this method's request.") from error


async def _each(handler: Handler, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _parse(handler, request)
