from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications import breaker
from notifications.breaker import FAILURES, Gate, Health, after_failure, after_success, gate
from notifications.types import ErrorClass

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(days=2)
ILLNESSES = [ErrorClass.TEMPORARY, ErrorClass.AMBIGUOUS]


def failed(health: Health, error_class=ErrorClass.TEMPORARY, *, now=NOW, retry_after=None):
    return after_failure(health, error_class, "503", now, retry_after)


def times(count: int, error_class=ErrorClass.TEMPORARY) -> Health:
    health = Health()
    for _ in range(count):
        health = failed(health, error_class)
    return health


def test_a_healthy_provider_is_open_to_all():
    assert gate(Health(), NOW) is Gate.OPEN_ROAD


@pytest.mark.parametrize("error_class", ILLNESSES)
def test_five_failures_in_a_row_open_the_breaker(error_class):
    assert gate(times(FAILURES - 1, error_class), NOW) is Gate.OPEN_ROAD
    opened = times(FAILURES, error_class)
    assert gate(opened, NOW) is Gate.SHUT
    assert opened.blocked_until == NOW + breaker.OPEN_FOR
    assert opened.reason == "5 failures in a row, last 503"


def test_a_success_in_between_starts_the_count_anew():
    health = after_success(times(FAILURES - 1), NOW)
    assert gate(failed(health), NOW) is Gate.OPEN_ROAD


@pytest.mark.parametrize(
    "error_class", [ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE]
)
def test_the_refusal_of_one_message_is_no_illness(error_class):
    assert failed(times(FAILURES - 1), error_class) == Health()


@pytest.mark.parametrize(("asked", "seconds"), [(1, 1), (45, 45), (3600, 60)])
@pytest.mark.parametrize("alone", [False, True])
def test_a_failure_that_asks_for_time_gets_it(asked, seconds, alone):
    """A minute at most: one server of many may have said it."""
    health = failed(Health(), retry_after=asked)
    until = NOW + seconds * SECOND
    assert gate(health, NOW) is Gate.SHUT
    assert breaker.opens(health, alone=alone) == until
    assert gate(health, until) is Gate.PROBE
    assert after_success(health, until) == Health()


def test_five_failures_that_ask_for_little_open_the_breaker():
    health = Health()
    for _ in range(FAILURES):
        health = failed(health, retry_after=1)
    assert health.blocked_until == NOW + breaker.OPEN_FOR


def test_refused_credentials_shut_at_once_for_a_minute():
    health = failed(Health(), ErrorClass.AUTH_CONFIG)
    assert health.blocked_until == NOW + breaker.OPEN_FOR_CREDENTIALS
    assert gate(health, NOW) is Gate.SHUT
    assert "credentials" in health.reason


@pytest.mark.parametrize(
    ("asked", "wait"), [(None, 1.0), (0, 1.0), (0.2, 0.2), (7, 7.0), (3600, 3600.0)]
)
def test_a_throttle_shuts_for_as_long_as_the_provider_asks(asked, wait):
    health = failed(Health(), ErrorClass.THROTTLED, retry_after=asked)
    assert health.blocked_until == NOW + timedelta(seconds=wait)


def test_when_a_throttle_is_over_nothing_needs_probing():
    throttled = failed(times(FAILURES - 1), ErrorClass.THROTTLED, retry_after=7)
    over = NOW + 7 * SECOND
    assert gate(throttled, over - SECOND) is Gate.SHUT
    assert gate(throttled, over) is Gate.OPEN_ROAD
    assert gate(failed(throttled, now=over), over) is Gate.OPEN_ROAD


def test_when_the_time_is_over_one_message_goes_as_a_probe():
    opened = times(FAILURES)
    over = NOW + breaker.OPEN_FOR
    assert gate(opened, over - SECOND) is Gate.SHUT
    assert gate(opened, over) is Gate.PROBE
    probing = Health(opened.failures, opened.blocked_until, over + breaker.PROBE_FOR)
    assert gate(probing, over) is Gate.SHUT
    assert gate(probing, over + breaker.PROBE_FOR) is Gate.PROBE


def test_a_good_probe_closes_the_breaker():
    opened = times(FAILURES)
    assert after_success(opened, NOW + breaker.OPEN_FOR) == Health()


def test_a_success_from_before_leaves_it_open():
    opened = times(FAILURES)
    assert after_success(opened, NOW) == opened
    paused = failed(Health(), ErrorClass.THROTTLED, retry_after=600)
    assert after_success(paused, NOW + SECOND) == paused


def test_a_short_pause_does_not_shorten_a_long_one():
    refused = failed(Health(), ErrorClass.AUTH_CONFIG)
    throttled = failed(refused, ErrorClass.THROTTLED, retry_after=1)
    assert throttled.blocked_until == refused.blocked_until


@pytest.mark.parametrize("error_class", ILLNESSES)
def test_a_bad_probe_opens_it_again_at_once(error_class):
    later = NOW + breaker.OPEN_FOR
    probing = Health(FAILURES, NOW, later + breaker.PROBE_FOR, "5 failures in a row")
    health = failed(probing, error_class, now=later)
    assert health.blocked_until == later + breaker.OPEN_FOR
    assert health.probe_until is None
    assert gate(health, later) is Gate.SHUT


@pytest.mark.parametrize("error_class", [*ILLNESSES, ErrorClass.AUTH_CONFIG])
def test_a_bad_probe_opens_it_again_however_few_failures_there_were(error_class):
    """One failure opened the breaker; one that failed to close it opens it again."""
    refused = failed(Health(), ErrorClass.AUTH_CONFIG)
    assert refused.failures == 1
    later = NOW + breaker.OPEN_FOR_CREDENTIALS
    assert gate(refused, later) is Gate.PROBE
    health = failed(refused, error_class, now=later)
    assert gate(health, later) is Gate.SHUT
    assert health.blocked_until >= later + breaker.OPEN_FOR


def test_a_reason_fits_its_column():
    health = after_failure(Health(), ErrorClass.AUTH_CONFIG, "x" * 900, NOW, None)
    assert len(health.reason) <= 200


@given(st.lists(st.sampled_from([None, *ErrorClass])), st.none() | st.floats(0, 86_400))
def test_whatever_happens_the_breaker_comes_to_a_probe_or_stays_closed(story, asked):
    health = Health()
    for told in story:
        health = (
            after_success(health, NOW) if told is None else failed(health, told, retry_after=asked)
        )
    assert gate(health, NOW + timedelta(days=2)) in {Gate.OPEN_ROAD, Gate.PROBE}
    assert gate(after_success(health, LATER), LATER) is Gate.OPEN_ROAD


@pytest.mark.parametrize("error_class", ILLNESSES)
def test_a_late_failure_neither_ends_a_pause_nor_counts_as_its_probe(error_class):
    paused = failed(Health(), ErrorClass.THROTTLED, retry_after=60)
    later = failed(failed(paused, error_class), error_class)
    assert later.blocked_until == paused.blocked_until
    assert gate(later, NOW) is Gate.SHUT


def test_new_credentials_half_open_what_old_ones_shut() -> None:
    shut = after_failure(Health(), ErrorClass.AUTH_CONFIG, "401", NOW, None)
    assert gate(shut, NOW + timedelta(seconds=1)) is Gate.SHUT
    renewed = breaker.after_renewal(shut, NOW + timedelta(seconds=1))
    assert gate(renewed, NOW + timedelta(seconds=1)) is Gate.PROBE


def test_new_credentials_change_nothing_else() -> None:
    ill = Health(failures=5, blocked_until=NOW + timedelta(seconds=5), reason="5 failures in a row")
    for health in (Health(), ill, Health(failures=2)):
        assert breaker.after_renewal(health, NOW) == health


def test_who_waits_for_credentials_asks_again_soon() -> None:
    shut = after_failure(Health(), ErrorClass.AUTH_CONFIG, "401", NOW, None)
    opens = breaker.opens(shut, alone=False)
    assert opens == NOW + breaker.OPEN_FOR_CREDENTIALS
    assert breaker.ask_again(shut, opens, NOW) == NOW + breaker.OPEN_FOR
    assert breaker.ask_again(Health(), opens, NOW) == opens
