"""What is too old goes, a step here and a step there, so that nothing else has to wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

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
    now = now or timezone.now()
    for purge in registry.purges():
        yield Due(purge.what, purge.why, purge.count(now))


def run(seconds: float, now: datetime | None = None) -> dict[tuple[str, str], int]:
    """Let go what is due, for about so long; the rows by table and reason.

    What is left when time is up comes first the next time that nothing else has to wait: each
    table gets a step in turn.
    """
    now = now or timezone.now()
    until = time.monotonic() + seconds
    gone: dict[tuple[str, str], int] = {}
    left = list(registry.purges())
    while left and time.monotonic() < until:
        for purge in list(left):
            rows = purge.step(now)
            gone[purge.what, purge.why] = gone.get((purge.what, purge.why), 0) + rows
            if not rows:
                left.remove(purge)
            time.sleep(PAUSE_SECONDS)
    return {what: rows for what, rows in gone.items() if rows}
