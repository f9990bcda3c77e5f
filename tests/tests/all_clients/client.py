"""Sends numbered messages and prints what it hears, until it is killed.

    client.py SOCKET NUMBER    sends from this number on
    client.py SOCKET -         only listens
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from m2client import AsyncClient, Draft, MessageReceived

NAME = "python"


async def drafts(first: int) -> AsyncIterator[Draft]:
    """Yields messages without an end. The key makes sure that each is sent once."""
    number = first
    while True:
        yield Draft("bob", f"{NAME} {number}", key=f"{NAME}-{number}")
        number += 1
        await asyncio.sleep(0.02)


async def send(m2: AsyncClient, first: int) -> None:
    """Sends, and prints each message that the daemon has stored."""
    async for result in m2.send_many(drafts(first)):
        if result.error is not None:
            raise result.error
        print(f"sent {result.draft.content!r}", flush=True)


async def listen(m2: AsyncClient) -> None:
    """Prints each message before it is acknowledged."""
    async for event in m2.events(NAME, kinds=[MessageReceived]):
        if isinstance(event, MessageReceived):
            print(f"heard {event.text!r}", flush=True)


async def main() -> None:
    """Does both at once."""
    async with AsyncClient(sys.argv[1]) as m2:
        tasks = [listen(m2)]
        if sys.argv[2] != "-":
            tasks.append(send(m2, int(sys.argv[2])))
        await asyncio.gather(*tasks)


asyncio.run(main())
