"""What one connection may take of the socket. How many there may be: `seats`."""

from __future__ import annotations

import time
from collections.abc import Callable

FRAMES_PER_SECOND = 20
FRAMES_AT_ONCE = 40
MOST_KEYS = 200
"""Keys that one socket may follow, of all feeds together; and people that it may watch."""


class Flood(Exception):
    """So many frames beyond the limit that an answer to each would be too much."""


class Pace:
    """A bucket of frames for one socket. Refused ones count too: who goes on is closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(FRAMES_AT_ONCE)
        self._at = clock()

    def allows(self) -> bool:
        """Whether one more frame may be handled now. Raises Flood."""
        now = self._clock()
        self._left = min(FRAMES_AT_ONCE, self._left + (now - self._at) * FRAMES_PER_SECOND) - 1
        self._at = now
        if self._left < -FRAMES_AT_ONCE:
            raise Flood
        return self._left >= 0
