"""The calls of the API: the request of each call, and the object that its response becomes.

Both clients run these descriptions; nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    Union,
    cast,
)

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from . import _model as model
from ._enums import ContactState, MessageState
from ._errors import CallTimeoutError, NotDeliveredError
from ._proto import (
    contact_pb2,
    daemon_pb2,
    identity_pb2,
    invitation_pb2,
    message_pb2,
    methods,
)
from ._reasons import MessageTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from google.protobuf.message import Message as RawMessage

    from ._method import UnaryMethod

# The largest request that the daemon decodes, without room for the other fields. Content above the
# 48 KiB of one message but below this is refused by the daemon itself.
_MAX_REQUEST_CONTENT = 1024 * 1024 - 8192

Result = TypeVar("Result")


class HasPeerId(Protocol):
    """An object that belongs to a peer: a contact, a message, an event."""

    @property
    def peer_id(self) -> str:
        """The peer id."""


class HasMessageId(Protocol):
    """An object that belongs to a message: the message, an event, the result of `send`."""

    @property
    def message_id(self) -> str:
        """The id of the message."""


# A contact: its name, its peer id, an unambiguous prefix of it, or an object with a peer id.
ContactLike = Union[str, HasPeerId]
# A message: its id, or an object with one.
MessageLike = Union[str, HasMessageId]
# A length of time: in seconds, or as `timedelta`.
TimeSpan = Union[float, timedelta]
# The states for which `send` and `wait_for` can wait.
WaitFor = Union[MessageState, Literal["sent", "deposited", "delivered"]]


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A call of a method with one response."""

    method: UnaryMethod[Any, Any]
    request: RawMessage
    convert: Callable[[Any], Result]


@dataclass(frozen=True)
class Page(Generic[Result]):
    """One page of a list, and where the next one starts; empty for the last page."""

    items: list[Result]
    next: str


def status() -> Call[model.Status]:
    """Describes GetStatus."""
    return Call(methods.DaemonService.GetStatus, daemon_pb2.GetStatusRequest(), model.status)


def unlock(passphrase: str) -> Call[None]:
    """Describes Unlock."""
    request = daemon_pb2.UnlockRequest(passphrase=passphrase)
    return Call(methods.DaemonService.Unlock, request, nothing)


def identity() -> Call[model.Identity]:
    """Describes GetIdentity."""
    request = identity_pb2.GetIdentityRequest()
    return Call(methods.IdentityService.GetIdentity, request, model.identity)


def invite(name: str, valid_for: TimeSpan | None, *, reusable: bool) -> Call[model.Invitation]:
    """Describes CreateInvitation."""
    request = invitation_pb2.CreateInvitationRequest(
        reusable=reusable, valid_for=duration(valid_for), contact_name=name
    )
    return Call(
        methods.InvitationService.CreateInvitation,
        request,
        lambda response: model.invitation(response.invitation, response.uri),
    )


def invitations() -> Call[list[model.Invitation]]:
    """Describes ListInvitations."""
    return Call(
        methods.InvitationService.ListInvitations,
        invitation_pb2.ListInvitationsRequest(),
        lambda response: [model.invitation(one) for one in response.invitations],
    )


def revoke_invitation(invitation: str | model.Invitation) -> Call[None]:
    """Describes RevokeInvitation."""
    identifier = invitation if isinstance(invitation, str) else invitation.invitation_id
    request = invitation_pb2.RevokeInvitationRequest(invitation_id=identifier)
    return Call(methods.InvitationService.RevokeInvitation, request, nothing)


def add(invitation: str, name: str) -> Call[model.Contact]:
    """Describes AddContact."""
    request = contact_pb2.AddContactRequest(invitation=invitation, name=name)
    return Call(methods.ContactService.AddContact, request, _contact)


def contacts(state: ContactState | None, after: str) -> Call[Page[model.Contact]]:
    """Describes ListContacts."""
    request = contact_pb2.ListContactsRequest(after=after)
    if state is not None:
        request.state = cast("contact_pb2.ContactState", state)
    return Call(
        methods.ContactService.ListContacts,
        request,
        lambda response: Page([model.contact(one) for one in response.contacts], response.next),
    )


def contact(contact: ContactLike) -> Call[model.Contact]:
    """Describes GetContact."""
    request = contact_pb2.GetContactRequest(contact=peer(contact))
    return Call(methods.ContactService.GetContact, request, _contact)


def rename(contact: ContactLike, name: str) -> Call[model.Contact]:
    """Describes RenameContact."""
    request = contact_pb2.RenameContactRequest(contact=peer(contact), name=name)
    return Call(methods.ContactService.RenameContact, request, _contact)


def accept(contact: ContactLike, name: str) -> Call[model.Contact]:
    """Describes AcceptContact."""
    request = contact_pb2.AcceptContactRequest(contact=peer(contact), name=name)
    return Call(methods.ContactService.AcceptContact, request, _contact)


def decline(contact: ContactLike) -> Call[None]:
    """Describes DeclineContact."""
    request = contact_pb2.DeclineContactRequest(contact=peer(contact))
    return Call(methods.ContactService.DeclineContact, request, nothing)


def block(contact: ContactLike) -> Call[None]:
    """Describes BlockContact."""
    request = contact_pb2.BlockContactRequest(contact=peer(contact))
    return Call(methods.ContactService.BlockContact, request, nothing)


def remove(contact: ContactLike, *, history: bool) -> Call[None]:
    """Describes RemoveContact."""
    request = contact_pb2.RemoveContactRequest(contact=peer(contact), history=history)
    return Call(methods.ContactService.RemoveContact, request, nothing)


def verify(contact: ContactLike, *, matched: bool | None) -> Call[model.Verification]:
    """Describes VerifyContact."""
    request = contact_pb2.VerifyContactRequest(contact=peer(contact))
    if matched is not None:
        request.matched = matched
    return Call(
        methods.ContactService.VerifyContact,
        request,
        lambda response: model.Verification(response.code, response.verified),
    )


def send(
    contact: ContactLike,
    content: str | bytes,
    media_type: str,
    *,
    key: str,
    reply_to: MessageLike | None,
    thread: MessageLike | None,
    ttl: TimeSpan | None,
) -> Call[model.Sent]:
    """Describes SendMessage."""
    request = message_pb2.SendMessageRequest(
        contact=peer(contact),
        media_type=media_type,
        ttl=duration(ttl),
        idempotency_key=key,
        reply_to="" if reply_to is None else identifier(reply_to),
        thread="" if thread is None else identifier(thread),
    )
    if isinstance(content, str):
        request.text = content
        size = len(content.encode())
    else:
        request.data = bytes(content)
        size = len(content)
    if size > _MAX_REQUEST_CONTENT:
        raise MessageTooLargeError(f"The content has {size} bytes; at most 49,152 are possible.")
    return Call(methods.MessageService.SendMessage, request, _sent)


def message(message: MessageLike) -> Call[model.Message]:
    """Describes GetMessage."""
    request = message_pb2.GetMessageRequest(message_id=identifier(message))
    return Call(
        methods.MessageService.GetMessage,
        request,
        lambda response: model.message(response.message),
    )


@dataclass(frozen=True)
class Part:
    """A part of a conversation, and the order in which it is listed."""

    contact: ContactLike
    page_size: int
    forward: bool
    before: str
    after: str
    since: datetime | None
    until: datetime | None

    def call(self, place: str) -> Call[Page[model.Message]]:
        """Describes ListMessages: the page at `place`, which the page before named; empty for the first."""
        request = message_pb2.ListMessagesRequest(
            contact=peer(self.contact),
            limit=self.page_size,
            forward=self.forward,
            before=self.before,
            after=self.after,
            since=_stamp(self.since),
            until=_stamp(self.until),
        )
        if place:
            setattr(request, "after" if self.forward else "before", place)
        return Call(methods.MessageService.ListMessages, request, _messages)


def search(text: str, page_size: int, before: str, contact: ContactLike | None) -> Call[Page[model.Message]]:
    """Describes SearchMessages."""
    request = message_pb2.SearchMessagesRequest(
        text=text, limit=page_size, before=before, contact="" if contact is None else peer(contact)
    )
    return Call(methods.MessageService.SearchMessages, request, _messages)


def edit(message: MessageLike, text: str) -> Call[None]:
    """Describes EditMessage."""
    request = message_pb2.EditMessageRequest(message_id=identifier(message), text=text)
    return Call(methods.MessageService.EditMessage, request, nothing)


def retract(message: MessageLike) -> Call[None]:
    """Describes RetractMessage."""
    request = message_pb2.RetractMessageRequest(message_id=identifier(message))
    return Call(methods.MessageService.RetractMessage, request, nothing)


def mark_read(messages: Iterable[MessageLike]) -> Call[None]:
    """Describes MarkRead."""
    request = message_pb2.MarkReadRequest(message_ids=[identifier(one) for one in messages])
    return Call(methods.MessageService.MarkRead, request, nothing)


def react(message: MessageLike, text: str) -> Call[None]:
    """Describes React."""
    request = message_pb2.ReactRequest(message_id=identifier(message), text=text)
    return Call(methods.MessageService.React, request, nothing)


def typing(contact: ContactLike, *, active: bool) -> Call[bool]:
    """Describes SetTyping."""
    request = message_pb2.SetTypingRequest(contact=peer(contact), active=active)
    return Call(methods.MessageService.SetTyping, request, lambda response: bool(response.sent))


def watch(message: MessageLike) -> message_pb2.WatchMessageRequest:
    """Returns the request of WatchMessage."""
    return message_pb2.WatchMessageRequest(message_id=identifier(message))


def goal(wait: WaitFor) -> MessageState:
    """Returns the state for which a call waits.

    Raises `ValueError` for a state for which the daemon does not let a call wait.
    """
    state = MessageState[wait.upper()] if isinstance(wait, str) else wait
    if state not in (MessageState.SENT, MessageState.DEPOSITED, MessageState.DELIVERED):
        raise ValueError(f"A call can wait for sent, deposited or delivered, not for {state}.")
    return state


def reached(response: message_pb2.WatchMessageResponse, goal: MessageState) -> bool:
    """Returns whether a message has reached the state for which the call waits, or a later one.

    Raises `NotDeliveredError` if it never will.
    """
    state = MessageState(response.state)
    if state in (MessageState.FAILED, MessageState.EXPIRED):
        raise NotDeliveredError(response.message_id, state, response.failure)
    return goal <= state <= MessageState.READ


def not_yet(message: MessageLike, goal: MessageState) -> CallTimeoutError:
    """Returns the error for a message that did not reach a state in time."""
    return CallTimeoutError(
        f"The message is not {goal.name.lower()} yet. It stays in the outbox.",
        metadata={"message_id": identifier(message)},
    )


def peer(contact: ContactLike) -> str:
    """Returns the name or peer id of a contact."""
    return contact if isinstance(contact, str) else contact.peer_id


def identifier(message: MessageLike) -> str:
    """Returns the id of a message."""
    return message if isinstance(message, str) else message.message_id


def _contact(response: Any) -> model.Contact:
    return model.contact(response.contact)


def _messages(response: Any) -> Page[model.Message]:
    return Page([model.message(one) for one in response.messages], response.next)


def _sent(response: Any) -> model.Sent:
    return model.Sent(response.message_id, MessageState(response.state))


def nothing(_: Any) -> None:
    """Converts an empty response."""
    return


def duration(span: TimeSpan | None) -> Duration | None:
    """Returns a length of time as a message of the API."""
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return duration


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"The time {moment} has no time zone, for example timezone.utc.")
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
