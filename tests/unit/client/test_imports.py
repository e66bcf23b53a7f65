import subprocess
import sys

import pytest

import certmint

HEAVY = ("certmint_server", "sqlalchemy", "alembic", "starlette", "uvicorn", "structlog", "psycopg", "click")


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(ran.stdout.split())


def test_importing_certmint_loads_neither_grpc_nor_the_command() -> None:
    loaded = modules_after("import certmint")
    assert not loaded & {"grpc", "google.protobuf", "cryptography", "argparse", "certmint.cli", "certmint.client"}


def test_making_keys_and_identities_loads_neither_grpc_nor_protobuf() -> None:
    assert not modules_after("import certmint.keys, certmint.identity") & {"grpc", "google.protobuf"}


def test_the_clients_load_neither_the_server_nor_the_command() -> None:
    loaded = modules_after("import certmint; certmint.Client, certmint.aio, certmint.errors, certmint.keys")
    assert not loaded & {*HEAVY, "certmint.cli", "argparse"}


def test_the_command_loads_nothing_of_the_server() -> None:
    assert not modules_after("import certmint.cli") & set(HEAVY)


@pytest.mark.parametrize("name", certmint.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(certmint, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="moon"):
        certmint.moon  # noqa: B018 - reading it is the test
