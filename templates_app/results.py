"""What an experiment has shown so far."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from templates_app import sequential
from templates_app.models import Experiment, Variant, VariantDelta
from templates_app.sequential import ALPHA, Interval, Round

VALUE_UNIT = 10_000
"""Values of conversions are counted in ten-thousandths."""


@dataclass(frozen=True)
class Arm:
    """One variant, all rounds together; `weight` is that of the last one. `rate` is the part of its
    messages that reached the goal, between `low` and `high` with 95 %.
    """

    name: str
    version: int
    weight: int
    counts: Mapping[str, int]
    rate: float
    low: float
    high: float

    @property
    def value(self) -> Decimal:
        return Decimal(self.counts.get("value", 0)) / VALUE_UNIT


@dataclass(frozen=True)
class Comparison:
    """The best variant beside another. `difference` is that of the rates, with 95 %; `ratio` that of
    the people who reached the goal, for any number of looks (`high` infinite: unbounded).
    """

    name: str
    difference: float
    low: float
    high: float
    ratio: Interval
    chance: float
    """At most, of evidence like this at any time if the two were alike."""
    is_certain: bool


@dataclass(frozen=True)
class Results:
    """`best` is the variant with the highest rate, `winner` the same once that is certain; empty
    where there is nobody to beat.
    """

    arms: Sequence[Arm]
    best: str
    comparisons: Sequence[Comparison]

    @property
    def winner(self) -> str:
        is_certain = self.comparisons and all(one.is_certain for one in self.comparisons)
        return self.best if is_certain else ""


def results(experiment: Experiment) -> Results:
    """With what is not folded yet."""
    rows = list(experiment.variants.select_related("version"))
    unfolded = VariantDelta.objects.filter(variant__in=rows).values_list("variant", "counts")
    counts = {row.id: Counter[str](row.counts) for row in rows}
    for variant_id, delta in unfolded:
        counts[variant_id].update(delta)
    for row in rows:
        row.counts = counts[row.id]
    by_name: dict[str, list[Variant]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.round):
        by_name[row.name].append(row)
    arms = [_arm(experiment, name, by_name[name]) for name in sorted(by_name)]
    if not arms:
        return Results([], "", [])
    best = max(arms, key=lambda arm: arm.rate)
    alpha = ALPHA / max(1, len(arms) - 1)
    return Results(
        arms,
        best.name,
        [
            _compare(best, arm, experiment.goal, _rounds(by_name, best, arm, experiment), alpha)
            for arm in arms
            if arm is not best
        ],
    )


def _arm(experiment: Experiment, name: str, rows: Sequence[Variant]) -> Arm:
    total = Counter[str]()
    for row in rows:
        total.update(row.counts)
    reached, assigned = total[experiment.goal], total["assigned"]
    interval = sequential.wilson(reached, assigned)
    rate = sequential.rate(reached, assigned)
    last = rows[-1]
    return Arm(name, last.version.number, last.weight, total, rate, interval.low, interval.high)


def _rounds(
    by_name: Mapping[str, Sequence[Variant]], first: Arm, second: Arm, experiment: Experiment
) -> list[Round]:
    people = f"{experiment.goal}_people"
    return [
        Round(one.counts[people], other.counts[people], one.weight, other.weight)
        for one, other in zip(by_name[first.name], by_name[second.name], strict=True)
    ]


def _compare(best: Arm, other: Arm, goal: str, rounds: Sequence[Round], alpha: float) -> Comparison:
    """`alpha` is for this pair: that any of several is taken for better by accident stays at 5 %."""
    pair = [(arm.counts.get(goal, 0), arm.counts.get("assigned", 0)) for arm in (best, other)]
    between = sequential.difference(pair[0], pair[1])
    return Comparison(
        other.name,
        best.rate - other.rate,
        between.low,
        between.high,
        sequential.ratio(rounds, alpha),
        min(1.0, math.exp(-sequential.evidence(rounds))),
        sequential.wins(rounds, alpha),
    )
