"""Buckets on a real Valkey, most of them on a clock that the test moves."""

from __future__ import annotations

import heapq
import math
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commsproject.common import limits, valkey
from commsproject.common.limits import HORIZON, Bucket, Grant, RetryBudget

CLOCK = "comms:limit:test-clock"


class Clock:
    """Valkey's time, as the script of this process sees it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.set(1_800_000_000.0)

    def set(self, now: float) -> None:
        self.now = now
        whole = math.floor(now)
        valkey.client().delete(CLOCK)
        valkey.client().rpush(CLOCK, whole, math.floor((now - whole) * 1e6))

    def forward(self, seconds: float) -> None:
        self.set(self.now + seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    script = limits._script()
    text = str(script.script)
    ours = text.replace("redis.call('TIME')", f"redis.call('LRANGE', '{CLOCK}', 0, 1)")
    assert ours != text
    moved = valkey.client().register_script(ours)
    monkeypatch.setattr(limits, "_script", lambda: moved)
    yield Clock()
    valkey.client().delete(CLOCK)


def like_a_provider(count: int, seconds: float, **kwargs: Any) -> Bucket:
    return Bucket("test", count, seconds, lag=max(seconds / 8, 0.25), **kwargs)


LIMITS = [(1, 1.0), (10, 1.0), (200, 1.0), (100, 60.0), (7, 3.0)]


def fullest(uses: Sequence[tuple[float, int]], seconds: float) -> int:
    """The most in any closed window of so many seconds."""
    uses = sorted(uses)
    most = inside = start = 0
    for at, count in uses:
        inside += count
        while uses[start][0] < at - seconds:
            inside -= uses[start][1]
            start += 1
        most = max(most, inside)
    return most


def empty(bucket: Bucket) -> None:
    valkey.client().delete(bucket.key)


# --- The limit holds -------------------------------------------------------------------------


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    limit=st.sampled_from(LIMITS),
    steps=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),  # how long until the next one asks, in half windows
            st.integers(1, 250),
            st.floats(0, 1),  # how late within the lag it uses what it got
            st.booleans(),  # bulk?
            st.integers(0, 3),  # what it gives back, in thirds
        ),
        min_size=20,
        max_size=80,
    ),
)
def test_no_sliding_window_exceeds_the_limit_whenever_the_tokens_are_used(clock, limit, steps):
    count, seconds = limit
    bucket = like_a_provider(count, seconds)
    bulk = like_a_provider(count, seconds, reserve=0.3, line="bulk")
    empty(bucket)
    uses = []
    for pause, wanted, lateness, is_bulk, thirds in steps:
        clock.forward(pause**3 * seconds / 2)
        grant = limits.take([bulk if is_bulk else bucket], wanted)
        unused = grant.granted * thirds // 3
        limits.give_back(grant, unused)
        uses.append((clock.now + lateness * bucket.lag, grant.granted - unused))
    assert fullest(uses, seconds) <= count
    assert sum(used for _, used in uses) > 0


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_three_quarters_of_the_limit_can_be_used_for_ever(clock, limit):
    count, seconds = limit
    bucket = like_a_provider(count, seconds)
    used, start = 0, clock.now
    while clock.now < start + 20 * seconds:
        grant = limits.take([bucket], count * 5)
        used += grant.granted
        clock.forward(max(grant.wait, 1e-3))
    assert used >= 0.75 * count * 20


def test_a_rested_bucket_gives_all_it_has_at_once(clock):
    bucket = like_a_provider(100, 60)
    assert limits.take([bucket], 500).granted == 100
    assert limits.take([bucket], 1).granted == 0
    clock.forward(67.4)
    assert limits.take([bucket], 1).granted == 0
    clock.forward(2.3)
    assert limits.take([bucket], 500).granted == 100


def test_a_grant_is_usable_within_its_lag_and_no_longer(clock):
    before = time.monotonic()
    grant = limits.take([like_a_provider(100, 60), Bucket("other", 5, 1)], 1)
    assert grant.is_usable
    assert before + 7.5 * 0.75 <= grant.expires < time.monotonic() + 7.5 * 0.75
    assert not Grant(1, expires=time.monotonic() - 0.001).is_usable
    assert limits.take([Bucket("other", 5, 1)], 1).expires == math.inf


def test_several_buckets_grant_what_all_of_them_have(clock):
    small, large = Bucket("small", 3, 10), Bucket("large", 50, 10)
    grant = limits.take([large, small], 20)
    assert grant.granted == 3
    assert [standing.free for standing in grant.standings] == [47, 0]
    assert limits.take([large], 100).granted == 47


def test_a_call_of_many_messages_uses_one_token(clock):
    calls = Bucket("calls", 3, 60, per=1000)
    assert limits.take([calls], 1500).granted == 1500
    assert limits.take([calls], 1500).granted == 1000
    assert limits.take([calls], 1).granted == 0


def test_without_buckets_nothing_is_limited_and_nobody_is_asked(settings):
    grant = limits.take([], 500)
    assert (grant.granted, grant.wait, grant.expires) == (500, 0, math.inf)
    limits.give_back(grant, 500)


# --- Bulk ------------------------------------------------------------------------------------


def test_bulk_leaves_three_tenths_to_the_others(clock):
    bulk = like_a_provider(100, 60, reserve=0.3, line="bulk")
    assert limits.take([bulk], 500).granted == 70
    assert limits.take([bulk], 500).granted == 0
    assert limits.take([like_a_provider(100, 60)], 500).granted == 30


def test_bulk_goes_on_where_there_is_one_token_only(clock):
    bulk = like_a_provider(1, 1, reserve=0.3, line="bulk")
    assert limits.take([bulk], 5).granted == 1
    clock.forward(1.3)
    assert limits.take([bulk], 5).granted == 1


# --- Giving back -----------------------------------------------------------------------------


def test_what_is_given_back_can_be_taken_again(clock):
    bucket = like_a_provider(10, 60)
    grant = limits.take([bucket], 10)
    limits.give_back(grant, 4)
    assert limits.take([bucket], 10).granted == 4


def test_messages_of_one_call_give_back_their_call_only_when_none_is_left(clock):
    calls = Bucket("calls", 2, 60, per=100)
    grant = limits.take([calls], 200)
    limits.give_back(grant, 150)
    assert limits.take([calls], 200).granted == 100


def test_parts_that_are_given_back_are_never_more_than_was_taken(clock):
    calls = Bucket("calls", 2, 60, per=1000)
    grant = limits.take([calls], 1500)
    limits.give_back(grant, 500)
    limits.give_back(grant, 500)
    assert limits.take([calls], 1000).granted == 0
    limits.give_back(grant, 1500)
    assert limits.take([calls], 1500).granted == 1500


def test_giving_back_twice_makes_no_tokens(clock):
    bucket = like_a_provider(10, 60)
    grant = limits.take([bucket], 10)
    limits.give_back(grant, 10)
    limits.give_back(grant, 10)
    assert limits.take([bucket], 50).granted == 10


def test_giving_back_to_a_bucket_that_was_flushed_adds_nothing(clock):
    bucket = like_a_provider(10, 60)
    grant = limits.take([bucket], 10)
    empty(bucket)
    limits.give_back(grant, 10)
    assert limits.take([bucket], 50).granted == 10


# --- Waiting ---------------------------------------------------------------------------------


def test_the_refused_come_back_when_there_is_something_for_them(clock):
    bucket = like_a_provider(100, 60)
    limits.take([bucket], 90)
    clock.forward(10)
    wait = limits.take([bucket], 20).wait
    assert 57 < wait < 60
    clock.forward(wait)
    assert limits.take([bucket], 10).granted == 10


def test_many_who_are_refused_come_back_one_after_another(clock):
    bucket = like_a_provider(100, 60, line="first")
    limits.take([bucket], 100)
    waits = [limits.take([bucket], 500).wait for _ in range(1000)]
    promised = [wait for wait in waits if wait < HORIZON / 2]
    assert promised == sorted(promised)
    assert len(set(promised)) == len(promised) > 10
    per_second = Counter(int(wait) for wait in waits)
    assert max(per_second.values()) < 30
    assert max(waits) <= HORIZON


def test_the_urgent_are_not_put_behind_what_bulk_was_promised(clock):
    bulk = like_a_provider(100, 60, reserve=0.3, line="bulk")
    urgent = like_a_provider(100, 60, line="first")
    limits.take([urgent], 100)
    for _ in range(100):
        limits.take([bulk], 500)
    assert limits.take([bulk], 500).wait > 149
    assert limits.take([urgent], 1).wait < 70


def test_a_backlog_that_comes_back_when_told_uses_three_quarters_and_seldom_in_vain(clock):
    """Forty chunks of 200 against a hundred a minute."""
    bucket = like_a_provider(100, 60, line="first")
    start, sent, visits = clock.now, 0, 0
    queue = [(start, chunk, 200) for chunk in range(40)]
    while queue and queue[0][0] < start + 1200:
        due, chunk, left = heapq.heappop(queue)
        clock.set(max(due, clock.now))
        grant = limits.take([bucket], left)
        visits, sent = visits + 1, sent + grant.granted
        if grant.granted < left:
            heapq.heappush(queue, (clock.now + grant.wait, chunk, left - grant.granted))
    assert sent >= 0.75 * 100 * 20
    assert visits < 1000


def test_two_limits_that_refuse_tell_the_longer_wait(clock):
    short, long = Bucket("short", 1, 1), Bucket("long", 1, 50)
    limits.take([short, long], 1)
    assert 50 <= limits.take([short, long], 1).wait < 52


def test_a_bucket_that_had_enough_promises_nothing(clock):
    small, large = Bucket("small", 1, 10, line="first"), Bucket("large", 50, 10, line="first")
    limits.take([small, large], 20)
    assert [standing.promised > 0 for standing in limits.look([small, large])] == [True, False]


# --- Two processes, and many threads ---------------------------------------------------------

_TAKER = """
import django
django.setup()
from commsproject.common.limits import Bucket, take
bucket = Bucket("test", 500, 60, lag=7.5)
print(sum(take([bucket], 7).granted for _ in range(100)))
"""


def test_two_processes_share_one_limit():
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.impatient_settings"}
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER],
            stdout=subprocess.PIPE,
            env=environment,
            cwd=django_settings.BASE_DIR,
        )
        for _ in range(2)
    ]
    granted = [int(taker.communicate(timeout=50)[0]) for taker in takers]
    assert sum(granted) == 500


def test_two_hundred_at_once_get_fifty():
    bucket = Bucket("test", 50, 60)
    with ThreadPoolExecutor(32) as pool:
        grants = list(pool.map(lambda _: limits.take([bucket], 1).granted, range(200)))
    assert sum(grants) == 50


# --- Valkey away, flushed --------------------------------------------------------------------

FAULTS = ["refuse", "blackhole", "reset"]


def answer_late(monkeypatch: pytest.MonkeyPatch) -> None:
    run = limits._run

    def slow(*args: Any) -> Any:
        time.sleep(0.25)
        return run(*args)

    monkeypatch.setattr(limits, "_run", slow)


def test_an_answer_too_late_to_be_used_is_as_good_as_none(settings, monkeypatch):
    settings.LIMIT_PROCESSES = 4
    answer_late(monkeypatch)
    grant = limits.take([Bucket("late", 100, 1.0, lag=0.25)], 100)
    assert (grant.granted, grant.is_usable) == (25, True)
    monkeypatch.undo()
    assert limits.take([Bucket("late", 100, 1.0, lag=0.25)], 100).granted == 0  # never twice


def test_a_late_answer_grants_no_more_than_valkey_has_set_aside(settings, monkeypatch):
    settings.LIMIT_PROCESSES = 4
    bucket = Bucket("late", 100, 2.0, lag=0.25)
    assert limits.take([bucket], 95).granted == 95
    answer_late(monkeypatch)
    grant = limits.take([bucket], 100)
    assert grant.granted == 5
    assert grant.wait >= 1.5  # until what the others took comes back


def test_after_a_late_answer_valkey_is_told_what_was_used(monkeypatch):
    """What it set aside comes back before the calls that were made late are a second old."""
    used = 0
    bucket = Bucket("late", 100, 1.0, lag=0.25, observe=lambda _: used)
    assert limits.take([bucket], 1).granted == 1
    answer_late(monkeypatch)
    assert limits.take([bucket], 10).granted == 10
    monkeypatch.undo()
    used = 90
    valkey._silent_until = 0.0
    assert limits.take([bucket], 100).granted == 10


@pytest.mark.parametrize("fault", FAULTS)
def test_while_valkey_is_away_each_process_keeps_to_its_share(broker, settings, fault):
    settings.LIMIT_PROCESSES = 4
    bucket = like_a_provider(100, 60)
    with broker.fault(fault):
        started = time.monotonic()
        grants = [limits.take([bucket], 10) for _ in range(20)]
        assert time.monotonic() - started < 2
    assert sum(grant.granted for grant in grants) == 25
    assert all(0 < grant.wait <= HORIZON for grant in grants[3:])
    assert all(grant.is_usable for grant in grants)


def test_a_share_leaves_bulk_less_and_takes_back_what_was_not_used(broker, settings):
    settings.LIMIT_PROCESSES = 2
    bulk, urgent = like_a_provider(100, 60, reserve=0.3), like_a_provider(100, 60)
    with broker.fault("refuse"):
        grant = limits.take([bulk], 100)
        assert grant.granted == 35
        assert limits.take([urgent], 100).granted == 15
        limits.give_back(grant, 15)
        assert limits.take([urgent], 100).granted == 15


def test_a_share_comes_back_with_time(broker, settings):
    settings.LIMIT_PROCESSES = 2
    bucket = Bucket("test", 4, 0.2)
    with broker.fault("refuse"):
        assert limits.take([bucket], 10).granted == 2
        assert limits.take([bucket], 10).granted == 0
        threading.Event().wait(0.21)
        assert limits.take([bucket], 10).granted == 2


def test_what_others_know_of_is_not_granted_again_while_valkey_is_away(broker, settings):
    settings.LIMIT_PROCESSES = 4
    bucket = like_a_provider(100, 60, observe=lambda seconds: 60)
    with broker.fault("refuse"):
        assert limits.take([bucket], 100).granted == 10


def test_a_flush_makes_no_second_limit(clock):
    used = 0

    def observe(seconds: float) -> int:
        return used

    bucket = like_a_provider(100, 60, observe=observe)
    used += limits.take([bucket], 80).granted
    valkey.client().delete(bucket.key)
    used += limits.take([bucket], 80).granted
    assert used == 100


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_sent_during_an_outage_counts_after_it(broker, fault):
    used = 0
    bucket = like_a_provider(100, 60, observe=lambda seconds: used)
    used += limits.take([bucket], 30).granted
    with broker.fault(fault):
        used += limits.take([bucket], 40).granted
    assert used > 30
    valkey._silent_until = 0.0
    used += limits.take([bucket], 1000).granted
    # What a black hole swallowed may arrive later: then its tokens rest unused.
    assert used == 100 or (fault == "blackhole" and used > 50)


def test_a_sure_process_asks_nobody_else():
    asked: list[float] = []

    def observe(seconds: float) -> int:
        asked.append(seconds)
        return 0

    bucket = like_a_provider(100, 60, observe=observe)
    for _ in range(5):
        limits.take([bucket], 1)
    assert asked == [67.5]


def test_a_valkey_that_was_restarted_is_given_the_script_again():
    bucket = Bucket("test", 10, 60)
    limits.take([bucket], 1)
    valkey.client().script_flush()
    outages = valkey.outages()
    assert limits.take([bucket], 20).granted == 9
    assert valkey.outages() == outages


# --- Looking ---------------------------------------------------------------------------------


def test_looking_takes_nothing(clock):
    bucket = like_a_provider(100, 60, line="first", observe=lambda seconds: 0)
    limits.take([bucket], 120)
    limits.take([bucket], 500)
    for _ in range(3):
        (standing,) = limits.look([bucket])
        assert standing.free == 0
        assert 67 < standing.back < 70
        assert standing.promised > 60


def test_a_bucket_nobody_used_looks_full(clock):
    (standing,) = limits.look([like_a_provider(100, 60)])
    assert (standing.free, standing.back, standing.promised) == (100, 0, 0)


# --- Retries ---------------------------------------------------------------------------------


def test_a_fifth_of_the_calls_may_be_repeated_and_one_a_second_beside(clock):
    budget = RetryBudget("ses")
    assert budget.spend(1000) == 60
    budget.earn(500)
    assert budget.spend(1000) == 100
    assert budget.spend(1) == 0


def test_retries_come_back_within_a_minute(clock):
    budget = RetryBudget("ses")
    budget.spend(1000)
    clock.forward(62)
    assert budget.spend(1000) == 60


def test_calls_of_more_than_a_minute_ago_earn_nothing(clock):
    budget = RetryBudget("ses")
    budget.earn(1000)
    clock.forward(62)
    assert budget.spend(1000) == 60


def test_retries_that_outlast_the_calls_they_were_for_leave_no_debt_to_hand_out(clock):
    budget = RetryBudget("ses")
    budget.earn(1000)
    clock.forward(30)
    assert budget.spend(1000) == 260
    clock.forward(32)
    assert budget.spend(1000) == 0


def test_each_provider_has_a_budget_of_its_own(clock):
    RetryBudget("ses").earn(1000)
    assert RetryBudget("smtp").spend(1000) == 60


def test_while_valkey_is_away_a_share_of_the_floor_may_be_repeated(broker, settings):
    settings.LIMIT_PROCESSES = 4
    budget = RetryBudget("ses")
    with broker.fault("refuse"):
        budget.earn(1000)
        assert budget.spend(1000) == 15
        assert budget.spend(1000) == 0
    valkey._silent_until = 0.0
    assert budget.spend(1000) == 260, "what was earned meanwhile was not lost"
