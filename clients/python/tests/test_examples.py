"""The examples, as processes of their own, with real daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from daemons import TOP, Daemon, befriend

from m2client import Client, MessageReceived, MessageState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Pair

EXAMPLES = TOP / "clients" / "python" / "examples"
PATIENCE = 60


def command(daemon: Daemon, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Returns an example's command line and its environment, which names the daemon."""
    environment = {**os.environ, "M2_SOCKET": str(daemon.socket), "PYTHONWARNINGS": "error"}
    return [sys.executable, str(EXAMPLES / name), *arguments], environment


def run(daemon: Daemon, name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs an example until it ends."""
    line, environment = command(daemon, name, *arguments)
    return subprocess.run(
        line, env=environment, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def running(daemon: Daemon, client_name: str, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs an example that does not end by itself. Begins once it has subscribed to events."""
    line, environment = command(daemon, name, *arguments)
    process = subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_subscriber(daemon, client_name, process)
        yield process
        assert process.poll() is None, process.stderr and process.stderr.read()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def wait_for_subscriber(daemon: Daemon, name: str, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    with daemon.client() as client:
        while not any(one.name == name and one.connected for one in client.event_clients()):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end, f"{name} did not subscribe"
            time.sleep(0.05)


def reply_to(client: Client, contact: str, text: str) -> MessageReceived:
    """Sends a message and returns the reply to it."""
    with client.events(timeout=PATIENCE) as events:
        sent = client.send(contact, text)
        for event in events:
            if isinstance(event, MessageReceived) and event.reply_to == sent.message_id:
                return event
    pytest.fail("no reply")


def newest(client: Client, contact: str, count: int = 1) -> list[str]:
    """Returns the texts of the newest messages of a conversation."""
    return [message.text for message, _ in zip(client.messages(contact), range(count))]


def test_backup_alert(pair: Pair) -> None:
    script = f"exit 3 # {uuid.uuid4()}"
    for _ in range(2):
        ended = run(pair.ann_daemon, "backup_alert.py", "ben", "sh", "-c", script)
        assert ended.returncode == 3, ended.stderr
    assert newest(pair.ann, "ben")[0].endswith("sh FAILED with exit code 3")
    assert len([m for m in pair.ann.messages("ben") if "FAILED" in m.text]) == 1
    ended = run(pair.ann_daemon, "backup_alert.py", "ben", "true")
    assert ended.returncode == 0, ended.stderr
    assert newest(pair.ann, "ben")[0].endswith("true done")
    ended = run(pair.ann_daemon, "backup_alert.py", "unknown", "true")
    assert ended.returncode == 1
    assert "CONTACT_UNKNOWN" in ended.stderr


def test_command_bot(pair: Pair) -> None:
    with running(pair.ben_daemon, "command-bot", "command_bot.py", "ann"):
        assert reply_to(pair.ann, "ben", "Ping").text == "pong"
        assert "GiB free" in reply_to(pair.ann, "ben", "disk").text
    # The bot was killed. The command that it missed is answered by the next one, once.
    sent = pair.ann.send("ben", "what?", wait="delivered")
    with pair.ann.events(timeout=PATIENCE) as events:
        with running(pair.ben_daemon, "command-bot", "command_bot.py", "ann"):
            assert reply_to(pair.ann, "ben", "ping").text == "pong"
        replies = []
        for event in events:
            if isinstance(event, MessageReceived):
                replies.append(event.text)
                if event.text == "pong":
                    break
    assert replies == ["Commands: ping, time, load, disk", "pong"]
    assert sent.message_id


def test_forward_journal(pair: Pair) -> None:
    run_id = uuid.uuid4().hex
    entries = [
        {
            "__CURSOR": f"s={run_id};i={number}" * 4,
            "SYSLOG_IDENTIFIER": "sshd",
            "MESSAGE": f"bad {run_id} {number}",
        }
        for number in range(3)
    ]
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    for _ in range(2):
        ended = run(pair.ann_daemon, "forward_journal.py", "ben", stdin=lines)
        assert ended.returncode == 0, ended.stderr
    sent = [message.text for message in pair.ann.messages("ben") if run_id in message.text]
    assert sent == [f"sshd: bad {run_id} {number}" for number in (2, 1, 0)]


def test_ask(pair: Pair) -> None:
    def answer() -> None:
        with pair.ben.events(timeout=PATIENCE) as events:
            listening.set()
            for event in events:
                if isinstance(event, MessageReceived) and event.text == "Really?":
                    pair.ben.send(event, "No reply to it")
                    pair.ben.send(event, "Yes!", reply_to=event)
                    return

    listening = threading.Event()
    answerer = threading.Thread(target=answer)
    answerer.start()
    assert listening.wait(PATIENCE)
    ended = run(pair.ann_daemon, "ask.py", "ben", "Really?")
    assert (ended.stdout, ended.returncode) == ("Yes!\n", 0), ended.stderr
    answerer.join()
    ended = run(pair.ann_daemon, "ask.py", "ben", "Anyone?", "1")
    assert (ended.stdout, ended.returncode) == ("", 4), ended.stderr


def test_workers(pair: Pair) -> None:
    with running(pair.ben_daemon, "workers", "workers.py", "4"), pair.ann.events(timeout=PATIENCE) as events:
        jobs = [20, 2, 1, 1, 1]  # Words, and tenths of a second of work.
        sent = [pair.ann.send("ben", "x " * words).message_id for words in jobs]
        replies: dict[str, str] = {}
        for event in events:
            if isinstance(event, MessageReceived) and event.reply_to in sent:
                replies[event.reply_to] = event.text
                if len(replies) == len(jobs):
                    break
    assert [replies[one] for one in sent] == [f"{words} words" for words in jobs]
    assert next(iter(replies)) != sent[0]  # The first job took the longest: others overtook it.


def test_worker_pool(pair: Pair) -> None:
    def listed() -> str:
        return run(pair.ben_daemon, "worker_pool.py", "dead-letters").stdout

    two = running(pair.ben_daemon, "worker-pool", "worker_pool.py", "2")
    with two, running(pair.ben_daemon, "worker-pool", "worker_pool.py", "1"):
        assert reply_to(pair.ann, "ben", "1 2 3").text == "6"
        pair.ann.send("ben", "no numbers")
        assert reply_to(pair.ann, "ben", "4 5").text == "9"  # After five attempts for the one before.
        assert "ann: 5 times, invalid literal" in listed()
    # The workers were killed. A message that came meanwhile is handled by the next one.
    with pair.ann.events(kinds=[MessageReceived], timeout=PATIENCE) as events:
        sent = pair.ann.send("ben", "7 8", wait="delivered")
        with running(pair.ben_daemon, "worker-pool", "worker_pool.py", "1"):
            reply = next(event for event in events if isinstance(event, MessageReceived))
    assert (reply.text, reply.reply_to) == ("15", sent.message_id)
    pair.ben.drop_dead_letters("worker-pool")


def test_answer_bot(own_pair: Pair) -> None:
    """Carol asks ben's bot, which asks ann. The bot is killed while ann thinks."""
    pair = own_pair
    known = pair.ben_daemon.directory / "known.json"
    known.write_text(json.dumps({"Open?": "Until eight."}))
    arguments = ("answer-bot", "answer_bot.py", "ann", str(known))
    with Daemon("carol") as carol, carol.client() as at_carol:
        befriend(pair.ben_daemon, carol, ("ben", "carol"))
        with pair.ann.events(kinds=[MessageReceived], timeout=PATIENCE) as at_ann:
            with running(pair.ben_daemon, *arguments):
                assert at_carol.ask("ben", "Open?", timeout=PATIENCE).text == "Until eight."
                sent = at_carol.send("ben", "Dogs?")
                question = next(at_ann)
            assert isinstance(question, MessageReceived)
            assert question.text == "carol asks: Dogs?"
            pair.ann.wait_for(pair.ann.reply(question, "Yes, please."))
            events = at_carol.events(kinds=[MessageReceived], timeout=PATIENCE)
            with events, running(pair.ben_daemon, *arguments):
                reply = next(events)
            assert isinstance(reply, MessageReceived)
            assert (reply.text, reply.reply_to) == ("Yes, please.", sent.message_id)
        assert [m.text for m in pair.ann.messages("ben")].count("carol asks: Dogs?") == 1


def test_jsonl_bridge(pair: Pair) -> None:
    with running(pair.ben_daemon, "jsonl-bridge", "jsonl_bridge.py") as process:
        text = f"a line\nand {uuid.uuid4()}"
        sent = pair.ann.send("ben", text)
        assert process.stdout is not None
        topic, payload = process.stdout.readline().split(" ", 1)
    assert topic == "m2/ann/messageReceived"
    received = json.loads(payload)["messageReceived"]
    assert (received["text"], received["messageId"]) == (text, sent.message_id)


def test_send_photo(pair: Pair) -> None:
    photo = pair.ann_daemon.directory / "photo.png"
    photo.write_bytes(os.urandom(48 * 1024))
    ended = run(pair.ann_daemon, "send_photo.py", "ben", str(photo))
    assert ended.returncode == 0, ended.stderr
    got = next(pair.ben.messages("ann"))
    assert (got.data, got.media_type) == (photo.read_bytes(), "image/png")
    assert pair.ann.message(got).state >= MessageState.DELIVERED
    photo.write_bytes(os.urandom(48 * 1024 + 1))
    ended = run(pair.ann_daemon, "send_photo.py", "ben", str(photo))
    assert ended.returncode == 1
    assert "49153 bytes" in ended.stderr


def test_home_status(own_pair: Pair) -> None:
    """Ann's home tells ben about carol."""
    pair = own_pair
    with Daemon("carol") as carol:
        with pair.ann.events(timeout=PATIENCE) as events, carol.client() as at_carol:
            at_carol.add(pair.ann.invite("carol").uri, "ann")
            assert next(events).kind == "contactAdded"
        befriended = {contact.name for contact in pair.ann.contacts()}
        assert befriended == {"ben", "carol"}
        with running(pair.ann_daemon, "home-status", "home_status.py", "ben"):
            assert reply_to(pair.ben, "ann", "status").text == "ben: online\ncarol: online"
            with pair.ben.events(timeout=PATIENCE) as events:
                carol.stop()
                assert next(events).text == "carol is offline"  # type: ignore[attr-defined]
                carol.start()
                assert next(events).text == "carol is online"  # type: ignore[attr-defined]


def test_all_examples_are_tested_and_listed() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert len(names) >= 5
    listed = (EXAMPLES / "README.md").read_text()
    for name in names:
        assert f"`{name}`" in listed
        assert f"test_{name[:-3]}" in globals()
