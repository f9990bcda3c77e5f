#!/usr/bin/env python3
"""Sends a question to a contact and prints the reply to it.

    ask.py ann "Shall I open the door?" 120

The exit code is 4 if no reply came within the time, 60 seconds by default.
"""

import sys

from m2client import CallTimeoutError, Client


def main() -> int:
    """Asks, and returns the exit code."""
    contact, question, *rest = sys.argv[1:]
    seconds = float(rest[0]) if rest else 60.0
    with Client() as m2:
        try:
            print(m2.ask(contact, question, ttl=max(seconds, 1), timeout=seconds).text)
        except CallTimeoutError as error:
            print(error, file=sys.stderr)
            return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
