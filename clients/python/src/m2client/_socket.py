"""The place of the daemon's socket: the same places in the same order as `m2`."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ._errors import M2Error, NoDaemonError
from ._reasons import NotAllowedError

if TYPE_CHECKING:
    from collections.abc import Sequence

ENV = "M2_SOCKET"
MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107

_ABSENT = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR)


def places(path: str | os.PathLike[str] | None = None) -> list[str]:
    """Returns the absolute paths at which a daemon is looked for, in order.

    That is `path` if it is given, otherwise the environment variable `M2_SOCKET` unless it is empty,
    otherwise the default places.

    Raises `ValueError` if the path is longer than the path of a Unix socket can be.
    """
    named = os.fspath(path) if path is not None else os.environ.get(ENV, "")
    if not named:
        return [place for place in _defaults() if len(os.fsencode(place)) <= MAX_PATH_BYTES]
    place = str(Path(named).absolute())
    length = len(os.fsencode(place))
    if length > MAX_PATH_BYTES:
        raise ValueError(
            f"The socket path {place} is {length} bytes long; at most {MAX_PATH_BYTES} are possible."
        )
    return [place]


def find(candidates: Sequence[str]) -> str:
    """Returns the first place at which a daemon answers.

    Raises `NoDaemonError` if there is none, and `NotAllowedError` if this user may not use the socket.
    """
    for place in candidates:
        error = _dial(place)
        if error is None:
            return place
        if error.errno not in _ABSENT:
            raise _denied(place, error)
    raise _absent(candidates)


def problem(candidates: Sequence[str]) -> M2Error | None:
    """Returns why no daemon answers at any place, or `None` if one does."""
    try:
        find(candidates)
    except M2Error as error:
        return error
    return None


def target(place: str) -> str:
    """Returns gRPC's name of a socket. gRPC parses it as a URI."""
    return "unix:" + quote(place)


def _defaults() -> list[str]:
    directories = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        directories.append(Path(runtime, "m2d"))
    uid = os.geteuid()
    run_user = Path("/run/user", str(uid))
    if sys.platform == "linux" and run_user.is_dir() and run_user.stat().st_uid == uid:
        directories.append(run_user / "m2d")
    with suppress(RuntimeError):  # The user has no home directory.
        directories.append(_data() / "run")
    if sys.platform == "linux":
        directories.append(Path("/run/m2d"))  # The system service.
    return list(dict.fromkeys(str(directory / "m2d.sock") for directory in directories))


def _data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "m2d"
    data = os.environ.get("XDG_DATA_HOME", "")
    return Path(data, "m2d") if Path(data).is_absolute() else Path.home() / ".local/share/m2d"


def _dial(place: str) -> OSError | None:
    """Connects once and closes the connection. A full queue of a listener counts as an answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.setblocking(False)
        try:
            end.connect(place)
        except BlockingIOError:
            return None
        except OSError as error:
            return error
    return None


def _absent(candidates: Sequence[str]) -> NoDaemonError:
    tried = " or ".join(candidates) or "any default place: this user has no home directory"
    return NoDaemonError(f"No daemon answers at {tried}. Start it with `m2d run`.")


def _denied(place: str, error: OSError) -> M2Error:
    text = f"Can't connect to {place}: {os.strerror(error.errno or 0)}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotAllowedError(text)
    return M2Error(text, reason="SOCKET")
