"""How values look on staff pages. Everything is escaped."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NOTHING = "-"


class Tone(Enum):
    """What a badge says at a glance."""

    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    QUIET = "quiet"


def badge(text: object, tone: Tone = Tone.QUIET) -> SafeString:
    return format_html('<span class="comms-badge comms-badge-{}">{}</span>', tone.value, text)


def link(url: str, text: object) -> SafeString:
    return format_html('<a class="comms-link" href="{}">{}</a>', url, text)


def code(text: object) -> SafeString:
    return format_html('<code class="comms-code">{}</code>', text)


def ago(moment: datetime | None) -> SafeString:
    """`5 min ago`, `in 2 h`; the exact time, in the viewer's zone, appears on hovering."""
    if moment is None:
        return format_html('<span class="comms-soft">{}</span>', NOTHING)
    return format_html(
        '<time class="comms-time" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z"),
        _relative(moment, timezone.now()),
    )


def moment(at: datetime) -> str:
    """`22 Nov 2026, 15:04`, in the viewer's zone."""
    return timezone.localtime(at).strftime("%-d %b %Y, %H:%M")


def duration(seconds: float) -> str:
    """`90 s`, `5 min`, `2 h`: in the largest unit of which it is a whole number."""
    span = timedelta(seconds=seconds)
    for unit, name in _UNITS:
        if span >= unit and not span % unit:
            return f"{span // unit} {name}"
    return f"{seconds:g} s"


def shorten(text: str, length: int = 60) -> str:
    """One line of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


_UNITS = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min"))


def _relative(moment: datetime, now: datetime) -> str:
    distance = abs(now - moment)
    if distance >= timedelta(days=30):
        return timezone.localtime(moment).strftime("%-d %b %Y")
    for unit, name in _UNITS:
        if distance >= unit:
            text = f"{distance // unit} {name}"
            return f"{text} ago" if moment <= now else f"in {text}"
    seconds = int(distance.total_seconds())
    if seconds < 5:
        return "just now"
    return f"{seconds} s ago" if moment <= now else f"in {seconds} s"
