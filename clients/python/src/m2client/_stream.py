"""The streams of events and of jobs, synchronous."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

import grpc

from . import _failure
from ._backoff import Backoff
from ._errors import M2Error
from ._position import Item, cursor_header
from ._progress import Options, Progress
from ._proto import methods
from ._work import LEFT, WorkOptions, WorkProgress

if TYPE_CHECKING:
    from types import TracebackType

    from ._calls import TimeSpan
    from ._connection import Connection
    from ._events import Event
    from ._jobs import Job
    from ._position import Due, Position

T = TypeVar("T")

log = logging.getLogger("m2client")

# How long a stream that is left tries to return its job, in seconds.
_FAREWELL = 2.0

# How long a stream that is left waits for answers that are on their way, in seconds.
_QUIET = 0.1


class Stream(Generic[Item]):
    """What both streams have in common."""

    def __init__(self, client: Connection, progress: Position[Item]) -> None:
        self._client = client
        self._progress = progress
        self._backoff = Backoff()
        self._call: Any = None
        self._closed = threading.Event()
        client._register(self)  # noqa: SLF001

    def __iter__(self) -> Stream[Item]:
        self._progress.begin_loop()
        return self

    def __next__(self) -> Item:
        self._progress.finish_body()
        item = self._until_it_works(self._next)
        if item is None:
            self._end()
            raise StopIteration
        return item

    def __enter__(self) -> Stream[Item]:
        self._until_it_works(self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unread = self._unread()
        self.close()
        for due in self._progress.leave(unread, LEFT if kind is None else kind.__name__):
            with suppress(M2Error):  # Otherwise it comes again when its lease ends.
                self._settle(due, _FAREWELL)

    def close(self) -> None:
        """Ends the stream and the loop over it. The last event is not acknowledged."""
        self._closed.set()
        call = self._call
        if call is not None:
            call.cancel()

    def _unread(self) -> list[Any]:
        """Returns the answers that are there and have to be returned."""
        most, call = self._progress.most_unread, self._call
        unread: list[Any] = []
        if most == 0 or call is None or self._closed.is_set():
            return unread

        def read() -> None:
            with suppress(grpc.RpcError, StopIteration, ValueError):
                while len(unread) < most:
                    unread.append(next(call))

        reader = threading.Thread(target=read, name="m2client-unread", daemon=True)
        reader.start()
        reader.join(_QUIET)
        call.cancel()
        reader.join()
        return unread

    def _until_it_works(self, step: Callable[[], T]) -> T | None:
        """Runs a step, again if it fails for the moment. Returns `None` if the stream ends first."""
        while not (self._closed.is_set() or self._progress.is_over):
            try:
                return step()
            except M2Error as error:
                if self._closed.is_set() or self._client.closed or self._progress.is_over:
                    break
                if not self._progress.can_retry(error):
                    raise
                self._pause(error.reason)
        return None

    def _open(self) -> None:
        if self._call is None:
            self._subscribe()

    def _next(self) -> Item:
        replay = self._progress.take_replay()
        if replay is not None:
            return replay
        while True:
            due = self._progress.due()
            if due is not None:
                self._settle(due)
            self._open()
            item = self._progress.take(self._read())
            if item is not None:
                self._backoff.reset()
                return item

    def _subscribe(self) -> None:
        self._call = self._client._start(  # noqa: SLF001
            methods.EventService.Subscribe, self._progress.request(), self._progress.call_timeout()
        )
        if self._closed.is_set():
            self._call.cancel()
        cursor = self._guarded(lambda: cursor_header(self._call.initial_metadata()))
        if not cursor and not self._call.is_active():
            self._read()  # Raises the reason why the call has no header.
        self._progress.started(cursor)
        self._backoff.reset()

    def _read(self) -> Any:
        response = self._guarded(lambda: next(self._call, None))
        if response is None:  # The stream has ended, as it does not while the daemon runs.
            self._drop()
            raise _failure.lost()
        return response

    def _guarded(self, step: Callable[[], Any]) -> Any:
        """Runs a step of the call. Drops the call if the step fails."""
        try:
            with self._client._translated():  # noqa: SLF001
                return step()
        except BaseException:
            self._drop()
            raise

    def _settle(self, due: Due, timeout: float | None = None) -> None:
        self._client._run(due.call, timeout)  # noqa: SLF001
        self._progress.settled(due.cursor)

    def _pause(self, reason: str) -> None:
        pause = self._backoff.next()
        remaining = self._progress.remaining()
        log.info("The stream of events is interrupted (%s). Next attempt in %.1f s.", reason, pause)
        self._closed.wait(pause if remaining is None else min(pause, remaining))

    def _end(self) -> None:
        """Ends the loop. Acknowledges the last event if the body has finished for it."""
        self._drop()
        due = self._progress.due()
        if due is not None and not self._client.closed:
            with suppress(M2Error):  # Otherwise the event comes again.
                self._settle(due)

    def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()


class EventStream(Stream["Event"]):
    """The events of a daemon, in order, as an iterator without an end.

    Delivery is at least once. With a client name, an event is acknowledged when the loop asks for the
    next one, that is, after the body of the loop has finished. If the body raises or leaves the loop,
    the event is not acknowledged and comes again: to the next loop over the same stream, or to the
    next stream of this name.

    The stream subscribes when it is entered by `with`, otherwise when the loop begins. A program that
    causes events itself, such as one that waits for a reply, enters the stream first.

    One thread at a time may iterate. `close` may be called from any thread; it ends the loop.
    """

    _progress: Progress

    def __init__(self, client: Connection, options: Options) -> None:
        super().__init__(client, Progress(options))

    def __iter__(self) -> EventStream:
        super().__iter__()
        return self

    def __enter__(self) -> EventStream:
        super().__enter__()
        return self

    def ack(self, event: Event | None = None) -> None:
        """Acknowledges an event and all earlier ones; without an argument, the last event.

        Raises `ValueError` for a stream without a client name, `M2Error` if the call fails.
        """
        self._settle(self._progress.acknowledgement(event))


class WorkStream(Stream["Job"]):
    """The jobs of one worker of a shared name, as an iterator without an end.

    Delivery is at least once. A job is done when the loop asks for the next one, that is, after the
    body of the loop has finished. If the process is killed in the body, another worker gets the event
    when the lease ends. If the body raises or leaves the loop, the job is returned at once as soon as
    the stream is left that was entered by `with`, or when the next loop over it begins.

    With `auto_ack=False`, only `ack` says that a job is done. Threads may work on the jobs and call
    `ack` and `nack`, while one thread iterates. `close` may be called from any thread; it ends the loop.
    """

    _progress: WorkProgress

    def __init__(self, client: Connection, options: WorkOptions) -> None:
        super().__init__(client, WorkProgress(options))

    def __iter__(self) -> WorkStream:
        super().__iter__()
        return self

    def __enter__(self) -> WorkStream:
        super().__enter__()
        return self

    def ack(self, job: Job | None = None) -> None:
        """Says that a job is done; without an argument, the last one.

        It is done also if its lease has ended and another worker has it.
        """
        self._settle(self._progress.acknowledgement(job))

    def nack(self, job: Job | None = None, *, delay: TimeSpan | None = None, reason: str = "") -> None:
        """Returns a job that could not be done; without an argument, the last one.

        It is given to a worker again, at once or after a delay of up to 12 hours, or becomes a dead
        letter with this reason. Nothing happens if it has been given to a worker again since.
        """
        self._settle(self._progress.refusal(job, delay, reason))
