"""What one connection, person, address and process may take of the socket."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from commsproject.common.live.people import Person

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


class Crowd(Exception):
    """As many connections as there may be. The argument says of what: a person, an address ..."""


class Seats:
    """The connections of this process, by person and by address."""

    def __init__(self) -> None:
        self._taken: Counter[Person | str] = Counter()

    @contextmanager
    def at(self, address: str) -> Iterator[None]:
        """A place for an address, and one of the process as a whole. Raises Crowd."""
        with (
            self._place("process", settings.LIVE_MAX_CONNECTIONS, "process"),
            self._place(address, settings.LIVE_MAX_PER_ADDRESS, "address"),
        ):
            yield

    @contextmanager
    def of(self, person: Person) -> Iterator[None]:
        """A place for a person. Raises Crowd."""
        with self._place(person, settings.LIVE_MAX_PER_PERSON, "person"):
            yield

    @contextmanager
    def _place(self, whose: Person | str, most: int, what: str) -> Iterator[None]:
        if self._taken[whose] >= most:
            raise Crowd(what)
        self._taken[whose] += 1
        try:
            yield
        finally:
            self._taken[whose] -= 1
            if not self._taken[whose]:
                del self._taken[whose]
