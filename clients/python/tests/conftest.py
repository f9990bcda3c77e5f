"""Fixtures: daemons and their clients."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from daemons import BIN, Daemon, befriend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from m2client import Client


@dataclass
class Pair:
    """Two daemons that are contacts, with a client of each."""

    ann_daemon: Daemon
    ben_daemon: Daemon
    ann: Client
    ben: Client


def pytest_sessionstart() -> None:
    missing = [name for name in ("m2", "m2d") if not (BIN / name).is_file()]
    if missing:
        pytest.exit(f"There is no {' and no '.join(missing)} in {BIN}: set M2_BIN_DIR.", 1)


@pytest.fixture(autouse=True)
def no_daemon_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the tests away from a daemon that the developer runs."""
    monkeypatch.delenv("M2_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent/runtime")
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent/data")


def make_pair() -> Iterator[Pair]:
    with Daemon("alice") as ann, Daemon("bob") as ben:
        befriend(ann, ben)
        with ann.client() as at_ann, ben.client() as at_ben:
            yield Pair(ann, ben, at_ann, at_ben)


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """Two daemons for all tests that leave them running."""
    yield from make_pair()


@pytest.fixture
def own_pair() -> Iterator[Pair]:
    """Two daemons for one test, which may stop and kill them."""
    yield from make_pair()


@pytest.fixture
def name() -> str:
    """A new client name."""
    return f"test-{uuid.uuid4().hex}"
