from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from notifications import retry
from notifications.retry import HOLD_FOR, POLICIES, AfterUnknown, after_unknown, may_try_again
from notifications.types import Lane

lanes = st.sampled_from(Lane)
attempts = st.integers(1, 1000)


class Highest(Random):
    """Always the end of the range that full jitter draws from."""

    @override
    def uniform(self, a, b):
        return b


class Lowest(Random):
    @override
    def uniform(self, a, b):
        return a


@given(lanes, attempts, st.integers())
def test_jitter_stays_inside_its_bound(lane, number, seed):
    policy = POLICIES[lane]
    wait = retry.delay(lane, number, retry_after=None, random=Random(seed))
    assert 0 <= wait <= min(policy.cap, policy.base * 2 ** (number - 1))


@given(lanes, attempts, st.floats(0, 86_400), st.integers())
def test_a_provider_is_never_asked_before_it_said(lane, number, asked, seed):
    wait = retry.delay(lane, number, retry_after=asked, random=Random(seed))
    assert asked <= wait <= asked + POLICIES[lane].cap


@pytest.mark.parametrize(
    ("lane", "bounds"),
    [
        (Lane.URGENT, [0.5, 1, 2, 4, 8, 8, 8]),
        (Lane.NORMAL, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]),
        (Lane.BULK, [30, 60, 120, 240, 480, 960, 1920, 3600]),
    ],
)
def test_the_bound_doubles_up_to_a_cap(lane, bounds):
    found = [
        retry.delay(lane, number, retry_after=None, random=Highest())
        for number in range(1, len(bounds) + 1)
    ]
    assert found == bounds


@pytest.mark.parametrize("lane", Lane)
def test_jitter_is_full(lane):
    assert retry.delay(lane, 5, retry_after=None, random=Lowest()) == 0
    assert retry.delay(lane, 5, retry_after=3.5, random=Lowest()) == 3.5


@pytest.mark.parametrize("lane", Lane)
def test_those_who_were_told_the_same_time_do_not_come_back_together(lane):
    bound = POLICIES[lane].base
    assert retry.delay(lane, 1, retry_after=60, random=Lowest()) == 60
    assert retry.delay(lane, 1, retry_after=60, random=Highest()) == 60 + bound


@pytest.mark.parametrize("lane", Lane)
def test_what_is_in_no_table_is_tried_three_times(lane):
    assert may_try_again(lane, 2, timedelta(0), puzzles=retry.PUZZLES - 1)
    assert not may_try_again(lane, 3, timedelta(0), puzzles=retry.PUZZLES)
    assert retry.PUZZLES == 3


@pytest.mark.parametrize("lane", Lane)
def test_a_delivery_is_given_up_after_its_lanes_rounds_or_age(lane):
    limit, age = POLICIES[lane].rounds, POLICIES[lane].age
    second = timedelta(seconds=1)
    assert may_try_again(lane, limit - 1, age - second)
    assert not may_try_again(lane, limit, age - second)
    assert not may_try_again(lane, limit - 1, age)


YOUNG, OLD = timedelta(hours=1), HOLD_FOR


@pytest.mark.parametrize(
    ("lane", "hold", "waited", "copies", "then"),
    [
        (Lane.URGENT, False, YOUNG, 1, AfterUnknown.RESEND),
        (Lane.NORMAL, False, YOUNG, 1, AfterUnknown.RESEND),
        (Lane.NORMAL, False, OLD, 1, AfterUnknown.RESEND),
        (Lane.NORMAL, False, YOUNG, 2, AfterUnknown.RESEND),
        (Lane.NORMAL, False, YOUNG, 3, AfterUnknown.GIVE_UP),
        (Lane.URGENT, False, YOUNG, 3, AfterUnknown.GIVE_UP),
        (Lane.URGENT, True, YOUNG, 1, AfterUnknown.WAIT),
        (Lane.NORMAL, True, YOUNG, 12, AfterUnknown.WAIT),
        (Lane.NORMAL, True, OLD, 1, AfterUnknown.END_UNCONFIRMED),
        (Lane.BULK, False, timedelta(0), 1, AfterUnknown.WAIT),
        (Lane.BULK, True, YOUNG, 99, AfterUnknown.WAIT),
        (Lane.BULK, False, OLD, 1, AfterUnknown.END_UNCONFIRMED),
        (Lane.BULK, True, OLD + YOUNG, 1, AfterUnknown.END_UNCONFIRMED),
    ],
)
def test_what_follows_an_unknown_outcome(lane, hold, waited, copies, then):
    assert after_unknown(lane, hold=hold, waited=waited, copies=copies) is then


@given(st.timedeltas(timedelta(0), timedelta(days=9)), attempts, st.booleans())
def test_bulk_never_risks_a_second_copy(waited, number, hold):
    then = after_unknown(Lane.BULK, hold=hold, waited=waited, copies=number)
    assert then in {AfterUnknown.WAIT, AfterUnknown.END_UNCONFIRMED}


@given(lanes, st.timedeltas(timedelta(0), timedelta(days=9)), attempts)
def test_a_category_that_holds_never_risks_a_second_copy(lane, waited, number):
    then = after_unknown(lane, hold=True, waited=waited, copies=number)
    assert then in {AfterUnknown.WAIT, AfterUnknown.END_UNCONFIRMED}
