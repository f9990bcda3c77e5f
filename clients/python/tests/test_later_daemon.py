"""Clients with a daemon of a later version, played by a gRPC server in this process."""

from __future__ import annotations

import asyncio
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from m2client import (
    AsyncClient,
    Client,
    ConnectionLostError,
    Event,
    M2Error,
    UnknownEvent,
    UnknownNotice,
)
from m2client.proto import event_pb2, event_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Field 99, an empty message: a kind or field of a later version.
LATER = b"\x9a\x06\x00"


def later_event(cursor: str) -> event_pb2.SubscribeResponse:
    event = event_pb2.Event.FromString(event_pb2.Event(cursor=cursor).SerializeToString() + LATER)
    return event_pb2.SubscribeResponse(event=event)


class LaterDaemon(event_pb2_grpc.EventServiceServicer):
    """Sends kinds that the package does not know. Ends each stream after two events, without an error."""

    def __init__(self) -> None:
        self.requests: list[event_pb2.SubscribeRequest] = []
        self.acknowledged: list[str] = []
        self.sent = 0

    def Subscribe(self, request: Any, context: Any) -> Iterator[event_pb2.SubscribeResponse]:  # noqa: N802
        self.requests.append(request)
        context.send_initial_metadata((("m2-cursor", f"start-{len(self.requests)}"),))
        yield event_pb2.SubscribeResponse.FromString(LATER)
        yield event_pb2.SubscribeResponse(notice=event_pb2.Notice.FromString(LATER))
        for _ in range(2):
            self.sent += 1
            yield later_event(f"c{self.sent}")

    def AcknowledgeEvents(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.acknowledged.append(request.cursor)
        return event_pb2.AcknowledgeEventsResponse()

    def ListClients(self, request: Any, context: Any) -> Any:  # noqa: N802
        info = Packed()
        info.Pack(ErrorInfo(reason="FULL_MOON", domain="m2.api.v1", metadata={"until": "dawn"}))
        status = Status(code=9, message="Not at full moon.", details=[info])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Not at full moon.")


@pytest.fixture
def later(tmp_path: Path) -> Iterator[tuple[str, LaterDaemon]]:
    daemon = LaterDaemon()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    event_pb2_grpc.add_EventServiceServicer_to_server(daemon, server)  # type: ignore[no-untyped-call]
    # A path with characters that have a meaning in URIs.
    path = tmp_path / "a %41 b?c#d" / "m2d.sock"
    path.parent.mkdir()
    place = tmp_path / "s"
    server.add_insecure_port(f"unix:{place}")
    server.start()
    place.rename(path)
    yield str(path), daemon
    server.stop(None).wait()


def check(events: list[Event], daemon: LaterDaemon) -> None:
    kinds = [type(event) for event in events]
    assert kinds == [UnknownNotice, UnknownEvent, UnknownEvent, UnknownNotice, UnknownEvent]
    assert [event.cursor for event in events] == ["", "c1", "c2", "", "c3"]
    assert daemon.acknowledged[:2] == ["c1", "c2"]


def test_unknown_kinds_and_an_early_end(later: tuple[str, LaterDaemon]) -> None:
    path, daemon = later
    received = []
    with Client(path) as client, client.events("bot", notices=True, timeout=60) as events:
        for event in events:
            received.append(event)
            if event.cursor == "c3":
                break
    check(received, daemon)
    # The second subscription is left to the stored cursor, which is that of the last event.
    assert [request.after for request in daemon.requests] == ["", ""]


def test_unknown_kinds_and_an_early_end_in_asyncio(later: tuple[str, LaterDaemon]) -> None:
    path, daemon = later

    async def main() -> list[Event]:
        received = []
        client = AsyncClient(path)
        async with client, client.events("bot", notices=True, timeout=60) as events:
            async for event in events:
                received.append(event)
                if event.cursor == "c3":
                    break
        return received

    check(asyncio.run(main()), daemon)


def test_streams_without_a_stored_cursor_resume_after_the_last_event(
    later: tuple[str, LaterDaemon],
) -> None:
    path, daemon = later
    with Client(path) as client:
        for name, auto_ack in (("", True), ("manual", False)):
            daemon.requests.clear()
            daemon.sent = 0
            with client.events(name, auto_ack=auto_ack, timeout=60) as events:
                for event in events:
                    if event.cursor == "c5":
                        break
            assert [request.after for request in daemon.requests] == ["", "c2", "c4"]
    assert daemon.acknowledged == []


def test_without_reconnect_an_early_end_is_an_error(later: tuple[str, LaterDaemon]) -> None:
    with Client(later[0]) as client, pytest.raises(ConnectionLostError):
        list(client.events("bot", reconnect=False))


def test_unknown_reasons_are_the_base_class(later: tuple[str, LaterDaemon]) -> None:
    with Client(later[0]) as client, pytest.raises(M2Error, match="Not at full moon") as caught:
        client.event_clients()
    assert type(caught.value) is M2Error
    assert caught.value.reason == "FULL_MOON"
    assert caught.value.code == "FAILED_PRECONDITION"
    assert caught.value.metadata == {"until": "dawn"}


def test_unimplemented_calls_have_the_code_as_reason(later: tuple[str, LaterDaemon]) -> None:
    with Client(later[0]) as client, pytest.raises(M2Error) as caught:
        client.status()
    assert caught.value.reason == caught.value.code == "UNIMPLEMENTED"
