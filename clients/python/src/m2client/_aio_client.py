"""The client for asyncio."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from . import _ask as asking
from . import _calls as calls
from . import _channel, _failure
from . import _event_calls as event_calls
from ._aio_owner import AsyncOwnerCalls
from ._aio_send_many import AsyncSending
from ._aio_stream import AsyncEventStream, AsyncWorkStream
from ._backoff import Backoff
from ._enums import MessageState, Start
from ._progress import Options, selection
from ._reasons import NotAllowedError
from ._work import WorkOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from datetime import datetime

    from . import _model as model
    from ._aio_send_many import Drafts
    from ._calls import ContactLike, MessageLike, TimeSpan, WaitFor
    from ._events import KindLike, MessageReceived
    from ._jobs import DeadLetter
    from ._window import SendResult


class AsyncClient(AsyncOwnerCalls):
    """A connection to a daemon.

    `socket` is the path of the daemon's socket. Without it, the environment variable `M2_SOCKET`
    and then the default places are tried, as by `m2`. The constructor connects to nothing: the first
    call does, and after a restart of the daemon the next call connects again.

    `token` is the text of an access token, which limits what the client may do. Without it, the file
    that `M2_TOKEN_FILE` names or the token in `M2_TOKEN` is used, if there is one.

    Every call takes a `timeout` in seconds; by default it is that of the client. A call that fails
    raises an `M2Error`.

    A client may be used by any number of tasks at the same time, all in the event loop in which its
    first call was made. A task that is cancelled cancels its call.
    """

    async def __aenter__(self) -> AsyncClient:
        return self

    # Messages.

    async def send(
        self,
        contact: ContactLike,
        content: str | bytes,
        media_type: str = "",
        *,
        key: str = "",
        reply_to: MessageLike | None = None,
        thread: MessageLike | None = None,
        ttl: TimeSpan | None = None,
        wait: WaitFor | None = None,
        timeout: float | None = None,
    ) -> model.Sent:
        """Stores a message in the outbox, from where it is delivered exactly once.

        `content` is text, or bytes of the given media type; at most 48 KiB. `key` makes the call
        idempotent: repeating it within 30 days with the same arguments sends nothing again. With
        `wait`, the call returns once the message is in that state; see `wait_for` for its errors.
        `timeout` is for both together.
        """
        end = monotonic() + _channel.timeout_of(timeout, self._timeout)
        call = calls.send(contact, content, media_type, key=key, reply_to=reply_to, thread=thread, ttl=ttl)
        goal = None if wait is None else calls.goal(wait)
        sent = await self._run(call, timeout)
        if goal is None:
            return sent
        return await self._wait_for(sent, goal, end)

    def send_many(self, drafts: Drafts, *, timeout: float | None = None) -> AsyncGenerator[SendResult, None]:
        """Sends messages over one stream, and yields what became of each, in the order of `drafts`.

        Up to 256 drafts are read ahead of the results. A draft that the daemon does not accept does not
        stop the others. If the daemon restarts, the stream continues, and sends no draft twice. A program
        that may be ended in between gives each draft a `key`, and sends them all again.

        `timeout` is the longest wait for a result, also while the daemon is absent.
        """
        return AsyncSending(self, _channel.timeout_of(timeout, self._timeout)).results(drafts)

    async def reply(
        self,
        message: MessageLike,
        content: str | bytes,
        media_type: str = "",
        *,
        key: str = "",
        ttl: TimeSpan | None = None,
        wait: WaitFor | None = None,
        timeout: float | None = None,
    ) -> model.Sent:
        """Replies to a received message, in its thread if it belongs to one. Otherwise as `send`.

        Raises `OwnMessageError` for a message that this user sent. If `message` is neither a `Message` nor
        a `MessageReceived`, the daemon is asked for it, which needs the scope `HISTORY`.
        """
        found = asking.original(message) or asking.original(await self.message(message, timeout=timeout))
        if found is None:
            raise TypeError("A reply needs a message.")
        peer_id, thread = found
        return await self.send(
            peer_id,
            content,
            media_type,
            key=key,
            reply_to=message,
            thread=thread or None,
            ttl=ttl,
            wait=wait,
            timeout=timeout,
        )

    async def ask(
        self,
        contact: ContactLike,
        content: str | bytes,
        media_type: str = "",
        *,
        key: str = "",
        thread: MessageLike | None = None,
        ttl: TimeSpan | None = None,
        any_reply: bool = False,
        timeout: float | None = None,
    ) -> MessageReceived:
        """Sends a question, and returns the first message of the contact that replies to it.

        People often answer without a reference: with `any_reply`, also the contact's next message that
        refers to no other one is accepted. The call continues while the daemon restarts. A program that
        may be ended in between asks again with the same `key`, and also gets a reply that has come since.

        Raises `CallTimeoutError` if no reply came in time; the question then stays in the outbox, and
        the error's `metadata` has its `message_id`. Raises `NotDeliveredError` if it was given up.
        """
        end = monotonic() + _channel.timeout_of(timeout, self._timeout)
        inquiry = asking.Inquiry(
            await self.contact(contact, timeout=timeout),
            content,
            media_type,
            key=key,
            thread=thread,
            ttl=ttl,
            any_reply=any_reply,
            end=end,
        )
        return await self._reply_to(inquiry)

    async def wait_for(
        self,
        message: MessageLike,
        state: WaitFor = MessageState.DELIVERED,
        *,
        timeout: float | None = None,
    ) -> model.Sent:
        """Waits until a sent message is in a state or a later one, also while the daemon restarts.

        Raises `NotDeliveredError` if the message was given up or has expired, and
        `CallTimeoutError` after the timeout; the message then stays in the outbox, and the error's
        `metadata` has its `message_id`.
        """
        end = monotonic() + _channel.timeout_of(timeout, self._timeout)
        return await self._wait_for(message, calls.goal(state), end)

    async def message(self, message: MessageLike, *, timeout: float | None = None) -> model.Message:
        """Returns one message in its current state."""
        return await self._run(calls.message(message), timeout)

    async def messages(
        self,
        contact: ContactLike,
        *,
        forward: bool = False,
        before: str = "",
        after: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 50,
        timeout: float | None = None,
    ) -> AsyncGenerator[model.Message, None]:
        """Yields the messages of a conversation, newest first, or with `forward` oldest first.

        `before` and `after` are cursors of messages. `since` and `until` are times with a time zone:
        only messages that this daemon stored at or after `since`, and before `until`. Pages are fetched as
        they are needed; `timeout` is for each of them.
        """
        part = calls.Part(contact, page_size, forward, before, after, since, until)
        place = ""
        while True:
            page = await self._run(part.call(place), timeout)
            for message in page.items:
                yield message
            place = page.next
            if not place:
                return

    async def search(
        self,
        text: str,
        *,
        contact: ContactLike | None = None,
        page_size: int = 50,
        timeout: float | None = None,
    ) -> AsyncGenerator[model.Message, None]:
        """Yields the messages that contain all the words, newest first.

        Searches all conversations, or only the one with `contact`.
        """
        before = ""
        while True:
            page = await self._run(calls.search(text, page_size, before, contact), timeout)
            for message in page.items:
                yield message
            before = page.next
            if not before:
                return

    async def edit(self, message: MessageLike, text: str, *, timeout: float | None = None) -> None:
        """Replaces the content of a message that this user sent, on both sides."""
        await self._run(calls.edit(message, text), timeout)

    async def retract(self, message: MessageLike, *, timeout: float | None = None) -> None:
        """Deletes a message that this user sent, on both sides."""
        await self._run(calls.retract(message), timeout)

    async def mark_read(self, *messages: MessageLike, timeout: float | None = None) -> None:
        """Marks 1 to 256 received messages as read and notifies their authors."""
        await self._run(calls.mark_read(messages), timeout)

    async def react(self, message: MessageLike, text: str, *, timeout: float | None = None) -> None:
        """Sets this user's reaction to a message; an empty text removes it."""
        await self._run(calls.react(message, text), timeout)

    async def typing(
        self, contact: ContactLike, *, active: bool = True, timeout: float | None = None
    ) -> bool:
        """Tells a contact that this user types, or does so no longer.

        Returns whether the notice was sent: there is a session, and the rate limit allowed it.
        """
        return await self._run(calls.typing(contact, active=active), timeout)

    # Events.

    def events(
        self,
        client: str = "",
        *,
        start: Start = Start.DEFAULT,
        after: str = "",
        kinds: Iterable[KindLike] = (),
        contacts: Iterable[ContactLike] = (),
        notices: bool = False,
        presence: bool = False,
        heartbeat: TimeSpan | None = None,
        auto_ack: bool = True,
        reconnect: bool = True,
        timeout: float | None = None,
    ) -> AsyncEventStream:
        """Returns the stream of events, which has no end unless `timeout` is given.

        With a `client` name, the daemon remembers which events were acknowledged; see
        `AsyncEventStream`. A new name starts at the next event, or with `Start.OLDEST` at the oldest one
        that is kept. `after` is a cursor after which the stream starts.

        `kinds` are the classes of the events to receive, or their names such as "messageReceived".
        `contacts` are the contacts whose events to receive; events without a contact come in any case.
        Events that are left out count as acknowledged.

        With `notices`, the stream has each `TypingNotice`, with `presence` each `PresenceNotice`, first
        one for each contact. With `heartbeat`, it says at this interval that it is `CaughtUp`.

        The stream waits while the daemon is absent, stopping or locked, and resumes after the last
        event; without `reconnect`, it raises the error. With `auto_ack=False`, only `ack`
        acknowledges. With `timeout`, the stream and a loop over it end after that many seconds.
        """
        chosen = selection(start, after, kinds, contacts)
        options = Options(client, chosen, notices, presence, heartbeat, auto_ack, reconnect, timeout)
        return AsyncEventStream(self, options)

    def work(
        self,
        client: str,
        *,
        lease: TimeSpan | None = None,
        max_open: int = 1,
        max_deliveries: int = 5,
        start: Start = Start.DEFAULT,
        after: str = "",
        kinds: Iterable[KindLike] = (),
        contacts: Iterable[ContactLike] = (),
        auto_ack: bool = True,
        reconnect: bool = True,
        timeout: float | None = None,
    ) -> AsyncWorkStream:
        """Returns the jobs of one of the workers that share a client name.

        Each event is given to one of them, for the time of the `lease`, by default 30 seconds. If the
        worker has not finished by then, also because it was killed, a worker gets the event again. After
        `max_deliveries` times it becomes a dead letter. The events of a contact are given one after
        another, those of different contacts at the same time. All workers have the same `kinds` and
        `contacts`.

        A worker has up to `max_open` jobs at once, more than one only with `auto_ack=False`. See
        `AsyncWorkStream` for when a job is done, and `events` for the other arguments.
        """
        chosen = selection(start, after, kinds, contacts)
        options = WorkOptions(client, chosen, lease, max_open, max_deliveries, auto_ack, reconnect, timeout)
        return AsyncWorkStream(self, options)

    async def event_clients(self, *, timeout: float | None = None) -> list[model.EventClient]:
        """Returns the client names whose cursors the daemon stores."""
        return await self._run(event_calls.event_clients(), timeout)

    async def remove_event_client(self, name: str, *, timeout: float | None = None) -> None:
        """Forgets a client name, its cursor and its dead letters."""
        await self._run(event_calls.remove_event_client(name), timeout)

    async def dead_letters(
        self, client: str, *, page_size: int = 50, timeout: float | None = None
    ) -> AsyncGenerator[DeadLetter, None]:
        """Yields the events that the workers of a shared name could not handle, oldest first."""
        after = ""
        while True:
            page = await self._run(event_calls.dead_letters(client, page_size, after), timeout)
            for letter in page.items:
                yield letter
            after = page.next
            if not after:
                return

    async def retry_dead_letters(
        self, client: str, letters: Iterable[DeadLetter | str] | None = None, *, timeout: float | None = None
    ) -> int:
        """Gives dead letters to workers again, by default all. Returns their number.

        Letters are given as they are, or by their cursors.
        """
        count = 0
        for call in event_calls.settle(client, letters, retry=True):
            count += await self._run(call, timeout)
        return count

    async def drop_dead_letters(
        self, client: str, letters: Iterable[DeadLetter | str] | None = None, *, timeout: float | None = None
    ) -> int:
        """Drops dead letters, by default all. Returns their number.

        Letters are given as they are, or by their cursors.
        """
        count = 0
        for call in event_calls.settle(client, letters, retry=False):
            count += await self._run(call, timeout)
        return count

    async def _reply_to(self, inquiry: asking.Inquiry) -> MessageReceived:
        """Sends a question and waits for the reply. Subscribes before, so that no reply is too fast."""
        peers, left = [inquiry.peer_id], inquiry.left()
        async with self.events(kinds=asking.KINDS, contacts=peers, timeout=left) as events:
            reply = await self._asked(inquiry)
            while reply is None:
                event = await events._next_or_none()  # noqa: SLF001
                if event is None:
                    self._refuse_if_closed()
                    raise inquiry.timed_out()
                reply = inquiry.check(event)
        return reply

    async def _asked(self, inquiry: asking.Inquiry) -> MessageReceived | None:
        """Sends a question, again while the daemon restarts. Returns the reply if it is there already."""
        backoff = Backoff()
        while True:
            try:
                inquiry.asked(await self._run(inquiry.send, inquiry.left()))
                return await self._stored_reply(inquiry) if inquiry.may_be_asked_before else None
            except _failure.TEMPORARY:
                await self._sleep(min(backoff.next(), inquiry.left()))

    async def _stored_reply(self, inquiry: asking.Inquiry) -> MessageReceived | None:
        """Returns the reply to a question that was asked before, if the caller may read messages."""
        try:
            question = await self.message(inquiry.message_id, timeout=inquiry.left())
            async for message in self.messages(inquiry.peer_id, forward=True, after=question.cursor):
                reply = inquiry.check_stored(message)
                if reply is not None:
                    return reply
        except NotAllowedError:
            return None
        return None
