"""The messages of a stream that wait for the daemon's answer, in order. Does no I/O."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from . import _calls, _reasons
from ._enums import MessageState
from ._errors import M2Error
from ._failure import TEMPORARY
from ._model import Sent
from ._proto import message_pb2
from ._reasons import MessageTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._calls import ContactLike, MessageLike, TimeSpan


@dataclass(frozen=True)
class Draft:
    """A message to send, with the arguments of `send`."""

    contact: ContactLike
    content: str | bytes
    media_type: str = ""
    key: str = ""
    reply_to: MessageLike | None = None
    thread: MessageLike | None = None
    ttl: TimeSpan | None = None


@dataclass(frozen=True)
class SendResult:
    """What became of a draft: `sent`, or the `error` for which the daemon did not store it.

    `draft` has the key with which it was sent.
    """

    draft: Draft
    sent: Sent | None
    error: M2Error | None


@dataclass(frozen=True)
class _Entry:
    draft: Draft
    request: message_pb2.SendMessagesRequest | None
    error: M2Error | None
    size: int


class Window:
    """The drafts in progress. The daemon answers in their order."""

    MOST = 256
    MOST_BYTES = 2 * 1024 * 1024

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._bytes = 0

    @property
    def has_room(self) -> bool:
        """True if a further draft may be added."""
        return len(self._entries) < self.MOST and self._bytes < self.MOST_BYTES

    @property
    def is_empty(self) -> bool:
        """True if no draft is in progress."""
        return not self._entries

    @property
    def waits(self) -> bool:
        """True if a draft waits for an answer. The oldest one does, once the refused ones are removed."""
        return self._bytes > 0

    def add(self, draft: Draft) -> message_pb2.SendMessagesRequest | None:
        """Adds a draft. Returns the request to send, or `None` if the draft is too large to be sent.

        A draft without a key gets one, so that it can be sent again when it is unknown whether the
        daemon has stored it.
        """
        draft = draft if draft.key else replace(draft, key=secrets.token_hex(16))
        try:
            call = _calls.send(
                draft.contact,
                draft.content,
                draft.media_type,
                key=draft.key,
                reply_to=draft.reply_to,
                thread=draft.thread,
                ttl=draft.ttl,
            )
        except MessageTooLargeError as error:
            self._entries.append(_Entry(draft, None, error, 0))
            return None
        request = message_pb2.SendMessagesRequest(
            message=cast("message_pb2.SendMessageRequest", call.request)
        )
        size = request.ByteSize()
        self._entries.append(_Entry(draft, request, None, size))
        self._bytes += size
        return request

    def refused(self) -> Iterator[SendResult]:
        """Removes and yields the refused drafts before which none waits for an answer."""
        while self._entries and self._entries[0].request is None:
            entry = self._entries.popleft()
            yield SendResult(entry.draft, None, entry.error)

    def unanswered(self) -> list[message_pb2.SendMessagesRequest]:
        """Returns the requests that wait for an answer, in order."""
        return [entry.request for entry in self._entries if entry.request is not None]

    def answered(self, response: message_pb2.SendMessagesResponse) -> SendResult:
        """Removes the oldest draft that waits. Returns what became of it.

        Raises the error if it says that the daemon can't store anything at present. The draft then
        stays, to be sent again.
        """
        error = _error(response)
        if isinstance(error, TEMPORARY):
            raise error
        if not self._entries:
            raise M2Error("The daemon answered more messages than were sent.", reason="INTERNAL")
        entry = self._entries.popleft()
        self._bytes -= entry.size
        if error is not None:
            return SendResult(entry.draft, None, error)
        sent = response.sent
        return SendResult(entry.draft, Sent(sent.message_id, MessageState(sent.state)), None)


def _error(response: message_pb2.SendMessagesResponse) -> M2Error | None:
    if response.HasField("sent"):
        return None
    if not response.HasField("error"):
        return M2Error("The daemon's answer is of a later version.")
    error = response.error
    kind = _reasons.BY_REASON.get(error.reason, M2Error)
    return kind(error.message, reason=error.reason)
