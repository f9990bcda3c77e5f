"""The position of a stream of events: where each subscription starts, and what to acknowledge.

Does no I/O. A stream calls, in this order: `request` to subscribe, `started` with the header of the
response, `delivered` for each event that it returns, and before it waits for the next event
`to_acknowledge` and `acknowledged`.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from ._enums import Start
from ._errors import CallTimeoutError
from ._failure import TEMPORARY
from ._proto import event_pb2
from ._reasons import ClientInUseError

if TYPE_CHECKING:
    from ._events import Event

CURSOR_HEADER = "m2-cursor"

# How long a client name may be in use by the stream that broke, in seconds.
_IN_USE = 5.0


# The time after the end of the stream at which a subscription times out, in seconds.
_LATE = 0.05


@dataclass(frozen=True)
class Options:
    """The arguments of `events`."""

    client: str
    start: Start
    after: str
    notices: bool
    auto_ack: bool
    reconnect: bool
    timeout: float | None

    def __post_init__(self) -> None:
        if self.after and self.start is not Start.DEFAULT:
            raise ValueError("`after` and `start` can't be combined.")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError("`timeout` must be positive.")


class Progress:
    """The position of one stream of events."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resume = ""
        self._at_stored_cursor = options.start is Start.DEFAULT and not options.after
        self._open: Event | None = None
        self._replay: Event | None = None
        self._done = ""
        self._deadline = None if options.timeout is None else monotonic() + options.timeout
        self._in_use_until: float | None = None

    def begin_loop(self) -> None:
        """Begins a loop over the stream: an event whose loop body did not finish comes again."""
        self._replay = self._open if self._options.auto_ack else None
        self._open = None

    def take_replay(self) -> Event | None:
        """Returns the event of an earlier loop that comes again, once."""
        event, self._replay = self._replay, None
        self._open = event
        return event

    def finish_body(self) -> None:
        """Notes that the body of the loop has finished for the last event."""
        if self._open is not None and self._options.auto_ack and self._options.client:
            self._done = self._open.cursor or self._done
        self._open = None

    def to_acknowledge(self) -> str:
        """Returns the cursor to acknowledge, or an empty string if there is none."""
        return self._done

    def acknowledged(self, cursor: str) -> None:
        """Notes that the daemon has stored an acknowledgement."""
        if self._done == cursor:
            self._done = ""
        if self._open is not None and self._open.cursor == cursor:
            self._open = None

    def cursor_of(self, event: Event | None) -> str:
        """Returns the cursor for an explicit acknowledgement: that of `event`, or the last one.

        Raises `ValueError` for a stream without a client name, and if there is no event.
        """
        if not self._options.client:
            raise ValueError("A stream without a client name has nothing to acknowledge.")
        event = event or self._open
        if event is None:
            raise ValueError("There is no event to acknowledge.")
        return event.cursor

    def request(self) -> event_pb2.SubscribeRequest:
        """Returns the request for the first subscription or the next one."""
        options = self._options
        request = event_pb2.SubscribeRequest(client=options.client, notices=options.notices)
        if self._resume and not self._is_resumed_by_daemon():
            request.after = self._resume
        elif options.after and not self._resume:
            request.after = options.after
        elif not self._resume:
            request.start_at = cast("event_pb2.StartAt", options.start)
        return request

    def started(self, cursor: str) -> None:
        """Notes the cursor after which the daemon has started a subscription, if it names one."""
        self._in_use_until = None
        self._resume = self._resume or cursor

    def delivered(self, event: Event) -> None:
        """Notes the event that the stream returns."""
        self._open = event
        self._resume = event.cursor or self._resume

    def remaining(self) -> float | None:
        """Returns the seconds until the stream ends; `None` without a timeout."""
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def call_timeout(self) -> float | None:
        """Returns the timeout of a subscription, which ends when the stream is over."""
        remaining = self.remaining()
        return None if remaining is None else remaining + _LATE

    @property
    def is_over(self) -> bool:
        """Whether the time of the stream is up."""
        return self.remaining() == 0

    def can_retry(self, error: Exception) -> bool:
        """Returns whether a new attempt can succeed.

        That is so while the daemon can't be reached or is locked, and for a short time if the client
        name is in use: its last stream may have broken without the daemon's knowledge.
        """
        if not self._options.reconnect:
            return False
        if isinstance(error, (CallTimeoutError, *TEMPORARY)):
            return True
        if not isinstance(error, ClientInUseError):
            return False
        if self._in_use_until is None:
            self._in_use_until = monotonic() + _IN_USE
        return monotonic() < self._in_use_until

    def _is_resumed_by_daemon(self) -> bool:
        """Returns whether the daemon's stored cursor is the position of this stream.

        That holds once each delivered event was acknowledged. The daemon then also reports events
        that were deleted in the meantime.
        """
        options = self._options
        return bool(options.client) and options.auto_ack and self._at_stored_cursor


def cursor_header(metadata: Any) -> str:
    """Returns the cursor after which a subscription starts; empty if it has failed."""
    values = [str(value) for key, value in metadata or () if key == CURSOR_HEADER]
    return values[0] if values else ""
