"""The base classes of the errors, and the errors that the package itself raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._enums import MessageState

__all__ = [
    "AccessError",
    "BackupError",
    "CallTimeoutError",
    "ClosedError",
    "ConnectionLostError",
    "ContactError",
    "DaemonUnavailableError",
    "EventError",
    "InvitationError",
    "LineError",
    "M2Error",
    "MailboxError",
    "MessageError",
    "NoDaemonError",
    "NotDeliveredError",
    "OwnMessageError",
    "RequestError",
    "StoreError",
]


class M2Error(Exception):
    """A call failed. The base class of all errors of this package.

    `reason` is one of the reasons in the reference of the API, which do not change. A reason of a
    later daemon, which this package does not know, is an instance of this class itself. `message` is
    a sentence for people and may change. `metadata` names details for programs, such as the `field`
    of the request and its `limit`. `code` is the name of the gRPC status, empty for an error that
    the package raises without a call.
    """

    reason: str = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        code: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.metadata: dict[str, str] = dict(metadata or {})
        if reason is not None:
            self.reason = reason


class DaemonUnavailableError(M2Error):
    """The daemon can't be reached at present: it is absent, starting or stopping. Try again later."""

    reason = "UNAVAILABLE"


class NoDaemonError(DaemonUnavailableError):
    """No daemon listens at the socket."""

    reason = "NO_DAEMON"


class ConnectionLostError(DaemonUnavailableError):
    """The connection broke during the call, so it is unknown whether the daemon executed it."""

    reason = "CONNECTION_LOST"


class CallTimeoutError(M2Error, TimeoutError):
    """The call took longer than its timeout, so it is unknown whether the daemon executed it."""

    reason = "TIMEOUT"


class ClosedError(M2Error):
    """The client was closed."""

    reason = "CLOSED"


class AccessError(M2Error):
    """The daemon is locked, the passphrase is wrong, or the caller is not allowed."""


class RequestError(M2Error):
    """A value of the request is not valid, or a limit is reached."""


class StoreError(M2Error):
    """The daemon's store or disk fails. Nothing was stored."""


class BackupError(M2Error):
    """A backup can't be made."""


class InvitationError(M2Error):
    """The invitation is not valid here."""


class ContactError(M2Error):
    """The contact is unknown, ambiguous or in another state, or its name is taken."""


class MailboxError(M2Error):
    """The mailbox is unknown or ambiguous."""


class LineError(M2Error):
    """The relay is unknown or ambiguous."""


class MessageError(M2Error):
    """The message is unknown, too large, of another author, or can't be queued."""


class NotDeliveredError(MessageError):
    """A message was given up or expired before it reached the state for which the call waited.

    `reason` is `EXPIRED`, or why the message failed, such as `CONTACT_REMOVED`. `message_id` and
    `state` are those of the message.
    """

    reason = "FAILED"

    def __init__(self, message_id: str, state: MessageState, failure: str) -> None:
        reason = failure or state.name
        text = "Its time to live ended" if reason == "EXPIRED" else f"It was given up ({reason})"
        super().__init__(f"The message was not delivered. {text}.", reason=reason)
        self.message_id = message_id
        self.state = state

    def __reduce__(self) -> tuple[type[NotDeliveredError], tuple[object, ...]]:
        return type(self), (self.message_id, self.state, self.reason)


class OwnMessageError(MessageError):
    """The message to reply to was sent by this user.

    Replies to own messages are refused, because a program that replies to every event would reply to its
    own replies, without end. `send` with `reply_to` sends one nevertheless.
    """

    reason = "OWN_MESSAGE"


class EventError(M2Error):
    """The cursor is not valid, or the client name is unknown or in use."""
