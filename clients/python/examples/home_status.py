#!/usr/bin/env python3
"""Tells a contact when other contacts go online or offline, and answers its message "status".

    home_status.py ann 30

There is no event for presence, so the contacts are listed at an interval, by default 60 seconds.
"""

import asyncio
import sys

from m2client import AsyncClient, ContactState, DaemonUnavailableError, LockedError, MessageReceived


async def presence(m2: AsyncClient) -> "dict[str, bool]":
    """Returns the names of the contacts, and whether a session with each is up."""
    contacts = await m2.contacts(ContactState.CONTACT)
    return {contact.name: contact.online for contact in contacts}


async def watch(m2: AsyncClient, owner: str, seconds: float) -> None:
    """Reports changes. The owner's own presence is not reported to the owner."""
    known = await presence(m2)
    while True:
        await asyncio.sleep(seconds)
        try:
            current = await presence(m2)
            for name in current.keys() - {owner}:
                if current[name] != known.get(name, False):
                    state = "online" if current[name] else "offline"
                    await m2.send(owner, f"{name} is {state}", ttl=3600)
            known = current
        except (DaemonUnavailableError, LockedError):
            continue


async def answer(m2: AsyncClient, owner: str) -> None:
    """Answers the owner's questions."""
    peer = (await m2.contact(owner)).peer_id
    async for event in m2.events("home-status"):
        if isinstance(event, MessageReceived) and (event.peer_id, event.text) == (peer, "status"):
            await m2.typing(event)
            lines = [f"{name}: {'online' if up else 'offline'}" for name, up in (await presence(m2)).items()]
            await m2.send(event, "\n".join(lines), reply_to=event, key=event.message_id)


async def main() -> None:
    """Runs both until the process is ended."""
    owner, *rest = sys.argv[1:]
    async with AsyncClient() as m2:
        await asyncio.gather(answer(m2, owner), watch(m2, owner, float(rest[0]) if rest else 60.0))


if __name__ == "__main__":
    asyncio.run(main())
