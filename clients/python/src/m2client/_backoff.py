"""Exponential backoff with jitter."""

from __future__ import annotations

import random


class Backoff:
    """The pauses between attempts: about 0.2 s at first, doubled each time, at most 5 s.

    Each pause is a random time between half of that and all of it, so that the front-ends of a daemon
    that restarts do not return at the same moment.
    """

    FIRST = 0.2
    LONGEST = 5.0

    def __init__(self) -> None:
        self._pause = self.FIRST

    def next(self) -> float:
        """Returns the next pause in seconds."""
        pause = self._pause
        self._pause = min(self._pause * 2, self.LONGEST)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Starts with the first pause again, after an attempt that succeeded."""
        self._pause = self.FIRST
