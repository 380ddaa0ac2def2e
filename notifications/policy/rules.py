from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from notifications.policy.choices import chosen
from notifications.policy.facts import ALL, Facts, Rules, Suppressed
from notifications.policy.quiet import quiet_until
from notifications.states import State
from notifications.types import Channel, QuietRule, SuppressionReason


@dataclass(frozen=True)
class Refusal:
    """The end state of a delivery that must not be sent, and why."""

    state: State
    reason: str


@dataclass(frozen=True)
class Delay:
    """Not now, but then."""

    until: datetime
    reason: str


Answer = Refusal | Delay | None


@dataclass(frozen=True)
class Finding:
    """What one rule says, for people who ask why. `answer` None: nothing against it."""

    rule: str
    answer: Answer
    detail: str = ""


_WHY = {
    SuppressionReason.BOUNCE: "the address bounced",
    SuppressionReason.COMPLAINT: "the recipient marked a message as spam",
    SuppressionReason.UNSUBSCRIBE: "the recipient unsubscribed",
    SuppressionReason.MANUAL: "the address was suppressed by staff",
}

_NOWHERE = "numbers of no country"

_RECIPIENTS_WISH = {SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBE}
"""What essential messages (one-time codes) overrule; a dead address they do not."""


def decide(facts: Facts) -> Answer:
    """Why the message must not be sent, or not now; None: send it."""
    for _, rule in _RULES:
        if (answer := rule(facts)) is not None:
            return answer
    return None


def asks_nothing(rules: Rules, channel: str) -> bool:
    """Whether an address of nobody who is known, on no list, may be written to whatever the moment:
    what most rows of a bulk are, and then there is nothing to decide.
    """
    return not (rules.paused or rules.is_opt_in) and channel != Channel.SMS


def explain(facts: Facts) -> list[Finding]:
    """What each of the rules says, in the order in which they are asked."""
    return [Finding(name, rule(facts)) for name, rule in _RULES]


def _expiry(facts: Facts) -> Answer:
    if facts.expires_at is not None and facts.expires_at <= facts.now:
        return Refusal(State.EXPIRED, "it expired before it could be sent")
    return None


def _paused_category(facts: Facts) -> Answer:
    if facts.rules.paused:
        return Refusal(State.SUPPRESSED, f"its category is paused: {facts.rules.paused}")
    return None


def _suppression(facts: Facts) -> Answer:
    for entry in facts.suppressed:
        if _applies(entry, facts):
            return Refusal(State.SUPPRESSED, _WHY[entry.reason])
    return None


def _applies(entry: Suppressed, facts: Facts) -> bool:
    if entry.expires_at is not None and entry.expires_at <= facts.now:
        return False
    if entry.reason in _RECIPIENTS_WISH and facts.rules.is_essential:
        return False
    return entry.scope in (ALL, facts.rules.key)


def _country(facts: Facts) -> Answer:
    if facts.countries and facts.country is not None and facts.country not in facts.countries:
        return Refusal(State.SUPPRESSED, f"no text messages go to {facts.country or _NOWHERE}")
    if facts.tariff:
        return Refusal(State.SUPPRESSED, f"no text messages go to {facts.tariff} numbers")
    return None


def _preference(facts: Facts) -> Answer:
    rules = facts.rules
    if rules.is_essential or not rules.is_optional:
        return None
    choice = chosen(facts.choices, rules.key, facts.channel)
    if choice is not None and not choice.is_on:
        about = rules.key if choice.category else "messages like this"
        where = f" by {choice.channel}" if choice.channel else ""
        return Refusal(State.SUPPRESSED, f"the recipient turned off {about}{where}")
    return None


def _consent(facts: Facts) -> Answer:
    """An on for everything is no consent to a category that has to be asked for by name."""
    rules = facts.rules
    if not rules.is_opt_in:
        return None
    named = [choice for choice in facts.choices if choice.category == rules.key]
    choice = chosen(named, rules.key, facts.channel)
    if choice is None or not choice.is_on:
        return Refusal(State.SUPPRESSED, f"the recipient has not asked for {rules.key}")
    return None


def _pause(facts: Facts) -> Answer:
    if facts.rules.is_essential or facts.paused_until is None:
        return None
    if facts.paused_until > facts.now:
        return Refusal(State.SUPPRESSED, "the recipient has paused all messages")
    return None


def _presence(facts: Facts) -> Answer:
    if facts.rules.spares_watchers and facts.is_watching and facts.channel != Channel.INAPP:
        return Refusal(State.SUPPRESSED, "the recipient is looking at the inbox")
    return None


def _frequency(facts: Facts) -> Answer:
    cap = facts.rules.daily_cap
    if cap is not None and facts.taken >= cap:
        return Refusal(State.SUPPRESSED, f"the recipient had {cap} of these in 24 hours")
    return None


def _quiet_hours(facts: Facts) -> Answer:
    """Nobody is woken by what waits in an inbox. What the law asks for is never ignored."""
    rule = facts.rules.quiet
    periods = [*facts.legal, *(() if rule is QuietRule.IGNORE else facts.periods)]
    if not periods or facts.channel == Channel.INAPP:
        return None
    until = quiet_until(facts.now, periods)
    if until is None:
        return None
    if rule is QuietRule.SKIP or until == datetime.max.replace(tzinfo=UTC):
        return Refusal(State.SUPPRESSED, "these are quiet hours")
    if facts.expires_at is not None and facts.expires_at <= until:
        return Refusal(State.EXPIRED, "it expires before the quiet hours end")
    return Delay(until, "these are quiet hours")


_RULES: list[tuple[str, Callable[[Facts], Answer]]] = [
    ("expiry", _expiry),
    ("category", _paused_category),
    ("suppression", _suppression),
    ("country", _country),
    ("consent", _consent),
    ("preference", _preference),
    ("pause", _pause),
    ("presence", _presence),
    ("frequency", _frequency),
    ("quiet hours", _quiet_hours),
]
"""What ends a message is asked before what only delays it."""
