"""Dates and times: ISO 8601 in; out as a language writes them, by Unicode's CLDR (Babel).

A date stays that date. A time with an offset is moved to the reader's zone where that is known; one
without is printed as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Literal, cast, get_args

from babel import Locale
from babel import dates as cldr

from templates_app.errors import InvalidValue
from templates_app.types import Manner

_Style = Literal["short", "medium", "long", "full"]
_Width = Literal["wide", "abbreviated"]

STYLES: tuple[str, ...] = get_args(_Style)

_CODE = re.compile(r"%(-?.?)", re.DOTALL)
_MAX_PATTERN = 100
_MAX_ISO = 64

CODES: dict[str, Callable[[datetime, Locale], str]] = {
    "Y": lambda at, _: f"{at.year:04}",
    "y": lambda at, _: f"{at.year % 100:02}",
    "m": lambda at, _: f"{at.month:02}",
    "-m": lambda at, _: str(at.month),
    "d": lambda at, _: f"{at.day:02}",
    "-d": lambda at, _: str(at.day),
    "B": lambda at, locale: _month(at, "wide", locale),
    "b": lambda at, locale: _month(at, "abbreviated", locale),
    "A": lambda at, locale: _day(at, "wide", locale),
    "a": lambda at, locale: _day(at, "abbreviated", locale),
    "H": lambda at, _: f"{at.hour:02}",
    "-H": lambda at, _: str(at.hour),
    "I": lambda at, _: f"{at.hour % 12 or 12:02}",
    "-I": lambda at, _: str(at.hour % 12 or 12),
    "p": lambda at, locale: cldr.get_period_names("abbreviated", locale=locale)[_half(at)],
    "M": lambda at, _: f"{at.minute:02}",
    "S": lambda at, _: f"{at.second:02}",
    "%": lambda _, __: "%",
}
"""What may follow a % in a pattern."""


def is_date(iso: str) -> bool:
    try:
        _moment(iso.strip())
    except InvalidValue:
        return False
    return True


def format_date(iso: str, style: str, manner: Manner) -> str:
    """`("2026-03-01", "long")` is "March 1, 2026" in English; a style with a % is a pattern of `CODES`.

    Empty for empty. Raises InvalidValue, as the others do.
    """
    return _formatted("date", iso, style, manner)


def format_time(iso: str, style: str, manner: Manner) -> str:
    """`("2026-03-01T21:05:00Z", "short")` is "9:05 PM"; `long` and `full` name the zone, where there is one."""
    return _formatted("time", iso, style, manner)


def format_datetime(iso: str, style: str, manner: Manner) -> str:
    """The date in the style and the time in the short one."""
    return _formatted("datetime", iso, style, manner)


def format_relative(iso: str, since: str, manner: Manner) -> str:
    """`("2026-03-04", "2026-03-01")` is "in 3 days"; empty for empty."""
    if not iso:
        return ""
    try:
        apart = _moment(iso) - _moment(since)
    except TypeError:
        raise InvalidValue("relative needs two times with an offset, or two without.") from None
    return cldr.format_timedelta(apart, add_direction=True, locale=manner.language)


def _formatted(kind: str, iso: str, style: str, manner: Manner) -> str:
    if not iso:
        return ""
    if len(style) > _MAX_PATTERN:
        raise InvalidValue(f"A pattern of a date has at most {_MAX_PATTERN} characters.")
    if style not in STYLES and (kind != "date" or "%" not in style):
        patterns = ", or a pattern such as %d.%m.%Y" if kind == "date" else ""
        raise InvalidValue(f"The style of a {kind} is {', '.join(STYLES)}{patterns}.")
    at, locale = _moment(iso), manner.language
    if at.tzinfo and manner.zone:
        try:
            at = at.astimezone(manner.zone)
        except OverflowError:  # on the first or last day there is
            raise _bad_date() from None
    match kind:
        case "date" if style in STYLES:
            return cldr.format_date(at, style, locale=locale)
        case "date":
            return _CODE.sub(lambda code: _code(at, code[1], locale), style)
        case "time":
            return _time(at, style, locale)
    joined = str(cldr.get_datetime_format(cast("_Style", style), locale=locale)).replace("'", "")
    date = cldr.format_date(at, style, locale=locale)
    return joined.replace("{1}", date).replace("{0}", _time(at, "short", locale))


def _time(at: datetime, style: str, locale: Locale) -> str:
    if at.tzinfo is None and style in ("long", "full"):  # which would call it UTC
        style = "medium"
    return cldr.format_time(at, style, tzinfo=at.tzinfo, locale=locale)


def _moment(iso: str) -> datetime:
    try:
        return datetime.fromisoformat(iso if len(iso) <= _MAX_ISO else "")
    except ValueError:
        raise _bad_date() from None


def _bad_date() -> InvalidValue:
    return InvalidValue("date needs an ISO 8601 date such as 2026-03-01.")


def _code(at: datetime, code: str, locale: Locale) -> str:
    if code not in CODES:
        raise InvalidValue("A pattern of a date has an unknown code.")
    return CODES[code](at, locale)


def _month(at: datetime, width: _Width, locale: Locale) -> str:
    return str(cldr.get_month_names(width, locale=locale)[at.month])


def _day(at: datetime, width: _Width, locale: Locale) -> str:
    return str(cldr.get_day_names(width, locale=locale)[at.weekday()])


def _half(at: datetime) -> str:
    return "am" if at.hour < 12 else "pm"
