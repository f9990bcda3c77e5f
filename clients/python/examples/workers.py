#!/usr/bin/env python3
"""Works on several messages at the same time, from one stream of events.

    workers.py 4

A client name has one stream, so one task reads it and passes jobs to workers. An acknowledgement
covers all earlier events, so an event is acknowledged when its job and all earlier ones are done. Jobs
that were not done when the process ended come again.
"""

import asyncio
import sys
from collections import deque

from m2client import AsyncClient, AsyncEventStream, Event, MessageReceived


async def work(m2: AsyncClient, event: Event) -> None:
    """Does one job: replies with the number of words, after as many tenths of a second."""
    if isinstance(event, MessageReceived):
        words = len(event.text.split())
        await asyncio.sleep(words / 10)
        await m2.send(event, f"{words} words", reply_to=event, key=event.message_id)


async def acknowledge(
    events: AsyncEventStream, jobs: "deque[tuple[Event, asyncio.Task[None]]]", most: int
) -> None:
    """Acknowledges the oldest events whose jobs are done, and waits while `most` jobs are open."""
    done = None
    while jobs and (jobs[0][1].done() or len(jobs) >= most):
        done, job = jobs.popleft()
        await job
    if done is not None:
        await events.ack(done)


async def main(most: int) -> None:
    """Runs up to `most` jobs at the same time."""
    jobs: deque[tuple[Event, asyncio.Task[None]]] = deque()
    async with AsyncClient() as m2, m2.events("workers", auto_ack=False) as events:
        async for event in events:
            jobs.append((event, asyncio.create_task(work(m2, event))))
            await acknowledge(events, jobs, most)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
