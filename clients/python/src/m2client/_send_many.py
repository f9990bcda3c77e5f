"""Many messages over one stream, synchronous."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Union

from . import _failure
from ._backoff import Backoff
from ._errors import CallTimeoutError, M2Error
from ._proto import message_pb2, methods
from ._window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._connection import Connection
    from ._window import Draft, SendResult

Answer = Union[message_pb2.SendMessagesResponse, M2Error]


class Sending:
    """One run: the drafts in progress, and the stream that carries them."""

    def __init__(self, client: Connection, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._window = Window()
        self._backoff = Backoff()
        self._lane: Lane | None = None
        self._has_worked = False
        self._end = 0.0

    def results(self, drafts: Iterable[Draft]) -> Iterator[SendResult]:
        """Sends the drafts, and yields what became of each, in order."""
        try:
            for draft in drafts:
                self._add(draft)
                yield from self._ready()
                while not self._window.has_room:
                    yield self._wait()
                    yield from self._ready()
            yield from self._window.refused()
            while not self._window.is_empty:
                yield self._wait()
                yield from self._window.refused()
        finally:
            self._drop()

    def _add(self, draft: Draft) -> None:
        if self._window.is_empty:
            self._progressed()
        request = self._window.add(draft)
        if self._lane is not None and request is not None:
            self._lane.write(request)
        elif request is not None and self._has_worked:
            self._reopen()
        elif request is not None:
            self._open()

    def _ready(self) -> Iterator[SendResult]:
        """Yields the results that are there already. Waits only while the stream is broken."""
        yield from self._window.refused()
        while self._lane is None or not self._lane.answers.empty():
            if self._window.is_empty:
                self._drop()  # The stream ended while no draft waited. The next draft opens it again.
                return
            yield self._wait()
            yield from self._window.refused()

    def _wait(self) -> SendResult:
        """Returns the next result. Opens the stream again while it breaks."""
        while True:
            try:
                return self._take(self._answer())
            except _failure.TEMPORARY:
                self._drop()
                left = self._end - monotonic()
                if not self._has_worked or left <= 0:
                    raise
                self._client._sleep(min(self._backoff.next(), left))  # noqa: SLF001
                self._reopen()

    def _answer(self) -> Answer:
        if self._lane is None:
            raise _failure.lost()
        try:
            return self._lane.answers.get(timeout=max(self._end - monotonic(), 0.001))
        except queue.Empty:
            raise late() from None

    def _take(self, answer: Answer) -> SendResult:
        if isinstance(answer, M2Error):
            raise answer
        result = self._window.answered(answer)
        self._has_worked = True
        self._backoff.reset()
        self._progressed()
        return result

    def _progressed(self) -> None:
        self._end = monotonic() + self._timeout

    def _reopen(self) -> None:
        """Opens the stream again. Does nothing if no daemon is there yet: `_wait` then tries again."""
        with suppress(*_failure.TEMPORARY):
            self._open()

    def _open(self) -> None:
        self._lane = Lane(self._client)
        for request in self._window.unanswered():
            self._lane.write(request)

    def _drop(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.end()


class Lane:
    """One stream. The window bounds what is in its queues."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._call = client._start_both(  # noqa: SLF001
            methods.MessageService.SendMessages, iter(self._requests.get, None)
        )
        threading.Thread(target=self._read, name="m2client-answers", daemon=True).start()

    def write(self, request: message_pb2.SendMessagesRequest) -> None:
        """Passes a request to the stream."""
        self._requests.put(request)

    def end(self) -> None:
        """Ends the stream, and the threads that serve it."""
        self._requests.put(None)
        self._call.cancel()

    def _read(self) -> None:
        """Passes on the answers, and then why the stream has ended."""
        try:
            with self._client._translated():  # noqa: SLF001
                for response in self._call:
                    self.answers.put(response)
            self.answers.put(_failure.lost())
        except M2Error as error:
            self.answers.put(error)
        except Exception as error:  # noqa: BLE001 (the caller would wait for its timeout)
            self.answers.put(M2Error(f"The stream failed: {error}", reason="INTERNAL"))


def late() -> CallTimeoutError:
    """Returns the error for an answer that did not come."""
    return CallTimeoutError("The daemon did not answer in time. Send the rest with the same keys.")
