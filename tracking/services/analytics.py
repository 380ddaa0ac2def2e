"""Answers from the hourly rollups: sums, sums by the hour, day or week, and who leads.

An hour belongs to the day in which it began, in the time zone that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, models

from commsproject.common.arrays import uuids
from commsproject.common.errors import InvalidInput
from commsproject.common.models import ApiClient
from notifications.models import Category
from templates_app.models import Template, TemplateVersion, Variant
from tracking.services import histogram
from tracking.services.folding import GRAINS, OF_DAY
from tracking.services.rollups import (
    ARRIVED,
    COST_UNIT,
    COUNTS,
    FAILED_OTHERWISE,
    FAILURES,
    HANDED,
    PLACES,
)

ON_TIME = 10
"""Seconds. The share of messages that a provider has this long after they were due is the service's
headline."""

LONGEST = timedelta(days=800)
LONGEST_BY_HOUR = timedelta(days=62)

FIRST_YEAR, LAST_YEAR = 1970, 9990
"""With room at both ends of the calendar for the span before, and for any time zone."""

Figures = Mapping[str, Any]


class Granularity(models.TextChoices):
    HOUR = "hour", "Hour"
    DAY = "day", "Day"
    WEEK = "week", "Week"


class Dimension(models.TextChoices):
    """What messages can be chosen by, and told apart by."""

    CHANNEL = "channel", "Channel"
    PROVIDER = "provider", "Provider"
    AGENT = "agent", "Agent"
    CATEGORY = "category", "Category"
    TEMPLATE = "template", "Template"
    VERSION = "version", "Version"
    VARIANT = "variant", "Variant"
    COUNTRY = "country", "Country"
    BATCH = "batch", "Batch"


_WORD = {
    Dimension.AGENT: "client",
    Dimension.CATEGORY: "category",
    Dimension.TEMPLATE: "version",
    Dimension.VERSION: "version",
    Dimension.VARIANT: "variant",
    Dimension.COUNTRY: "country",
    Dimension.BATCH: "batch",
}
"""What a grain calls it. Channel and provider are in all."""


@dataclass(frozen=True)
class Question:
    """Which messages, and when. `client`: only this agent's."""

    since: datetime
    until: datetime
    zone: ZoneInfo
    where: Mapping[Dimension, str] = field(default_factory=dict)
    client: UUID | None = None

    def __post_init__(self) -> None:
        for name, moment in (("since", self.since), ("until", self.until)):
            if not FIRST_YEAR <= moment.year <= LAST_YEAR:
                message = f"A time of the years {FIRST_YEAR} to {LAST_YEAR} is wanted."
                raise InvalidInput.of(name, "out_of_range", message)
        if self.since >= self.until:
            raise InvalidInput.of("until", "not_after_since", "It must be after `since`.")
        if self.until - self.since > LONGEST:
            message = f"At most {LONGEST.days} days can be asked for."
            raise InvalidInput.of("since", "too_long", message)


# --- Questions -----------------------------------------------------------------------------------


def summary(question: Question) -> Figures:
    """The figures of all of it."""
    condition, values = _condition(question)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_SUMS} FROM tracking_rollup WHERE {condition}", values)  # noqa: S608
        return _figures(cursor.fetchone())


def series(question: Question, granularity: Granularity) -> list[tuple[datetime, Figures]]:
    """The figures of each hour, day or week, also of those with nothing; times are in the zone."""
    if granularity == Granularity.HOUR and question.until - question.since > LONGEST_BY_HOUR:
        message = f"By the hour, at most {LONGEST_BY_HOUR.days} days can be asked for."
        raise InvalidInput.of("granularity", "too_fine", message)
    condition, values = _condition(question, by_hours=True)
    zone = question.zone.key
    with connection.cursor() as cursor:
        cursor.execute(
            _STEPS, [granularity, question.since, zone, question.until, granularity, zone]
        )
        steps = [at for (at,) in cursor.fetchall()]
        cursor.execute(
            f"SELECT date_trunc(%s, hour, %s), {_SUMS} FROM tracking_rollup"  # noqa: S608
            f" WHERE {condition} GROUP BY 1",
            [granularity, zone, *values],
        )
        found = {at: sums for at, *sums in cursor.fetchall()}
    return [(at.astimezone(question.zone), _figures(found.get(at, _NOTHING))) for at in steps]


@dataclass(frozen=True)
class Leader:
    """One value of a dimension. `key` is what it is asked for by: empty for messages with none."""

    key: str
    name: str
    figures: Figures


def top(question: Question, by: Dimension, order: str, limit: int) -> list[Leader]:
    """The values of `by` with most of `order`, one of `ORDERS`."""
    condition, values = _condition(question, by)
    shown = _SHOWN[by]
    rows = f"FROM tracking_rollup {shown.join} WHERE {condition} {shown.only}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {shown.column} {rows} GROUP BY 1 ORDER BY {ORDERS[order]} DESC, 1 LIMIT %s",
            [*values, limit],
        )
        leading = [value for (value,) in cursor.fetchall()]
        # All 70 sums of those alone: of every value they take ten times as long (measured).
        known = [value for value in leading if value is not None]
        cursor.execute(
            f"SELECT {shown.column}, {_SUMS} {rows}"
            f" AND ({shown.column} = ANY(%s) OR %s AND {shown.column} IS NULL) GROUP BY 1",
            [*values, known, None in leading],
        )
        found = {value: sums for value, *sums in cursor.fetchall()}
    names = shown.names(known)
    return [
        Leader(*names.get(value, (str(value or ""), str(value or ""))), _figures(found[value]))
        for value in leading
        if value in found
    ]


def week(question: Question) -> list[list[int]]:
    """Messages sent, by weekday (Monday first) and hour of the day."""
    condition, values = _condition(question, by_hours=True)
    grid = [[0] * 24 for _ in range(7)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(isodow FROM hour AT TIME ZONE %s)::int,"  # noqa: S608
            " extract(hour FROM hour AT TIME ZONE %s)::int, sum(sent)"
            f" FROM (SELECT hour, {_sum('sent')} AS sent FROM tracking_rollup"
            f" WHERE {condition} GROUP BY hour) AS each GROUP BY 1, 2",
            [question.zone.key, question.zone.key, *values],
        )
        for day, hour, count in cursor.fetchall():
            grid[day - 1][hour] = int(count)
    return grid


# --- SQL -----------------------------------------------------------------------------------------


def _sum(name: str) -> str:
    return f"coalesce(sum(counts[{PLACES[name] + 1}]), 0)"


_SUMS = ", ".join([*map(_sum, PLACES), "coalesce(sum(cost), 0)"])
_NOTHING = [0] * (len(PLACES) + 1)
_FAILED = (*FAILURES.values(), FAILED_OTHERWISE)
_SHOWN_COUNTS = tuple(name for name in COUNTS if name not in _FAILED)

ORDERS = {
    **{name: _sum(name) for name in _SHOWN_COUNTS},
    "failed": " + ".join(map(_sum, _FAILED)),
    "cost": "coalesce(sum(cost), 0)",
}

_STEPS = """
SELECT generate_series(date_trunc(%s, %s::timestamptz, %s), %s::timestamptz - interval '1 us',
                       ('1 ' || %s)::interval, %s)
"""


_Condition = tuple[str, list[Any]]


_WHEN = "grain = %s AND hour >= %s AND hour < %s"


def _by_hours(question: Question, grain: str) -> _Condition:
    return _WHEN, [grain, _hour(question.since), question.until]


def _by_days(question: Question, grain: str) -> _Condition:
    """Whole days in UTC as days, what is before and after them by the hour."""
    since, last = _hour(question.since), _midnight(question.until)
    first = _midnight(since + timedelta(hours=23))
    if first >= last:
        return _by_hours(question, grain)
    parts = [(grain, since, first), (grain, last, question.until), (grain + OF_DAY, first, last)]
    condition = " OR ".join(_WHEN for _ in parts)
    return f"({condition})", [value for part in parts for value in part]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _condition(
    question: Question, by: Dimension | None = None, *, by_hours: bool = False
) -> _Condition:
    asked = {*question.where, *([by] if by else [])}
    words = {_WORD[one] for one in asked if one in _WORD} | (
        {"client"} if question.client else set()
    )
    when, values = (
        _by_hours(question, _grain(words)) if by_hours else _by_days(question, _grain(words))
    )
    conditions = [when]
    if question.client:
        conditions.append("client_id = %s")
        values.append(question.client)
    for dimension, text in question.where.items():
        condition, value = _FILTERS[dimension](text, question.where)
        conditions.append(condition)
        values.append(value)
    return " AND ".join(conditions), values


def _grain(words: set[str]) -> str:
    for grain, kept in GRAINS.items():
        if words <= set(kept):
            return grain
    message = "Of a batch, only channel, provider and agent are counted apart."
    raise InvalidInput.of("batch", "not_combined", message)


_Filter = Callable[[str, Mapping[Dimension, str]], tuple[str, Any]]


def _plain(column: str) -> _Filter:
    return lambda text, _: (f"{column} = %s", text)


def _id(dimension: Dimension) -> _Filter:
    def of(text: str, _: Mapping[Dimension, str]) -> tuple[str, Any]:
        try:
            return f"{dimension.value}_id = %s", UUID(text)
        except ValueError:
            raise InvalidInput.of(dimension.value, "invalid", "An id is wanted.") from None

    return of


def _unknown(dimension: Dimension, text: str) -> InvalidInput:
    name = dimension.value
    return InvalidInput.of(name, f"unknown_{name}", f"There is no {name} {text[:100]!r}.")


def _agent(text: str, _: Mapping[Dimension, str]) -> tuple[str, Any]:
    found = ApiClient.objects.filter(name=text).values_list("id", flat=True).first()
    if found is None:
        raise _unknown(Dimension.AGENT, text)
    return "client_id = %s", found


def _category(text: str, _: Mapping[Dimension, str]) -> tuple[str, Any]:
    found = Category.objects.filter(key=text).values_list("id", flat=True).first()
    if found is None:
        raise _unknown(Dimension.CATEGORY, text)
    return "category_id = %s", found


def _template(text: str, where: Mapping[Dimension, str]) -> tuple[str, Any]:
    versions = TemplateVersion.objects.filter(template__key=text)
    found = list(versions.values_list("id", flat=True))
    if not found:
        raise _unknown(Dimension.TEMPLATE, text)
    return "version_id = ANY(%s::uuid[])", uuids(found)


def _version(text: str, where: Mapping[Dimension, str]) -> tuple[str, Any]:
    template = where.get(Dimension.TEMPLATE, "")
    if not template or not text.isdecimal() or len(text) > 6:
        message = "The number of a version of `template`."
        raise InvalidInput.of("version", "invalid", message)
    found = TemplateVersion.objects.filter(template__key=template, number=int(text)).first()
    if found is None:
        raise _unknown(Dimension.VERSION, text)
    return "version_id = %s", found.id


_FILTERS: Mapping[Dimension, _Filter] = {
    Dimension.CHANNEL: _plain("channel"),
    Dimension.PROVIDER: _plain("provider"),
    Dimension.COUNTRY: _plain("country"),
    Dimension.AGENT: _agent,
    Dimension.CATEGORY: _category,
    Dimension.TEMPLATE: _template,
    Dimension.VERSION: _version,
    Dimension.VARIANT: _id(Dimension.VARIANT),
    Dimension.BATCH: _id(Dimension.BATCH),
}


# --- Names ---------------------------------------------------------------------------------------

_Names = Mapping[Any, tuple[str, str]]
"""Value of the column to key and name."""


def _themselves(values: Sequence[Any]) -> _Names:
    return {value: (str(value), str(value)) for value in values}


def _agents(values: Sequence[Any]) -> _Names:
    rows = ApiClient.objects.filter(id__in=values).values_list("id", "name")
    return {id_: (name, name) for id_, name in rows}


def _categories(values: Sequence[Any]) -> _Names:
    rows = Category.objects.filter(id__in=values).values_list("id", "key", "name")
    return {id_: (key, name) for id_, key, name in rows}


def _templates(values: Sequence[Any]) -> _Names:
    rows = Template.objects.filter(id__in=values).values_list("id", "key", "name")
    return {id_: (key, name) for id_, key, name in rows}


def _versions(values: Sequence[Any]) -> _Names:
    rows = TemplateVersion.objects.filter(id__in=values)
    named = rows.values_list("id", "number", "template__name")
    return {id_: (str(number), f"{name}, version {number}") for id_, number, name in named}


def _variants(values: Sequence[Any]) -> _Names:
    rows = Variant.objects.filter(id__in=values).values_list("id", "name")
    return {id_: (str(id_), name) for id_, name in rows}


@dataclass(frozen=True)
class _Shown:
    """How values of a dimension are told apart, and what they are called."""

    column: str
    names: Callable[[Sequence[Any]], _Names]
    only: str = ""
    join: str = ""


_SHOWN: Mapping[Dimension, _Shown] = {
    Dimension.CHANNEL: _Shown("channel", _themselves),
    Dimension.PROVIDER: _Shown("provider", _themselves, "AND provider <> ''"),
    Dimension.COUNTRY: _Shown("country", _themselves, "AND country <> ''"),
    Dimension.AGENT: _Shown("client_id", _agents),
    Dimension.CATEGORY: _Shown("category_id", _categories),
    Dimension.TEMPLATE: _Shown(
        "template_id",
        _templates,
        join="LEFT JOIN templates_app_templateversion AS version ON version.id = version_id",
    ),
    Dimension.VERSION: _Shown("version_id", _versions, "AND version_id IS NOT NULL"),
    Dimension.VARIANT: _Shown("variant_id", _variants, "AND variant_id IS NOT NULL"),
    Dimension.BATCH: _Shown("batch_id", _themselves),
}


# --- Figures -------------------------------------------------------------------------------------


def _figures(sums: Sequence[Any]) -> Figures:
    """From the columns of `_SUMS`."""
    failed = {name.removeprefix("failed_"): sums[PLACES[name]] for name in _FAILED}
    handed, arrived = _times(sums, HANDED), _times(sums, ARRIVED)
    return {
        **{name: sums[PLACES[name]] for name in _SHOWN_COUNTS},
        "failed": {"total": sum(failed.values()), **failed},
        "cost": str(Decimal(int(sums[-1])) / COST_UNIT),
        "handed": {"within_10s": histogram.share_within(handed, ON_TIME), **_percentiles(handed)},
        "arrived": _percentiles(arrived),
    }


def _times(sums: Sequence[Any], name: str) -> list[int]:
    first = PLACES[f"{name}0"]
    return list(sums[first : first + histogram.SIZE])


_PARTS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _percentiles(counts: Sequence[int]) -> dict[str, float | int | None]:
    found = {name: histogram.percentile(counts, part) for name, part in _PARTS.items()}
    return {
        "count": sum(counts),
        **{name: None if value is None else round(value, 3) for name, value in found.items()},
    }
