"""How long things took, as counts between fixed bounds: sums of them are histograms again. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS = (
    *(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
    *(60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 72 * 3600),
)
"""Seconds: the upper ends of all buckets but the last. 10 is one of them, for `share_within`."""

SIZE = len(BOUNDS) + 1


def bucket(seconds: float) -> int:
    """Where it is counted."""
    return bisect_left(BOUNDS, seconds)


def percentile(counts: Sequence[int], part: float) -> float | None:
    """Seconds in which `part` (0 to 1) of what was counted was over; None where nothing was.

    Read as if what is in a bucket were spread evenly over it, so it can be wrong by as much as the
    bucket is wide; beyond the last bound, it is that bound.
    """
    total, below = sum(counts), 0
    if not total:
        return None
    wanted = part * total
    for place, count in enumerate(counts[: len(BOUNDS)]):
        if count and below + count >= wanted:
            low = BOUNDS[place - 1] if place else 0.0
            return low + (BOUNDS[place] - low) * (wanted - below) / count
        below += count
    return float(BOUNDS[-1])


def share_within(counts: Sequence[int], seconds: float) -> float | None:
    """The part (0 to 1) that took at most `seconds`, one of the bounds; None where nothing was."""
    total = sum(counts)
    return sum(counts[: BOUNDS.index(seconds) + 1]) / total if total else None
