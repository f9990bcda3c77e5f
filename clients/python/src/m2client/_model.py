"""The values that calls return, as immutable objects.

The names of fields are those of the reference of the API. `raw` is the message of the API from which
the object was made, with fields of later versions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ._enums import (
    ConflictKind,
    ContactState,
    DaemonState,
    Direction,
    IpMode,
    MessageState,
    Path,
    Scope,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.timestamp_pb2 import Timestamp

    from ._proto import (
        access_pb2,
        contact_pb2,
        daemon_pb2,
        event_pb2,
        identity_pb2,
        invitation_pb2,
        message_pb2,
    )

TEXT = "text/plain;charset=utf-8"


@dataclass(frozen=True)
class Content:
    """The content of a message: `text` for UTF-8 text, otherwise `data` of the given `media_type`."""

    text: str
    data: bytes
    media_type: str

    @property
    def is_text(self) -> bool:
        """True if the content is UTF-8 text."""
        return self.media_type == TEXT

    @property
    def content(self) -> str | bytes:
        """The content as `str` if it is UTF-8 text, otherwise as `bytes`."""
        return self.text if self.is_text else self.data


@dataclass(frozen=True)
class Reaction:
    """A reaction of one side to a message: an emoji or a short text."""

    direction: Direction
    text: str


@dataclass(frozen=True)
class Message(Content):
    """One message of a conversation in its current state."""

    message_id: str
    peer_id: str
    direction: Direction
    state: MessageState
    sent: datetime | None
    stored: datetime | None
    edited: bool
    retracted: bool
    expires: datetime | None
    failure: str
    cursor: str
    reply_to: str
    thread: str
    reactions: tuple[Reaction, ...]
    raw: message_pb2.Message = field(repr=False, compare=False)


@dataclass(frozen=True)
class Sent:
    """A message that the daemon has stored, and its last known state."""

    message_id: str
    state: MessageState


@dataclass(frozen=True)
class ContactPolicy:
    """The policy for a contact."""

    mailbox_grant: bool
    mailbox_use: bool
    ip: IpMode
    keep: timedelta | None


@dataclass(frozen=True)
class Contact:
    """A peer: a contact, a peer that may become one, or a peer that was declined or blocked."""

    peer_id: str
    name: str
    state: ContactState
    verified: bool
    online: bool
    created: datetime | None
    last_seen: datetime | None
    queued_messages: int
    path: Path
    problem: str
    last_failure: str
    conflict: ConflictKind
    quota_reached: bool
    policy: ContactPolicy
    raw: contact_pb2.Contact = field(repr=False, compare=False)


@dataclass(frozen=True)
class Verification:
    """The verification code, which both sides compare by voice, and whether it was confirmed."""

    code: str
    verified: bool


@dataclass(frozen=True)
class Invitation:
    """An open invitation.

    `uri` is its text, which contains secrets. It is empty in a list, since the daemon returns it once.
    """

    invitation_id: str
    reusable: bool
    expires: datetime | None
    created: datetime | None
    uses: int
    contact_name: str
    raw: invitation_pb2.Invitation = field(repr=False, compare=False)
    uri: str = field(default="", repr=False)


@dataclass(frozen=True)
class Identity:
    """The daemon's identity. The certificate is an RSA-4096 public key in DER."""

    peer_id: str
    certificate: bytes = field(repr=False)


@dataclass(frozen=True)
class Status:
    """The daemon's state. The numbers are `None` while it is locked."""

    state: DaemonState
    version: str
    peer_id: str
    circle: str
    listen_addresses: tuple[str, ...]
    sessions: int | None
    contacts: int | None
    queued_messages: int | None
    warnings: tuple[str, ...]
    started: datetime | None
    counts: Mapping[str, int] = field(hash=False)
    refused: Mapping[str, int] = field(hash=False)
    raw: daemon_pb2.GetStatusResponse = field(repr=False, compare=False)


@dataclass(frozen=True)
class EventClient:
    """A front-end whose cursor the daemon stores."""

    name: str
    cursor: str
    lag: int
    last_seen: datetime | None
    connected: bool
    acknowledged: bool
    shared: bool
    workers: int
    leased: int
    dead_letters: int


@dataclass(frozen=True)
class TokenContact:
    """A contact that a token reaches. `name` is empty if it is no contact any more."""

    peer_id: str
    name: str


@dataclass(frozen=True)
class Token:
    """An access token without its text. If it is `limited`, it reaches only `contacts`."""

    name: str
    scopes: tuple[Scope, ...]
    limited: bool
    contacts: tuple[TokenContact, ...]
    created: datetime | None
    expires: datetime | None
    last_used: datetime | None
    raw: access_pb2.AccessToken = field(repr=False, compare=False)


@dataclass(frozen=True)
class NewToken:
    """A new access token. `token` is its text, which the daemon returns once and does not store."""

    token: str = field(repr=False)
    info: Token


@dataclass(frozen=True)
class TokenUse:
    """The calls of one kind that were made with a token, in one hour and about one contact."""

    name: str
    call: str
    peer_id: str
    permitted: int
    refused: int
    first: datetime | None
    last: datetime | None


def time(stamp: Timestamp, *, is_set: bool = True) -> datetime | None:
    """Returns a time in UTC, or `None` if it is absent or outside of the years 1 to 9999."""
    if not is_set:
        return None
    try:
        return stamp.ToDatetime(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None


def media_type(raw: str) -> str:
    """Returns the media type of a content; the API leaves it empty for text."""
    return raw or TEXT


def message(raw: message_pb2.Message) -> Message:
    """Returns a message of the API as an object."""
    return Message(
        text=raw.text,
        data=raw.data,
        media_type=media_type(raw.media_type),
        message_id=raw.message_id,
        peer_id=raw.peer_id,
        direction=Direction(raw.direction),
        state=MessageState(raw.state),
        sent=time(raw.sent, is_set=raw.HasField("sent")),
        stored=time(raw.stored, is_set=raw.HasField("stored")),
        edited=raw.edited,
        retracted=raw.retracted,
        expires=time(raw.expires, is_set=raw.HasField("expires")),
        failure=raw.failure,
        cursor=raw.cursor,
        reply_to=raw.reply_to,
        thread=raw.thread,
        reactions=tuple(Reaction(Direction(one.direction), one.text) for one in raw.reactions),
        raw=raw,
    )


def contact(raw: contact_pb2.Contact) -> Contact:
    """Returns a contact of the API as an object."""
    return Contact(
        peer_id=raw.peer_id,
        name=raw.name,
        state=ContactState(raw.state),
        verified=raw.verified,
        online=raw.online,
        created=time(raw.created, is_set=raw.HasField("created")),
        last_seen=time(raw.last_seen, is_set=raw.HasField("last_seen")),
        queued_messages=raw.queued_messages,
        path=Path(raw.path),
        problem=raw.problem,
        last_failure=raw.last_failure,
        conflict=ConflictKind(raw.conflict),
        quota_reached=raw.quota_reached,
        policy=_policy(raw.policy),
        raw=raw,
    )


def invitation(raw: invitation_pb2.Invitation, uri: str = "") -> Invitation:
    """Returns an invitation of the API as an object."""
    return Invitation(
        invitation_id=raw.invitation_id,
        reusable=raw.reusable,
        expires=time(raw.expires, is_set=raw.HasField("expires")),
        created=time(raw.created, is_set=raw.HasField("created")),
        uses=raw.uses,
        contact_name=raw.contact_name,
        raw=raw,
        uri=uri,
    )


def identity(raw: identity_pb2.GetIdentityResponse) -> Identity:
    """Returns the identity as an object."""
    return Identity(raw.peer_id, raw.certificate)


def status(raw: daemon_pb2.GetStatusResponse) -> Status:
    """Returns the daemon's state as an object."""
    return Status(
        state=DaemonState(raw.state),
        version=raw.version,
        peer_id=raw.peer_id,
        circle=raw.circle,
        listen_addresses=tuple(raw.listen_addresses),
        sessions=raw.sessions if raw.HasField("sessions") else None,
        contacts=raw.contacts if raw.HasField("contacts") else None,
        queued_messages=raw.queued_messages if raw.HasField("queued_messages") else None,
        warnings=tuple(raw.warnings),
        started=time(raw.started, is_set=raw.HasField("started")),
        counts=dict(raw.counts),
        refused=dict(raw.refused),
        raw=raw,
    )


def event_client(raw: event_pb2.EventClient) -> EventClient:
    """Returns a named client of the event log as an object."""
    return EventClient(
        name=raw.name,
        cursor=raw.cursor,
        lag=raw.lag,
        last_seen=time(raw.last_seen, is_set=raw.HasField("last_seen")),
        connected=raw.connected,
        acknowledged=raw.acknowledged,
        shared=raw.shared,
        workers=raw.workers,
        leased=raw.leased,
        dead_letters=raw.dead_letters,
    )


def token(raw: access_pb2.AccessToken) -> Token:
    """Returns an access token of the API as an object."""
    return Token(
        name=raw.name,
        scopes=tuple(Scope(scope) for scope in raw.scopes),
        limited=raw.limited,
        contacts=tuple(TokenContact(one.peer_id, one.name) for one in raw.contacts),
        created=time(raw.created, is_set=raw.HasField("created")),
        expires=time(raw.expires, is_set=raw.HasField("expires")),
        last_used=time(raw.last_used, is_set=raw.HasField("last_used")),
        raw=raw,
    )


def token_use(raw: access_pb2.TokenUse) -> TokenUse:
    """Returns what a token was used for as an object."""
    return TokenUse(
        name=raw.name,
        call=raw.call,
        peer_id=raw.peer_id,
        permitted=raw.permitted,
        refused=raw.refused,
        first=time(raw.first, is_set=raw.HasField("first")),
        last=time(raw.last, is_set=raw.HasField("last")),
    )


def _policy(raw: contact_pb2.ContactPolicy) -> ContactPolicy:
    keep = raw.keep.ToTimedelta() if raw.HasField("keep") else None
    return ContactPolicy(raw.mailbox_grant, raw.mailbox_use, IpMode(raw.ip), keep)
