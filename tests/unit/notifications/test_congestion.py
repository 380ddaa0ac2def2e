from __future__ import annotations

from math import inf

import pytest

from notifications import breaker
from notifications.congestion import (
    FLOOR,
    IDLE,
    LONGEST_REST,
    REST,
    START,
    TRIAL,
    WELL_AFTER,
    Congestion,
)

NOW = 1000.0


def slowed(**changes: float) -> Congestion:
    """One that has just been found to be slow."""
    found = Congestion(usual=0.05)
    assert found.lost(NOW - 1, 0, NOW)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("state", "out", "moment", "room"),
    [
        (Congestion(), 0, NOW, START),
        (Congestion(), START, NOW, 0),  # who comes now waits, until one of them is answered
        (Congestion(window=300.9), 100, NOW, 200),
        (Congestion(window=4, throttled_at=NOW), 1, NOW, 3),
        (Congestion(window=4, throttled_at=NOW), 5, NOW, 0),
        (slowed(), 0, NOW, 0),
        (slowed(), 0, NOW + REST - 0.1, 0),
        (slowed(), 0, NOW + REST, 1),
        (slowed(), 1, NOW + REST, 0),
        (slowed(window=40), 0, NOW + WELL_AFTER, 40),  # forgotten
    ],
)
def test_how_many_may_begin(state: Congestion, out: int, moment: float, room: int) -> None:
    assert state.room(out, moment) == room


def test_a_breaker_opens_within_ten_calls_of_a_process() -> None:
    """Each failure frees a place for one more call, until the last of them opens it."""
    assert START + breaker.FAILURES - 1 <= 10


def test_each_round_of_answers_doubles_what_may_be_out() -> None:
    state, rounds = Congestion(), []
    for _ in range(4):
        for _ in range(int(state.window)):  # the place of each is taken by the next
            state.answered(0.05, int(state.window) - 1, NOW)
        rounds.append(int(state.window))
    assert rounds == [2 * START, 4 * START, 8 * START, 16 * START]


def test_what_is_not_used_does_not_grow() -> None:
    state = Congestion()
    for _ in range(1000):
        state.answered(0.05, 2, NOW)
    assert state.window == START


@pytest.mark.parametrize(
    ("out", "idle", "window"),
    [(0, IDLE + 0.1, START), (0, IDLE - 0.1, 500), (1, IDLE + 0.1, 500)],
)
def test_after_an_idle_time_it_starts_again(out: int, idle: float, window: float) -> None:
    state = Congestion(window=500, ended_at=NOW - idle)
    state.began(out, NOW)
    assert state.window == window


def test_what_trouble_left_is_not_made_more_by_an_idle_time() -> None:
    state = slowed(ended_at=NOW - 2 * IDLE)
    state.began(0, NOW)
    assert state.window == 1


@pytest.mark.parametrize(
    ("well", "lost", "out", "is_trouble"),
    [
        (0, 1, 0, True),
        (19, 1, 0, True),  # one of twenty
        (20, 1, 0, False),
        (38, 2, 0, True),
        (0, 1, 19, True),  # of those that are out nobody knows
        (0, 1, 20, False),
        (990, 10, 0, False),  # a long tail is no trouble
    ],
)
def test_a_twentieth_of_a_second_s_calls_is_trouble(
    well: int, lost: int, out: int, is_trouble: bool
) -> None:
    state = Congestion(window=1000)
    for _ in range(well):
        state.answered(0.05, out, NOW)
    assert [state.lost(NOW - 1, out, NOW) for _ in range(lost)][-1] is is_trouble
    assert (state.rests_until == NOW + REST) is is_trouble


def test_what_was_long_ago_hides_nothing() -> None:
    state = Congestion()
    for _ in range(100):
        state.answered(0.05, 0, NOW - 1.1)
    assert state.lost(NOW - 1, 0, NOW)


def test_calls_from_before_the_trouble_are_part_of_it() -> None:
    state = slowed()
    assert not state.lost(NOW - 0.5, 3, NOW + 0.5)
    assert (state.rests_until, state.window) == (NOW + REST, 1)


def test_a_throttle_forgives_no_slowness() -> None:
    state = Congestion()
    state.throttled(NOW - 0.1, 0, NOW)
    assert state.lost(NOW - 1, 0, NOW)


@pytest.mark.parametrize(("answers", "later", "grows"), [(1, 10, True), (TRIAL, 10, False)])
def test_it_rests_twice_as_long_where_the_trouble_soon_comes_back(
    answers: int, later: float, grows: bool
) -> None:
    state, now, rests = Congestion(), NOW, []
    for _ in range(5):
        assert state.lost(now - 1, 0, now)
        rests.append(state.rests_until - now)
        now = state.rests_until + later
        for _ in range(answers):
            state.answered(0.05, 0, now - 2)
    doubled = [REST, 2 * REST, 4 * REST, LONGEST_REST, LONGEST_REST]
    assert rests == (doubled if grows else [REST] * 5)


def test_after_a_minute_the_rest_is_short_again() -> None:
    state = slowed(strikes=3)
    later = NOW + WELL_AFTER
    assert state.lost(later - 1, 0, later)
    assert state.rests_until == later + REST


def test_it_comes_back_by_one_call_for_each_round() -> None:
    state = slowed()
    for answers in range(9):
        for _ in range(answers + 1):
            state.answered(0.05, 0, NOW + REST)
    assert state.window == pytest.approx(10, abs=1)


@pytest.mark.parametrize(
    ("window", "out", "expected"),
    [(START, 99, START), (200, 99, 70), (200, 1, FLOOR), (1, 50, 1)],
)
def test_a_throttle_takes_three_tenths_of_what_is_out(
    window: float, out: int, expected: float
) -> None:
    state = Congestion(window=window)
    for _ in range(6):  # answers to calls of before that: once
        state.throttled(NOW - 0.1, out, NOW)
    assert state.window == expected
    assert state.rests_until == -inf


@pytest.mark.parametrize(("usual", "after"), [(0.0, 1.0), (0.05, 1.0), (0.125, 1.0), (0.5, 4.0)])
def test_slow_is_far_beyond_the_usual(usual: float, after: float) -> None:
    assert Congestion(usual=usual).slow_after(1.0) == after


def test_usual_is_where_half_of_the_answers_are() -> None:
    state = Congestion()
    for number in range(2000):
        state.answered(0.1 if number % 3 else 8.0, 0, NOW)
    assert state.usual == pytest.approx(0.1, rel=0.2)
    for _ in range(200):
        state.answered(2.0, 0, NOW)  # it has become slower for good
    assert state.usual == pytest.approx(2.0, rel=0.1)
