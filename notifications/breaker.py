"""When a provider is left alone. Pure: one provider's health in, its next health out.

Five failures in a row open the breaker for five seconds, a refused credential at once for a
minute, a 429 for as long as the provider asks, and a failure that asks for time so long, up to a
minute. After failures one real message then goes as a probe: its success closes the breaker, its
failure opens it again. Who is alone on a channel gets a probe each second, unless it asked for
time: worse than a bad provider is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from notifications.types import ErrorClass

FAILURES = 5
OPEN_FOR = timedelta(seconds=5)
"""As often as a probe goes; what recovers is back within that."""
ALONE_FOR = timedelta(seconds=1)
OPEN_FOR_CREDENTIALS = timedelta(seconds=60)
OPEN_FOR_THROTTLE = timedelta(seconds=1)
MOST_FOR_TIME = timedelta(seconds=60)
"""Of a failure, for which one server may speak that is not all of the provider. Its own message
waits for as long as was asked.
"""
ASKED_FOR_TIME = "asked for time"
CREDENTIALS = "credentials refused"
"""How the reason begins of a breaker that new credentials may close."""
PROBE_FOR = timedelta(seconds=20)
"""How long a probe may take until another process may send one: longer than any call."""


class Gate(Enum):
    OPEN_ROAD = auto()
    SHUT = auto()
    PROBE = auto()


@dataclass(frozen=True)
class Health:
    """`blocked_until` is set while the breaker is open, and stays until a probe succeeded."""

    failures: int = 0
    blocked_until: datetime | None = None
    probe_until: datetime | None = None
    reason: str = ""


def gate(health: Health, now: datetime) -> Gate:
    """Whether a message may go this way now, only as a probe, or not at all.

    When a throttle is over there is nothing to probe: the provider works, it asked for time.
    """
    if health.blocked_until is None:
        return Gate.OPEN_ROAD
    if health.blocked_until > now:
        return Gate.SHUT
    if not health.failures:
        return Gate.OPEN_ROAD
    probing = health.probe_until is not None and health.probe_until > now
    return Gate.SHUT if probing else Gate.PROBE


def opens(health: Health, *, alone: bool) -> datetime | None:
    """When a message may go this way again, as a probe after failures; None: nothing is in its way."""
    if health.reason.startswith(ASKED_FOR_TIME):
        return health.blocked_until
    if health.blocked_until is not None and health.failures and alone:
        is_refused = health.reason.startswith(CREDENTIALS)
        return health.blocked_until - (OPEN_FOR_CREDENTIALS if is_refused else OPEN_FOR) + ALONE_FOR
    return health.blocked_until


def ask_again(health: Health, opens: datetime, now: datetime) -> datetime:
    """When to look whether a message may go after all: credentials may change at any time, and who
    looks for messages finds the new ones.
    """
    return min(opens, now + OPEN_FOR) if health.reason.startswith(CREDENTIALS) else opens


def after_success(health: Health, now: datetime) -> Health:
    """The provider answered: taken, or refused for a reason of the message's own.

    While the breaker is open that is the answer to a call from before: it proves nothing since.
    """
    is_open = health.blocked_until is not None and health.blocked_until > now
    return health if is_open else Health()


def after_renewal(health: Health, now: datetime) -> Health:
    """The provider has other credentials: if they were its trouble, a probe may go at once."""
    is_open = health.blocked_until is not None and health.blocked_until > now
    if not is_open or not health.reason.startswith(CREDENTIALS):
        return health
    return replace(health, blocked_until=now, probe_until=None)


def after_failure(
    health: Health, error_class: ErrorClass, code: str, now: datetime, retry_after: float | None
) -> Health:
    """The provider could not or would not work. Refusals of one message are no failure of it."""
    if error_class in (ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE):
        return after_success(health, now)
    if error_class is ErrorClass.THROTTLED:
        wait = timedelta(seconds=retry_after) if retry_after else OPEN_FOR_THROTTLE
        return _blocked(after_success(health, now), now + wait, f"throttled ({code})")
    is_open = health.blocked_until is not None and health.blocked_until > now
    was_probe = health.failures > 0 and health.blocked_until is not None and not is_open
    counted = replace(
        health,
        failures=health.failures + 1,
        probe_until=None,
        blocked_until=health.blocked_until if was_probe or is_open else None,
    )
    if error_class is ErrorClass.AUTH_CONFIG:
        return _blocked(counted, now + OPEN_FOR_CREDENTIALS, f"{CREDENTIALS} ({code})")
    if retry_after:
        asked = min(timedelta(seconds=retry_after), MOST_FOR_TIME)
        counted = _blocked(counted, now + asked, f"{ASKED_FOR_TIME} ({code})")
    if counted.failures >= FAILURES or was_probe:
        return _blocked(
            counted, now + OPEN_FOR, f"{counted.failures} failures in a row, last {code}"
        )
    return counted


def _blocked(health: Health, until: datetime, reason: str) -> Health:
    """Never shorter than it was blocked already."""
    if health.blocked_until is not None and health.blocked_until >= until:
        return health
    return replace(health, blocked_until=until, reason=reason[:200])
