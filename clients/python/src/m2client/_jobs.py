"""What the workers of a shared name are given, and the events that they could not handle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import _events
from ._model import time

if TYPE_CHECKING:
    from datetime import datetime

    from ._proto import event_pb2


@dataclass(frozen=True)
class Job:
    """An event that a worker of a shared name was given.

    `delivery` is the number of times it has been given, this time included. `until` is when the lease
    ends, by the daemon's clock.
    """

    event: _events.Event
    delivery: int
    until: datetime | None

    @property
    def cursor(self) -> str:
        """The cursor of the event."""
        return self.event.cursor


@dataclass(frozen=True)
class DeadLetter:
    """An event that was given to the workers of a shared name too often.

    `event` is `None` if it is not stored any more. `reason` says why the last worker could not handle
    it; it is empty if its lease ended.
    """

    cursor: str
    event: _events.Event | None
    deliveries: int
    since: datetime | None
    reason: str
    raw: event_pb2.DeadLetter = field(repr=False, compare=False)


def job(response: event_pb2.SubscribeResponse) -> Job | None:
    """Returns the job in a response, or `None` if it has no event."""
    if not response.HasField("event"):
        return None
    delivery = response.delivery
    until = time(delivery.until, is_set=delivery.HasField("until"))
    return Job(_events.event(response.event), delivery.number, until)


def dead_letter(raw: event_pb2.DeadLetter) -> DeadLetter:
    """Returns a dead letter of the API as an object."""
    return DeadLetter(
        cursor=raw.cursor,
        event=_events.event(raw.event) if raw.HasField("event") else None,
        deliveries=raw.deliveries,
        since=time(raw.since, is_set=raw.HasField("since")),
        reason=raw.reason,
        raw=raw,
    )
