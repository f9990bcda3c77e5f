"""The wheel: built, installed in a bare environment, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from daemons import TOP

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Pair

HERE = TOP / "clients" / "python"


def execute(*command: object, **environment: str) -> str:
    """Runs a command that must succeed, and returns its output."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    run = subprocess.run(
        [str(word) for word in command],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd="/",
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    execute(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, HERE)
    (found,) = directory.glob("*.whl")
    (source,) = directory.glob("*.tar.gz")
    assert source.name == "m2client-0.1.0.tar.gz"
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licences = [name for name in names if "/licenses/" in name]
        assert {name.rsplit("/", 1)[1] for name in licences} == {"LICENSE-MIT", "LICENSE-APACHE"}
        for name in licences:
            assert archive.read(name) == (TOP / name.rsplit("/", 1)[1]).read_bytes()
    sources = {
        f"m2client/{path.relative_to(HERE / 'src' / 'm2client')}"
        for path in (HERE / "src" / "m2client").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "m2client/py.typed" in sources
    assert "m2client/_proto/event_pb2.pyi" in sources
    assert {name for name in names if ".dist-info/" not in name} == sources


def test_an_example_runs_with_the_wheel_in_a_bare_environment(
    wheel: Path, tmp_path: Path, pair: Pair
) -> None:
    """M2_WHEELS names a directory with the wheels of the dependencies; otherwise pip downloads them."""
    bare = tmp_path / "bare"
    execute(sys.executable, "-m", "venv", bare)
    python = bare / "bin" / "python"
    wheels = os.environ.get("M2_WHEELS")
    source = ["--no-index", "--find-links", wheels] if wheels else []
    execute(python, "-m", "pip", "install", "--quiet", *source, wheel)
    listed = execute(python, "-m", "pip", "list", "--format", "freeze").lower()
    assert "m2client==0.1.0" in listed
    assert "grpcio-tools" not in listed
    where = execute(python, "-c", "import m2client; print(m2client.__file__, m2client.__version__)")
    assert where.startswith(str(bare))
    assert where.split()[-1] == "0.1.0"
    example = HERE / "examples" / "backup_alert.py"
    execute(python, "-W", "error", example, "ben", "ls", "/", M2_SOCKET=str(pair.ann_daemon.socket))
    assert next(pair.ann.messages("ben")).text.endswith(": ls done")
