import asyncio
import subprocess
import sys
from pathlib import Path

from tests.conformance.audit_trail import events
from tests.conformance.leaves import issuance

from certmint_server.store.store import Store

ROOT = Path(__file__).parents[2]


async def test_a_killed_server_has_lost_nothing_that_it_answered(
    store: Store, database_url: str, issuer_id: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.conformance.recording_process", database_url, issuer_id),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    lines = [await process.stdout.readline() for _ in range(300)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    answered = [int(line, 16) for line in lines if line.endswith(b"\n")]
    assert len(answered) >= 300
    found = await asyncio.gather(*(store.certificates.get_certificate(issuer_id, serial) for serial in answered))
    assert [certificate.serial for certificate in found if certificate] == answered
    assert [action for action, *_ in events(database_url)].count("CERTIFICATE_ISSUED") >= len(answered)
    assert not (await store.certificate_log.record(issuance(issuer_id))).replayed
