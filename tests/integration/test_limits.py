"""Which limits a call is under: settings, staff, lanes, channels, paces, and what attempts tell."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from commsproject.common import ids, valkey
from commsproject.common.env import Env, Rate
from notifications import limits
from notifications.limits import Grant, Limit
from notifications.models import ProviderState
from tests.factories import AttemptFactory

BATCH = ids.new_id()


def lease(wanted: int, provider: str = "sendgrid", lane: str = "normal", **rest) -> Grant:
    return limits.lease(provider=provider, channel="email", lane=lane, wanted=wanted, **rest)


def flush() -> None:
    for key in valkey.client().scan_iter("comms:limit:*", count=1000):
        valkey.client().delete(key)


# --- What the limit is -----------------------------------------------------------------------


def test_the_defaults_count_what_each_vendor_counts():
    assert limits.provider_limit("sendgrid", None) == Limit(100, 60, "calls")
    assert limits.provider_limit("ses", None) == Limit(200, 1, "recipients")
    assert limits.provider_limit("smtp", None) is None
    assert limits.provider_limit("simulator", None) is None
    assert limits.provider_limit("unheard-of", None) is None


def test_staff_overrule_the_settings_and_the_vendor_still_counts_the_same():
    row = ProviderState(name="sendgrid", limit_count=5, limit_seconds=2.5)
    assert limits.provider_limit("sendgrid", row) == Limit(5, 2.5, "calls")
    assert limits.provider_limit("sendgrid", ProviderState(name="sendgrid")) == Limit(
        100, 60, "calls"
    )
    assert limits.provider_limit("smtp", ProviderState(limit_count=5, limit_seconds=1)) == Limit(
        5, 1, "recipients"
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("100/60", Rate(100, 60)),
        ("5/0.5", Rate(5, 0.5)),
        (" 7/1 ", Rate(7, 1)),
        ("none", None),
        ("None", None),
        ("0", None),
        ("", None),
    ],
)
def test_a_rate_in_the_environment(monkeypatch, written, meant):
    monkeypatch.setenv("SENDGRID_LIMIT", written)
    assert Env().rate("SENDGRID_LIMIT", default="1/1") == meant


@pytest.mark.parametrize(
    "written", ["100", "100/0", "0/60", "-1/60", "100/60s", "a/b", "1e3/60", "100/", "/60", "1/2/3"]
)
def test_a_rate_that_cannot_be_read_is_named(monkeypatch, written):
    monkeypatch.setenv("SENDGRID_LIMIT", written)
    with pytest.raises(ImproperlyConfigured, match="SENDGRID_LIMIT is COUNT/SECONDS") as refusal:
        Env().rate("SENDGRID_LIMIT", default="1/1")
    assert written not in str(refusal.value).replace("100/60", "")


# --- What may be sent ------------------------------------------------------------------------


def test_what_is_not_limited_is_granted_whole_and_asks_nobody(broker):
    outages = valkey.outages()
    with broker.fault("refuse"):
        grant = lease(500, provider="smtp")
    assert (grant.granted, grant.is_usable) == (500, True)
    assert valkey.outages() == outages


def test_a_process_that_has_looked_once_costs_no_query(db, django_assert_num_queries):
    lease(1)
    with django_assert_num_queries(0):
        assert lease(1).granted == 1


def test_sendgrid_counts_calls_and_ses_recipients(db):
    assert lease(250_000, batch_limit=1000).granted == 100_000
    assert lease(500, provider="ses", batch_limit=50).granted == 200


def test_bulk_leaves_three_tenths_and_the_others_take_them(db):
    assert lease(500, lane="bulk").granted == 70
    assert lease(500, lane="bulk").granted == 0
    assert lease(500, lane="urgent").granted == 30


def test_the_refused_of_a_large_bulk_do_not_come_back_together(db):
    lease(100)
    waits = [lease(500, lane="bulk").wait for _ in range(200)]
    assert len({round(wait) for wait in waits}) > 50
    assert lease(1, lane="urgent").wait < 75


def test_a_channel_has_a_limit_for_all_providers_together(db, settings):
    settings.CHANNEL_LIMITS = {"email": Rate(150, 60), "sms": None}
    assert lease(500, provider="simulator").granted == 150
    assert lease(500).granted == 0
    grant = limits.lease(provider="simulator", channel="sms", lane="normal", wanted=500)
    assert grant.granted == 500


def test_staff_give_a_provider_more_or_less(db):
    row = ProviderState(name="sendgrid", limit_count=7, limit_seconds=60)
    assert lease(500, state=row).granted == 7
    assert lease(500).granted == 93, "as many as are left of a hundred in the same minute"


def test_a_pace_is_kept(db):
    grant = lease(500, provider="simulator", batch=BATCH, pace=0.1)
    assert grant.granted == 2
    again = lease(500, provider="simulator", batch=BATCH, pace=0.1)
    assert again.granted == 0
    assert 0 < again.wait < 35
    other = lease(500, provider="simulator", batch=ids.new_id(), pace=0.1)
    assert other.granted == 2


@pytest.mark.parametrize(("pace", "count", "seconds"), [(0.05, 2, 40), (2.5, 5, 2), (300, 600, 2)])
def test_a_pace_may_be_slow_or_uneven(pace, count, seconds):
    found = limits._paced(pace)
    assert found[0] == count
    assert found[1] == pytest.approx(seconds)


def test_what_was_not_sent_is_there_for_others(db):
    limits.give_back(lease(100), 40)
    assert lease(500).granted == 40


# --- What the attempts tell ------------------------------------------------------------------


def attempts(count: int, *, ago: float = 5, work: UUID | None = None, provider: str = "sendgrid"):
    moment = timezone.now() - timedelta(seconds=ago)
    for _ in range(count):
        id_ = UUID(int=ids.floor(moment).int | (ids.new_id().int & (1 << 62) - 1))
        AttemptFactory(id=id_, provider=provider, work_id=work or ids.new_id(), token=1)


def test_a_flush_of_valkey_makes_no_second_limit(db):
    attempts(30)
    attempts(20, ago=80)
    attempts(10, provider="ses")
    assert lease(50).granted == 50
    flush()
    assert lease(500).granted == 70, "thirty are in the attempts, the fifty never became any"


def test_messages_of_one_call_count_once(db):
    attempts(25, work=ids.new_id())
    attempts(2)
    flush()
    assert lease(500_000, batch_limit=20).granted == (100 - 2 - 2) * 20


def test_a_channels_attempts_count_by_whomever(db, settings):
    settings.CHANNEL_LIMITS = {"email": Rate(50, 60)}
    attempts(10)
    attempts(10, provider="ses")
    assert lease(500, provider="simulator").granted == 30


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "reset"])
def test_with_valkey_away_what_was_sent_is_known(db, broker, settings, fault):
    settings.LIMIT_PROCESSES = 2
    attempts(60)
    with broker.fault(fault):
        assert lease(500).granted == 20
        assert lease(500).granted == 0
    valkey._silent_until = 0.0
    assert lease(500).granted in ({40} if fault != "blackhole" else {0, 40})


# --- Two processes ---------------------------------------------------------------------------

_TAKER = """
import time
import django
django.setup()
from notifications import limits
end = time.monotonic() + 6
while time.monotonic() < end:
    asked = time.time()
    grant = limits.take([limits.Bucket("test", 20, 1, lag=0.25)], 5)
    if grant.granted:
        print(asked, time.time(), grant.granted, flush=True)
    time.sleep(0.01)
"""


def test_two_processes_exceed_no_sliding_window_and_use_three_quarters():
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.impatient_settings"},
            cwd=django_settings.BASE_DIR,
        )
        for _ in range(2)
    ]
    lines = [line for taker in takers for line in taker.communicate(timeout=150)[0].splitlines()]
    uses = [(float(asked), float(told), int(count)) for asked, told, count in map(str.split, lines)]
    for first, _, _ in uses:  # they may have to wait for a processor: what is certain counts
        assert sum(n for asked, told, n in uses if first <= asked and told <= first + 1) <= 20
    assert sum(count for _, _, count in uses) >= 60


# --- Retries, and how it stands ----------------------------------------------------------------


def test_a_fifth_of_the_calls_may_be_repeated():
    limits.earn("ses", 100)
    assert limits.spend("ses", 1000) == 80
    assert limits.spend("ses", 1) == 0


def test_the_state_of_every_bucket(db, settings):
    settings.CHANNEL_LIMITS = {"email": Rate(500, 60), "sms": None}
    row = ProviderState.objects.create(name="smtp", limit_count=9, limit_seconds=60)
    lease(30)
    lease(5, provider="smtp", state=row)
    found = {
        standing.bucket.name: (standing.bucket.count, standing.bucket.seconds, standing.free)
        for standing in limits.state([row])
    }
    assert (
        found.items()
        >= {
            "provider:sendgrid": (100, 60, 70),
            "provider:ses": (200, 1, 200),
            "provider:smtp": (9, 60, 4),
            "channel:email": (500, 60, 465),
        }.items()
    )


def test_the_state_says_how_far_ahead_turns_are_promised(db):
    before = time.monotonic()
    lease(100)
    for _ in range(3):
        lease(500)
    sendgrid = limits.state([])[0]
    assert sendgrid.free == 0
    assert 67 + 3 * 4 - (time.monotonic() - before) < sendgrid.promised < 67 + 3 + 3 * 5
