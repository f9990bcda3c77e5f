"""Many messages over one stream, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Union

from . import _failure
from ._backoff import Backoff
from ._errors import M2Error
from ._proto import message_pb2, methods
from ._send_many import late
from ._window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from ._aio_connection import AsyncConnection
    from ._window import Draft, SendResult

Drafts = Union["Iterable[Draft]", "AsyncIterable[Draft]"]


class AsyncSending:
    """One run: the drafts in progress, and the stream that carries them."""

    def __init__(self, client: AsyncConnection, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._window = Window()
        self._backoff = Backoff()
        self._call: Any = None
        self._pull: asyncio.Future[Draft | None] | None = None
        self._read: asyncio.Future[Any] | None = None
        self._has_worked = False
        self._is_ended = False
        self._end = 0.0

    async def results(self, drafts: Drafts) -> AsyncGenerator[SendResult, None]:
        """Sends the drafts, and yields what became of each, in order."""
        source = _source(drafts)
        try:
            while True:
                for result in self._window.refused():
                    yield result
                if self._is_ended and self._window.is_empty:
                    return
                answered = await self._step(source)
                if answered is not None:
                    yield answered
        finally:
            self._drop()
            if self._pull is not None:
                self._pull.cancel()

    async def _step(self, source: AsyncIterator[Draft]) -> SendResult | None:
        """Takes the next draft or the next answer. Returns the result if it is an answer."""
        try:
            await self._wait(source)
            if self._read is not None and self._read.done():
                return self._answered()
            if self._pull is not None and self._pull.done():
                await self._take()
        except _failure.TEMPORARY as error:
            await self._recover(error)
        return None

    async def _wait(self, source: AsyncIterator[Draft]) -> None:
        if self._window.waits and self._call is None:
            await self._open()
        if self._window.waits and self._read is None:
            self._read = asyncio.ensure_future(self._answer())
        if self._pull is None and not self._is_ended and self._window.has_room:
            self._pull = asyncio.ensure_future(_next(source))
        pending = [one for one in (self._read, self._pull) if one is not None]
        left = None if self._read is None else max(self._end - monotonic(), 0.001)
        done, _ = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise late()

    async def _take(self) -> None:
        """Sends the draft that was taken from the program."""
        pull, self._pull = self._pull, None
        draft = None if pull is None else pull.result()
        if draft is None:
            self._is_ended = True
            return
        if self._window.is_empty:
            self._progressed()
        request = self._window.add(draft)
        if request is not None and self._call is not None:
            await self._write(request)

    def _answered(self) -> SendResult:
        read, self._read = self._read, None
        assert read is not None  # noqa: S101 (for the types)
        result = self._window.answered(read.result())
        self._has_worked = True
        self._backoff.reset()
        self._progressed()
        return result

    async def _recover(self, error: M2Error) -> None:
        """Waits before the stream is opened again. Raises the error if that can't help."""
        self._drop()
        left = self._end - monotonic()
        if not self._has_worked or left <= 0:
            raise error
        await self._client._sleep(min(self._backoff.next(), left))  # noqa: SLF001

    async def _open(self) -> None:
        self._call = self._client._start_both(methods.MessageService.SendMessages)  # noqa: SLF001
        for request in self._window.unanswered():
            await self._write(request)

    async def _write(self, request: message_pb2.SendMessagesRequest) -> None:
        left = max(self._end - monotonic(), 0.001)
        with self._client._translated():  # noqa: SLF001
            try:
                await asyncio.wait_for(self._call.write(request), left)
            except asyncio.TimeoutError:
                raise late() from None
            except asyncio.InvalidStateError:
                raise _failure.lost() from None

    async def _answer(self) -> Any:
        with self._client._translated():  # noqa: SLF001
            response = await self._call.read()
        if not isinstance(response, message_pb2.SendMessagesResponse):  # gRPC's mark of the end.
            raise _failure.lost()
        return response

    def _progressed(self) -> None:
        self._end = monotonic() + self._timeout

    def _drop(self) -> None:
        call, self._call = self._call, None
        read, self._read = self._read, None
        if call is not None:
            call.cancel()
        if read is not None:
            read.add_done_callback(_forget)
            read.cancel()


def _forget(read: asyncio.Future[Any]) -> None:
    """Takes the error of a read that is not waited for any more."""
    with suppress(asyncio.CancelledError, M2Error):
        read.result()


async def _next(source: AsyncIterator[Draft]) -> Draft | None:
    """Returns the next draft, or `None` after the last one."""
    try:
        return await source.__anext__()
    except StopAsyncIteration:
        return None


async def _source(drafts: Drafts) -> AsyncIterator[Draft]:
    if isinstance(drafts, AsyncIterable):
        async for draft in drafts:
            yield draft
        return
    for draft in drafts:
        yield draft
