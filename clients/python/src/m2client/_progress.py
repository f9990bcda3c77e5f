"""The position of a stream of events: where each subscription starts, and what to acknowledge.

Does no I/O; see `_position`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from . import _event_calls, _events
from ._calls import ContactLike, TimeSpan, duration, peer
from ._enums import Start
from ._position import Due, Position
from ._proto import event_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

# The interval at which a stream learns that it has passed over events which it does not select, in
# seconds, if the program has not chosen another one.
_HEARTBEAT = 30.0


@dataclass(frozen=True)
class Selection:
    """The events that a stream contains, and where a new client name starts."""

    start: Start
    after: str
    kinds: tuple[event_pb2.EventKind, ...]
    contacts: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.after and self.start is not Start.DEFAULT:
            raise ValueError("`after` and `start` can't be combined.")

    @property
    def is_partial(self) -> bool:
        """True if the stream passes over some events."""
        return bool(self.kinds or self.contacts)


def selection(
    start: Start, after: str, kinds: Iterable[_events.KindLike], contacts: Iterable[ContactLike]
) -> Selection:
    """Returns a selection. Raises `ValueError` for a text in place of a list, and for an unknown kind."""
    for name, given in (("kinds", kinds), ("contacts", contacts)):
        if isinstance(given, str):
            raise ValueError(f"`{name}` must be a list, such as [{given!r}].")  # noqa: TRY004
    return Selection(start, after, tuple(_events.kinds(kinds)), tuple(peer(one) for one in contacts))


@dataclass(frozen=True)
class Options:
    """The arguments of `events`."""

    client: str
    selection: Selection
    notices: bool
    presence: bool
    heartbeat: TimeSpan | None
    auto_ack: bool
    reconnect: bool
    timeout: float | None


class Progress(Position[_events.Event]):
    """The position of one stream of events."""

    def __init__(self, options: Options) -> None:
        super().__init__(reconnect=options.reconnect, timeout=options.timeout)
        self._options = options
        self._resume = ""
        chosen = options.selection
        self._at_stored_cursor = chosen.start is Start.DEFAULT and not chosen.after
        self._acknowledges = bool(options.client) and options.auto_ack
        self._open: _events.Event | None = None
        self._replay: _events.Event | None = None
        self._done = ""
        self._settled = ""

    def begin_loop(self) -> None:
        """Begins a loop over the stream: an event whose loop body did not finish comes again."""
        self._replay = self._open if self._options.auto_ack else None
        self._open = None

    def take_replay(self) -> _events.Event | None:
        """Returns the event of an earlier loop that comes again, once."""
        event, self._replay = self._replay, None
        self._open = event
        return event

    def finish_body(self) -> None:
        """Notes that the body of the loop has finished for the last event."""
        if self._open is not None and self._acknowledges:
            self._finished(self._open.cursor)
        self._open = None

    def due(self) -> Due | None:
        """Returns the acknowledgement to send, or `None` if there is none."""
        if not self._done:
            return None
        return Due(_event_calls.acknowledge(self._options.client, self._done), self._done)

    def settled(self, cursor: str) -> None:
        """Notes that the daemon has stored an acknowledgement."""
        self._settled = cursor
        if self._done == cursor:
            self._done = ""
        if self._open is not None and self._open.cursor == cursor:
            self._open = None

    def acknowledgement(self, event: _events.Event | None) -> Due:
        """Returns the call that acknowledges `event`, or without one the last event.

        Raises `ValueError` for a stream without a client name, and if there is no event.
        """
        if not self._options.client:
            raise ValueError("A stream without a client name has nothing to acknowledge.")
        event = event or self._open
        if event is None:
            raise ValueError("There is no event to acknowledge.")
        return Due(_event_calls.acknowledge(self._options.client, event.cursor), event.cursor)

    def request(self) -> event_pb2.SubscribeRequest:
        """Returns the request for the first subscription or the next one."""
        options = self._options
        request = event_pb2.SubscribeRequest(
            client=options.client,
            notices=options.notices,
            presence=options.presence,
            kinds=options.selection.kinds,
            contacts=options.selection.contacts,
            heartbeat=duration(self._heartbeat()),
        )
        if self._resume and not self._is_resumed_by_daemon():
            request.after = self._resume
        elif options.selection.after and not self._resume:
            request.after = options.selection.after
        elif not self._resume:
            request.start_at = cast("event_pb2.StartAt", options.selection.start)
        return request

    def started(self, cursor: str) -> None:
        """Notes the cursor after which the daemon has started a subscription, if it names one."""
        super().started(cursor)
        self._resume = self._resume or cursor

    def take(self, response: event_pb2.SubscribeResponse) -> _events.Event | None:
        """Notes an answer. Returns the event or notice in it, if the program is to see it."""
        event = _events.of_response(response)
        if event is None:
            return None
        self._resume = event.cursor or self._resume
        if isinstance(event, _events.CaughtUp) and self._options.heartbeat is None:
            if self._acknowledges:
                self._finished(event.cursor)
            return None
        self._open = event
        return event

    def _finished(self, cursor: str) -> None:
        """Notes that all events up to a cursor are handled. A notice has none."""
        if cursor and cursor != self._settled:
            self._done = cursor

    def _heartbeat(self) -> TimeSpan | None:
        """Returns the interval at which the daemon says how far the stream has come.

        A client name whose stream passes over events needs to know: otherwise they count as unread.
        """
        if self._options.heartbeat is None and self._acknowledges and self._options.selection.is_partial:
            return _HEARTBEAT
        return self._options.heartbeat

    def _is_resumed_by_daemon(self) -> bool:
        """Returns whether the daemon's stored cursor is the position of this stream.

        That holds once each delivered event was acknowledged. The daemon then also reports events
        that were deleted in the meantime.
        """
        return self._acknowledges and self._at_stored_cursor
