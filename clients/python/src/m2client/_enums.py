"""The enumerations of the API. A value of a later daemon becomes a member named `UNKNOWN_` and its number."""

from __future__ import annotations

import enum


class OpenEnum(enum.IntEnum):
    """An enumeration to which later versions of the daemon may add values."""

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    def __str__(self) -> str:
        return self.name


class MessageState(OpenEnum):
    """The state of a message. Received messages are only ever `DELIVERED` or `READ`."""

    UNSPECIFIED = 0
    QUEUED = 1
    SENT = 2
    DEPOSITED = 3
    DELIVERED = 4
    READ = 5
    FAILED = 6
    EXPIRED = 7


class Direction(OpenEnum):
    """Which side wrote a message or a reaction."""

    UNSPECIFIED = 0
    SENT = 1
    RECEIVED = 2


class ContactState(OpenEnum):
    """The relation between this identity and a peer."""

    UNSPECIFIED = 0
    ASKED = 1
    REQUEST = 2
    CONTACT = 3
    BLOCKED = 4
    DECLINED = 5


class DaemonState(OpenEnum):
    """The daemon's operational state."""

    UNSPECIFIED = 0
    LOCKED = 1
    READY = 2
    STOPPING = 3


class Path(OpenEnum):
    """The path that the session with a contact takes."""

    UNSPECIFIED = 0
    NONE = 1
    DIRECT = 2
    LINE = 3


class IpMode(OpenEnum):
    """The paths that sessions with a contact may take. Later values are stricter."""

    UNSPECIFIED = 0
    DIRECT = 1
    PREFER_LINE = 2
    LINE_ONLY = 3


class ConflictKind(OpenEnum):
    """How a daemon's store contradicts what the other side has seen of it."""

    UNSPECIFIED = 0
    OLDER = 1
    TWICE = 2


class Start(OpenEnum):
    """Where a stream of events starts."""

    DEFAULT = 0
    NOW = 1
    OLDEST = 2


class Scope(OpenEnum):
    """A set of calls that an access token permits."""

    UNSPECIFIED = 0
    EVENTS = 1
    SEND = 2
    HISTORY = 3
    CONTACTS = 4
    ADMIN = 5
    STATUS = 6
