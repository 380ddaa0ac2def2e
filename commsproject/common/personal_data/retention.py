"""What is too old goes, a step here and a step there, so that nothing else has to wait."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from commsproject.common import clock
from commsproject.common.personal_data import registry

PAUSE_SECONDS = 0.02
"""Between two steps: what waits for the disk goes first."""


@dataclass(frozen=True)
class Due:
    """So many rows of a table would go, and why."""

    what: str
    why: str
    rows: int


def due(now: datetime | None = None) -> Iterator[Due]:
    """What would go now. Only counts."""
    now = now or clock.now()
    for purge in registry.purges():
        yield Due(purge.what, purge.why, purge.count(now))


def run(seconds: float, now: datetime | None = None) -> dict[tuple[str, str], int]:
    """Let go what is due, for about `seconds`; the rows by table and reason, empty where none was.

    Each table gets a step in turn, another one first each time, so that none waits for the others.
    """
    now, pause = now or clock.now(), threading.Event()
    until = time.monotonic() + seconds
    gone: dict[tuple[str, str], int] = {}
    left = deque(registry.purges())
    left.rotate(random.randrange(len(left)))  # noqa: S311 - no secret
    while left and time.monotonic() < until:
        purge = left.popleft()
        step = purge.step(now)
        if step.is_more:
            left.append(purge)
        if step.rows:
            gone[purge.what, purge.why] = gone.get((purge.what, purge.why), 0) + step.rows
            pause.wait(PAUSE_SECONDS)
    return gone
