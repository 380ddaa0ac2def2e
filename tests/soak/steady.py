"""Does a figure stay what it is? Pure: samples in, a verdict out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WARM_UP = 120.0
"""Seconds in which a process imports, connects, and fills its caches."""

ENOUGH = 600.0
"""Seconds below which nothing is said."""


@dataclass(frozen=True)
class Sample:
    """`life` is the process it was taken of: one that is started again begins a new one."""

    at: float
    life: int
    value: float


@dataclass(frozen=True)
class Trend:
    """`growth` is what the fitted slope adds up to over `seconds`; `bound` what it may be."""

    mean: float
    per_hour: float
    seconds: float
    growth: float
    bound: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.bound


def trend(samples: Sequence[Sample], *, since: float, share: float, least: float) -> Trend | None:
    """One slope of all lives, each of which has a level of its own, by least squares; from `since`
    on, without each life's first `WARM_UP` seconds. It may grow by `share` of its mean, or by
    `least`. None where that is too short to tell.
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
    lives: dict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        lives[one.life].append(one)
    above = below = 0.0
    for life in lives.values():
        middle = sum(one.at for one in life) / len(life)
        level = sum(one.value for one in life) / len(life)
        above += sum((one.at - middle) * (one.value - level) for one in life)
        below += sum((one.at - middle) ** 2 for one in life)
    return above / below if below else 0.0
