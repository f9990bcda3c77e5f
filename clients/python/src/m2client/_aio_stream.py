"""The streams of events and of jobs, for asyncio."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

import grpc

from . import _failure
from ._backoff import Backoff
from ._errors import M2Error
from ._position import Item, cursor_header
from ._progress import Options, Progress
from ._proto import event_pb2, methods
from ._work import LEFT, WorkOptions, WorkProgress

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from ._aio_connection import AsyncConnection
    from ._calls import TimeSpan
    from ._events import Event
    from ._jobs import Job
    from ._position import Due, Position

T = TypeVar("T")

log = logging.getLogger("m2client")

# How long a stream that is left tries to return its job, in seconds.
_FAREWELL = 2.0

# How long a stream that is left waits for answers that are on their way, in seconds.
_QUIET = 0.1


class AsyncStream(Generic[Item]):
    """What both streams have in common."""

    def __init__(self, client: AsyncConnection, progress: Position[Item]) -> None:
        self._client = client
        self._progress = progress
        self._backoff = Backoff()
        self._call: Any = None
        self._is_closed = False
        self._wake: asyncio.Event | None = None
        client._register(self)  # noqa: SLF001

    def __aiter__(self) -> AsyncStream[Item]:
        self._progress.begin_loop()
        return self

    async def __anext__(self) -> Item:
        item = await self._next_or_none()
        if item is None:
            raise StopAsyncIteration
        return item

    async def __aenter__(self) -> AsyncStream[Item]:
        await self._until_it_works(self._open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unread = await self._unread()
        await self.close()
        for due in self._progress.leave(unread, LEFT if kind is None else kind.__name__):
            with suppress(M2Error):  # Otherwise it comes again when its lease ends.
                await self._settle(due, _FAREWELL)

    async def close(self) -> None:
        """Ends the stream and the loop over it. The last event is not acknowledged."""
        self._is_closed = True
        if self._wake is not None:
            self._wake.set()
        if self._call is not None:
            self._call.cancel()

    async def _unread(self) -> list[Any]:
        """Returns the answers that are there and have to be returned."""
        most, call = self._progress.most_unread, self._call
        unread: list[Any] = []
        while call is not None and len(unread) < most and not self._is_closed:
            read = asyncio.ensure_future(call.read())
            await asyncio.wait([read], timeout=_QUIET)
            if not read.done():
                call.cancel()
            with suppress(grpc.RpcError, asyncio.CancelledError):
                response = await read
                if isinstance(response, event_pb2.SubscribeResponse):
                    unread.append(response)
                    continue
            break
        return unread

    async def _next_or_none(self) -> Item | None:
        """Returns the next item, or `None` if the stream ends first."""
        self._progress.finish_body()
        item = await self._until_it_works(self._next)
        if item is None:
            await self._end()
        return item

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

    async def _next(self) -> Item:
        replay = self._progress.take_replay()
        if replay is not None:
            return replay
        while True:
            due = self._progress.due()
            if due is not None:
                await self._settle(due)
            await self._open()
            item = self._progress.take(await self._read())
            if item is not None:
                self._backoff.reset()
                return item

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

    async def _settle(self, due: Due, timeout: float | None = None) -> None:
        await self._client._run(due.call, timeout)  # noqa: SLF001
        self._progress.settled(due.cursor)

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
        due = self._progress.due()
        if due is not None and not self._client.closed:
            with suppress(M2Error):  # Otherwise the event comes again.
                await self._settle(due)

    def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


class AsyncEventStream(AsyncStream["Event"]):
    """The events of a daemon, in order, as an iterator without an end.

    Delivery is at least once. With a client name, an event is acknowledged when the loop asks for the
    next one, that is, after the body of the loop has finished. If the body raises or leaves the loop,
    the event is not acknowledged and comes again: to the next loop over the same stream, or to the
    next stream of this name.

    The stream subscribes when it is entered by `async with`, otherwise when the loop begins. A program that
    causes events itself, such as one that waits for a reply, enters the stream first.

    One task at a time may iterate. `close` may be called from another task; it ends the loop.
    """

    _progress: Progress

    def __init__(self, client: AsyncConnection, options: Options) -> None:
        super().__init__(client, Progress(options))

    def __aiter__(self) -> AsyncEventStream:
        super().__aiter__()
        return self

    async def __aenter__(self) -> AsyncEventStream:
        await super().__aenter__()
        return self

    async def ack(self, event: Event | None = None) -> None:
        """Acknowledges an event and all earlier ones; without an argument, the last event.

        Raises `ValueError` for a stream without a client name, `M2Error` if the call fails.
        """
        await self._settle(self._progress.acknowledgement(event))


class AsyncWorkStream(AsyncStream["Job"]):
    """The jobs of one worker of a shared name, as an iterator without an end.

    Delivery is at least once. A job is done when the loop asks for the next one, that is, after the
    body of the loop has finished. If the process is killed in the body, another worker gets the event
    when the lease ends. If the body raises or leaves the loop, the job is returned at once as soon as
    the stream is left that was entered by `async with`, or when the next loop over it begins.

    With `auto_ack=False`, only `ack` says that a job is done. Tasks may work on the jobs and call
    `ack` and `nack`, while one task iterates. `close` may be called from another task; it ends the loop.
    """

    _progress: WorkProgress

    def __init__(self, client: AsyncConnection, options: WorkOptions) -> None:
        super().__init__(client, WorkProgress(options))

    def __aiter__(self) -> AsyncWorkStream:
        super().__aiter__()
        return self

    async def __aenter__(self) -> AsyncWorkStream:
        await super().__aenter__()
        return self

    async def ack(self, job: Job | None = None) -> None:
        """Says that a job is done; without an argument, the last one.

        It is done also if its lease has ended and another worker has it.
        """
        await self._settle(self._progress.acknowledgement(job))

    async def nack(self, job: Job | None = None, *, delay: TimeSpan | None = None, reason: str = "") -> None:
        """Returns a job that could not be done; without an argument, the last one.

        It is given to a worker again, at once or after a delay of up to 12 hours, or becomes a dead
        letter with this reason. Nothing happens if it has been given to a worker again since.
        """
        await self._settle(self._progress.refusal(job, delay, reason))


def is_cancelled() -> bool:
    """Returns whether the current task is cancelled, as far as Python knows (from 3.11 on).

    Otherwise an `asyncio.CancelledError` can come from a call that was cancelled.
    """
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return cancelling is not None and cancelling() > 0
