"""One error for each reason. Written by clients/python/generate.py."""

from typing import Final

from ._errors import (
    AccessError,
    BackupError,
    ContactError,
    DaemonUnavailableError,
    EventError,
    InvitationError,
    LineError,
    M2Error,
    MailboxError,
    MessageError,
    RequestError,
    StoreError,
)

__all__ = [
    "BackupRunningError",
    "ClientInUseError",
    "ClientModeDiffersError",
    "ClientUnknownError",
    "ContactAmbiguousError",
    "ContactUnknownError",
    "CursorInvalidError",
    "DiskFullError",
    "InternalError",
    "InvalidArgumentError",
    "InvitationExpiredError",
    "InvitationInvalidError",
    "InvitationOwnError",
    "InvitationUnknownError",
    "KeyReusedError",
    "LimitReachedError",
    "LineAmbiguousError",
    "LineUnknownError",
    "LockedError",
    "MailboxAmbiguousError",
    "MailboxUnknownError",
    "MessageTooLargeError",
    "MessageUnknownError",
    "NameTakenError",
    "NoPassphraseError",
    "NoRequestError",
    "NotAContactError",
    "NotAllowedError",
    "NotAuthorError",
    "NotLockedError",
    "OtherCircleError",
    "OutboxFullError",
    "StoppingError",
    "StoreDamagedError",
    "StoreFailedError",
    "StoreIoError",
    "StoreReadOnlyError",
    "StoreWrongKeyError",
    "TokenInvalidError",
    "TokenUnknownError",
    "WrongPassphraseError",
]


class LockedError(AccessError):
    """The daemon is locked.

    Unlock it with the identity's passphrase.
    """

    reason = "LOCKED"


class NotLockedError(AccessError):
    """The daemon is not locked, so there is nothing to unlock."""

    reason = "NOT_LOCKED"


class WrongPassphraseError(AccessError):
    """The passphrase is wrong.

    Check it and try again.
    """

    reason = "WRONG_PASSPHRASE"


class StoppingError(DaemonUnavailableError):
    """The daemon is stopping.

    Try again once it runs again.
    """

    reason = "STOPPING"


class NotAllowedError(AccessError):
    """Not allowed: only the user that the daemon runs as, and root, may call it."""

    reason = "NOT_ALLOWED"


class TokenInvalidError(AccessError):
    """The access token is not valid: it is unknown, has expired or was revoked.

    Ask the owner for another one, made with `m2 token create`.
    """

    reason = "TOKEN_INVALID"


class TokenUnknownError(AccessError):
    """No access token has this name. `m2 token list` shows all."""

    reason = "TOKEN_UNKNOWN"


class InvalidArgumentError(RequestError):
    """A value in the request is not valid.

    Check it against the reference of the API.
    """

    reason = "INVALID_ARGUMENT"


class DiskFullError(StoreError):
    """The daemon's disk is full; nothing was stored.

    Make room and try again.
    """

    reason = "DISK_FULL"


class StoreReadOnlyError(StoreError):
    """The daemon's store is read-only; nothing was stored.

    Make the file and its file system writable and try again.
    """

    reason = "STORE_READ_ONLY"


class StoreDamagedError(StoreError):
    """The daemon's store is damaged.

    Stop the daemon, find out what is affected with `m2d check`, and restore a backup with `m2d restore`.
    """

    reason = "STORE_DAMAGED"


class StoreIoError(StoreError):
    """The disk of the daemon's store reports errors; nothing was stored.

    Look at the system's log, back up the data directory, and replace the disk.
    """

    reason = "STORE_IO_ERROR"


class StoreWrongKeyError(StoreError):
    """The daemon's store does not open with this identity.

    Put back the identity.pem that belongs to it, or restore a backup with `m2d restore`.
    """

    reason = "STORE_WRONG_KEY"


class LimitReachedError(RequestError):
    """A limit on stored items is reached.

    Remove items that are no longer needed, then try again.
    """

    reason = "LIMIT_REACHED"


class StoreFailedError(StoreError):
    """The daemon could not write its store; nothing was stored.

    Its log says why; try again.
    """

    reason = "STORE_FAILED"


class InternalError(M2Error):
    """The daemon failed.

    Read its log for the cause, then try again.
    """

    reason = "INTERNAL"


class BackupRunningError(BackupError):
    """Another backup is being made.

    Wait until it is done and try again.
    """

    reason = "BACKUP_RUNNING"


class NoPassphraseError(BackupError):
    """The identity has no passphrase that could protect a backup.

    Choose one for the backup.
    """

    reason = "NO_PASSPHRASE"


class InvitationInvalidError(InvitationError):
    """Not a valid M2 invitation.

    Copy it again completely, beginning with m2://.
    """

    reason = "INVITATION_INVALID"


class InvitationExpiredError(InvitationError):
    """This invitation has expired.

    Ask its sender for a new one.
    """

    reason = "INVITATION_EXPIRED"


class InvitationOwnError(InvitationError):
    """This is your own invitation.

    Send it to the other person, who adds it there.
    """

    reason = "INVITATION_OWN"


class InvitationUnknownError(InvitationError):
    """No open invitation has this id: it never existed, has expired, was used or was revoked."""

    reason = "INVITATION_UNKNOWN"


class OtherCircleError(InvitationError):
    """This invitation belongs to another circle.

    Use the daemon of that circle.
    """

    reason = "OTHER_CIRCLE"


class NameTakenError(ContactError):
    """Another contact has this name, or a name that looks like it.

    Choose a different name.
    """

    reason = "NAME_TAKEN"


class ContactUnknownError(ContactError):
    """No contact has this name or peer id."""

    reason = "CONTACT_UNKNOWN"


class ContactAmbiguousError(ContactError):
    """Several contacts match.

    Give the whole name, or more characters of the peer id.
    """

    reason = "CONTACT_AMBIGUOUS"


class NotAContactError(ContactError):
    """This peer is not a contact: both sides must have agreed first."""

    reason = "NOT_A_CONTACT"


class NoRequestError(ContactError):
    """This peer has no open request to become a contact."""

    reason = "NO_REQUEST"


class MailboxUnknownError(MailboxError):
    """No mailbox is registered with this provider."""

    reason = "MAILBOX_UNKNOWN"


class MailboxAmbiguousError(MailboxError):
    """Several providers match.

    Give more characters of the peer id.
    """

    reason = "MAILBOX_AMBIGUOUS"


class LineUnknownError(LineError):
    """This relay is not one of this daemon's own relays."""

    reason = "LINE_UNKNOWN"


class LineAmbiguousError(LineError):
    """Several relays match.

    Give more characters of the peer id.
    """

    reason = "LINE_AMBIGUOUS"


class MessageUnknownError(MessageError):
    """There is no such message, it is gone, or it is in another conversation.

    An id is 32 hexadecimal digits.
    """

    reason = "MESSAGE_UNKNOWN"


class NotAuthorError(MessageError):
    """Only the author of a message may do this."""

    reason = "NOT_AUTHOR"


class MessageTooLargeError(MessageError):
    """The content is larger than 48 KiB (49,152 bytes).

    Send it in several messages.
    """

    reason = "MESSAGE_TOO_LARGE"


class KeyReusedError(MessageError):
    """This idempotency key was used for a different message.

    Use a new key for each message.
    """

    reason = "KEY_REUSED"


class OutboxFullError(MessageError):
    """Too many messages wait for this contact.

    Try again when some of them are delivered.
    """

    reason = "OUTBOX_FULL"


class CursorInvalidError(EventError):
    """This cursor is not valid: it is malformed or belongs to another event log.

    Start from the oldest event.
    """

    reason = "CURSOR_INVALID"


class ClientInUseError(EventError):
    """Another listener uses this client name.

    End it or choose another name.
    """

    reason = "CLIENT_IN_USE"


class ClientModeDiffersError(EventError):
    """This client name is used in the other mode: shared by workers, or by one listener alone.

    Choose another name.
    """

    reason = "CLIENT_MODE_DIFFERS"


class ClientUnknownError(EventError):
    """No front-end of this name has subscribed yet."""

    reason = "CLIENT_UNKNOWN"


BY_REASON: Final[dict[str, type[M2Error]]] = {
    "LOCKED": LockedError,
    "NOT_LOCKED": NotLockedError,
    "WRONG_PASSPHRASE": WrongPassphraseError,
    "STOPPING": StoppingError,
    "NOT_ALLOWED": NotAllowedError,
    "TOKEN_INVALID": TokenInvalidError,
    "TOKEN_UNKNOWN": TokenUnknownError,
    "INVALID_ARGUMENT": InvalidArgumentError,
    "DISK_FULL": DiskFullError,
    "STORE_READ_ONLY": StoreReadOnlyError,
    "STORE_DAMAGED": StoreDamagedError,
    "STORE_IO_ERROR": StoreIoError,
    "STORE_WRONG_KEY": StoreWrongKeyError,
    "LIMIT_REACHED": LimitReachedError,
    "STORE_FAILED": StoreFailedError,
    "INTERNAL": InternalError,
    "BACKUP_RUNNING": BackupRunningError,
    "NO_PASSPHRASE": NoPassphraseError,
    "INVITATION_INVALID": InvitationInvalidError,
    "INVITATION_EXPIRED": InvitationExpiredError,
    "INVITATION_OWN": InvitationOwnError,
    "INVITATION_UNKNOWN": InvitationUnknownError,
    "OTHER_CIRCLE": OtherCircleError,
    "NAME_TAKEN": NameTakenError,
    "CONTACT_UNKNOWN": ContactUnknownError,
    "CONTACT_AMBIGUOUS": ContactAmbiguousError,
    "NOT_A_CONTACT": NotAContactError,
    "NO_REQUEST": NoRequestError,
    "MAILBOX_UNKNOWN": MailboxUnknownError,
    "MAILBOX_AMBIGUOUS": MailboxAmbiguousError,
    "LINE_UNKNOWN": LineUnknownError,
    "LINE_AMBIGUOUS": LineAmbiguousError,
    "MESSAGE_UNKNOWN": MessageUnknownError,
    "NOT_AUTHOR": NotAuthorError,
    "MESSAGE_TOO_LARGE": MessageTooLargeError,
    "KEY_REUSED": KeyReusedError,
    "OUTBOX_FULL": OutboxFullError,
    "CURSOR_INVALID": CursorInvalidError,
    "CLIENT_IN_USE": ClientInUseError,
    "CLIENT_MODE_DIFFERS": ClientModeDiffersError,
    "CLIENT_UNKNOWN": ClientUnknownError,
}
