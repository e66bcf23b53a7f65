"""What only a registry in a bad state brings about: it is put there with SQLite's own library."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.authority import Server, make_authority, serving

from certmint import Client, errors, keys


@pytest.fixture
def served(data: Path) -> Iterator[tuple[Server, Client]]:
    authority = make_authority(data)
    with serving(data) as server, authority.operator(server) as operator:
        yield server, operator


def execute(server: Server, statement: str, *values: object) -> None:
    database = sqlite3.connect(server.data / "certmint.db")
    try:
        with database:
            assert database.execute(statement, values).rowcount == 1
    finally:
        database.close()


def test_a_fault_of_ours_is_told_to_the_log_and_not_to_the_caller(served: tuple[Server, Client]) -> None:
    server, operator = served
    summary = operator.sign_csr(keys.csr_der(keys.generate()), profile="client").certificate
    serial = bytes.fromhex(summary.serial_hex).rjust(20, b"\0")
    execute(server, "UPDATE certificate SET certificate_der = x'3000' WHERE serial = ?", serial)
    with pytest.raises(errors.InternalError) as caught:
        operator.get_certificate(summary.serial_hex)
    assert (caught.value.reason, caught.value.fields) == ("INTERNAL", {})
    assert caught.value.message == "Something went wrong on our side. It was logged; try again or ask an operator."
    line = json.loads(server.log().splitlines()[-1])
    assert (line["outcome"], line["reason"], line["level"]) == ("INTERNAL", "INTERNAL", "error")
    assert line["exception"].startswith("Traceback")
    assert operator.get_configuration().identity


def test_a_crl_that_is_larger_than_a_message_is_refused_with_the_url_that_serves_it(
    served: tuple[Server, Client],
) -> None:
    server, operator = served
    issuer_id = operator.get_configuration().issuers[0].issuer_id
    operator.get_crl()
    where = "WHERE issuer_key = (SELECT issuer_key FROM issuer WHERE issuer_id = ?)"
    execute(server, f"UPDATE crl SET crl_der = zeroblob(4194304) {where}", issuer_id)
    # A new number, so that the server does not answer with what it has.
    execute(
        server,
        f"UPDATE crl_shard SET claimed_number = claimed_number + 1, published_number = claimed_number + 1 {where}",
        issuer_id,
    )
    with pytest.raises(errors.CRLTooLargeError) as caught:
        operator.get_crl()
    assert f"{server.http_url}/crl/{issuer_id}/1.crl" in caught.value.message
    assert operator.get_crl(if_newer_than=2**63).not_modified
