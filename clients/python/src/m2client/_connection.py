"""The connection of the synchronous client: its channel, and how calls are made over it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import grpc

from . import _calls as calls
from . import _channel, _failure, _socket, _token
from ._backoff import Backoff
from ._enums import MessageState
from ._errors import CallTimeoutError, ClosedError
from ._model import Sent
from ._proto import methods

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from types import TracebackType

    from ._calls import MessageLike
    from ._method import BidiMethod, Method, Request, Response, StreamMethod, UnaryMethod
    from ._stream import Stream

T = TypeVar("T")

_CLOSED = "The client is closed."


class Connection:
    """A connection to a daemon, without the calls."""

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
        self._closing = threading.Event()
        self._streams: WeakSet[Stream[Any]] = WeakSet()

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
            streams = list(self._streams)
        self._closing.set()
        for stream in streams:
            stream.close()
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

    def _start_both(self, method: BidiMethod[Any, Any], requests: Iterator[Any]) -> Any:
        invoke = self.channel.stream_stream(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        with self._translated():
            return invoke(requests, metadata=self._metadata)

    def _register(self, stream: Stream[Any]) -> None:
        """Notes a stream, which ends when the client is closed."""
        with self._lock:
            self._streams.add(stream)
            is_closed = self._is_closed
        if is_closed:
            stream.close()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ClosedError(_CLOSED)

    def _sleep(self, seconds: float) -> None:
        """Waits, but not longer than until the client is closed."""
        self._closing.wait(seconds)

    def _wait_for(self, message: MessageLike, goal: MessageState, end: float) -> Sent:
        backoff = Backoff()
        while True:
            try:
                return self._watch(message, goal, end - monotonic())
            except _failure.TEMPORARY as error:
                left = end - monotonic()
                if left <= 0:
                    raise calls.not_yet(message, goal) from error
                self._sleep(min(backoff.next(), left))

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
