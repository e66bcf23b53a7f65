"""Keeps the CRLs of this server's issuers current, and watches those that it cannot sign."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from certmint_server.clock import Clock
from certmint_server.errors import IssuerNotActiveError
from certmint_server.issuers.issuer import Issuer, Issuers
from certmint_server.revocation.crl import build_crl
from certmint_server.revocation.crls import Claim, CRLStore, PublishedCRL, ShardState
from certmint_server.revocation.pace import Key, Pace
from certmint_server.revocation.watch import ExpiryWatch
from certmint_server.signers.signer import Signer

log = structlog.get_logger()

_ONE_SECOND = timedelta(seconds=1)
# Shorter than the bound of a publication: when the server that claimed is killed, another is still in time. Two that
# sign at once do no harm, since the store keeps the larger number.
_LEASE = timedelta(seconds=3)
# About 3 ms of work: more would hold up the calls that are served by the same loop.
_INLINE_ENTRIES = 200
_LISTING: Key = ("", 0)


class Publisher:
    """A background task: publishes a CRL where there is none, where a revocation waits, and well before one ends.

    Several servers may run one each on one database: the store leases a shard to one at a time.
    """

    def __init__(
        self,
        *,
        store: CRLStore,
        issuers: Issuers,
        clock: Clock,
        crl_lifetime: timedelta = timedelta(hours=24),
        tick: float = 0.5,
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._clock = clock
        self._crl_lifetime = crl_lifetime
        self._tick = tick
        self._pace = Pace()
        self._watch = ExpiryWatch()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins publishing."""
        self._task = asyncio.create_task(self._run(), name="crl-publisher")

    def wake(self) -> None:
        """Looks at once instead of at the next tick: a certificate was revoked."""
        self._woken.set()

    async def stop(self) -> None:
        """Ends the task; what it was signing is left to the next start or to another server."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._pass()
            # Not wait_for: before Python 3.12 it loses a cancellation that comes as the time runs out.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick):
                    await self._woken.wait()
            self._woken.clear()

    async def _pass(self) -> None:
        if not self._pace.is_due(_LISTING, _monotonic()):
            return
        try:
            shards = await self._store.list_shards()
        except Exception as error:  # noqa: BLE001  whatever it is, the task must be there when it has passed
            self._failed(_LISTING, error)
            return
        for state in shards:
            if self._issuers.knows(state.issuer_id):
                await self._look_after(state, self._issuers.get(state.issuer_id))

    async def _look_after(self, state: ShardState, issuer: Issuer) -> None:
        key = (state.issuer_id, state.shard)
        try:
            signer = self._issuers.signer(issuer)
        except IssuerNotActiveError:
            self._watch.look(state, self._clock.now())
            return
        if not (self._pace.is_due(key, _monotonic()) and self._is_due(state)):
            return
        try:
            await self._publish(state, issuer, signer)
        except Exception as error:  # noqa: BLE001  one shard's trouble must not end the others'
            self._failed(key, error)
        else:
            self._pace.succeeded(key, _monotonic())

    def _is_due(self, state: ShardState) -> bool:
        now = self._clock.now()
        if state.this_update is None or state.next_update is None:
            return True
        if timedelta(0) <= now - state.this_update < _ONE_SECOND:
            # Two CRLs of one second could not be told apart by their Last-Modified.
            return False
        return state.carried_number > state.published_number or state.next_update - now <= self._crl_lifetime / 2

    async def _publish(self, state: ShardState, issuer: Issuer, signer: Signer) -> None:
        now = self._clock.now()
        claim = await self._store.claim_crl(
            state,
            now=now,
            lease_until=now + _LEASE,
            # RFC 5280 section 3.3: a revoked certificate stays until it was on one CRL after its end. A CRL is replaced
            # at half its life, so there is one.
            carry_from=now - self._crl_lifetime,
        )
        if claim is None:
            return
        crl = await self._build(issuer, signer, state.shard, claim)
        if await self._store.publish_crl(crl):
            log.info(
                "crl.published",
                issuer_id=crl.issuer_id,
                shard=crl.shard,
                crl_number=crl.crl_number,
                entries=crl.entry_count,
                bytes=len(crl.crl_der),
            )

    async def _build(self, issuer: Issuer, signer: Signer, shard: int, claim: Claim) -> PublishedCRL:
        next_update = claim.this_update + self._crl_lifetime
        if len(claim.entries) <= _INLINE_ENTRIES:
            return build_crl(issuer, signer, shard, claim, next_update)
        return await asyncio.to_thread(build_crl, issuer, signer, shard, claim, next_update)

    def _failed(self, key: Key, error: Exception) -> None:
        self._pace.failed(key, _monotonic())
        log.error("crl.publication_failed", issuer_id=key[0], shard=key[1], exc_info=error)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
