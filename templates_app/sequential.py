"""How certain a difference between two variants is. Pure.

The intervals of single rates and their difference (`wilson`, `difference`) hold for one look. The
test (`evidence`) may be looked at as often as one likes: where the variants are alike it is a
martingale that begins at 1, so that it ever reaches 20 has a chance of at most 1 in 20.

It looks at successes alone. Chance has dealt the people out by weight: where the variants are alike,
each success comes from the first with the probability of its weight, whenever it comes and however
rates change in time, and those that may still succeed do not matter. What it is weighed against is a
Beta mixture of other probabilities: M. Lindon and A. Malek, Anytime-Valid Inference for Multinomial
Count Data, NeurIPS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

ALPHA = 0.05
"""The chance that variants that are alike ever get a winner."""

_Z = 1.959964
"""Of 95 %, two-sided."""

_SPREAD = 100.0
"""How narrow the mixture is: quickest where a rate is about a fifth higher, valid for every value."""

_LOG_RATIOS = (-20.0, 20.0)
"""Where a ratio is looked for."""


class Interval(NamedTuple):
    low: float
    high: float


class Round(NamedTuple):
    """Successes of two variants while their weights were the same: one a person at most."""

    first: int
    second: int
    first_weight: int = 1
    second_weight: int = 1

    @property
    def expected(self) -> float:
        """The part of the successes that comes from the first where the two are alike."""
        return self.first_weight / (self.first_weight + self.second_weight)


def rate(successes: int, trials: int) -> float:
    return successes / trials if trials else 0.0


def wilson(successes: int, trials: int) -> Interval:
    """95 % of a rate, by Wilson's score (1927); 0 to 1 where nothing was tried."""
    if not trials:
        return Interval(0.0, 1.0)
    found, square = successes / trials, _Z * _Z
    middle = found + square / (2 * trials)
    half = _Z * math.sqrt(found * (1 - found) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def difference(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """95 % of the first rate less the second, each as successes and trials (R. Newcombe, Interval
    estimation for the difference between independent proportions, 1998, method 10).
    """
    p, q = rate(*first), rate(*second)
    of_p, of_q = wilson(*first), wilson(*second)
    return Interval(
        p - q - math.hypot(p - of_p.low, of_q.high - q),
        p - q + math.hypot(of_p.high - p, q - of_q.low),
    )


def evidence(rounds: Sequence[Round], log_ratio: float = 0.0) -> float:
    """The logarithm of how much more likely the successes are where the first's rate is not
    `exp(log_ratio)` times the second's: log(20) is certain enough for `ALPHA`.
    """
    return math.fsum(_evidence(one, log_ratio) for one in rounds)


def ratio(rounds: Sequence[Round], alpha: float = ALPHA) -> Interval:
    """What the ratio of the rates may be, first to second, with certainty 1 - `alpha` at every look."""
    bound = math.log(1 / alpha)
    low, high = _LOG_RATIOS
    best = _crossing(lambda at: _slope(rounds, at), low, high)

    def beyond(at: float) -> float:
        return evidence(rounds, at) - bound

    return Interval(
        math.exp(_crossing(lambda at: -beyond(at), low, best)) if beyond(low) > 0 else 0.0,
        math.exp(_crossing(beyond, best, high)) if beyond(high) > 0 else math.inf,
    )


def wins(rounds: Sequence[Round], alpha: float = ALPHA) -> bool:
    """Whether the first is better for certain."""
    return _slope(rounds, 0.0) < 0 and evidence(rounds) >= math.log(1 / alpha)


def _share(one: Round, log_ratio: float) -> float:
    """The probability that a success comes from the first."""
    return 1 / (1 + one.second_weight / one.first_weight * math.exp(-log_ratio))


def _evidence(one: Round, log_ratio: float) -> float:
    prior = (_SPREAD * one.expected, _SPREAD * (1 - one.expected))
    share = _share(one, log_ratio)
    mixture = _log_beta(prior[0] + one.first, prior[1] + one.second) - _log_beta(*prior)
    return mixture - one.first * math.log(share) - one.second * math.log1p(-share)


def _slope(rounds: Sequence[Round], log_ratio: float) -> float:
    """Of `evidence`, which is convex in `log_ratio`."""
    return math.fsum(
        (one.first + one.second) * _share(one, log_ratio) - one.first for one in rounds
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that rises from `low` to `high` passes zero."""
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
