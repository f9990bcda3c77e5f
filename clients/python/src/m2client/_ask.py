"""A question, and which message is the reply to it. Does no I/O."""

from __future__ import annotations

import secrets
from time import monotonic
from typing import TYPE_CHECKING

from . import _calls, _events
from ._enums import Direction, MessageState
from ._errors import CallTimeoutError, NotDeliveredError, OwnMessageError
from ._model import Message
from ._proto import event_pb2

if TYPE_CHECKING:
    from ._calls import Call, MessageLike, TimeSpan
    from ._model import Contact, Sent

# The kinds of events that tell about a question.
KINDS = (_events.MessageReceived, _events.MessageStateChanged)

_KNOWN = {
    MessageState.DELIVERED: "The question was delivered.",
    MessageState.READ: "The question was read.",
    MessageState.DEPOSITED: "The question waits in a mailbox of the contact.",
}


class Inquiry:
    """A question to a contact, from when it is sent to when the reply is there or the time is up."""

    def __init__(
        self,
        contact: Contact,
        content: str | bytes,
        media_type: str,
        *,
        key: str,
        thread: MessageLike | None,
        ttl: TimeSpan | None,
        any_reply: bool,
        end: float,
    ) -> None:
        self.peer_id = contact.peer_id
        # The program may ask again with its own key, after a reply has come.
        self.may_be_asked_before = bool(key)
        self.send: Call[Sent] = _calls.send(
            contact,
            content,
            media_type,
            key=key or secrets.token_hex(16),
            reply_to=None,
            thread=thread,
            ttl=ttl,
        )
        self._any_reply = any_reply
        self._end = end
        self._message_id = ""
        self._state = MessageState.UNSPECIFIED

    def asked(self, sent: Sent) -> None:
        """Notes that the daemon has stored the question."""
        self._message_id = sent.message_id
        self._state = sent.state

    @property
    def message_id(self) -> str:
        """The id of the question; empty until the daemon has stored it."""
        return self._message_id

    def left(self) -> float:
        """Returns the seconds that are left. Raises the error for a reply that did not come in time."""
        left = self._end - monotonic()
        if left <= 0:
            raise self.timed_out()
        return left

    def check(self, event: _events.Event) -> _events.MessageReceived | None:
        """Returns the reply if the event is one. Raises `NotDeliveredError` if none can come."""
        if isinstance(event, _events.MessageReceived) and self._is_reply(event.peer_id, event.reply_to):
            return event
        if isinstance(event, _events.MessageStateChanged) and event.message_id == self._message_id:
            self._state = event.state
            if event.state in (MessageState.FAILED, MessageState.EXPIRED):
                raise NotDeliveredError(event.message_id, event.state, event.failure)
        return None

    def check_stored(self, message: Message) -> _events.MessageReceived | None:
        """Returns the reply as an event, if a stored message is one."""
        is_gone = message.retracted or message.direction is not Direction.RECEIVED
        if is_gone or not self._is_reply(message.peer_id, message.reply_to):
            return None
        raw = event_pb2.Event(time=message.raw.stored)
        for name in ("message_id", "peer_id", "text", "data", "media_type", "reply_to", "thread"):
            setattr(raw.message_received, name, getattr(message.raw, name))
        raw.message_received.sent.CopyFrom(message.raw.sent)
        event = _events.event(raw)
        return event if isinstance(event, _events.MessageReceived) else None

    def timed_out(self) -> CallTimeoutError:
        """Returns the error for a reply that did not come in time."""
        known = _KNOWN.get(self._state, "The question is not delivered yet; it stays queued.")
        if not self._message_id:
            known = "It is not known whether the question was sent."
        metadata = {"message_id": self._message_id} if self._message_id else {}
        return CallTimeoutError(f"No reply came in time. {known}", metadata=metadata)

    def _is_reply(self, peer_id: str, reply_to: str) -> bool:
        refers = bool(self._message_id) and reply_to == self._message_id
        return peer_id == self.peer_id and (refers or (self._any_reply and not reply_to))


def original(message: MessageLike) -> tuple[str, str] | None:
    """Returns the author and the thread of a message to reply to, or `None` if they have to be asked for.

    Raises `OwnMessageError` for a message that this user sent.
    """
    if isinstance(message, _events.MessageReceived):
        return message.peer_id, message.thread
    if not isinstance(message, Message):
        return None
    if message.direction is Direction.SENT:
        raise OwnMessageError(
            "You sent this message yourself. Reply to a received one, or use `send` with `reply_to`."
        )
    return message.peer_id, message.thread
