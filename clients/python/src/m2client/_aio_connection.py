"""The connection of the client for asyncio: its channel, and how calls are made over it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import grpc
import grpc.aio

from . import _calls as calls
from . import _channel, _failure, _socket, _token
from ._aio_stream import is_cancelled
from ._backoff import Backoff
from ._enums import MessageState
from ._errors import CallTimeoutError, ClosedError
from ._model import Sent
from ._proto import methods

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Iterator
    from types import TracebackType

    from ._aio_stream import AsyncStream
    from ._calls import MessageLike
    from ._method import BidiMethod, Method, Request, Response, StreamMethod, UnaryMethod

T = TypeVar("T")

_CLOSED = "The client is closed."


class AsyncConnection:
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
        self._open_channel: grpc.aio.Channel | None = None
        self._running: WeakSet[Any] = WeakSet()
        self._is_closed = False
        self._streams: WeakSet[AsyncStream[Any]] = WeakSet()
        self._sleepers: set[asyncio.Future[None]] = set()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection. Running calls of other tasks fail, and streams of events end."""
        self._is_closed = True
        channel, self._open_channel = self._open_channel, None
        for sleeper in list(self._sleepers):
            if not sleeper.done():
                sleeper.set_result(None)
        for stream in list(self._streams):
            await stream.close()
        # gRPC itself does not find all running calls, depending on the version of Python.
        for call in list(self._running):
            call.cancel()
        if channel is not None:
            await channel.close()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._is_closed

    @property
    def channel(self) -> grpc.aio.Channel:
        """The gRPC channel, for stubs of services that the package does not cover.

        Raises `NoDaemonError` if no daemon answers, and `ClosedError` after `close`.
        """
        if self._is_closed:
            raise ClosedError(_CLOSED)
        if self._open_channel is None:
            target = _socket.target(_socket.find(self._places))
            self._open_channel = grpc.aio.insecure_channel(target, options=_channel.OPTIONS)
        return self._open_channel

    # Any other call.

    async def call(
        self,
        method: UnaryMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
    ) -> Response:
        """Calls a method of `m2client.proto.methods` with its own messages."""
        response: Response = await self._run(calls.Call(method, request, _same), timeout)
        return response

    async def stream(
        self,
        method: StreamMethod[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[Response, None]:
        """Calls a method with a stream of responses, and yields them."""
        call = self._start(method, request, _channel.timeout_of(timeout, self._timeout))
        try:
            with self._translated():
                async for response in call:
                    yield response
        finally:
            call.cancel()

    async def _run(self, call: calls.Call[T], timeout: float | None) -> T:
        seconds = _channel.timeout_of(timeout, self._timeout)
        method = call.method
        invoke = self.channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        with self._translated():
            running = invoke(call.request, timeout=seconds, metadata=self._metadata)
            self._running.add(running)
            response = await running
        return call.convert(response)

    def _start(self, method: Method[Any, Any], request: Any, timeout: float | None) -> Any:
        invoke = self.channel.unary_stream(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        call = invoke(request, timeout=timeout, metadata=self._metadata)
        self._running.add(call)
        return call

    def _start_both(self, method: BidiMethod[Any, Any]) -> Any:
        invoke = self.channel.stream_stream(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        call = invoke(metadata=self._metadata)
        self._running.add(call)
        return call

    def _register(self, stream: AsyncStream[Any]) -> None:
        """Notes a stream, which ends when the client is closed."""
        self._streams.add(stream)

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise ClosedError(_CLOSED)

    async def _sleep(self, seconds: float) -> None:
        """Waits, but not longer than until the client is closed."""
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(sleeper, seconds)
        finally:
            self._sleepers.discard(sleeper)

    async def _wait_for(self, message: MessageLike, goal: MessageState, end: float) -> Sent:
        backoff = Backoff()
        while True:
            try:
                return await self._watch(message, goal, end - monotonic())
            except _failure.TEMPORARY as error:
                left = end - monotonic()
                if left <= 0:
                    raise calls.not_yet(message, goal) from error
                await self._sleep(min(backoff.next(), left))

    async def _watch(self, message: MessageLike, goal: MessageState, left: float) -> Sent:
        request = calls.watch(message)
        responses = self.stream(methods.MessageService.WatchMessage, request, timeout=max(left, 0.001))
        try:
            async for response in responses:
                if calls.reached(response, goal):
                    return Sent(response.message_id, MessageState(response.state))
        except CallTimeoutError as error:
            raise calls.not_yet(message, goal) from error
        finally:
            await responses.aclose()
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
        except asyncio.CancelledError as error:
            if is_cancelled() or not self._is_closed:
                raise
            raise ClosedError(_CLOSED) from error


def _same(response: Any) -> Any:
    return response
