"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
import grpc.aio

from certmint import calls
from certmint.attempts import Attempts
from certmint.calls import Call, PageT, ResponseT
from certmint.credentials import CHANNEL_OPTIONS, DEFAULT_TIMEOUT, channel_credentials, server_address
from certmint.identity import Identity

P = ParamSpec("P")
T = TypeVar("T")


def _method(build: Callable[P, Call[ResponseT]]) -> Callable[Concatenate["Client", P], Coroutine[Any, Any, ResponseT]]:
    async def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> ResponseT:
        return await self.send(build(*args, **kwargs))

    calls.describe(method, build)
    return method


def _pages(
    build: Callable[P, Call[PageT]], items: Callable[[PageT], Iterable[T]]
) -> Callable[Concatenate["Client", P], AsyncIterator[T]]:
    async def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        call: Call[PageT] | None = build(*args, **kwargs)
        while call:
            page = await self.send(call)
            for item in items(page):
                yield item
            call = calls.next_page(call, page)

    calls.describe(method, build, every_page=True)
    return method


class Client:
    """A connection to a Certmint server, with one method per RPC. It belongs to one event loop.

    Every method gives the RPC's response message, or raises a `certmint.errors.CertmintError`. A call whose answer
    was lost is made again, up to 6 times within its deadline, if that can do no harm. `iterate_…` walks all pages.
    """

    def __init__(self, server: str, identity: Identity, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Connects at the first call.

        Args:
            server: `host:port`. The host must be a name or an address in the server's certificate.
            identity: the key and the certificate to show, and the roots to trust.
            timeout: seconds that a call may take, with all its attempts, unless it says otherwise.
        """
        self.server = server
        self._identity = identity
        self._timeout = timeout
        self._channel = grpc.aio.secure_channel(server, channel_credentials(identity), options=CHANNEL_OPTIONS)

    @classmethod
    def from_directory(cls, directory: Path | str, *, server: str = "", timeout: float = DEFAULT_TIMEOUT) -> Self:
        """A client with the identity of a folder, for the server named in it unless another is given.

        Raises:
            IdentityError: the folder holds no identity that can be used, or names no server and none is given.
        """
        identity = Identity.load(directory)
        return cls(server_address(identity, server), identity, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection and the calls that are open on it."""
        await self._channel.close()

    async def send(self, call: Call[ResponseT]) -> ResponseT:
        """Makes a call of `certmint.calls`.

        Raises:
            CertmintError: it failed.
        """
        attempts = Attempts(call, self._identity, timeout=self._timeout if call.timeout is None else call.timeout)
        attempt = self._channel.unary_unary(
            call.method, call.request.__class__.SerializeToString, call.response.FromString
        )
        while True:
            try:
                return await attempt(call.request, timeout=attempts.remaining())
            except grpc.aio.AioRpcError as error:
                await asyncio.sleep(attempts.delay_after(error))

    sign_csr = _method(calls.sign_csr)
    revoke = _method(calls.revoke)
    get_crl = _method(calls.get_crl)
    verify_chain = _method(calls.verify_chain)
    get_configuration = _method(calls.get_configuration)
    get_trust_bundle = _method(calls.get_trust_bundle)
    get_certificate = _method(calls.get_certificate)
    list_certificates = _method(calls.list_certificates)
    create_registration = _method(calls.create_registration)
    get_registration = _method(calls.get_registration)
    list_registrations = _method(calls.list_registrations)
    update_registration = _method(calls.update_registration)
    delete_registration = _method(calls.delete_registration)
    get_profile = _method(calls.get_profile)
    list_profiles = _method(calls.list_profiles)
    apply_profile = _method(calls.apply_profile)

    iterate_certificates = _pages(calls.list_certificates, lambda page: page.certificates)
    iterate_registrations = _pages(calls.list_registrations, lambda page: page.registrations)
