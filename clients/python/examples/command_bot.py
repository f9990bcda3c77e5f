#!/usr/bin/env python3
"""Carries out commands of the named contacts, and of no others.

    command_bot.py ann ben

A bot that is killed continues with the command at which it was: an event is acknowledged after the
body of the loop. The message's id as key makes sure that an answer is sent once even then.
"""

import os
import shutil
import sys
from collections.abc import Callable
from time import strftime

from m2client import Client, MessageReceived

COMMANDS: dict[str, Callable[[], str]] = {
    "ping": lambda: "pong",
    "time": lambda: strftime("%H:%M:%S %Z"),
    "load": lambda: " ".join(f"{load:.2f}" for load in os.getloadavg()),
    "disk": lambda: f"{shutil.disk_usage('/').free >> 30} GiB free",
}


def answer(text: str) -> str:
    """Returns the answer to a message."""
    command = COMMANDS.get(text.strip().lower())
    return command() if command else f"Commands: {', '.join(COMMANDS)}"


def main() -> None:
    """Answers messages until the process is ended."""
    with Client() as m2:
        allowed = {m2.contact(name).peer_id for name in sys.argv[1:]}
        for event in m2.events("command-bot"):
            if isinstance(event, MessageReceived) and event.peer_id in allowed:
                m2.send(event, answer(event.text), reply_to=event, key=event.message_id)


if __name__ == "__main__":
    main()
