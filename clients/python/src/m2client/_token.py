"""The access token that a client shows."""

from __future__ import annotations

import os
from pathlib import Path

ENV = "M2_TOKEN"
FILE_ENV = "M2_TOKEN_FILE"

_PREFIX = "m2t_"

Metadata = tuple[tuple[str, str], ...]


def metadata(token: str | None = None) -> Metadata:
    """Returns the metadata of each call: the token, or nothing if there is none.

    Without `token`, the file that the environment variable `M2_TOKEN_FILE` names is read, or else
    `M2_TOKEN` is used, unless they are empty.

    Raises `ValueError` if the text is no token, and `OSError` if the file can't be read.
    """
    source = "token"
    if token is None:
        path = os.environ.get(FILE_ENV, "")
        source = path or ENV
        token = Path(path).read_text(encoding="utf-8") if path else os.environ.get(ENV, "")
        if not token:
            return ()
    text = token.strip()
    if not (text.startswith(_PREFIX) and text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"{source} is not an access token, which is one line that begins with {_PREFIX}")
    return (("authorization", f"Bearer {text}"),)
