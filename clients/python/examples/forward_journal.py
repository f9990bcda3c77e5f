#!/usr/bin/env python3
"""Forwards journal entries to a contact.

    journalctl --follow --output json --priority err | forward_journal.py ann

An entry that is read again, after a restart, is not sent again: its cursor is the key.
"""

import hashlib
import json
import sys
import time

from m2client import Client, DaemonUnavailableError, KeyReusedError, LockedError

LONGEST = 2000


def forward(m2: Client, contact: str, entry: dict[str, object]) -> None:
    """Sends one entry. Waits while the daemon is absent, stopping or locked."""
    text = f"{entry.get('SYSLOG_IDENTIFIER', '?')}: {entry.get('MESSAGE', '')}"[:LONGEST]
    # A cursor is longer than a key may be.
    key = hashlib.sha256(str(entry.get("__CURSOR", text)).encode()).hexdigest()
    while True:
        try:
            m2.send(contact, text, key=key)
        except KeyReusedError:
            return
        except (DaemonUnavailableError, LockedError):
            time.sleep(5)
        else:
            return


def main() -> None:
    """Forwards the entries on standard input, one JSON object a line."""
    with Client() as m2:
        for line in sys.stdin:
            forward(m2, sys.argv[1], json.loads(line))


if __name__ == "__main__":
    main()
