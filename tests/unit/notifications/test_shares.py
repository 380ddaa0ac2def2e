from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifications import shares
from notifications.shares import Observed, after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WELL = Observed(calls=1000, errors=10, messages=1000, slow=10)
FAILING = Observed(calls=1000, errors=50)
FEW_FAIL = Observed(calls=20, errors=10)
SLOW = Observed(calls=10, messages=100, slow=15)


def health_after(health: int, seen: Observed, since: timedelta | None) -> int | None:
    change = after(health, NOW - since if since is not None else None, seen, NOW)
    return change.health if change else None


@pytest.mark.parametrize(
    ("seen", "health", "minutes", "expected"),
    [
        (FAILING, 100, None, 90),
        (FAILING, 90, 1, 80),
        (FAILING, 90, 0.9, None),
        (FEW_FAIL, 100, None, 90),
        (Observed(calls=19, errors=19), 100, None, None),  # too few to say
        (Observed(calls=1000, errors=49), 100, None, None),
        (SLOW, 100, None, 90),
        (SLOW, 90, 4.9, None),
        (SLOW, 90, 5, 80),
        (Observed(messages=19, slow=19), 100, None, None),
        (Observed(messages=100, slow=14), 100, None, None),
        (FAILING, shares.LEAST, 60, None),
        (WELL, 50, 14.9, None),
        (WELL, 50, 15, 60),
        (WELL, 95, 15, 100),
        (WELL, 100, 60, None),
        (Observed(), 50, 15, 60),  # nothing came its way: time heals
        (FAILING, 50, 15, 40),
    ],
)
def test_the_next_health(
    seen: Observed, health: int, minutes: float | None, expected: int | None
) -> None:
    since = None if minutes is None else timedelta(minutes=minutes)
    assert health_after(health, seen, since) == expected


def test_a_change_says_why() -> None:
    failing, slow = after(100, None, FAILING, NOW), after(100, None, SLOW, NOW)
    assert failing is not None
    assert failing.reason == "50 of 1000 calls failed in a minute"
    assert slow is not None
    assert slow.reason == "15 of 100 receipts took over five minutes"


def test_however_long_it_fails_something_is_left() -> None:
    health, changed = 100, NOW
    for _ in range(30):
        changed += timedelta(minutes=1)
        change = after(health, changed - timedelta(minutes=1), FAILING, changed)
        health = change.health if change else health
    assert health == shares.LEAST
