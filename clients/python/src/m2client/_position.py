"""What the streams of events and of jobs have in common: their end, and whether a new attempt can help.

Does no I/O. A stream calls, in this order: `request` to subscribe, `started` with the header of the
response, `take` with each answer, and before it reads the next one `due` and `settled`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._errors import CallTimeoutError
from ._failure import TEMPORARY
from ._reasons import ClientInUseError

if TYPE_CHECKING:
    from ._calls import Call
    from ._proto import event_pb2

CURSOR_HEADER = "m2-cursor"

# How long a client name may be in use by the stream that broke, in seconds.
_IN_USE = 5.0

# The time after the end of the stream at which a subscription times out, in seconds.
_LATE = 0.05

Item = TypeVar("Item")


@dataclass(frozen=True)
class Due:
    """A call that a stream makes before it reads the next answer, about the event at `cursor`."""

    call: Call[None]
    cursor: str


class Position(ABC, Generic[Item]):
    """The position of one stream."""

    def __init__(self, *, reconnect: bool, timeout: float | None) -> None:
        if timeout is not None and not timeout > 0:
            raise ValueError("`timeout` must be positive.")
        self._reconnect = reconnect
        self._deadline = None if timeout is None else monotonic() + timeout
        self._in_use_until: float | None = None

    @abstractmethod
    def request(self) -> event_pb2.SubscribeRequest:
        """Returns the request for the first subscription or the next one."""

    @abstractmethod
    def take(self, response: event_pb2.SubscribeResponse) -> Item | None:
        """Notes an answer. Returns what the stream returns for it, or `None` for nothing."""

    @abstractmethod
    def begin_loop(self) -> None:
        """Begins a loop over the stream: an item whose loop body did not finish comes again."""

    @abstractmethod
    def finish_body(self) -> None:
        """Notes that the body of the loop has finished for the last item."""

    @abstractmethod
    def due(self) -> Due | None:
        """Returns the next call to make, or `None` if there is none."""

    @abstractmethod
    def settled(self, cursor: str) -> None:
        """Notes that the daemon has stored what became of the event at a cursor."""

    def take_replay(self) -> Item | None:
        """Returns the item of an earlier loop that comes again, once."""
        return None

    @property
    def most_unread(self) -> int:
        """The number of answers to read when the stream is left, because they have to be returned."""
        return 0

    def leave(self, unread: list[Any], reason: str) -> list[Due]:  # noqa: ARG002 (for those that make one)
        """Returns the calls to make once the stream is left, with the answers that were not read before."""
        return []

    def started(self, cursor: str) -> None:  # noqa: ARG002 (for those that resume by themselves)
        """Notes the cursor after which the daemon has started a subscription, if it names one."""
        self._in_use_until = None

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
        if not self._reconnect:
            return False
        if isinstance(error, (CallTimeoutError, *TEMPORARY)):
            return True
        if not isinstance(error, ClientInUseError):
            return False
        if self._in_use_until is None:
            self._in_use_until = monotonic() + _IN_USE
        return monotonic() < self._in_use_until


def cursor_header(metadata: Any) -> str:
    """Returns the cursor after which a subscription starts; empty if it has failed."""
    values = [str(value) for key, value in metadata or () if key == CURSOR_HEADER]
    return values[0] if values else ""
