"""May this message go to this address now? Pure: all inputs are passed in, the answer has a reason.

Asked twice: at acceptance, to inform the caller, and when the window is opened, which is binding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifications.states import State
from notifications.types import SuppressionReason

ALL = "*"


@dataclass(frozen=True)
class Suppressed:
    """One entry of the suppression list for the address in question."""

    scope: str
    reason: SuppressionReason
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Facts:
    now: datetime
    expires_at: datetime | None = None
    category: str = ""
    is_essential: bool = False
    suppressed: Sequence[Suppressed] = ()
    country: str | None = None
    """Of a phone number, `""` where it belongs to none; None for every other address."""
    countries: Collection[str] = ()
    """Those that may be written to; none: all."""


@dataclass(frozen=True)
class Refusal:
    """The end state of a delivery that must not be sent, and why."""

    state: State
    reason: str


_WHY = {
    SuppressionReason.BOUNCE: "the address bounced",
    SuppressionReason.COMPLAINT: "the recipient marked a message as spam",
    SuppressionReason.UNSUBSCRIBE: "the recipient unsubscribed",
    SuppressionReason.MANUAL: "the address was suppressed by staff",
}

_NOWHERE = "numbers of no country"

_RECIPIENTS_WISH = {SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBE}
"""What essential messages (one-time codes) overrule; a dead address they do not."""


def decide(facts: Facts) -> Refusal | None:
    """Why the message must not be sent; None: send it."""
    if facts.expires_at is not None and facts.expires_at <= facts.now:
        return Refusal(State.EXPIRED, "it expired before it could be sent")
    for entry in facts.suppressed:
        if _applies(entry, facts):
            return Refusal(State.SUPPRESSED, _WHY[entry.reason])
    if facts.countries and facts.country is not None and facts.country not in facts.countries:
        return Refusal(State.SUPPRESSED, f"no text messages go to {facts.country or _NOWHERE}")
    return None


def _applies(entry: Suppressed, facts: Facts) -> bool:
    if entry.expires_at is not None and entry.expires_at <= facts.now:
        return False
    if entry.reason in _RECIPIENTS_WISH and facts.is_essential:
        return False
    return entry.scope in (ALL, facts.category)
