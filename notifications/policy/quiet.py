"""Hours of the day in which a person is left alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MOST_PERIODS = 16
"""How many periods may follow upon each other; whoever is quiet for longer is never not quiet."""


@dataclass(frozen=True)
class Quiet:
    """A daily period in the local time of `zone` (an IANA name), from `start` until `end`, over
    midnight where `end` is not later than `start`. `days` are those it starts on, Monday is 0;
    none: every day.
    """

    start: time
    end: time
    zone: str
    days: Collection[int] = ()


LEGAL = (time(21), time(8))
"""When no marketing text may arrive where the person is: 47 CFR 64.1200(c)(1), United States."""


def quiet_until(now: datetime, periods: Sequence[Quiet]) -> datetime | None:
    """When the first moment comes that is in none of the `periods`; None: it is now.

    `datetime.max` where there is none in sight. A day's clock change makes a period longer or
    shorter, never lets it begin late or end early: of an hour that comes twice the first one
    begins it and the second one ends it.
    """
    until = now
    for _ in range(MOST_PERIODS):
        ends = [end for start, end in _around(until, periods) if start <= until < end]
        if not ends:
            return until if until > now else None
        until = max(ends)
    return datetime.max.replace(tzinfo=UTC)


def _around(moment: datetime, periods: Iterable[Quiet]) -> Iterable[tuple[datetime, datetime]]:
    for period in periods:
        today = moment.astimezone(_zone(period.zone)).date()
        for day in (today - DAY, today):
            if not period.days or day.weekday() in period.days:
                yield _bounds(period, day)


def _bounds(period: Quiet, day: date) -> tuple[datetime, datetime]:
    last = day if period.end > period.start else day + DAY
    zone = _zone(period.zone)
    return min(_both(day, period.start, zone)), max(_both(last, period.end, zone))


def _both(day: date, local: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A local time in UTC, the first and the second one where it comes twice. Where it is left
    out, the two are an hour apart, on both sides of the gap.
    """
    there = datetime.combine(day, local, zone)
    return there.astimezone(UTC), there.replace(fold=1).astimezone(UTC)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
