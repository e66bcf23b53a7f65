import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.authority import BIN, make_authority, serving

README = Path(__file__).parents[2] / "README.md"
TRUST_DOMAIN = ["--trust-domain", "example.org"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def certmint_commands() -> list[list[str]]:
    lines = "".join(blocks("console")).splitlines()
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ certmint ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_the_commands_and_the_example_of_the_readme_work_when_pasted(place: Path) -> None:
    commands = certmint_commands()
    assert len(commands) >= 7
    make_authority(place / "certmint-data", options=TRUST_DOMAIN)
    environment = {**os.environ, "CERTMINT_IDENTITY": "certmint-data/operator"}
    with serving(place / "certmint-data") as server:
        verdicts = []
        for program, *arguments in commands:
            done = subprocess.run(
                [BIN / program, *arguments], cwd=place, env=environment, check=False, capture_output=True, text=True
            )
            if arguments[0] == "verify-chain":
                verdicts.append(done.returncode)
            else:
                assert done.returncode == 0, (arguments, done.stderr)
        assert verdicts == [0, 1], "valid at first, and not after it was revoked"
        (example,) = blocks("python")
        example = example.replace("127.0.0.1:8443", server.address)
        printed = subprocess.run(
            [sys.executable, "-c", example], cwd=place, check=True, capture_output=True, text=True
        ).stdout
        assert "renew after" in printed


def test_every_path_that_the_readme_names_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    paths = re.findall(r"\]\(([^)#:]+)\)", text)
    assert paths
    assert [path for path in paths if not (README.parent / path).exists()] == []


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README.read_text(encoding="utf-8")))
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
