"""Who gets which variant."""

from __future__ import annotations

import math
from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from templates_app.assignment import assign

ONE, OTHER = UUID(int=1), UUID(int=2)
PEOPLE = [f"u-{n}" for n in range(6000)]


def everybody(weights: dict[str, int], experiment: UUID = ONE) -> dict[str, str]:
    return {person: assign(experiment, weights, person) for person in PEOPLE}


def is_near(count: int, expected: float, of: int) -> bool:
    """Within four standard deviations of a binomial count."""
    p = expected / of
    return abs(count - expected) <= 4 * math.sqrt(of * p * (1 - p))


def test_people_are_dealt_out_by_weight():
    for weights in ({"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 2, "b": 3, "c": 5}):
        dealt = Counter(everybody(weights).values())
        for name, weight in weights.items():
            assert is_near(dealt[name], len(PEOPLE) * weight / sum(weights.values()), len(PEOPLE))


def test_one_experiment_says_nothing_of_another():
    both = Counter(
        zip(
            everybody({"a": 1, "b": 1}).values(),
            everybody({"a": 1, "b": 1}, OTHER).values(),
            strict=True,
        )
    )
    for count in both.values():
        assert is_near(count, len(PEOPLE) / 4, len(PEOPLE))


def test_when_weights_change_nobody_moves_but_to_what_has_gained():
    before, after = everybody({"a": 1, "b": 1, "c": 2}), everybody({"a": 1, "b": 3, "c": 2})
    moved = [person for person in PEOPLE if before[person] != after[person]]
    assert {after[person] for person in moved} == {"b"}
    assert is_near(len(moved), len(PEOPLE) / 4, len(PEOPLE))  # from a quarter to a half


@given(
    st.dictionaries(st.text(min_size=1), st.integers(1, 1000), min_size=2, max_size=10),
    st.text(),
    st.uuids(),
)
def test_the_same_person_gets_the_same_variant_in_whatever_order_they_are_named(
    weights, person, experiment
):
    found = assign(experiment, weights, person)
    assert found in weights
    assert found == assign(experiment, dict(reversed(weights.items())), person)
    doubled = {name: 2 * weight for name, weight in weights.items()}
    assert found == assign(experiment, doubled, person)
