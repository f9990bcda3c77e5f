"""Daemons that are locked, absent, hung or not ours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest
from daemons import Daemon

from m2client import (
    AccessError,
    CallTimeoutError,
    Client,
    ClosedError,
    ConnectionLostError,
    ContactAmbiguousError,
    ContactError,
    ContactUnknownError,
    DaemonState,
    DaemonUnavailableError,
    InvalidArgumentError,
    InvitationInvalidError,
    InvitationOwnError,
    LockedError,
    M2Error,
    NoDaemonError,
    NotAllowedError,
    NotLockedError,
    WrongPassphraseError,
)
from m2client.proto import line_pb2, methods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Pair

PASSPHRASE = "correct horse"  # noqa: S105 (of a test)


@pytest.fixture
def locked() -> Iterator[Daemon]:
    """A daemon that waits for its passphrase."""
    daemon = Daemon("carol")
    daemon.set_passphrase(PASSPHRASE)
    with daemon:
        yield daemon


def test_a_locked_daemon_says_so_until_it_is_unlocked(locked: Daemon) -> None:
    with locked.client() as client:
        status = client.status()
        assert status.state is DaemonState.LOCKED
        assert status.contacts is None
        for call in (client.contacts, client.identity, client.event_clients):
            with pytest.raises(LockedError) as caught:
                call()
            assert isinstance(caught.value, AccessError)
            assert caught.value.reason == "LOCKED"
        with pytest.raises(LockedError):
            next(client.events("bot", reconnect=False))
        with pytest.raises(WrongPassphraseError) as wrong:
            client.unlock("incorrect donkey")
        assert "donkey" not in f"{wrong.value!r} {wrong.value}"
        client.unlock(PASSPHRASE)
        assert client.status().contacts == 0
        with pytest.raises(NotLockedError):
            client.unlock(PASSPHRASE)


def test_a_stream_waits_until_the_daemon_is_unlocked(locked: Daemon) -> None:
    with locked.client() as client:
        unlocker = threading.Timer(1.0, client.unlock, [PASSPHRASE])
        unlocker.start()
        begun = time.monotonic()
        with client.events("bot", timeout=60):
            assert client.status().state is DaemonState.READY
            assert time.monotonic() - begun >= 1.0
        unlocker.join()


def test_an_absent_daemon_is_named_with_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "m2d.sock"
    with Client(path) as client:
        with pytest.raises(NoDaemonError, match=f"No daemon answers at {path}") as caught:
            client.status()
        assert isinstance(caught.value, DaemonUnavailableError)
        assert caught.value.reason == "NO_DAEMON"
        with pytest.raises(NoDaemonError):
            next(client.events("bot", reconnect=False))
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with pytest.raises(NoDaemonError), Client(path) as client:
        client.status()


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_a_client_survives_restarts(own_pair: Pair, kill: bool) -> None:
    daemon, client = own_pair.ann_daemon, own_pair.ann
    client.status()
    if kill:
        daemon.kill()
    else:
        daemon.stop()
    for _ in range(5):
        with pytest.raises(NoDaemonError):
            client.status()
    daemon.start()
    end = time.monotonic() + 10  # gRPC dials again after at most a second.
    while True:
        try:
            assert client.status().state is DaemonState.READY
            break
        except DaemonUnavailableError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_hung_daemon_is_a_timeout(own_pair: Pair) -> None:
    process = own_pair.ann_daemon.running()
    own_pair.ann.status()
    process.send_signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    try:
        for client in (own_pair.ann, Client(own_pair.ann_daemon.socket)):
            begun = time.monotonic()
            with pytest.raises(CallTimeoutError) as caught:
                client.status(timeout=0.5)
            assert isinstance(caught.value, TimeoutError)
            assert 0.4 < time.monotonic() - begun < 30
    finally:
        process.send_signal(signal.SIGCONT)
    own_pair.ann.status()


def test_a_connection_that_breaks_during_a_call(tmp_path: Path) -> None:
    """A listener that accepts and closes: no daemon, but the socket answers."""
    path = str(tmp_path / "m2d.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    stop = threading.Event()

    def close_all() -> None:
        listener.settimeout(0.1)
        while not stop.is_set():
            try:
                listener.accept()[0].close()
            except TimeoutError:
                continue
            except OSError:
                if not stop.is_set():
                    continue

    closer = threading.Thread(target=close_all)
    closer.start()
    with Client(path, timeout=10) as client, pytest.raises(ConnectionLostError):
        client.status()
    stop.set()
    closer.join()
    listener.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "m2d.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        with pytest.raises(NotAllowedError), Client(path) as client:
            client.status()


def test_errors_have_their_reason(pair: Pair) -> None:
    with pytest.raises(ContactUnknownError) as caught:
        pair.ann.send("unknown", "x")
    assert caught.value.reason == "CONTACT_UNKNOWN"
    assert caught.value.code == "NOT_FOUND"
    assert caught.value.message == str(caught.value) != ""
    assert isinstance(caught.value, ContactError)
    with pytest.raises(ContactUnknownError):
        pair.ann.contact("m21qqqqqqqqqqqq")
    with pytest.raises(InvitationInvalidError):
        pair.ann.add("hello")
    with pytest.raises(InvitationOwnError):
        pair.ann.add(pair.ann.invite().uri)
    with pytest.raises(InvalidArgumentError) as invalid:
        pair.ann.mark_read()
    assert invalid.value.metadata
    assert not issubclass(ContactAmbiguousError, ContactUnknownError)


def test_a_closed_client_says_so(pair: Pair) -> None:
    client = pair.ann_daemon.client()
    client.status()
    client.close()
    client.close()
    with pytest.raises(ClosedError):
        client.status()
    assert list(client.events("bot")) == []


def test_any_other_call_is_possible(pair: Pair) -> None:
    lines = pair.ann.call(methods.LineService.ListLines, line_pb2.ListLinesRequest())
    assert list(lines.lines) == []
    request = line_pb2.RemoveLineRequest(relay="m21unknownunknown")
    with pytest.raises(M2Error) as caught:
        pair.ann.call(methods.LineService.RemoveLine, request)
    assert caught.value.reason == "LINE_UNKNOWN"


def test_timeouts_are_positive_and_finite(pair: Pair) -> None:
    for timeout in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            pair.ann.status(timeout=timeout)
        with pytest.raises(ValueError, match="timeout"):
            Client(timeout=timeout)


def test_programs_can_be_started_while_a_stream_is_open(pair: Pair, name: str) -> None:
    """On Python 3.9, gRPC aborts some of them before they begin, unless the package prevents it."""
    with pair.ben.events(name, timeout=60):
        for number in range(50):
            pair.ben.status()
            run = subprocess.run(["/bin/echo", str(number)], capture_output=True, check=False)
            assert (run.returncode, run.stdout, run.stderr) == (0, b"%d\n" % number, b"")


def test_threads_share_a_client(pair: Pair, name: str) -> None:
    """Eight threads send with one client, while another one reads events with it."""
    threads, each = 8, 20
    received: list[str] = []
    failures: list[BaseException] = []

    def send(thread: int) -> None:
        try:
            for number in range(each):
                pair.ann.send("ben", f"{name} {thread} {number}")
        except BaseException as error:  # noqa: BLE001 (reported by the main thread)
            failures.append(error)

    with pair.ben.events(name, timeout=60) as events:
        senders = [threading.Thread(target=send, args=(thread,)) for thread in range(threads)]
        for sender in senders:
            sender.start()
        for event in events:
            text = getattr(event, "text", "")
            if text.startswith(name):
                received.append(text)
            if len(received) == threads * each:
                break
        for sender in senders:
            sender.join()
    assert failures == []
    assert len(set(received)) == threads * each
    for thread in range(threads):
        of_thread = [text for text in received if text.startswith(f"{name} {thread} ")]
        assert of_thread == [f"{name} {thread} {number}" for number in range(each)]
