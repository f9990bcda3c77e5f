#!/usr/bin/env python3
"""Tells a contact when other contacts go online or offline, and answers its message "status".

    home_status.py ann

The stream of presence begins with that of each contact, also after a restart of the daemon.
"""

import asyncio
import sys

from m2client import AsyncClient, MessageReceived, PresenceNotice


async def watch(m2: AsyncClient, owner: str, known: "dict[str, bool]") -> None:
    """Reports changes. The owner's own presence is not reported to the owner."""
    async for event in m2.events(kinds=[PresenceNotice]):
        if not isinstance(event, PresenceNotice):
            continue
        name = event.contact_name
        if name != owner and known.get(name, event.online) != event.online:
            state = "online" if event.online else "offline"
            await m2.send(owner, f"{name} is {state}", ttl=3600)
        known[name] = event.online


async def answer(m2: AsyncClient, owner: str, known: "dict[str, bool]") -> None:
    """Answers the owner's questions."""
    async for event in m2.events("home-status", kinds=[MessageReceived], contacts=[owner]):
        if isinstance(event, MessageReceived) and event.text == "status":
            await m2.typing(event)
            lines = [f"{name}: {'online' if up else 'offline'}" for name, up in sorted(known.items())]
            await m2.reply(event, "\n".join(lines), key=event.message_id)


async def main() -> None:
    """Runs both until the process is ended."""
    owner, known = sys.argv[1], dict[str, bool]()
    async with AsyncClient() as m2:
        await asyncio.gather(watch(m2, owner, known), answer(m2, owner, known))


if __name__ == "__main__":
    asyncio.run(main())
