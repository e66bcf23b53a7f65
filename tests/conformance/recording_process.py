"""A process that records certificates until it is killed, and says each serial once it was told that it is durable.

Run as: python -m tests.conformance.recording_process URL ISSUER_ID
"""

import asyncio
import sys
import uuid

from tests.conformance.leaves import issuance, request_key

from certmint_server.clock import SystemClock
from certmint_server.registry.certificate import serial_hex
from certmint_server.store.store import Store

CALLERS = 32


async def call_for_ever(store: Store, issuer_id: str) -> None:
    while True:
        recorded = await store.certificate_log.record(issuance(issuer_id, request=request_key(uuid.uuid4())))
        print(serial_hex(recorded.certificate.serial), flush=True)


async def main(url: str, issuer_id: str) -> None:
    async with await Store.open(url, clock=SystemClock()) as store:
        await asyncio.gather(*(call_for_ever(store, issuer_id) for _ in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
