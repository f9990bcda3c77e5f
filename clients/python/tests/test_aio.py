"""The client for asyncio, with real daemons."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from m2client import (
    AsyncClient,
    AsyncEventStream,
    CallTimeoutError,
    ClosedError,
    ContactState,
    ContactUnknownError,
    Event,
    MessageReceived,
    MessageState,
    MessageTooLargeError,
    NoDaemonError,
    Start,
    TypingNotice,
)

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Pair
    from daemons import Daemon

PATIENCE = 60


def client_of(daemon: Daemon) -> AsyncClient:
    return AsyncClient(daemon.socket, timeout=PATIENCE)


async def next_text(events: AsyncEventStream) -> str:
    """Returns the text of the next received message, without a new loop."""
    while True:
        event: Event = await events.__anext__()
        if isinstance(event, MessageReceived):
            return event.text


async def lag(client: AsyncClient, name: str) -> int:
    (found,) = [one for one in await client.event_clients() if one.name == name]
    return found.lag


def test_calls(pair: Pair) -> None:
    async def main() -> None:
        async with client_of(pair.ann_daemon) as ann, client_of(pair.ben_daemon) as ben:
            text = f"{uuid.uuid4()}"
            sent = await ann.send("ben", text, wait="delivered")
            assert sent.state >= MessageState.DELIVERED
            newest = [m async for m in ben.messages("ann", page_size=2)][:3]
            assert newest[0].text == text
            assert [m.message_id async for m in ben.search(text)] == [sent.message_id]
            assert (await ann.message(sent)).text == text
            assert (await ann.status()).contacts == 1
            assert [c.name for c in await ann.contacts(ContactState.CONTACT)] == ["ben"]
            with pytest.raises(ContactUnknownError):
                await ann.send("unknown", "x")
            for size in (48 * 1024 + 1, 2_000_000):
                with pytest.raises(MessageTooLargeError):
                    await ann.send("ben", b"x" * size, "image/png")

    asyncio.run(main())


def test_calls_run_concurrently(pair: Pair) -> None:
    async def main() -> None:
        async with client_of(pair.ann_daemon) as ann:
            key = uuid.uuid4().hex
            calls = [ann.send("ben", f"{n}", key=f"{key}-{n}") for n in range(50)]
            sent = await asyncio.gather(*calls)
            assert len({one.message_id for one in sent}) == 50
            await ann.wait_for(sent[-1])

    asyncio.run(main())


def test_events_are_acknowledged_after_the_body(pair: Pair, name: str) -> None:
    async def main() -> None:
        async with client_of(pair.ann_daemon) as ann, client_of(pair.ben_daemon) as ben:
            words = [f"{uuid.uuid4()}" for _ in range(3)]
            async with ben.events(name, timeout=PATIENCE) as events:
                for word in words:
                    await ann.send("ben", word, wait="delivered")
                assert await next_text(events) == words[0]
                assert await lag(ben, name) == 3
                assert await next_text(events) == words[1]
                assert await lag(ben, name) == 2
                with pytest.raises(ZeroDivisionError):
                    await fail_in_the_body(events)
                assert await lag(ben, name) == 2
            async with ben.events(name, timeout=PATIENCE) as events:
                seen = []
                async for event in events:
                    assert isinstance(event, MessageReceived)
                    seen.append(event.text)
                    if event.text == words[-1]:
                        await events.ack()
                        break
                assert seen == words[1:]
            assert await lag(ben, name) == 0

    asyncio.run(main())


@pytest.mark.parametrize("kill", [False, True], ids=["stop", "kill"])
def test_no_event_is_lost_when_the_daemon_restarts(own_pair: Pair, name: str, kill: bool) -> None:
    expected = [f"{number}" for number in range(30)]

    def restart() -> None:
        if kill:
            own_pair.ben_daemon.kill()
        else:
            own_pair.ben_daemon.stop()
        own_pair.ben_daemon.start()

    async def send() -> None:
        async with client_of(own_pair.ann_daemon) as ann:
            for word in expected:
                await ann.send("ben", word, key=word)
                await asyncio.sleep(0.02)

    async def main() -> None:
        received: list[str] = []
        restarts = 0
        async with client_of(own_pair.ben_daemon) as ben, ben.events(name, timeout=PATIENCE) as events:
            sender = asyncio.create_task(send())
            async for event in events:
                if not isinstance(event, MessageReceived):
                    continue
                received.append(event.text)
                if len(received) in {8, 16, 24}:
                    restarts += 1
                    await asyncio.get_running_loop().run_in_executor(None, restart)
                if event.text == expected[-1]:
                    break
            await sender
            assert await lag(ben, name) == 1  # The last one: its body was left.
        assert restarts == 3
        assert received == expected

    asyncio.run(main())


def test_a_cancelled_read_loses_no_event(pair: Pair, name: str) -> None:
    async def main() -> None:
        ann, ben = client_of(pair.ann_daemon), client_of(pair.ben_daemon)
        async with ann, ben, ben.events(name, timeout=PATIENCE) as events:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(events.__anext__(), 0.3)
            word = f"{uuid.uuid4()}"
            await ann.send("ben", word, wait="delivered")
            assert await next_text(events) == word

    asyncio.run(main())


def test_a_cancelled_task_ends(pair: Pair, name: str) -> None:
    async def main() -> None:
        async with client_of(pair.ben_daemon) as ben:
            events = ben.events(name, timeout=PATIENCE)

            async def follow() -> None:
                async for _ in events:
                    pass

            task = asyncio.create_task(follow())
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


@pytest.mark.parametrize("by_client", [False, True], ids=["stream", "client"])
def test_another_task_can_end_a_stream(pair: Pair, name: str, by_client: bool) -> None:
    async def main() -> None:
        async with client_of(pair.ben_daemon) as ben:
            events = ben.events(name, timeout=PATIENCE)
            await events.__aenter__()

            async def follow() -> list[Event]:
                return [event async for event in events]

            begun = time.monotonic()
            task = asyncio.create_task(follow())
            await asyncio.sleep(0.3)
            await (ben.close() if by_client else events.close())
            assert await task == []
            assert time.monotonic() - begun < PATIENCE / 2
        with pytest.raises(ClosedError):
            await ben.status()

    asyncio.run(main())


def test_a_stream_with_a_timeout_ends(pair: Pair, name: str) -> None:
    async def main() -> None:
        async with client_of(pair.ben_daemon) as ben:
            begun = time.monotonic()
            assert [event async for event in ben.events(name, timeout=0.5)] == []
            assert time.monotonic() - begun >= 0.5

    asyncio.run(main())


def test_typing_is_a_notice(pair: Pair) -> None:
    async def main() -> Any:
        async with client_of(pair.ann_daemon) as ann, client_of(pair.ben_daemon) as ben:
            options: dict[str, Any] = {"notices": True, "start": Start.NOW, "timeout": PATIENCE}
            async with ben.events(**options) as events:
                assert await ann.typing("ben")
                return [event async for event in first(events, TypingNotice)]

    (notice,) = asyncio.run(main())
    assert notice.active


def test_absent_daemon_timeouts_and_closing(own_pair: Pair, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(tmp_path / "absent.sock") as absent:
            with pytest.raises(NoDaemonError):
                await absent.status()
        own_pair.ben_daemon.stop()
        async with client_of(own_pair.ann_daemon) as ann:
            with pytest.raises(CallTimeoutError):
                await ann.send("ben", "x", wait="delivered", timeout=0.5)
            sent = await ann.send("ben", "y")
            waiting = asyncio.create_task(ann.wait_for(sent))
            await asyncio.sleep(0.3)
            await ann.close()
            with pytest.raises(ClosedError):
                await waiting

    asyncio.run(main())


async def first(events: AsyncEventStream, kind: type[Event]) -> Any:
    """Yields the first event of a kind."""
    async for event in events:
        if isinstance(event, kind):
            yield event
            return


async def fail_in_the_body(events: AsyncEventStream) -> None:
    async for _ in events:
        raise ZeroDivisionError
