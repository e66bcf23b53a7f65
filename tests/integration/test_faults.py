"""What only a registry in a bad state brings about: it is put there with SQLite's own library."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.authority import Server, make_authority, serving

from certmint import Client, errors, keys
from certmint.ca.v1.resources_pb2 import ISSUER_STATE_OFFLINE


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
    issuers = operator.get_configuration().issuers
    root_id = next(issuer.issuer_id for issuer in issuers if issuer.state == ISSUER_STATE_OFFLINE)
    statement = """UPDATE crl SET crl_der = zeroblob(4194304)
                   WHERE issuer_key = (SELECT issuer_key FROM issuer WHERE issuer_id = ?)"""
    execute(server, statement, root_id)
    with pytest.raises(errors.CRLTooLargeError) as caught:
        operator.get_crl(issuer_id=root_id)
    assert f"{server.http_url}/crl/{root_id}/1.crl" in caught.value.message
    assert operator.get_crl(issuer_id=root_id, if_newer_than=2**63).not_modified
