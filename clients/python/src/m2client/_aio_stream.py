"""The stream of events for asyncio."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _calls, _events, _failure
from ._backoff import Backoff
from ._errors import M2Error
from ._progress import Options, Progress, cursor_header
from ._proto import event_pb2, methods

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from ._aio_client import AsyncClient

T = TypeVar("T")

log = logging.getLogger("m2client")


class AsyncEventStream:
    """The events of a daemon, in order, as an asynchronous iterator without an end.

    Delivery is at least once. With a client name, an event is acknowledged when the loop asks for the
    next one, that is, after the body of the loop has finished. If the body raises or leaves the loop,
    the event is not acknowledged and comes again: to the next loop over the same stream, or to the
    next stream of this name.

    The stream subscribes when it is entered by `async with`, otherwise when the loop begins. A program that
    causes events itself, such as one that waits for a reply, enters the stream first.

    One task at a time may iterate. `close` may be called from another task; it ends the loop.
    """

    def __init__(self, client: AsyncClient, options: Options) -> None:
        self._client = client
        self._options = options
        self._progress = Progress(options)
        self._backoff = Backoff()
        self._call: Any = None
        self._is_closed = False
        self._wake: asyncio.Event | None = None

    def __aiter__(self) -> AsyncEventStream:
        self._progress.begin_loop()
        return self

    async def __anext__(self) -> _events.Event:
        self._progress.finish_body()
        event = await self._until_it_works(self._next)
        if event is None:
            await self._end()
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> AsyncEventStream:
        await self._until_it_works(self._open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def ack(self, event: _events.Event | None = None) -> None:
        """Acknowledges an event and all earlier ones; without an argument, the last event.

        Raises `ValueError` for a stream without a client name, `M2Error` if the call fails.
        """
        await self._acknowledge(self._progress.cursor_of(event))

    async def close(self) -> None:
        """Ends the stream and the loop over it. The last event is not acknowledged."""
        self._is_closed = True
        if self._wake is not None:
            self._wake.set()
        if self._call is not None:
            self._call.cancel()

    async def _until_it_works(self, step: Callable[[], Awaitable[T]]) -> T | None:
        """Runs a step, again if it fails for the moment. Returns `None` if the stream ends first."""
        while not (self._is_closed or self._progress.is_over):
            try:
                return await step()
            except asyncio.CancelledError:
                if is_cancelled() or not (self._is_closed or self._client.closed):
                    raise
                break
            except M2Error as error:
                if self._is_closed or self._client.closed or self._progress.is_over:
                    break
                if not self._progress.can_retry(error):
                    raise
                await self._pause(error.reason)
        return None

    async def _open(self) -> None:
        if self._call is None:
            await self._subscribe()

    async def _next(self) -> _events.Event:
        replay = self._progress.take_replay()
        if replay is not None:
            return replay
        cursor = self._progress.to_acknowledge()
        if cursor:
            await self._acknowledge(cursor)
        while True:
            await self._open()
            event = _events.of_response(await self._read())
            if event is not None:
                self._backoff.reset()
                self._progress.delivered(event)
                return event

    async def _subscribe(self) -> None:
        self._call = self._client._start(  # noqa: SLF001
            methods.EventService.Subscribe, self._progress.request(), self._progress.call_timeout()
        )
        cursor = cursor_header(await self._guarded(self._call.initial_metadata()))
        if not cursor and self._call.done():
            await self._read()  # Raises the reason why the call has no header.
        self._progress.started(cursor)
        self._backoff.reset()

    async def _read(self) -> Any:
        response = await self._guarded(self._call.read())
        if not isinstance(response, event_pb2.SubscribeResponse):  # gRPC's mark of the end.
            self._drop()
            raise _failure.lost()
        return response

    async def _guarded(self, step: Awaitable[Any]) -> Any:
        """Runs a step of the call. Drops the call if the step fails or its task is cancelled."""
        try:
            with self._client._translated():  # noqa: SLF001
                return await step
        except BaseException:
            self._drop()
            raise

    async def _acknowledge(self, cursor: str) -> None:
        call = _calls.acknowledge(self._options.client, cursor)
        await self._client._run(call, None)  # noqa: SLF001
        self._progress.acknowledged(cursor)

    async def _pause(self, reason: str) -> None:
        pause = self._backoff.next()
        remaining = self._progress.remaining()
        log.info("The stream of events is interrupted (%s). Next attempt in %.1f s.", reason, pause)
        self._wake = self._wake or asyncio.Event()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause if remaining is None else min(pause, remaining))

    async def _end(self) -> None:
        """Ends the loop. Acknowledges the last event if the body has finished for it."""
        self._drop()
        cursor = self._progress.to_acknowledge()
        if cursor and not self._client.closed:
            with suppress(M2Error):  # Otherwise the event comes again.
                await self._acknowledge(cursor)

    def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


def is_cancelled() -> bool:
    """Returns whether the current task is cancelled, as far as Python knows (from 3.11 on).

    Otherwise an `asyncio.CancelledError` can come from a call that was cancelled.
    """
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return cancelling is not None and cancelling() > 0
