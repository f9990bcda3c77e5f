"""The stream of events: position, acknowledgement, restarts and crashes. Synchronous client."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from m2client import (
    Client,
    ClientInUseError,
    CursorInvalidError,
    Event,
    EventStream,
    MessageReceived,
    MessageStateChanged,
    NoDaemonError,
    Start,
    StoppingError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Pair
    from daemons import Daemon

PATIENCE = 60


def open_stream(client: Client, name: str, **options: object) -> EventStream:
    """Returns a stream that has subscribed, and that ends if the expected events do not come."""
    stream = client.events(name, timeout=PATIENCE, **options)  # type: ignore[arg-type]
    return stream.__enter__()


def texts(events: Iterator[Event] | EventStream, count: int) -> list[str]:
    """Returns the texts of the next received messages. Acknowledges all but the last."""
    found: list[str] = []
    for event in events:
        if isinstance(event, MessageReceived):
            found.append(event.text)
            if len(found) == count:
                break
    return found


def lag(client: Client, name: str) -> int:
    """Returns the number of events that a client name has not acknowledged."""
    (found,) = [one for one in client.event_clients() if one.name == name]
    return found.lag


def send_words(pair: Pair, count: int) -> list[str]:
    """Sends messages from ann to ben and returns their texts."""
    words = [f"{uuid.uuid4()}" for _ in range(count)]
    for word in words[:-1]:
        pair.ann.send("ben", word)
    pair.ann.send("ben", words[-1], wait="delivered")
    return words


def test_events_come_in_order_with_their_fields(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name) as events:
        sent = pair.ann.send("ben", "An event", wait="delivered")
        event = next(e for e in events if isinstance(e, MessageReceived))
    assert event.kind == "messageReceived"
    assert event.message_id == sent.message_id
    assert event.content == "An event"
    assert event.peer_id == pair.ann.identity().peer_id
    assert event.cursor
    assert event.time is not None
    assert event.raw.message_received.text == "An event"  # type: ignore[union-attr]


def test_the_sender_sees_the_states(pair: Pair, name: str) -> None:
    with open_stream(pair.ann, name) as events:
        sent = pair.ann.send("ben", "State", wait="delivered")
        states = []
        for event in events:
            if isinstance(event, MessageStateChanged) and event.message_id == sent.message_id:
                states.append(event.state.name)
                if event.state.name == "DELIVERED":
                    break
    assert states[-1] == "DELIVERED"


def test_an_event_is_acknowledged_once_the_body_has_finished(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name) as events:
        words = send_words(pair, 3)
        assert lag(pair.ben, name) == 3
        assert next(events).text == words[0]  # type: ignore[attr-defined]
        assert lag(pair.ben, name) == 3
        assert next(events).text == words[1]  # type: ignore[attr-defined]
        assert lag(pair.ben, name) == 2
        assert next(events).text == words[2]  # type: ignore[attr-defined]
        assert lag(pair.ben, name) == 1
        events.ack()
        assert lag(pair.ben, name) == 0


def test_a_body_that_raises_gets_its_event_again(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name) as events:
        words = send_words(pair, 2)
        with pytest.raises(ZeroDivisionError):
            fail_in_the_body(events)
        assert texts(events, 2) == words  # In the same stream.
    with open_stream(pair.ben, name) as events:
        assert texts(events, 1) == words[1:]  # In the next one: the break left it unfinished.
        events.ack()
    assert lag(pair.ben, name) == 0


def test_manual_acknowledgement_covers_earlier_events(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name, auto_ack=False) as events:
        words = send_words(pair, 3)
        received = [next(events) for _ in range(3)]
        assert lag(pair.ben, name) == 3
        events.ack(received[1])
        assert lag(pair.ben, name) == 1
    with open_stream(pair.ben, name) as events:
        assert texts(events, 1) == words[2:]


def test_an_anonymous_stream_has_nothing_to_acknowledge(pair: Pair) -> None:
    with open_stream(pair.ben, "") as events:
        words = send_words(pair, 2)
        assert texts(events, 2) == words
        with pytest.raises(ValueError, match="client name"):
            events.ack()


def test_a_stream_can_start_at_the_oldest_event_or_after_a_cursor(pair: Pair) -> None:
    words = send_words(pair, 2)
    with pair.ben.events(start=Start.OLDEST, timeout=PATIENCE) as events:
        cursor = next(e.cursor for e in events if getattr(e, "text", "") == words[0])
    with pair.ben.events(after=cursor, timeout=PATIENCE) as events:
        assert texts(events, 1) == words[1:]
    with pytest.raises(CursorInvalidError):
        next(pair.ben.events(after="rubbish", timeout=PATIENCE))
    with pytest.raises(ValueError, match="combined"):
        pair.ben.events(after=cursor, start=Start.OLDEST)


def test_a_stream_with_a_timeout_ends_and_acknowledges(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name):
        (word,) = send_words(pair, 1)
    begun = time.monotonic()
    received = list(pair.ben.events(name, timeout=1.5))
    assert [event.text for event in received] == [word]  # type: ignore[attr-defined]
    assert time.monotonic() - begun >= 1.4
    assert lag(pair.ben, name) == 0


def test_a_name_has_one_stream_at_a_time(pair: Pair, name: str) -> None:
    with open_stream(pair.ben, name):
        for reconnect in (False, True):
            second = pair.ben.events(name, reconnect=reconnect)
            with pytest.raises(ClientInUseError):
                next(second)
    with open_stream(pair.ben, name) as events:
        words = send_words(pair, 1)
        assert texts(events, 1) == words


def test_a_name_that_is_free_again_within_seconds_is_taken_over(pair: Pair, name: str) -> None:
    """As after a restart of a consumer whose end the daemon has not noticed yet."""
    first = open_stream(pair.ben, name)
    timer = threading.Timer(1.0, first.close)
    timer.start()
    with open_stream(pair.ben, name) as events:
        words = send_words(pair, 1)
        assert texts(events, 1) == words
    timer.join()


def test_another_thread_can_end_a_stream(pair: Pair, name: str) -> None:
    stream = open_stream(pair.ben, name)
    timer = threading.Timer(0.3, stream.close)
    timer.start()
    assert list(stream) == []
    timer.join()
    assert not stream._progress.is_over  # noqa: SLF001 (it was the timer, not the timeout)


def test_closing_the_client_ends_its_streams(pair: Pair, name: str) -> None:
    client = pair.ben_daemon.client()
    stream = open_stream(client, name)
    timer = threading.Timer(0.3, client.close)
    timer.start()
    assert list(stream) == []
    timer.join()
    assert not stream._progress.is_over  # noqa: SLF001


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_no_event_is_lost_when_the_daemon_restarts(own_pair: Pair, name: str, kill: bool) -> None:
    """Restarts ben's daemon five times while messages arrive, always in the middle of the loop."""
    pair = own_pair
    pings = 40
    expected = [f"ping {number}" for number in range(pings)]
    received: list[str] = []
    restarts = 0
    with open_stream(pair.ben, name) as events:
        sender = threading.Thread(target=send_slowly, args=(pair.ann_daemon, expected))
        sender.start()
        for event in events:
            if not isinstance(event, MessageReceived):
                continue
            received.append(event.text)
            if len(received) % 8 == 0 and restarts < 4:
                restarts += 1
                restart(pair.ben_daemon, kill=kill)
            if event.text == expected[-1]:
                events.ack()
                break
        sender.join()
    assert restarts == 4
    assert received == expected  # Each once: acknowledgements survive the restarts, too.
    assert lag(pair.ben, name) == 0


def test_an_anonymous_stream_resumes_where_it_started(own_pair: Pair) -> None:
    """The daemon keeps no cursor for it: the stream itself resumes after the last event, or its start."""
    pair = own_pair
    with open_stream(pair.ben, "") as events:
        restart(pair.ben_daemon, kill=True)
        (first,) = send_words(pair, 1)  # Before the stream has noticed.
        assert texts(events, 1) == [first]
        restart(pair.ben_daemon, kill=False)
        (second,) = send_words(pair, 1)
        assert texts(events, 2) == [first, second]  # `break` left the body of the first.


def test_without_reconnect_the_loop_raises(own_pair: Pair, name: str) -> None:
    stream = own_pair.ben.events(name, reconnect=False)
    stream.__enter__()
    stopper = threading.Thread(target=own_pair.ben_daemon.stop)
    stopper.start()
    with pytest.raises(StoppingError):
        next(stream)
    stopper.join()
    with pytest.raises(NoDaemonError):
        next(stream)


def test_a_stream_waits_for_a_daemon_that_is_absent_at_first(own_pair: Pair, name: str) -> None:
    pair = own_pair
    with open_stream(pair.ben, name):
        pass
    (word,) = send_words(pair, 1)
    pair.ben_daemon.stop()
    client = pair.ben_daemon.client()
    starter = threading.Timer(1.0, pair.ben_daemon.start)
    starter.start()
    begun = time.monotonic()
    with open_stream(client, name) as events:
        assert time.monotonic() - begun > 0.9
        assert texts(events, 1) == [word]
    starter.join()
    client.close()


CRASHING = """
    import os, sys
    from m2client import Client, MessageReceived

    for event in Client(sys.argv[1]).events(sys.argv[2]):
        if isinstance(event, MessageReceived):
            print(event.text, flush=True)
            if event.text == sys.argv[3]:
                os.kill(os.getpid(), 9)
"""


def test_a_consumer_that_crashes_gets_the_event_again(pair: Pair, name: str) -> None:
    """The process kills itself in the body of the loop: that event comes again, earlier ones do not."""
    with open_stream(pair.ben, name):
        words = send_words(pair, 3)
    program = [sys.executable, "-c", textwrap.dedent(CRASHING)]
    runs = [(words[1], words[:2]), (words[1], words[1:2]), (words[2], words[1:])]
    for crash_at, expected in runs:
        arguments = [*program, str(pair.ben_daemon.socket), name, crash_at]
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert run.returncode == -9, run.stderr
        assert run.stdout.split() == expected
    assert lag(pair.ben, name) == 1


def fail_in_the_body(events: EventStream) -> None:
    for _ in events:
        raise ZeroDivisionError


def restart(daemon: Daemon, *, kill: bool) -> None:
    if kill:
        daemon.kill()
    else:
        daemon.stop()
    daemon.start()


def send_slowly(daemon: Daemon, words: list[str]) -> None:
    """Sends messages with a client of its own, as from another process."""
    with daemon.client() as client:
        for word in words:
            client.send("ben", word, key=word)
            time.sleep(0.02)
