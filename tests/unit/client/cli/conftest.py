from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.client.peer import CA, Peer

from certmint.cli.program import run
from certmint.identity import Identity, save_identity

Certmint = Callable[..., int]


@pytest.fixture
def identity(ca: CA, peer: Peer) -> Identity:
    return ca.identity(server=peer.address)


@pytest.fixture
def certmint(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certmint:
    """Runs the command in this process, as the identity that the peer knows."""
    save_identity(tmp_path / "me", identity)
    monkeypatch.setenv("CERTMINT_IDENTITY", str(tmp_path / "me"))
    monkeypatch.delenv("CERTMINT_SERVER", raising=False)
    return lambda *arguments: run([str(argument) for argument in arguments])
