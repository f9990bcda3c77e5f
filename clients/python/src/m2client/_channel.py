"""What the channels of both clients have in common."""

from __future__ import annotations

import math
from typing import Any

# Responses may have up to 1,000 messages of 48 KiB. The daemon is local, so attempts to reach it are
# cheap, and a restart takes less than the minutes for which gRPC waits by default.
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]

DEFAULT_TIMEOUT = 30.0


def timeout_of(timeout: float | None, default: float) -> float:
    """Returns the timeout of a call in seconds.

    Raises `ValueError` unless it is positive and finite.
    """
    seconds = default if timeout is None else timeout
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"A timeout must be a positive number of seconds, not {seconds}.")
    return seconds
