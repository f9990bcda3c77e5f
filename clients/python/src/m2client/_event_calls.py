"""The calls about client names and shared names, as in `_calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _model as model
from ._calls import Call, Page, duration, nothing
from ._jobs import DeadLetter, dead_letter
from ._proto import event_pb2, methods

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._calls import TimeSpan

# The most bytes of a reason that the daemon stores.
_REASON_BYTES = 256

# The most dead letters of one call.
_MOST_LETTERS = 1000


def acknowledge(client: str, cursor: str) -> Call[None]:
    """Describes AcknowledgeEvents."""
    request = event_pb2.AcknowledgeEventsRequest(client=client, cursor=cursor)
    return Call(methods.EventService.AcknowledgeEvents, request, nothing)


def nack(client: str, cursor: str, delivery: int, delay: TimeSpan | None, reason: str) -> Call[None]:
    """Describes NackEvent. A reason that is too long is cut off."""
    request = event_pb2.NackEventRequest(
        client=client,
        cursor=cursor,
        delivery=delivery,
        delay=duration(delay),
        reason=reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore"),
    )
    return Call(methods.EventService.NackEvent, request, nothing)


def event_clients() -> Call[list[model.EventClient]]:
    """Describes ListClients."""
    return Call(
        methods.EventService.ListClients,
        event_pb2.ListClientsRequest(),
        lambda response: [model.event_client(one) for one in response.clients],
    )


def remove_event_client(name: str) -> Call[None]:
    """Describes RemoveClient."""
    request = event_pb2.RemoveClientRequest(client=name)
    return Call(methods.EventService.RemoveClient, request, nothing)


def dead_letters(client: str, page_size: int, after: str) -> Call[Page[DeadLetter]]:
    """Describes ListDeadLetters."""
    request = event_pb2.ListDeadLettersRequest(client=client, limit=page_size, after=after)
    return Call(methods.EventService.ListDeadLetters, request, _letters)


def settle(client: str, letters: Iterable[DeadLetter | str] | None, *, retry: bool) -> Iterator[Call[int]]:
    """Describes the calls of SettleDeadLetters for some letters, or for all of them if it is `None`.

    An empty selection needs no call: to the daemon, it would mean all.
    """
    action = event_pb2.DEAD_LETTER_ACTION_RETRY if retry else event_pb2.DEAD_LETTER_ACTION_DROP
    chosen = [] if letters is None else [one if isinstance(one, str) else one.cursor for one in letters]
    if letters is None:
        yield _settle(event_pb2.SettleDeadLettersRequest(client=client, action=action))
    for begin in range(0, len(chosen), _MOST_LETTERS):
        cursors = chosen[begin : begin + _MOST_LETTERS]
        yield _settle(event_pb2.SettleDeadLettersRequest(client=client, action=action, cursors=cursors))


def _settle(request: event_pb2.SettleDeadLettersRequest) -> Call[int]:
    return Call(methods.EventService.SettleDeadLetters, request, lambda response: int(response.count))


def _letters(response: Any) -> Page[DeadLetter]:
    return Page([dead_letter(one) for one in response.letters], response.next)
