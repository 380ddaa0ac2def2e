"""What follows a call that did not succeed. Pure: numbers in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from random import Random

from notifications.types import ErrorClass, Lane


@dataclass(frozen=True)
class Policy:
    """`base` and `cap` are seconds. A delivery is given up after `rounds` in which every provider
    had its turn, or when it has been tried for `age`.
    """

    base: float
    cap: float
    rounds: int
    age: timedelta


POLICIES = {
    Lane.URGENT: Policy(base=0.5, cap=8.0, rounds=60, age=timedelta(minutes=10)),
    Lane.NORMAL: Policy(base=2.0, cap=600.0, rounds=40, age=timedelta(hours=24)),
    Lane.BULK: Policy(base=30.0, cap=3600.0, rounds=40, age=timedelta(hours=72)),
}

FINAL = {ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE}
"""No further call can succeed."""


UNMAPPED = "unmapped:"
"""What the code of an error begins with that is in no provider's table."""

PUZZLES = 3
"""Calls that may end so: it may be for good, and nobody would know."""


def may_try_again(lane: Lane, rounds: int, age: timedelta, *, puzzles: int = 0) -> bool:
    """`age` since the delivery was first tried; `puzzles` are calls with an error nobody knows."""
    if puzzles >= PUZZLES:
        return False
    return rounds < POLICIES[lane].rounds and age < POLICIES[lane].age


def delay(lane: Lane, calls: int, *, retry_after: float | None, random: Random) -> float:
    """Seconds until the next call: full jitter over an exponential bound, never before
    `retry_after`.

    The bound is `min(cap, base * 2 ** (calls - 1))`: calls of the provider that was asked most.
    """
    policy = POLICIES[lane]
    bound = min(policy.cap, policy.base * 2 ** min(max(calls, 1) - 1, 30))
    return random.uniform(0, bound) + (retry_after or 0.0)


COPIES = 3
"""How often a message may leave with an unknown outcome: each may have reached the person."""

HOLD_FOR = timedelta(hours=24)
"""How long a held message waits for its receipt before it ends unconfirmed."""


class AfterUnknown(Enum):
    """What follows when no receipt has settled an unknown outcome in time."""

    RESEND = auto()
    WAIT = auto()
    END_UNCONFIRMED = auto()
    GIVE_UP = auto()


def after_unknown(lane: Lane, *, hold: bool, waited: timedelta, copies: int) -> AfterUnknown:
    """What becomes of a delivery of which `copies` went out unanswered. A second copy is risked only where the category says so, and never in bulk."""
    if lane is Lane.BULK or hold:
        return AfterUnknown.WAIT if waited < HOLD_FOR else AfterUnknown.END_UNCONFIRMED
    return AfterUnknown.RESEND if copies < COPIES else AfterUnknown.GIVE_UP
