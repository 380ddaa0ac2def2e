"""When a schedule is due. Pure: a cron expression in a time zone, and moments in UTC out.

A time of day that a clock change leaves out is kept at the moment after the gap; one that comes
twice is kept the first time. Expressions that name every hour go by real time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.db.models import TextChoices

PUNCTUAL = timedelta(minutes=1)
"""A run that is no later than this was not missed."""

MOST_CAUGHT_UP = 100
"""Missed runs that are sent, at most; the newest of them."""

LOOK_BACK = timedelta(days=7)
"""How far back missed runs are counted out; only the first of them may be older."""


class Missed(TextChoices):
    """What becomes of runs that passed while nobody was there to keep them."""

    SKIP = "skip", "Skip them"
    ONCE = "once", "Send once for all of them"
    ALL = "all", "Send each"


class BadCron(ValueError):
    """The expression cannot be read; the message says where."""


@dataclass(frozen=True)
class Timetable:
    """`cron` and `zone` are valid: `check`, `zones`. No run is later than `ends_at`."""

    cron: str
    zone: str = "UTC"
    ends_at: datetime | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The runs later than `moment`, ascending."""
        last = moment
        for local in CronSim(_by_the_clock(self.cron), moment.astimezone(ZoneInfo(self.zone))):
            run = local.astimezone(UTC)
            if self.ends_at is not None and run > self.ends_at:
                return
            if run > last:  # in the hour that comes twice, cronsim begins with the first
                last = run
                yield run

    def next(self, moment: datetime) -> datetime | None:
        """The first run later than `moment`, None where there is none."""
        return next(self.after(moment), None)


@dataclass(frozen=True)
class Owed:
    """What a schedule owes at one moment: `runs` to send, and when it is due `then`.

    `dropped`: each was to be sent, but more were missed than are caught up.
    """

    runs: Sequence[datetime]
    then: datetime | None
    dropped: bool = False


def owed(timetable: Timetable, first: datetime, now: datetime, missed: Missed) -> Owed:
    """`first` is the earliest run that was not kept, and not later than `now`."""
    then = timetable.next(now)
    horizon = max(first, now - LOOK_BACK)
    past = [first, *takewhile(lambda run: run <= now, timetable.after(horizon))]
    match missed:
        case Missed.SKIP:
            return Owed([run for run in past if now - run <= PUNCTUAL], then)
        case Missed.ONCE:
            return Owed(past[-1:], then)
        case Missed.ALL:
            second = timetable.next(first) or now
            dropped = second <= horizon or len(past) > MOST_CAUGHT_UP
            return Owed(past[-MOST_CAUGHT_UP:], then, dropped)


def _by_the_clock(cron: str) -> str:
    """`cron` as cronsim keeps its times of day: to it, whatever begins with a star in the first two
    fields goes by real time, and what the clock leaves out of it is left out.
    """
    if len(CronSim(cron, datetime.min.replace(tzinfo=UTC)).hours) == len(range(24)):
        return cron
    minute, hour, *days = cron.split()
    return " ".join([minute.replace("*", "0-59"), hour.replace("*", "0-23"), *days])


def check(cron: str) -> str:
    """`cron` in its normal form: five fields, one space between them. Raises `BadCron`."""
    fields = cron.split()
    if len(fields) != 5:
        raise BadCron(f"Five fields, please, not {len(fields)}: {_FIELDS}.")
    normal = " ".join(fields).upper()
    try:
        CronSim(normal, datetime.min.replace(tzinfo=UTC))
    except CronSimError as error:
        raise BadCron(f"{error}. The five fields are: {_FIELDS}.") from None
    return normal


_FIELDS = "minute, hour, day of month, month, day of week"


@cache
def zones() -> frozenset[str]:
    """The names of all time zones. `localtime` is whatever the machine says, so it is none."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def explain(cron: str) -> str:
    """`cron` in words."""
    return CronSim(cron, datetime.min.replace(tzinfo=UTC)).explain()
