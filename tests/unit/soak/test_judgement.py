"""The soak's own judgement: what is drawn from a seed, and what counts as growing."""

from __future__ import annotations

from itertools import pairwise

from tests.soak import faults
from tests.soak.steady import Sample, trend

RULES = {"since": 600.0, "share": 0.1, "least": 5.0}


def hour(per_hour: float, *, restart_every: float = 1500, jump: float = 40) -> list[Sample]:
    """A process of 100 MB that grows, is killed now and then, and starts anew on another level."""
    return [
        Sample(at, life := int(at // restart_every), 100 + jump * (life % 2) + grown)
        for at in range(0, 3600, 10)
        for grown in [per_hour * (at % restart_every) / 3600]
    ]


def test_a_plan_has_each_fault_and_none_at_once() -> None:
    for minutes in (5, 30, 60):
        plan = faults.plan(7, minutes * 60)
        assert plan == faults.plan(7, minutes * 60) != faults.plan(8, minutes * 60)
        assert {one.kind for one in plan} == set(faults.SECONDS)
        killed = [one.at for one in plan if one.kind.startswith(faults.KILL)]
        assert minutes < 30 or max(killed) < minutes * 60 / 2
        for one, after in pairwise(plan):
            assert one.at + faults.SECONDS[one.kind] <= after.at
        assert plan[0].at >= faults.CALM
        assert plan[-1].at + faults.SECONDS[plan[-1].kind] <= minutes * 60 - faults.CALM


def test_a_leak_shows_through_restarts() -> None:
    leak = trend(hour(60), **RULES)
    assert leak is not None
    assert 59 < leak.per_hour < 61
    assert not leak.is_flat


def test_restarts_are_no_growth() -> None:
    steady = trend(hour(0), **RULES)
    assert steady is not None
    assert steady.is_flat
    assert abs(steady.per_hour) < 0.1


def test_warming_up_is_no_growth() -> None:
    def level(age: float) -> float:
        return min(age, 500)

    samples = [Sample(at, at // 1500, level(at % 1500)) for at in range(0, 3600, 10)]
    warm = trend(samples, **RULES)
    assert warm is not None
    assert warm.per_hour == 0


def test_a_fault_near_the_end_is_no_growth() -> None:
    samples = [
        Sample(at, 0, 100 + 80 * (at > 3000 and at % 300 < 120)) for at in range(0, 3600, 10)
    ]
    spiky = trend(samples, **RULES)
    assert spiky is not None
    assert spiky.per_hour == 0


def test_a_few_samples_say_nothing() -> None:
    assert trend(hour(600)[-10:], **RULES) is None
