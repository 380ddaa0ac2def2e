"""How much of its weight a provider gets: less after trouble, and back again by and by. Pure.

The numbers are those of GOV.UK Notify (alphagov/notifications-api, app/constants.py and
app/dao/provider_details_dao.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FULL = 100
LEAST = 10
"""Percent. Never none: without messages nobody would see that it is well again."""
STEP = 10

ERRORS = 50
ERRORS_IN = timedelta(seconds=60)
"""So many failed calls in this time; or, of few calls, half of at least `FEW`."""
FEW = 20
AFTER_ERRORS = timedelta(minutes=1)

SLOW = timedelta(minutes=5)
SLOW_IN = timedelta(minutes=15)
SLOW_SHARE = 0.15
"""So many of the messages of that time whose receipt took longer than `SLOW`, or never came."""
AFTER_SLOW = timedelta(minutes=5)

HEAL = timedelta(minutes=15)
"""Without trouble one step up."""


@dataclass(frozen=True)
class Observed:
    """Of one provider: calls and failed ones of the last minute, messages old enough to have a
    receipt and those whose receipt was slow. `slow` counts nothing where no receipts ever come.
    """

    calls: int = 0
    errors: int = 0
    messages: int = 0
    slow: int = 0

    @property
    def fails(self) -> bool:
        return self.errors >= ERRORS or (self.calls >= FEW and 2 * self.errors >= self.calls)

    @property
    def is_slow(self) -> bool:
        return self.messages >= FEW and self.slow >= SLOW_SHARE * self.messages


@dataclass(frozen=True)
class Change:
    health: int
    reason: str


def after(health: int, changed_at: datetime | None, seen: Observed, now: datetime) -> Change | None:
    """The next health in percent and why; None: it stays as it is."""
    since = now - changed_at if changed_at else HEAL
    if seen.fails and since >= AFTER_ERRORS:
        reason = f"{seen.errors} of {seen.calls} calls failed in a minute"
        return _lower(health, reason)
    if seen.is_slow and since >= AFTER_SLOW:
        reason = f"{seen.slow} of {seen.messages} receipts took over five minutes"
        return _lower(health, reason)
    if health < FULL and since >= HEAL and not seen.fails and not seen.is_slow:
        return Change(min(FULL, health + STEP), "it has been well since")
    return None


def _lower(health: int, reason: str) -> Change | None:
    return Change(max(LEAST, health - STEP), reason) if health > LEAST else None
