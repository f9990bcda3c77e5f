"""The stream of events, synchronous."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _calls, _events, _failure
from ._backoff import Backoff
from ._errors import M2Error
from ._progress import Options, Progress, cursor_header
from ._proto import methods

if TYPE_CHECKING:
    from types import TracebackType

    from ._client import Client

T = TypeVar("T")

log = logging.getLogger("m2client")


class EventStream:
    """The events of a daemon, in order, as an iterator without an end.

    Delivery is at least once. With a client name, an event is acknowledged when the loop asks for the
    next one, that is, after the body of the loop has finished. If the body raises or leaves the loop,
    the event is not acknowledged and comes again: to the next loop over the same stream, or to the
    next stream of this name.

    The stream subscribes when it is entered by `with`, otherwise when the loop begins. A program that
    causes events itself, such as one that waits for a reply, enters the stream first.

    One thread at a time may iterate. `close` may be called from any thread; it ends the loop.
    """

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._options = options
        self._progress = Progress(options)
        self._backoff = Backoff()
        self._call: Any = None
        self._closed = threading.Event()

    def __iter__(self) -> EventStream:
        self._progress.begin_loop()
        return self

    def __next__(self) -> _events.Event:
        self._progress.finish_body()
        event = self._until_it_works(self._next)
        if event is None:
            self._end()
            raise StopIteration
        return event

    def __enter__(self) -> EventStream:
        self._until_it_works(self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ack(self, event: _events.Event | None = None) -> None:
        """Acknowledges an event and all earlier ones; without an argument, the last event.

        Raises `ValueError` for a stream without a client name, `M2Error` if the call fails.
        """
        self._acknowledge(self._progress.cursor_of(event))

    def close(self) -> None:
        """Ends the stream and the loop over it. The last event is not acknowledged."""
        self._closed.set()
        call = self._call
        if call is not None:
            call.cancel()

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

    def _next(self) -> _events.Event:
        replay = self._progress.take_replay()
        if replay is not None:
            return replay
        cursor = self._progress.to_acknowledge()
        if cursor:
            self._acknowledge(cursor)
        while True:
            self._open()
            event = _events.of_response(self._read())
            if event is not None:
                self._backoff.reset()
                self._progress.delivered(event)
                return event

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

    def _acknowledge(self, cursor: str) -> None:
        self._client._run(_calls.acknowledge(self._options.client, cursor), None)  # noqa: SLF001
        self._progress.acknowledged(cursor)

    def _pause(self, reason: str) -> None:
        pause = self._backoff.next()
        remaining = self._progress.remaining()
        log.info("The stream of events is interrupted (%s). Next attempt in %.1f s.", reason, pause)
        self._closed.wait(pause if remaining is None else min(pause, remaining))

    def _end(self) -> None:
        """Ends the loop. Acknowledges the last event if the body has finished for it."""
        self._drop()
        cursor = self._progress.to_acknowledge()
        if cursor and not self._client.closed:
            with suppress(M2Error):  # Otherwise the event comes again.
                self._acknowledge(cursor)

    def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
