#!/usr/bin/env python3
"""Answers questions that it knows, and asks a person about all others.

    answer_bot.py ann known.json

`known.json` is an object of questions and answers. What ann replies is passed on to the contact that
asked. Several questions can be open at once: a reply belongs to the message that it refers to. A bot that
was killed gets the open questions again, and asks ann with the same keys: that sends nothing twice, and
finds the replies that have come meanwhile.
"""

import asyncio
import json
import sys
from collections import deque
from pathlib import Path

from m2client import AsyncClient, AsyncEventStream, CallTimeoutError, MessageReceived

# How long the person may take, in seconds.
PATIENCE = 3600.0


class Bot:
    """The questions that are open, and how they are answered."""

    def __init__(self, m2: AsyncClient, person: str, known: "dict[str, str]") -> None:
        self.m2 = m2
        self.person = person
        self.known = known
        self.open: deque[tuple[MessageReceived, asyncio.Task[None]]] = deque()

    async def follow(self, events: AsyncEventStream) -> None:
        """Begins to answer each question. Acknowledges those before which none is open."""
        async for event in events:
            if isinstance(event, MessageReceived) and event.contact_name != self.person:
                self.open.append((event, asyncio.create_task(self.answer(event))))
            while self.open and self.open[0][1].done():
                done, task = self.open.popleft()
                task.result()
                await events.ack(done)

    async def answer(self, question: MessageReceived) -> None:
        """Answers one question."""
        text = self.known.get(question.text) or await self.ask(question)
        await self.m2.reply(question, text, key=f"answer-{question.message_id}")

    async def ask(self, question: MessageReceived) -> str:
        """Passes a question on to the person, and returns the reply."""
        text = f"{question.contact_name} asks: {question.text}"
        try:
            key = f"ask-{question.message_id}"
            reply = await self.m2.ask(self.person, text, key=key, timeout=PATIENCE)
        except CallTimeoutError:
            return "I don't know."
        return reply.text


async def main(person: str, known: "dict[str, str]") -> None:
    """Answers until the process is ended."""
    async with AsyncClient() as m2:
        events = m2.events("answer-bot", kinds=[MessageReceived], auto_ack=False)
        await Bot(m2, person, known).follow(events)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
