import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the server as a wheel, and borrows what the wheel needs from ours."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv/bin/python"
    site_packages = folder / f"venv/lib/python3.{sys.version_info.minor}/site-packages"
    # A path in a .pth file is not searched for more of them: our editable installation stays out.
    borrowed = [sysconfig.get_path("purelib"), str(ROOT / "client/src")]
    (site_packages / "borrowed.pth").write_text("\n".join(borrowed))
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    return python


def run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_an_installed_server_finds_its_migrations(installed: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/certmint.db"
    code = (
        "import sys, certmint_server; from certmint_server.store.migrate import migrate, verify_current;"
        "migrate(sys.argv[1]); verify_current(sys.argv[1]); print(certmint_server.__file__)"
    )
    imported = run(str(installed), "-I", "-c", code, url, cwd=tmp_path)
    assert imported.startswith(str(installed.parents[1]))
