"""The kinds of events, as immutable objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Union, cast

from ._enums import ConflictKind, MessageState, Path
from ._model import Content, media_type, time
from ._proto import event_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


@dataclass(frozen=True)
class Event:
    """One entry of the event log, or a notice.

    `kind` is the name of the kind in the JSON form of the API. `cursor` identifies the entry; a
    notice has none. `time` is when it happened by the daemon's clock. `contact_name` is the local name
    of the contact that it is about, as it was when the event was read; empty for none.
    """

    kind: ClassVar[str] = "unknown"

    cursor: str
    time: datetime | None
    contact_name: str
    raw: event_pb2.Event | event_pb2.Notice | event_pb2.CaughtUp = field(repr=False, compare=False)


# A kind of events: its class, or its name in the JSON form of the API, such as "messageReceived".
KindLike = Union[type[Event], str]


@dataclass(frozen=True)
class MessageReceived(Content, Event):
    """A contact's message was stored here."""

    kind: ClassVar[str] = "messageReceived"

    message_id: str
    peer_id: str
    sent: datetime | None
    reply_to: str
    thread: str


@dataclass(frozen=True)
class MessageStateChanged(Event):
    """A sent message changed its state, or was given up."""

    kind: ClassVar[str] = "messageState"

    message_id: str
    peer_id: str
    state: MessageState
    failure: str


@dataclass(frozen=True)
class MessageEdited(Content, Event):
    """The author of a received message replaced its content."""

    kind: ClassVar[str] = "messageEdited"

    message_id: str
    peer_id: str
    reply_to: str
    thread: str


@dataclass(frozen=True)
class MessageRetracted(Event):
    """The author of a received message deleted it; a tombstone remains."""

    kind: ClassVar[str] = "messageRetracted"

    message_id: str
    peer_id: str


@dataclass(frozen=True)
class MessageReacted(Event):
    """A contact's reaction to a message changed. `text` is empty if it was removed."""

    kind: ClassVar[str] = "messageReacted"

    message_id: str
    peer_id: str
    text: str


@dataclass(frozen=True)
class MessageExpired(Event):
    """A message's time to live ended and it was deleted here."""

    kind: ClassVar[str] = "messageExpired"

    message_id: str
    peer_id: str


@dataclass(frozen=True)
class ContactRequested(Event):
    """A peer asks to become a contact."""

    kind: ClassVar[str] = "contactRequest"

    peer_id: str
    suggested_name: str


@dataclass(frozen=True)
class ContactAdded(Event):
    """A peer became a contact: both sides agreed."""

    kind: ClassVar[str] = "contactAdded"

    peer_id: str
    name: str


@dataclass(frozen=True)
class ContactDeclined(Event):
    """A peer declined this daemon's request."""

    kind: ClassVar[str] = "contactDeclined"

    peer_id: str


@dataclass(frozen=True)
class ContactRemoved(Event):
    """A contact was removed or blocked here."""

    kind: ClassVar[str] = "contactRemoved"

    peer_id: str


@dataclass(frozen=True)
class Gap(Event):
    """Messages of a peer are missing: they did not arrive within 24 hours."""

    kind: ClassVar[str] = "gap"

    peer_id: str
    missing: int


@dataclass(frozen=True)
class EventsDropped(Event):
    """Events between the client's cursor and the oldest stored event were deleted."""

    kind: ClassVar[str] = "eventsDropped"

    count: int


@dataclass(frozen=True)
class HistoryLost(Event):
    """Messages of a peer are lost after a store was restored; `missing` is 0 if unknown."""

    kind: ClassVar[str] = "historyLost"

    peer_id: str
    missing: int


@dataclass(frozen=True)
class OwnConflict(Event):
    """This daemon's store is older than a contact has seen of it."""

    kind: ClassVar[str] = "ownConflict"

    peer_id: str
    conflict: ConflictKind


@dataclass(frozen=True)
class ContactConflict(Event):
    """A contact's store is older than this daemon has seen of it."""

    kind: ClassVar[str] = "contactConflict"

    peer_id: str
    conflict: ConflictKind


@dataclass(frozen=True)
class UnknownEvent(Event):
    """An event of a kind that this version of the package does not know. `raw` holds its fields."""


@dataclass(frozen=True)
class CaughtUp(Event):
    """The stream has considered every event up to the newest one, whose cursor this is.

    Only streams with a `heartbeat` have it. It is no entry of the log.
    """

    kind: ClassVar[str] = "caughtUp"


@dataclass(frozen=True)
class Notice(Event):
    """Something of interest at this moment only. It is in no log, so it is never delivered again."""

    peer_id: str


@dataclass(frozen=True)
class TypingNotice(Notice):
    """A contact types a message to this user, or does so no longer."""

    kind: ClassVar[str] = "typing"

    active: bool


@dataclass(frozen=True)
class PresenceNotice(Notice):
    """A contact is online, on the given path, or it is not."""

    kind: ClassVar[str] = "presence"

    online: bool
    path: Path


@dataclass(frozen=True)
class UnknownNotice(Notice):
    """A notice of a kind that this version of the package does not know."""


def of_response(response: event_pb2.SubscribeResponse) -> Event | None:
    """Returns the event or notice of a response.

    Returns `None` for a response with neither, which a later daemon may send.
    """
    if response.HasField("event"):
        return event(response.event)
    if response.HasField("caught_up"):
        raw = response.caught_up
        return CaughtUp(cursor=raw.cursor, time=None, contact_name="", raw=raw)
    return notice(response.notice) if response.HasField("notice") else None


def event(raw: event_pb2.Event) -> Event:
    """Returns an event of the API as an object, whatever its kind is."""
    base: dict[str, Any] = {
        "cursor": raw.cursor,
        "time": time(raw.time, is_set=raw.HasField("time")),
        "contact_name": raw.contact_name,
        "raw": raw,
    }
    name = raw.WhichOneof("kind")
    kind = _KINDS.get(name or "")
    if name is None or kind is None:
        return UnknownEvent(**base)
    return kind(getattr(raw, name), base)


def notice(raw: event_pb2.Notice) -> Notice:
    """Returns a notice of the API as an object, whatever its kind is."""
    base: dict[str, Any] = {
        "cursor": "",
        "time": time(raw.time, is_set=raw.HasField("time")),
        "contact_name": raw.contact_name,
        "raw": raw,
        "peer_id": raw.peer_id,
    }
    if raw.WhichOneof("kind") == "typing":
        return TypingNotice(**base, active=raw.typing.active)
    if raw.WhichOneof("kind") == "presence":
        return PresenceNotice(**base, online=raw.presence.online, path=Path(raw.presence.path))
    return UnknownNotice(**base)


def kinds(chosen: Iterable[KindLike]) -> list[event_pb2.EventKind]:
    """Returns the API's numbers of kinds.

    Raises `ValueError` for a kind that can't be chosen.
    """
    return [_number(kind if isinstance(kind, str) else kind.kind) for kind in chosen]


def _number(name: str) -> event_pb2.EventKind:
    words = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)
    try:
        number = event_pb2.EventKind.Value(f"EVENT_KIND_{words}")
    except ValueError:
        number = event_pb2.EVENT_KIND_UNSPECIFIED
    if number == event_pb2.EVENT_KIND_UNSPECIFIED:
        raise ValueError(f"{name!r} is no kind of events that can be chosen, such as 'messageReceived'.")
    return cast("event_pb2.EventKind", number)


def _received(raw: Any, base: dict[str, Any]) -> Event:
    return MessageReceived(
        **base,
        **_content(raw),
        message_id=raw.message_id,
        peer_id=raw.peer_id,
        sent=time(raw.sent, is_set=raw.HasField("sent")),
        reply_to=raw.reply_to,
        thread=raw.thread,
    )


def _edited(raw: Any, base: dict[str, Any]) -> Event:
    return MessageEdited(
        **base,
        **_content(raw),
        message_id=raw.message_id,
        peer_id=raw.peer_id,
        reply_to=raw.reply_to,
        thread=raw.thread,
    )


def _state(raw: Any, base: dict[str, Any]) -> Event:
    return MessageStateChanged(
        **base,
        message_id=raw.message_id,
        peer_id=raw.peer_id,
        state=MessageState(raw.state),
        failure=raw.failure,
    )


def _content(raw: Any) -> dict[str, Any]:
    return {"text": raw.text, "data": raw.data, "media_type": media_type(raw.media_type)}


def _conflict(kind: type[Event]) -> Callable[[Any, dict[str, Any]], Event]:
    def convert(raw: Any, base: dict[str, Any]) -> Event:
        return kind(**base, peer_id=raw.peer_id, conflict=ConflictKind(raw.kind))  # type: ignore[call-arg]

    return convert


def _plain(kind: type[Event], *names: str) -> Callable[[Any, dict[str, Any]], Event]:
    """Returns the conversion of a kind whose fields have the same names and types in the API."""

    def convert(raw: Any, base: dict[str, Any]) -> Event:
        return kind(**base, **{name: getattr(raw, name) for name in names})

    return convert


# The kinds by the names of the fields of `Event`.
_KINDS: dict[str, Callable[[Any, dict[str, Any]], Event]] = {
    "message_received": _received,
    "message_state": _state,
    "message_edited": _edited,
    "message_retracted": _plain(MessageRetracted, "message_id", "peer_id"),
    "message_reacted": _plain(MessageReacted, "message_id", "peer_id", "text"),
    "message_expired": _plain(MessageExpired, "message_id", "peer_id"),
    "contact_request": _plain(ContactRequested, "peer_id", "suggested_name"),
    "contact_added": _plain(ContactAdded, "peer_id", "name"),
    "contact_declined": _plain(ContactDeclined, "peer_id"),
    "contact_removed": _plain(ContactRemoved, "peer_id"),
    "gap": _plain(Gap, "peer_id", "missing"),
    "events_dropped": _plain(EventsDropped, "count"),
    "history_lost": _plain(HistoryLost, "peer_id", "missing"),
    "own_conflict": _conflict(OwnConflict),
    "contact_conflict": _conflict(ContactConflict),
}
