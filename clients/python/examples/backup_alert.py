#!/usr/bin/env python3
"""Runs a command and reports to a contact whether it succeeded. Made for cron.

    backup_alert.py ann restic backup /home

The same result is reported once a day, however often the command runs: the key makes sure of that.
"""

import platform
import subprocess
import sys
from datetime import date

from m2client import Client, M2Error


def main() -> int:
    """Runs the command, sends the report, and returns the command's exit code."""
    contact, *command = sys.argv[1:]
    code = subprocess.run(command, check=False).returncode
    result = "done" if code == 0 else f"FAILED with exit code {code}"
    text = f"{platform.node()}: {command[0]} {result}"
    try:
        with Client() as m2:
            m2.send(contact, text, key=f"{command[0]}-{date.today()}-{code}"[-128:])  # noqa: DTZ011
    except M2Error as error:
        print(f"The report was not sent ({error.reason}): {error}", file=sys.stderr)
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main())
