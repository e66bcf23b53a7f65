import json
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.authority import make_authority, serving
from tests.postgres import postgres_cluster

from certmint import errors, keys


def test_a_server_without_its_database_lets_nobody_in_leaks_nothing_and_ends_cleanly(data: Path) -> None:
    with ExitStack() as database, ExitStack() as served:
        postgres = database.enter_context(postgres_cluster())
        authority = make_authority(data, database_url=postgres.url(postgres.create_database()))
        server = served.enter_context(serving(authority.data))
        operator = served.enter_context(authority.operator(server))
        csr_der = keys.csr_der(keys.generate())
        operator.sign_csr(csr_der, profile="client")
        crl = operator.get_crl().crl

        database.close()

        for call in (
            partial(operator.sign_csr, csr_der, profile="client"),
            operator.get_configuration,
            operator.get_crl,
            operator.list_registrations,
        ):
            with pytest.raises(errors.StoreUnavailableError) as caught:
                call()
            assert caught.value.message == "The registry cannot be reached now. Try again."
            assert not caught.value.fields
        assert http_status(crl.url) == 503
        verify_log(server.log())


def http_status(url: str) -> int:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=15)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status
    finally:
        connection.close()


def verify_log(log: str) -> None:
    """The cause is in the log, in one line for each call, and no value of a statement is."""
    lines = [json.loads(line) for line in log.splitlines()]
    refused = [line for line in lines if line.get("reason") == "STORE_UNAVAILABLE"]
    assert refused
    assert all(line["outcome"] == "UNAVAILABLE" and "exception" in line for line in refused)
    assert "[parameters: " not in log
