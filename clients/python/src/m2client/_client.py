"""The synchronous client."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from . import _calls as calls
from . import _channel, _failure, _socket, _token
from ._backoff import Backoff
from ._enums import MessageState, Start
from ._errors import CallTimeoutError, ClosedError
from ._model import Sent
from ._progress import Options
from ._proto import methods
from ._stream import EventStream

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    from . import _model as model
    from ._calls import ContactLike, MessageLike, TimeSpan, WaitFor
    from ._enums import ContactState
    from ._method import Method, Request, Response, StreamMethod, UnaryMethod

T = TypeVar("T")

_CLOSED = "The client is closed."


class Client:
    """A connection to a daemon.

    `socket` is the path of the daemon's socket. Without it, the environment variable `M2_SOCKET`
    and then the default places are tried, as by `m2`. The constructor connects to nothing: the first
    call does, and after a restart of the daemon the next call connects again.

    `token` is the text of an access token, which limits what the client may do. Without it, the file
    that `M2_TOKEN_FILE` names or the token in `M2_TOKEN` is used, if there is one.

    Every call takes a `timeout` in seconds; by default it is that of the client. A call that fails
    raises an `M2Error`.

    A client may be used by any number of threads at the same time. After `fork`, a child process
    needs a client of its own.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        *,
        token: str | None = None,
        timeout: float = _channel.DEFAULT_TIMEOUT,
    ) -> None:
        self._places = _socket.places(socket)
        self._metadata = _token.metadata(token)
        self._timeout = _channel.timeout_of(None, timeout)
        self._lock = threading.Lock()
        self._open_channel: grpc.Channel | None = None
        self._is_closed = False

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. Running calls of other threads fail, and streams of events end."""
        with self._lock:
            self._is_closed = True
            channel, self._open_channel = self._open_channel, None
        if channel is not None:
            channel.close()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._is_closed

    @property
    def channel(self) -> grpc.Channel:
        """The gRPC channel, for stubs of services that the package does not cover.

        Raises `NoDaemonError` if no daemon answers, and `ClosedError` after `close`.
        """
        with self._lock:
            if self._is_closed:
                raise ClosedError(_CLOSED)
            if self._open_channel is None:
                target = _socket.target(_socket.find(self._places))
                self._open_channel = grpc.insecure_channel(target, options=_channel.OPTIONS)
            return self._open_channel

    # The daemon.

    def status(self, *, timeout: float | None = None) -> model.Status:
        """Returns the daemon's state, counters and warnings. Works while the daemon is locked."""
        return self._run(calls.status(), timeout)

    def unlock(self, passphrase: str, *, timeout: float | None = None) -> None:
        """Unlocks the identity of a locked daemon. Returns once the daemon is ready."""
        self._run(calls.unlock(passphrase), timeout)

    def identity(self, *, timeout: float | None = None) -> model.Identity:
        """Returns this daemon's peer id and certificate."""
        return self._run(calls.identity(), timeout)

    # Invitations and contacts.

    def invite(
        self,
        name: str = "",
        *,
        valid_for: TimeSpan | None = None,
        reusable: bool = False,
        timeout: float | None = None,
    ) -> model.Invitation:
        """Creates an invitation, whose `uri` goes to the other party over a trusted channel.

        `name` is the local name of the contact that uses it. It is valid for 24 hours by default.
        """
        return self._run(calls.invite(name, valid_for, reusable=reusable), timeout)

    def invitations(self, *, timeout: float | None = None) -> list[model.Invitation]:
        """Returns the open invitations, oldest first."""
        return self._run(calls.invitations(), timeout)

    def revoke_invitation(self, invitation: str | model.Invitation, *, timeout: float | None = None) -> None:
        """Revokes an invitation. Peers that became contacts through it stay contacts."""
        self._run(calls.revoke_invitation(invitation), timeout)

    def add(self, invitation: str, name: str = "", *, timeout: float | None = None) -> model.Contact:
        """Accepts an invitation and asks its author to become a contact.

        Returns once the request is stored. A `ContactAdded` event follows when the peer accepts.
        """
        return self._run(calls.add(invitation, name), timeout)

    def contacts(
        self, state: ContactState | None = None, *, timeout: float | None = None
    ) -> list[model.Contact]:
        """Returns the contacts, sorted by name; only those in `state` if it is given."""
        found: list[model.Contact] = []
        after = ""
        while True:
            page = self._run(calls.contacts(state, after), timeout)
            found += page.items
            after = page.next
            if not after:
                return found

    def contact(self, contact: ContactLike, *, timeout: float | None = None) -> model.Contact:
        """Returns one contact with its reachability."""
        return self._run(calls.contact(contact), timeout)

    def rename(self, contact: ContactLike, name: str, *, timeout: float | None = None) -> model.Contact:
        """Changes the local name of a contact."""
        return self._run(calls.rename(contact, name), timeout)

    def accept(self, contact: ContactLike, name: str = "", *, timeout: float | None = None) -> model.Contact:
        """Accepts a peer's request to become a contact."""
        return self._run(calls.accept(contact, name), timeout)

    def decline(self, contact: ContactLike, *, timeout: float | None = None) -> None:
        """Declines a peer's request. The peer is notified and may ask again."""
        self._run(calls.decline(contact), timeout)

    def block(self, contact: ContactLike, *, timeout: float | None = None) -> None:
        """Blocks a peer, whether or not it is a contact."""
        self._run(calls.block(contact), timeout)

    def remove(self, contact: ContactLike, *, history: bool = False, timeout: float | None = None) -> None:
        """Removes a contact and its outbox; with `history` also its messages."""
        self._run(calls.remove(contact, history=history), timeout)

    def verify(
        self,
        contact: ContactLike,
        *,
        matched: bool | None = None,
        timeout: float | None = None,
    ) -> model.Verification:
        """Returns the verification code, and stores whether it matched if `matched` is given."""
        return self._run(calls.verify(contact, matched=matched), timeout)

    # Messages.

    def send(
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
        sent = self._run(call, timeout)
        if goal is None:
            return sent
        return self._wait_for(sent, goal, end)

    def wait_for(
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
        return self._wait_for(message, calls.goal(state), end)

    def message(self, message: MessageLike, *, timeout: float | None = None) -> model.Message:
        """Returns one message in its current state."""
        return self._run(calls.message(message), timeout)

    def messages(
        self, contact: ContactLike, *, page_size: int = 50, timeout: float | None = None
    ) -> Iterator[model.Message]:
        """Yields the messages of a conversation, newest first. Fetches pages as they are needed."""
        before = ""
        while True:
            page = self._run(calls.messages(contact, page_size, before), timeout)
            for message in page.items:
                yield message
            before = page.next
            if not before:
                return

    def search(
        self, text: str, *, page_size: int = 50, timeout: float | None = None
    ) -> Iterator[model.Message]:
        """Yields the messages that contain all the words, newest first, over all conversations."""
        before = ""
        while True:
            page = self._run(calls.search(text, page_size, before), timeout)
            for message in page.items:
                yield message
            before = page.next
            if not before:
                return

    def edit(self, message: MessageLike, text: str, *, timeout: float | None = None) -> None:
        """Replaces the content of a message that this user sent, on both sides."""
        self._run(calls.edit(message, text), timeout)

    def retract(self, message: MessageLike, *, timeout: float | None = None) -> None:
        """Deletes a message that this user sent, on both sides."""
        self._run(calls.retract(message), timeout)

    def mark_read(self, *messages: MessageLike, timeout: float | None = None) -> None:
        """Marks 1 to 256 received messages as read and notifies their authors."""
        self._run(calls.mark_read(messages), timeout)

    def react(self, message: MessageLike, text: str, *, timeout: float | None = None) -> None:
        """Sets this user's reaction to a message; an empty text removes it."""
        self._run(calls.react(message, text), timeout)

    def typing(self, contact: ContactLike, *, active: bool = True, timeout: float | None = None) -> bool:
        """Tells a contact that this user types, or does so no longer.

        Returns whether the notice was sent: there is a session, and the rate limit allowed it.
        """
        return self._run(calls.typing(contact, active=active), timeout)

    # Events.

    def events(
        self,
        client: str = "",
        *,
        start: Start = Start.DEFAULT,
        after: str = "",
        notices: bool = False,
        auto_ack: bool = True,
        reconnect: bool = True,
        timeout: float | None = None,
    ) -> EventStream:
        """Returns the stream of events, which has no end unless `timeout` is given.

        With a `client` name, the daemon remembers which events were acknowledged; see
        `EventStream`. A new name starts at the next event, or with `Start.OLDEST` at the oldest one
        that is kept. `after` is a cursor after which the stream starts.

        The stream waits while the daemon is absent, stopping or locked, and resumes after the last
        event; without `reconnect`, it raises the error. With `auto_ack=False`, only `ack`
        acknowledges. With `timeout`, the stream and a loop over it end after that many seconds. With
        `notices`, the stream also has notices.
        """
        options = Options(client, start, after, notices, auto_ack, reconnect, timeout)
        return EventStream(self, options)

    def event_clients(self, *, timeout: float | None = None) -> list[model.EventClient]:
        """Returns the client names whose cursors the daemon stores."""
        return self._run(calls.event_clients(), timeout)

    def remove_event_client(self, name: str, *, timeout: float | None = None) -> None:
        """Forgets a client name and its cursor."""
        self._run(calls.remove_event_client(name), timeout)

    # Any other call.

    def call(
        self,
        method: UnaryMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
    ) -> Response:
        """Calls a method of `m2client.proto.methods` with its own messages."""
        response: Response = self._run(calls.Call(method, request, _same), timeout)
        return response

    def stream(
        self,
        method: StreamMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
    ) -> Iterator[Response]:
        """Calls a method with a stream of responses, and yields them."""
        call = self._start(method, request, _channel.timeout_of(timeout, self._timeout))
        try:
            with self._translated():
                yield from call
        finally:
            call.cancel()

    def _run(self, call: calls.Call[T], timeout: float | None) -> T:
        seconds = _channel.timeout_of(timeout, self._timeout)
        method = call.method
        invoke = self.channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        with self._translated():
            response = invoke(call.request, timeout=seconds, metadata=self._metadata)
        return call.convert(response)

    def _start(self, method: Method[Any, Any], request: Any, timeout: float | None) -> Any:
        invoke = self.channel.unary_stream(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        with self._translated():
            return invoke(request, timeout=timeout, metadata=self._metadata)

    def _wait_for(self, message: MessageLike, goal: MessageState, end: float) -> Sent:
        backoff = Backoff()
        pause = threading.Event()
        while True:
            try:
                return self._watch(message, goal, end - monotonic())
            except _failure.TEMPORARY as error:
                left = end - monotonic()
                if left <= 0:
                    raise calls.not_yet(message, goal) from error
                pause.wait(min(backoff.next(), left))

    def _watch(self, message: MessageLike, goal: MessageState, left: float) -> Sent:
        request = calls.watch(message)
        try:
            for response in self.stream(
                methods.MessageService.WatchMessage, request, timeout=max(left, 0.001)
            ):
                if calls.reached(response, goal):
                    return Sent(response.message_id, MessageState(response.state))
        except CallTimeoutError as error:
            raise calls.not_yet(message, goal) from error
        raise _failure.lost()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises the errors of the body as those of this package. gRPC has others if it is closed."""
        try:
            yield
        except grpc.RpcError as error:
            if self._is_closed:
                raise ClosedError(_CLOSED) from error
            raise _failure.from_rpc(error, self._places) from error
        except ValueError as error:
            if not self._is_closed:
                raise
            raise ClosedError(_CLOSED) from error


def _same(response: Any) -> Any:
    return response
