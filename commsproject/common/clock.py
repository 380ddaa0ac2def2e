"""The database's time, which is the only one that all processes share.

What one host writes is due at another: a clock that is wrong by a minute must not send a minute
early, or give back a minute late. Asked for every ten seconds; between, this process counts.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

from django.db import connection

SKEW = timedelta(hours=1)
"""By how much the clock of a process, by which it makes keys, may differ from the database's."""

_AGAIN_AFTER = 10.0
_PROMPT = 0.05
"""Seconds for an answer that is taken at its word."""
_TRIES = 5

_known: tuple[float, datetime] | None = None
"""A moment on this process's monotonic clock, and what the database called it."""


def now() -> datetime:
    """As `timezone.now`, by the database's clock. Raises the database's errors.

    On an event loop, where nothing may be asked, what was heard last counts on: somebody has asked
    before, as whatever is under way there was read from the database.
    """
    global _known
    if _known is None or (time.monotonic() - _known[0] > _AGAIN_AFTER and not _on_a_loop()):
        _known = _heard()
    at, named = _known
    return named + timedelta(seconds=time.monotonic() - at)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _heard() -> tuple[float, datetime]:
    """Late by the way of the answer, as what were ahead would take for due what is not yet due.

    Asked again where that took long: a busy machine lets an answer lie for a second.
    """
    for _ in range(_TRIES):
        began = time.monotonic()
        moment = _asked()
        at = time.monotonic()
        if at - began < _PROMPT:
            break
    return at, moment


def _asked() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment
