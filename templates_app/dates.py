"""Dates in templates: ISO 8601 in, a small safe subset of strftime out, always in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from templates_app.errors import InvalidValue

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CODE = re.compile(r"%(-?.?)", re.DOTALL)
_MAX_PATTERN = 100

CODES: dict[str, Callable[[datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "-m": lambda at: str(at.month),
    "d": lambda at: f"{at.day:02}",
    "-d": lambda at: str(at.day),
    "B": lambda at: _MONTHS[at.month - 1],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "a": lambda at: _DAYS[at.weekday()][:3],
    "H": lambda at: f"{at.hour:02}",
    "-H": lambda at: str(at.hour),
    "I": lambda at: f"{at.hour % 12 or 12:02}",
    "-I": lambda at: str(at.hour % 12 or 12),
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "%": lambda at: "%",
}
"""What may follow a % in a pattern. There is no time zone: a time is printed as it was given."""


def format_date(iso: str, pattern: str) -> str:
    """`("2026-03-01T09:05:00Z", "%-d %B %Y")` gives "1 March 2026"; empty for empty. Raises InvalidValue."""
    if not iso.strip():
        return ""
    if len(pattern) > _MAX_PATTERN:
        raise InvalidValue(f"A pattern of a date has at most {_MAX_PATTERN} characters.")
    try:
        at = datetime.fromisoformat(iso.strip())
    except ValueError:
        raise InvalidValue("date needs an ISO 8601 date such as 2026-03-01.") from None
    return _CODE.sub(lambda code: _formatted(at, code[1]), pattern)


def _formatted(at: datetime, code: str) -> str:
    if code not in CODES:
        raise InvalidValue("A pattern of a date has an unknown code.")
    return CODES[code](at)
