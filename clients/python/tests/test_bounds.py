"""What bounds the memory of a slow consumer, and what ends with the client. The daemon is a gRPC server."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from m2client import AsyncClient, Client, ClosedError, Draft, MessageReceived
from m2client._backoff import Backoff
from m2client._window import Window
from m2client.proto import event_pb2, event_pb2_grpc, message_pb2, message_pb2_grpc, methods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60

# The size of each event, and what all events together may take that the consumer has not read: the windows of
# HTTP/2, and a few messages in the queues of gRPC.
SIZE = 48 * 1024
BOUND = 16 * 1024 * 1024


class EagerDaemon(event_pb2_grpc.EventServiceServicer, message_pb2_grpc.MessageServiceServicer):
    """Sends events without an end, as fast as they are taken. Takes messages, but answers none."""

    def __init__(self) -> None:
        self.sent = 0
        self.taken = 0
        self.acknowledged: list[str] = []

    def Subscribe(self, request: Any, context: Any) -> Iterator[event_pb2.SubscribeResponse]:  # noqa: N802
        context.send_initial_metadata((("m2-cursor", "start"),))
        while context.is_active():
            self.sent += 1
            event = event_pb2.Event(cursor=f"c{self.sent}")
            event.message_received.text = "x" * SIZE
            yield event_pb2.SubscribeResponse(event=event)

    def AcknowledgeEvents(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.acknowledged.append(request.cursor)
        return event_pb2.AcknowledgeEventsResponse()

    def SendMessages(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        for _ in requests:
            self.taken += 1
        yield from ()

    def WatchMessage(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        yield message_pb2.WatchMessageResponse(
            message_id=request.message_id, state=message_pb2.MESSAGE_STATE_QUEUED
        )
        while context.is_active():
            time.sleep(0.05)

    def wait_until_it_stops(self) -> int:
        """Returns the number of events sent when no more are taken."""
        end = time.monotonic() + PATIENCE
        while True:
            before = self.sent
            time.sleep(0.5)
            if before and before == self.sent:
                return before
            assert time.monotonic() < end, f"{self.sent} events are taken, and more"


@pytest.fixture
def eager(tmp_path: Path) -> Iterator[tuple[str, EagerDaemon]]:
    daemon = EagerDaemon()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    event_pb2_grpc.add_EventServiceServicer_to_server(daemon, server)  # type: ignore[no-untyped-call]
    message_pb2_grpc.add_MessageServiceServicer_to_server(daemon, server)  # type: ignore[no-untyped-call]
    path = tmp_path / "m2d.sock"
    server.add_insecure_port(f"unix:{path}")
    server.start()
    yield str(path), daemon
    server.stop(None).wait()


def test_a_slow_consumer_holds_few_events(eager: tuple[str, EagerDaemon]) -> None:
    path, daemon = eager
    with Client(path) as client, client.events("slow", timeout=PATIENCE) as events:
        assert isinstance(next(events), MessageReceived)
        assert daemon.wait_until_it_stops() * SIZE < BOUND
        assert daemon.acknowledged == []
        next(events)
        assert daemon.acknowledged == ["c1"]


def test_a_slow_consumer_in_asyncio_holds_few_events(eager: tuple[str, EagerDaemon]) -> None:
    path, daemon = eager

    async def main() -> None:
        client = AsyncClient(path)
        async with client, client.events("slow", timeout=PATIENCE) as events:
            await events.__anext__()
            stopped = asyncio.get_running_loop().run_in_executor(None, daemon.wait_until_it_stops)
            assert await stopped * SIZE < BOUND

    asyncio.run(main())


def test_a_daemon_that_does_not_answer_holds_back_the_source(eager: tuple[str, EagerDaemon]) -> None:
    path, daemon = eager
    drawn = 0

    def source() -> Iterator[Draft]:
        nonlocal drawn
        for number in range(100_000):
            drawn += 1
            yield Draft("ben", "x" * (1024 if number else 1))

    client = Client(path)
    threading.Timer(1.5, client.close).start()
    with pytest.raises(ClosedError):
        list(client.send_many(source()))
    assert drawn <= Window.MOST
    assert daemon.taken <= Window.MOST
    drawn = 0

    async def main() -> None:
        async with AsyncClient(path) as client:
            asyncio.get_running_loop().call_later(1.5, lambda: asyncio.ensure_future(client.close()))
            with pytest.raises(ClosedError):
                async for _ in client.send_many(source()):
                    pass

    asyncio.run(main())
    assert drawn <= Window.MOST


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a stream that waits for the daemon wait for an hour, unless it is woken up."""
    monkeypatch.setattr(Backoff, "FIRST", 3600.0)


@pytest.mark.usefixtures("long_pauses")
def test_closing_the_client_ends_all_that_runs(eager: tuple[str, EagerDaemon]) -> None:
    """Streams that wait for an event, for an attempt, for a state; and calls with a stream of responses."""
    client = Client(eager[0])
    absent = Client(eager[0] + ".absent")
    ended: list[str] = []

    def until_closed(name: str, work: Any) -> None:
        with pytest.raises(ClosedError):
            work()
        ended.append(name)

    def follow(events: Any) -> None:
        for _ in events:
            time.sleep(0.001)
        raise ClosedError("the loop has ended")

    request = event_pb2.SubscribeRequest()
    runs = {
        "events": lambda: follow(client.events("a")),
        "work": lambda: follow(client.work("b")),
        "absent": lambda: follow(absent.events("c")),
        "stream": lambda: follow(client.stream(methods.EventService.Subscribe, request, timeout=PATIENCE)),
        "wait": lambda: client.wait_for("0" * 32, timeout=PATIENCE),
        "many": lambda: list(client.send_many([Draft("ben", "x")])),
    }
    threads = [threading.Thread(target=until_closed, args=run) for run in runs.items()]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    client.close()
    absent.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(ended) == sorted(runs)


@pytest.mark.usefixtures("long_pauses")
def test_closing_the_client_ends_all_that_runs_in_asyncio(eager: tuple[str, EagerDaemon]) -> None:
    async def follow(events: Any) -> None:
        async for _ in events:
            await asyncio.sleep(0.001)
        raise ClosedError("the loop has ended")

    async def main() -> None:
        client, absent = AsyncClient(eager[0]), AsyncClient(eager[0] + ".absent")
        request = event_pb2.SubscribeRequest()
        runs = [
            follow(client.events("a")),
            follow(client.work("b")),
            follow(absent.events("c")),
            follow(client.stream(methods.EventService.Subscribe, request, timeout=PATIENCE)),
            client.wait_for("0" * 32, timeout=PATIENCE),
            follow(client.send_many([Draft("ben", "x")])),
        ]
        tasks = [asyncio.ensure_future(run) for run in runs]
        await asyncio.sleep(0.5)
        await client.close()
        await absent.close()
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
        assert [type(error) for error in ended] == [ClosedError] * len(runs)

    asyncio.run(main())
