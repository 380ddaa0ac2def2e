"""Does a figure stay what it is? Pure: samples in, a verdict out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

WARM_UP = 900.0
"""Seconds in which a process imports, connects, and fills its caches and pools: a web process that is
looked at by staff too takes 50 MB more in a quarter of an hour, and then no more (measured).
"""

ENOUGH = 300.0
"""Seconds below which nothing is said."""


@dataclass(frozen=True)
class Sample:
    """`life` is the process it was taken of: one that is started again begins a new one."""

    at: float
    life: int
    value: float


@dataclass(frozen=True)
class Trend:
    """`growth` is what the slope adds up to over `seconds`; `bound` what it may be."""

    mean: float
    per_hour: float
    seconds: float
    growth: float
    bound: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.bound


def trend(samples: Sequence[Sample], *, since: float, share: float, least: float) -> Trend | None:
    """One slope of all lives, each of which has a level of its own; from `since` on, without each
    life's first `WARM_UP` seconds. It may grow by `share` of its mean, or by `least`. None where
    that is too short to tell.
    """
    chosen = list(_settled(samples, since))
    seconds = max((one.at for one in chosen), default=0) - min(
        (one.at for one in chosen), default=0
    )
    if seconds < ENOUGH:
        return None
    values = [one.value for one in chosen]
    mean = sum(values) / len(values)
    slope = _common_slope(chosen)
    return Trend(mean, slope * 3600, seconds, slope * seconds, max(share * mean, least))


def _settled(samples: Iterable[Sample], since: float) -> Iterable[Sample]:
    born: dict[int, float] = {}
    for one in samples:
        if one.at - born.setdefault(one.life, one.at) >= WARM_UP and one.at >= since:
            yield one


def _common_slope(samples: Iterable[Sample]) -> float:
    """The median of the slopes between any two samples of a life (Theil and Sen): what a fault does
    to the minute after it moves a fitted line, and does not move this.
    """
    lives: dict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        lives[one.life].append(one)
    slopes = [
        (after.value - before.value) / (after.at - before.at)
        for life in lives.values()
        for before, after in combinations(life, 2)
    ]
    return median(slopes) if slopes else 0.0
