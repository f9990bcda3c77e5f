"""Real daemons for tests: each with its own directory, on a loopback port, without look-up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from m2client import Client, ContactState, DaemonState, DaemonUnavailableError

TOP = Path(__file__).resolve().parents[3]
BIN = Path(os.environ.get("M2_BIN_DIR") or TOP / "target" / "debug").resolve()
PATIENCE = 60.0

CONFIG = """
[network]
listen = ["127.0.0.1:0"]
session_keys = 4

[lookup]
lan = false
dht = false
map_port = false
"""


class Daemon:
    """A daemon with one of the committed test identities. `with` kills it and removes its files."""

    def __init__(self, identity: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="m2py-"))
        self.data = self.directory / "data"
        self.socket = self.directory / "run" / "m2d.sock"
        self.config = self.directory / "m2d.toml"
        self.data.mkdir(mode=0o700)
        self.config.write_text(CONFIG)
        key = self.data / "identity.pem"
        shutil.copy(TOP / "tests" / "vectors" / "identities" / f"{identity}.pem", key)
        key.chmod(0o600)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.directory)

    def client(self, timeout: float = PATIENCE) -> Client:
        """Returns a client of this daemon."""
        return Client(self.socket, timeout=timeout)

    def start(self, *, wait: bool = True) -> None:
        """Starts the daemon and, unless told otherwise, waits until its API answers."""
        assert self.process is None, "the daemon already runs"
        with (self.directory / "m2d.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command("run"), "--socket", str(self.socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until_it_answers()

    def wait_until_it_answers(self) -> DaemonState:
        """Waits until the API answers, also if the daemon is locked."""
        end = time.monotonic() + PATIENCE
        with self.client() as client:
            while True:
                assert self.process is not None
                assert self.process.poll() is None, self.log()
                try:
                    return client.status().state
                except DaemonUnavailableError:
                    assert time.monotonic() < end, self.log()
                    time.sleep(0.02)

    def stop(self) -> None:
        """Stops the daemon cleanly."""
        process = self.running()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, self.log()
        self.process = None

    def kill(self) -> None:
        """Kills the daemon with SIGKILL."""
        process = self.running()
        process.kill()
        process.wait(PATIENCE)
        self.process = None

    def restart(self) -> None:
        """Stops the daemon cleanly and starts it again."""
        self.stop()
        self.start()

    def running(self) -> subprocess.Popen[bytes]:
        """Returns the daemon's process."""
        assert self.process is not None, "the daemon does not run"
        return self.process

    def set_passphrase(self, passphrase: str) -> None:
        """Encrypts the key file. The daemon must not run."""
        file = self.directory / "passphrase"
        file.touch(mode=0o600)
        file.write_text(passphrase)
        subprocess.run(
            [*self.command("passphrase", "set"), "--new-passphrase-file", str(file)],
            check=True,
            timeout=PATIENCE,
            capture_output=True,
        )
        file.unlink()

    def command(self, *words: str) -> list[str]:
        """Returns a command of `m2d` with this daemon's configuration and data."""
        files = ["--config", str(self.config), "--data-dir", str(self.data)]
        return [str(BIN / "m2d"), *words, *files]

    def log(self) -> str:
        """Returns the daemon's log."""
        return (self.directory / "m2d.log").read_text(errors="replace")


def befriend(ann: Daemon, ben: Daemon, names: tuple[str, str] = ("ann", "ben")) -> None:
    """Makes two daemons contacts, which know each other by these names."""
    with ann.client() as at_ann, ben.client() as at_ben:
        at_ben.add(at_ann.invite(names[1]).uri, names[0])
        for client, name in zip((at_ben, at_ann), names):
            end = time.monotonic() + PATIENCE
            while not any(
                contact.name == name and contact.state is ContactState.CONTACT
                for contact in client.contacts()
            ):
                assert time.monotonic() < end, f"{name} is no contact\n{ann.log()}\n{ben.log()}"
                time.sleep(0.05)
