from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.policy.quiet import Quiet, quiet_until

BERLIN, LONDON, NEW_YORK, LORD_HOWE, KOLKATA = ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",  # moves by half an hour
    "Asia/Kolkata",  # never moves
)


YEAR = [datetime(year, 1, 1) for year in (2026, 2027)]  # noqa: DTZ001 - the strategy adds it


def at(local, zone, fold=0):
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def until(local, zone, *periods, fold=0):
    found = quiet_until(at(local, zone, fold), periods)
    return found and found.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-06-10 21:59", None),
        ("2026-06-10 22:00", "2026-06-11 07:00"),
        ("2026-06-11 03:00", "2026-06-11 07:00"),
        ("2026-06-11 06:59", "2026-06-11 07:00"),
        ("2026-06-11 07:00", None),
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_a_night_goes_over_midnight_in_local_time(zone, now, end):
    assert until(now, zone, Quiet(time(22), time(7), zone)) == end


@pytest.mark.parametrize(
    ("zone", "now", "fold", "start", "end", "found"),
    [
        # Forward: 02:00 to 03:00 is left out in Berlin on 29 March 2026.
        (BERLIN, "2026-03-29 01:29", 0, time(2, 30), time(4), None),
        (BERLIN, "2026-03-29 01:30", 0, time(2, 30), time(4), "2026-03-29 04:00"),
        (BERLIN, "2026-03-29 03:00", 0, time(2, 30), time(4), "2026-03-29 04:00"),
        (BERLIN, "2026-03-29 01:59", 0, time(1), time(2, 30), "2026-03-29 03:30"),
        (BERLIN, "2026-03-28 23:00", 0, time(22), time(7), "2026-03-29 07:00"),
        # Back: 02:00 to 03:00 comes twice on 25 October 2026.
        (BERLIN, "2026-10-25 02:15", 0, time(2), time(2, 30), "2026-10-25 02:30"),
        (BERLIN, "2026-10-25 02:15", 1, time(2), time(2, 30), "2026-10-25 02:30"),
        (BERLIN, "2026-10-25 02:45", 0, time(2), time(2, 30), "2026-10-25 02:30"),
        (BERLIN, "2026-10-25 02:45", 1, time(2), time(2, 30), None),
        (BERLIN, "2026-10-25 02:30", 0, time(2, 30), time(5), "2026-10-25 05:00"),
        (LONDON, "2026-03-29 02:00", 0, time(1, 30), time(6), "2026-03-29 06:00"),
        (LONDON, "2026-10-25 01:30", 1, time(21), time(6), "2026-10-25 06:00"),
        (NEW_YORK, "2026-03-08 03:00", 0, time(2, 15), time(8), "2026-03-08 08:00"),
        (NEW_YORK, "2026-11-01 01:45", 0, time(1), time(1, 40), "2026-11-01 01:40"),
        (NEW_YORK, "2026-11-01 01:45", 1, time(1), time(1, 40), None),
        (LORD_HOWE, "2026-10-04 02:30", 0, time(2, 10), time(7), "2026-10-04 07:00"),
        (LORD_HOWE, "2026-04-05 01:45", 1, time(1, 30), time(2), "2026-04-05 02:00"),
        (KOLKATA, "2026-03-29 02:30", 0, time(2), time(3), "2026-03-29 03:00"),
    ],
)
def test_a_change_of_the_clocks_begins_no_period_late_and_ends_none_early(
    zone, now, fold, start, end, found
):
    assert until(now, zone, Quiet(start, end, zone), fold=fold) == found


def test_days_are_those_on_which_a_period_starts():
    friday_night = Quiet(time(22), time(7), "UTC", days=[4])
    assert until("2026-06-13 03:00", "UTC", friday_night) == "2026-06-13 07:00"  # a Saturday
    assert until("2026-06-12 03:00", "UTC", friday_night) is None
    assert until("2026-06-13 23:00", "UTC", friday_night) is None


def test_periods_that_touch_are_one():
    evening, night = Quiet(time(18), time(22), "UTC"), Quiet(time(22), time(8), "UTC")
    assert until("2026-06-10 19:00", "UTC", evening, night) == "2026-06-11 08:00"


def test_a_number_of_many_zones_is_left_alone_while_it_is_night_in_any():
    nights = [Quiet(time(21), time(8), zone) for zone in (NEW_YORK, "Pacific/Honolulu")]
    found = quiet_until(at("2026-06-10 09:00", NEW_YORK), nights)
    assert found == at("2026-06-10 14:00", NEW_YORK)  # eight in Honolulu


@pytest.mark.parametrize(
    "periods",
    [
        [Quiet(time(0), time(0), "UTC")],
        [Quiet(time(0), time(12), "UTC"), Quiet(time(12), time(0), "UTC")],
    ],
)
def test_who_is_always_quiet_is_never_not(periods):
    found = quiet_until(at("2026-06-10 09:00", "UTC"), periods)
    assert found is not None
    assert found.year == 9999


@given(
    st.datetimes(*YEAR, timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.sampled_from(ZONES),
)
def test_the_moment_that_is_found_is_the_first_one_that_is_not_quiet(now, start, end, zone):
    period = Quiet(start.replace(tzinfo=None), end.replace(tzinfo=None), zone)
    found = quiet_until(now, [period])
    if found is None or found.year == 9999:
        return
    assert now < found <= now + timedelta(hours=26)
    assert quiet_until(found, [period]) is None
    assert quiet_until(found - timedelta(microseconds=1), [period]) == found
    assert isinstance(found.astimezone(ZoneInfo(zone)).date(), date)
