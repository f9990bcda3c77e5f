#!/usr/bin/env python3
"""Sends a small file, such as the picture of a camera, and waits until it is delivered.

    send_photo.py ann doorbell.jpg

A message has at most 48 KiB, so the camera or `convert -define jpeg:extent=48kb` makes it small.
"""

import mimetypes
import sys
from pathlib import Path

from m2client import CallTimeoutError, Client, M2Error, MessageTooLargeError


def main() -> int:
    """Sends the file and returns the exit code."""
    contact, name = sys.argv[1:]
    file = Path(name)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    try:
        with Client() as m2:
            m2.send(contact, file.read_bytes(), media_type, wait="delivered", timeout=300)
    except MessageTooLargeError:
        print(f"{file} has {file.stat().st_size} bytes; make it smaller than 48 KiB.", file=sys.stderr)
        return 1
    except CallTimeoutError:
        print("Not delivered yet. It is sent as soon as the contact is reachable.", file=sys.stderr)
        return 4
    except M2Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
