#!/usr/bin/env python3
"""Sends a question to a contact and prints the reply to it.

    ask.py ann "Shall I open the door?" 120

The stream is entered before the question is sent, so that no reply is too fast. The exit code is 4 if
no reply came within the time, 60 seconds by default.
"""

import sys

from m2client import Client, MessageReceived


def ask(m2: Client, contact: str, question: str, seconds: float) -> "str | None":
    """Returns the reply of a contact, or `None` if there is none in time."""
    with m2.events(timeout=seconds) as events:
        sent = m2.send(contact, question, ttl=max(seconds, 1))
        for event in events:
            if isinstance(event, MessageReceived) and event.reply_to == sent.message_id:
                return event.text
    return None


def main() -> int:
    """Asks, and returns the exit code."""
    contact, question, *rest = sys.argv[1:]
    with Client() as m2:
        reply = ask(m2, contact, question, float(rest[0]) if rest else 60.0)
    if reply is None:
        return 4
    print(reply)
    return 0


if __name__ == "__main__":
    sys.exit(main())
