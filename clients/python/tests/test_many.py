"""Many messages over one stream: order, keys, refusals, restarts, closing."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from m2client import (
    AsyncClient,
    Client,
    ClosedError,
    ContactUnknownError,
    Draft,
    KeyReusedError,
    MessageTooLargeError,
    NoDaemonError,
)
from m2client._window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from conftest import Pair

PATIENCE = 60


def drafts(words: list[str], key: str = "") -> list[Draft]:
    return [Draft("ben", word, key=f"{key}:{n}" if key else "") for n, word in enumerate(words)]


def received(pair: Pair, prefix: str) -> list[str]:
    """Returns what ben received that begins with a prefix, in order."""
    return [
        m.text for m in pair.ben.messages("ann", forward=True, page_size=1000) if m.text.startswith(prefix)
    ]


def test_results_come_in_order_and_a_refusal_stops_nothing(pair: Pair) -> None:
    run = uuid.uuid4().hex
    key = f"{run}-key"
    pair.ann.send("ben", "something else", key=key)
    given = [
        Draft("ben", f"{run} 1"),
        Draft("ben", b"x" * 2_000_000, "image/png"),  # Refused by the package.
        Draft("unknown", f"{run} 2"),
        Draft("ben", b"x" * (48 * 1024 + 1), "image/png"),  # Refused by the daemon.
        Draft("ben", f"{run} 3", key=key),
        Draft("ben", f"{run} 4"),
    ]
    results = list(pair.ann.send_many(given))
    assert [result.draft.content for result in results] == [draft.content for draft in given]
    assert [type(result.error) for result in results] == [
        type(None),
        MessageTooLargeError,
        ContactUnknownError,
        MessageTooLargeError,
        KeyReusedError,
        type(None),
    ]
    assert [result.sent is None for result in results] == [False, True, True, True, True, False]
    assert all(result.draft.key for result in results)
    last = results[-1].sent
    assert last is not None
    pair.ann.wait_for(last)
    assert received(pair, run) == [f"{run} 1", f"{run} 4"]


def test_more_than_the_window_arrives_in_order(pair: Pair) -> None:
    run = uuid.uuid4().hex
    words = [f"{run} {number}" for number in range(3 * Window.MOST)]
    for _ in range(2):  # The second time sends nothing.
        results = list(pair.ann.send_many(drafts(words, run)))
        assert [result.error for result in results] == [None] * len(words)
    sent = results[-1].sent
    assert sent is not None
    pair.ann.wait_for(sent)
    assert received(pair, run) == words


def test_results_do_not_wait_for_the_end_of_a_slow_source(pair: Pair) -> None:
    run = uuid.uuid4().hex
    results: list[str] = []

    def slowly() -> Iterator[Draft]:
        for number in range(3):
            yield Draft("ben", f"{run} {number}")
            end = time.monotonic() + PATIENCE
            while f"{run} {number}" not in [m.text for _, m in zip(range(5), pair.ann.messages("ben"))]:
                assert time.monotonic() < end, "the message waits for the next one"
            assert len(results) >= number - 1

    results.extend(str(result.draft.content) for result in pair.ann.send_many(slowly()))
    assert results == [f"{run} {number}" for number in range(3)]


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_a_restart_of_the_daemon_neither_loses_nor_repeats_a_message(own_pair: Pair, kill: bool) -> None:
    pair = own_pair
    words = [f"w {number}" for number in range(600)]
    results = []
    for result in pair.ann.send_many(drafts(words), timeout=PATIENCE):
        results.append(result)
        if len(results) in (50, 200, 350):
            if kill:
                pair.ann_daemon.kill()
            else:
                pair.ann_daemon.stop()
            pair.ann_daemon.start()
    assert [result.error for result in results] == [None] * len(words)
    last = results[-1].sent
    assert last is not None
    pair.ann.wait_for(last)
    assert received(pair, "w ") == words


def test_an_error_of_the_source_is_raised_where_it_is_used(pair: Pair) -> None:
    def failing() -> Iterator[Draft]:
        yield Draft("ben", "before the error")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(pair.ann.send_many(failing()))
    assert threads_end()


def threads_end() -> bool:
    """Returns whether the threads of the streams end."""
    end = time.monotonic() + PATIENCE
    while any(thread.name == "m2client-answers" for thread in threading.enumerate()):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_an_absent_daemon_and_a_closed_client(own_pair: Pair, tmp_path: Path) -> None:
    with Client(tmp_path / "absent.sock") as absent, pytest.raises(NoDaemonError):
        list(absent.send_many([Draft("ben", "x")]))
    client = own_pair.ann_daemon.client()
    sending = client.send_many(Draft("ben", f"{n}") for n in range(10_000))
    next(sending)
    own_pair.ann_daemon.kill()
    threading.Timer(0.5, client.close).start()
    with pytest.raises(ClosedError):
        list(sending)
    assert threads_end()


def test_nothing_to_send_needs_no_daemon(tmp_path: Path) -> None:
    with Client(tmp_path / "absent.sock") as absent:
        assert list(absent.send_many([])) == []


def test_in_asyncio(own_pair: Pair) -> None:
    pair = own_pair
    words = [f"w {number}" for number in range(600)]

    async def source() -> AsyncIterator[Draft]:
        for draft in drafts(words):
            yield draft
            if draft.content == "w 5":
                await asyncio.sleep(0.1)

    def restart() -> None:
        pair.ann_daemon.kill()
        pair.ann_daemon.start()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with AsyncClient(pair.ann_daemon.socket, timeout=PATIENCE) as ann:
            results = []
            async for result in ann.send_many(source()):
                results.append(result)
                if len(results) in (50, 300):
                    await loop.run_in_executor(None, restart)
            assert [result.error for result in results] == [None] * len(words)
            sent = results[-1].sent
            assert sent is not None
            await ann.wait_for(sent)
            errors = [result.error async for result in ann.send_many([Draft("unknown", "x")])]
            assert [type(error) for error in errors] == [ContactUnknownError]
            sending = ann.send_many(Draft("ben", f"{n}") for n in range(10_000))
            await sending.__anext__()
            await loop.run_in_executor(None, pair.ann_daemon.kill)
            loop.call_later(0.5, lambda: asyncio.ensure_future(ann.close()))
            with pytest.raises(ClosedError):
                async for _ in sending:
                    pass

    asyncio.run(main())
    pair.ann_daemon.start()
    assert received(pair, "w ") == words
