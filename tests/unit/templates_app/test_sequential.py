"""The test that may be looked at as often as one likes, and the intervals beside it."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates_app.sequential import ALPHA, Round, difference, evidence, ratio, wilson, wins

RUNS, PEEKS, STEP = 2000, 100, 100


def some(random: Random, people: int, halvings: int) -> int:
    """How many of `people` succeed, each with the probability 1/2 ** halvings."""
    found = (1 << people) - 1
    for _ in range(halvings):
        found &= random.getrandbits(people) if people else 0
    return found.bit_count()


def has_winner(rounds: list[Round], alpha: float = ALPHA) -> bool:
    turned = [Round(r.second, r.first, r.second_weight, r.first_weight) for r in rounds]
    return wins(rounds, alpha) or wins(turned, alpha)


def test_variants_that_are_alike_seldom_get_a_winner_however_often_one_looks():
    """2,000 A/A tests of 10,000 people, looked at after every 100."""
    random, false_winners = Random(20261122), 0
    for _ in range(RUNS):
        first = second = 0
        for _ in range(PEEKS):
            people = some(random, STEP, 1)
            first += some(random, people, 2)
            second += some(random, STEP - people, 2)
            if has_winner([Round(first, second)]):
                false_winners += 1
                break
    assert 0 < false_winners <= ALPHA * RUNS


def test_nor_where_the_rate_drifts_and_the_weights_change():
    """As at night and by day, and people dealt out 1:1, then 1:3, then 3:1."""
    random, false_winners = Random(7), 0
    for _ in range(500):
        rounds: list[Round] = []
        for first_weight, second_weight in ((1, 1), (1, 3), (3, 1)):
            rounds.append(Round(0, 0, first_weight, second_weight))
            for peek in range(20):
                people = some(random, STEP, 1)
                if first_weight != second_weight:  # a quarter of them
                    people = some(random, STEP, 2)
                people = STEP - people if first_weight > second_weight else people
                last, halvings = rounds[-1], 1 + peek % 4
                rounds[-1] = last._replace(
                    first=last.first + some(random, people, halvings),
                    second=last.second + some(random, STEP - people, halvings),
                )
                if has_winner(rounds):
                    break
            else:
                continue
            false_winners += 1
            break
    assert false_winners <= ALPHA * 500


@pytest.mark.parametrize(("halvings", "people"), [(3, 3000), (4, 10_000)])
def test_a_real_difference_is_found(halvings, people):
    """25 % against 34.4 % in 3,000 people, against 29.7 % in 10,000: by 4 of 5 tests at least."""
    random, found = Random(3), 0
    for _ in range(200):
        first = second = 0
        for _ in range(people // STEP):
            half = some(random, STEP, 1)
            first += some(random, half, 2)
            lucky = some(random, STEP - half, 2)
            second += lucky + some(random, STEP - half - lucky, halvings)
            assert not wins([Round(first, second)])
            if wins([Round(second, first)]):
                found += 1
                break
    assert found >= 160


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # R. Newcombe, Two-sided confidence intervals for the single proportion (1998), method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_rate_is_wilsons(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # R. Newcombe, Interval estimation for the difference (1998), method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((0, 20), (0, 10), -0.2775, 0.1611),
    ],
)
def test_the_interval_of_a_difference_is_newcombes(first, second, low, high):
    assert difference(first, second) == pytest.approx((low, high), abs=5e-5)


COUNT = st.integers(0, 5000)
ROUND = st.builds(Round, COUNT, COUNT, st.integers(1, 1000), st.integers(1, 1000))


@given(st.lists(ROUND, min_size=1, max_size=4))
def test_the_interval_of_the_ratio_holds_what_the_test_does_not_refute(rounds):
    low, high = ratio(rounds)
    assert 0 <= low <= high
    is_certain = evidence(rounds) >= math.log(1 / ALPHA)
    if not low < 1 < high and low != high:
        assert is_certain or min(abs(low - 1), abs(high - 1)) < 1e-6
    if is_certain:
        assert not low * (1 + 1e-9) < 1 < high * (1 - 1e-9)
    for bound in (low, high):
        if 1e-6 < bound < 1e6 and high > low * (1 + 1e-9):
            assert evidence(rounds, math.log(bound)) == pytest.approx(math.log(1 / ALPHA), abs=1e-3)


def test_without_successes_nothing_is_known():
    assert ratio([Round(0, 0)]) == (0.0, math.inf)
    assert evidence([Round(0, 0)]) == 0
    assert wilson(0, 0) == (0.0, 1.0)
    assert difference((0, 0), (0, 0)) == (-1.0, 1.0)
    assert not wins([Round(0, 0)])
