from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifications.policy.choices import Choice
from notifications.policy.quiet import Quiet
from notifications.types import QuietRule, SuppressionReason

ALL = "*"


@dataclass(frozen=True)
class Suppressed:
    """One entry of the suppression list for the address in question."""

    scope: str
    reason: SuppressionReason
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """What a category says of its messages. Without one, a message is transactional."""

    key: str = ""
    is_essential: bool = False
    is_marketing: bool = False
    is_optional: bool = True
    """Whether a person may turn it off."""
    is_opt_in: bool = False
    """Whether it goes only to those who asked for it."""
    quiet: QuietRule = QuietRule.IGNORE
    spares_watchers: bool = False
    """Whether somebody who is looking at the inbox is told nowhere else."""
    paused: str = ""
    """Why nothing of it is sent now."""
    daily_cap: int | None = None
    """Messages to one person in 24 hours."""


NO_RULES = Rules()


@dataclass(frozen=True)
class Facts:
    """All that a decision rests on.

    Of the person: `choices`, `paused_until` (`None`: not paused), `periods` of quiet, `is_watching`
    the inbox. `legal`: periods that the law sets where they are. `taken`: how many messages of the
    category the person had in 24 hours, this one not counted.
    """

    now: datetime
    channel: str = ""
    rules: Rules = NO_RULES
    expires_at: datetime | None = None
    suppressed: Sequence[Suppressed] = ()
    country: str | None = None
    """Of a phone number, `""` where it belongs to none; None for every other address."""
    countries: Collection[str] = ()
    """Those that may be written to; none: all."""
    tariff: str = ""
    """Of a phone number that pays its owner for what comes in: `premium-rate` or `shared-cost`."""
    choices: Sequence[Choice] = ()
    paused_until: datetime | None = None
    periods: Sequence[Quiet] = ()
    legal: Sequence[Quiet] = ()
    is_watching: bool = False
    taken: int = 0
