"""When schedules are due: clock changes, ends of months, and what is owed after a pause of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifications import timetable
from notifications.timetable import LOOK_BACK, MOST_CAUGHT_UP, PUNCTUAL, Missed, Timetable, owed

BERLIN = "Europe/Berlin"
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """`2026-03-29 01:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(cron: str, zone: str, after: str, count: int) -> list[str]:
    found = islice(Timetable(cron, zone).after(at(after)), count)
    return [f"{run:%Y-%m-%d %H:%M}" for run in found]


# --- The calendar ----------------------------------------------------------------------------


def test_a_time_that_the_clock_leaves_out_is_kept_once_after_the_gap() -> None:
    """On 29 March 2026, 02:00 in Berlin is followed by 03:00 (01:00 UTC)."""
    assert runs("30 2 * * *", BERLIN, "2026-03-28 00:00", 3) == [
        "2026-03-28 01:30",
        "2026-03-29 01:00",
        "2026-03-30 00:30",
    ]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 */2 * * *", ["23:00", "01:00", "02:00"]),  # midnight, what was to be 02:00, 04:00
        ("*/20 2 * * *", ["01:00", "00:00 +1", "00:20 +1"]),
        ("* 2 * * *", ["01:00", "00:00 +1", "00:01 +1"]),
        ("*/30 * * * *", ["22:30", "23:00", "23:30", "00:00", "00:30", "01:00"]),
    ],
)
def test_steps_keep_the_times_that_the_clock_leaves_out(cron: str, expected: list[str]) -> None:
    found = islice(Timetable(cron, BERLIN).after(at("2026-03-28 22:10")), len(expected))
    days = {28: "", 29: "", 30: " +1"}
    assert [f"{run:%H:%M}{days[run.day]}" for run in found] == expected


def test_steps_keep_the_times_that_come_twice_the_first_time() -> None:
    assert runs("0 */2 * * *", BERLIN, "2026-10-24 22:30", 2) == [
        "2026-10-25 00:00",
        "2026-10-25 03:00",
    ]


def test_a_time_that_comes_twice_is_kept_the_first_time() -> None:
    """On 25 October 2026, 02:59 in Berlin is followed by 02:00 (01:00 UTC)."""
    assert runs("30 2 * * *", BERLIN, "2026-10-24 00:00", 3) == [
        "2026-10-24 00:30",
        "2026-10-25 00:30",
        "2026-10-26 01:30",
    ]


@pytest.mark.parametrize("now", ["2026-10-25 00:30", "2026-10-25 00:45", "2026-10-25 01:10"])
def test_asked_in_the_hour_that_comes_twice_it_names_no_time_that_is_over(now: str) -> None:
    assert runs("30 2 * * *", BERLIN, now, 1) == ["2026-10-26 01:30"]


def test_every_hour_is_every_hour_whatever_the_clock_does() -> None:
    for start in ("2026-03-28 22:30", "2026-10-24 22:30"):
        found = list(islice(Timetable("0 * * * *", BERLIN).after(at(start)), 6))
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


def test_the_last_day_of_months() -> None:
    assert runs("0 12 31 * *", "UTC", "2026-01-31 12:00", 3) == [
        "2026-03-31 12:00",
        "2026-05-31 12:00",
        "2026-07-31 12:00",
    ]
    assert runs("0 12 L * *", "UTC", "2027-12-31 12:00", 3) == [
        "2028-01-31 12:00",
        "2028-02-29 12:00",
        "2028-03-31 12:00",
    ]


def test_the_29th_of_february() -> None:
    assert runs("0 0 29 2 *", "UTC", "2026-01-01 00:00", 2) == [
        "2028-02-29 00:00",
        "2032-02-29 00:00",
    ]


def test_nothing_is_due_after_the_end() -> None:
    table = Timetable("0 9 * * *", "UTC", ends_at=at("2026-11-24 09:00"))
    assert list(table.after(at("2026-11-22 10:00"))) == [
        at("2026-11-23 09:00"),
        at("2026-11-24 09:00"),
    ]
    assert table.next(at("2026-11-24 09:00")) is None


_ZONES = ["UTC", BERLIN, "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Tehran"]
_EXPRESSIONS = [
    "30 2 * * *",
    "0 0 * * *",
    "*/20 * * * *",
    "0,30 0-3 * * 0,6",
    "15 * 1-7 * *",
    "*/7 */3 * * *",
]
_moments = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: at("2020-01-01") + minutes * MINUTE
)


@given(
    cron=st.sampled_from(_EXPRESSIONS), zone=st.sampled_from(_ZONES), moment=_moments,
    skipped=st.integers(0, 5),
)  # fmt: skip
@example(
    cron="30 2 * * *", zone=BERLIN, moment=datetime(2026, 10, 25, 1, 10, tzinfo=UTC), skipped=0
)
def test_runs_ascend_and_do_not_depend_on_where_one_begins(
    cron: str, zone: str, moment: datetime, skipped: int
) -> None:
    table = Timetable(cron, zone)
    found = list(islice(table.after(moment), 8))
    assert all(earlier < later for earlier, later in pairwise([moment, *found]))
    assert list(islice(table.after(found[skipped]), 7 - skipped)) == found[skipped + 1 :]
    assert table.next(found[skipped] - timedelta(microseconds=1)) == found[skipped]


@given(zone=st.sampled_from(_ZONES), moment=_moments)
def test_a_time_of_day_comes_once_on_each_day(zone: str, moment: datetime) -> None:
    found = islice(Timetable("30 2 * * *", zone).after(moment), 20)
    days = [run.astimezone(ZoneInfo(zone)).date() for run in found]
    assert len(set(days)) == 20
    assert days[-1] - days[0] <= timedelta(days=20)


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "normal"),
    [
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("  0\t9  * * mon-fri ", "0 9 * * MON-FRI"),
        ("*/15 0-6,22 L jan,feb SUN#2", "*/15 0-6,22 L JAN,FEB SUN#2"),
    ],
)
def test_an_expression_in_its_normal_form(cron: str, normal: str) -> None:
    assert timetable.check(cron) == normal


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "not 0"),
        ("@daily", "not 1"),
        ("* * * *", "not 4"),
        ("0 0 9 * * *", "not 6"),
        ("60 * * * *", "Bad minute"),
        ("-1 * * * *", "Bad minute"),
        ("*/0 * * * *", "Bad minute"),
        ("1-2-3 * * * *", "Bad minute"),
        ("5-1 * * * *", "Bad minute"),
        (", * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("* * 0 * *", "Bad day-of-month"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("* * * 13 *", "Bad month"),
        ("* * * * 8", "Bad day-of-week"),
        ("* * * * MON#6", "Bad day-of-week"),
        ("* * * * ²L", "Bad day-of-week"),
        ("٣ * * * *", "Bad minute"),
    ],
)
def test_what_cannot_be_read_is_said(cron: str, said: str) -> None:
    with pytest.raises(timetable.BadCron, match=said):
        timetable.check(cron)


_field = st.text("0123456789*/,-LW#MONJAF ", max_size=6)


@given(st.one_of(st.text(max_size=40), st.tuples(*[_field] * 5).map(" ".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        normal = timetable.check(text)
    except timetable.BadCron:
        return
    assert timetable.check(normal) == normal
    assert timetable.explain(normal)
    Timetable(normal, BERLIN).next(at("2026-11-22 12:00"))


def test_zones_are_those_of_iana() -> None:
    assert {"UTC", BERLIN, "America/New_York"} <= timetable.zones()
    assert not {"", "localtime", "Europe", "../etc/passwd", "CET+1"} & timetable.zones()


# --- What is owed ----------------------------------------------------------------------------

EACH_MINUTE = Timetable("* * * * *")
HOURLY = Timetable("0 * * * *")


@pytest.mark.parametrize("missed", Missed)
def test_a_punctual_run_is_sent_under_every_policy(missed: Missed) -> None:
    now = at("2026-11-22 09:00") + timedelta(seconds=40)
    found = owed(HOURLY, at("2026-11-22 09:00"), now, missed)
    assert list(found.runs) == [at("2026-11-22 09:00")]
    assert found.then == at("2026-11-22 10:00")
    assert not found.dropped


@pytest.mark.parametrize(
    ("missed", "sent"), [(Missed.SKIP, []), (Missed.ONCE, [11]), (Missed.ALL, [9, 10, 11])]
)
def test_missed_runs_by_policy(missed: Missed, sent: list[int]) -> None:
    found = owed(HOURLY, at("2026-11-22 09:00"), at("2026-11-22 11:30"), missed)
    assert [run.hour for run in found.runs] == sent
    assert found.then == at("2026-11-22 12:00")
    assert not found.dropped


def test_who_skips_still_keeps_the_run_that_is_punctual() -> None:
    found = owed(HOURLY, at("2026-11-22 09:00"), at("2026-11-22 11:01"), Missed.SKIP)
    assert [run.hour for run in found.runs] == [11]


def test_only_the_newest_are_caught_up_and_that_is_said() -> None:
    found = owed(EACH_MINUTE, at("2026-11-22 09:00"), at("2026-11-22 12:00"), Missed.ALL)
    assert len(found.runs) == MOST_CAUGHT_UP
    assert found.runs[-1] == at("2026-11-22 12:00")
    assert found.dropped


def test_years_of_missed_minutes_are_not_counted_out() -> None:
    found = owed(EACH_MINUTE, at("1990-01-01 00:00"), at("2026-11-22 12:00"), Missed.ALL)
    assert len(found.runs) == MOST_CAUGHT_UP
    assert found.dropped


@pytest.mark.parametrize("missed", [Missed.ONCE, Missed.ALL])
def test_a_single_missed_run_is_sent_however_old(missed: Missed) -> None:
    yearly = Timetable("0 0 1 1 *")
    found = owed(yearly, at("2026-01-01 00:00"), at("2026-11-22 12:00"), missed)
    assert list(found.runs) == [at("2026-01-01 00:00")]
    assert not found.dropped


def test_after_the_last_run_there_is_no_next() -> None:
    table = Timetable("0 * * * *", ends_at=at("2026-11-22 10:00"))
    found = owed(table, at("2026-11-22 09:00"), at("2026-11-22 12:00"), Missed.ALL)
    assert [run.hour for run in found.runs] == [9, 10]
    assert found.then is None


@given(
    table=st.builds(Timetable, st.sampled_from(_EXPRESSIONS), st.sampled_from(_ZONES)),
    start=_moments,
    late=st.timedeltas(timedelta(0), timedelta(days=9)),
    missed=st.sampled_from(Missed),
)
def test_what_is_owed_holds_for_every_policy_and_delay(
    table: Timetable, start: datetime, late: timedelta, missed: Missed
) -> None:
    first = table.next(start)
    assert first is not None
    now = first + late
    found = owed(table, first, now, missed)
    assert found.then == table.next(now)
    assert all(first <= run <= now for run in found.runs)
    assert all(earlier < later for earlier, later in pairwise(found.runs))
    past = [first, *takewhile(lambda run: run <= now, table.after(first))]
    recent = [run for run in past if run is first or run > now - LOOK_BACK]
    match missed:
        case Missed.SKIP:
            assert list(found.runs) == [run for run in past if now - run <= PUNCTUAL]
        case Missed.ONCE:
            assert list(found.runs) == recent[-1:]
        case Missed.ALL:
            assert list(found.runs) == recent[-MOST_CAUGHT_UP:]
            assert found.dropped is (list(found.runs) != past)
