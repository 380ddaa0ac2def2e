"""Rules: what is measured every few seconds, and when it is told.

An app registers how a measure is taken, in its `ready`. A measure reads what is kept anyway: it runs
every few seconds, whatever the number of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

import structlog
from django.db import DatabaseError, InterfaceError, connection

from commsproject.common import alerts
from commsproject.common.alerts import counts
from commsproject.common.models import Alert, AlertRule, Severity

log = structlog.get_logger(__name__)

Measure = AlertRule.Measure


@dataclass(frozen=True)
class Reading:
    """The value of one subject (a provider, a lane; empty: of all) in the window.

    `volume` is the number of messages behind a share. `title` and `detail` say it in words that name
    nobody.
    """

    subject: str
    value: float
    title: str
    detail: str = ""
    volume: int = 0


Take = Callable[[timedelta], Iterable[Reading]]
"""The readings of a window that ends now."""

_measures: dict[str, Take] = {}


def measure(kind: Measure) -> Callable[[Take], Take]:
    """Register the function that takes this measure."""

    def register(take: Take) -> Take:
        _measures[kind.value] = take
        return take

    return register


class Verdict(Enum):
    """What a reading says of its subject."""

    WRONG = "wrong"
    WELL = "well"
    BETWEEN = "between"
    """Neither: what stands goes on standing."""


def judge(rule: AlertRule, reading: Reading) -> Verdict:
    """Too few messages say that nothing is wrong."""
    if reading.volume < rule.minimum or reading.value <= rule.recovery:
        return Verdict.WELL
    return Verdict.WRONG if reading.value >= rule.bound else Verdict.BETWEEN


def evaluate() -> None:
    """Measure, and raise or resolve. A rule that cannot be measured says so and stops no other."""
    _make_defaults()
    counts.fold()
    resting = alerts.standing().filter(rule__enabled=False)
    for key in resting.values_list("key", flat=True):
        alerts.resolve(key)
    for rule in AlertRule.objects.filter(enabled=True):
        _try(rule)


def _try(rule: AlertRule) -> None:
    error = ""
    try:
        _apply(rule)
    except Exception as caught:  # recorded on the rule and logged
        if isinstance(caught, (DatabaseError, InterfaceError)) and not connection.is_usable():
            raise
        error = type(caught).__name__
        log.exception("rule failed", rule=rule.key)
    if error != rule.last_error:
        AlertRule.objects.filter(id=rule.id).update(last_error=error)


def _apply(rule: AlertRule) -> None:
    readings = _measures[rule.measure](timedelta(seconds=rule.window_seconds))
    wanted = [one for one in readings if rule.only in ("", one.subject)]
    stands = set(
        Alert.objects.filter(resolved_at__isnull=True, rule=rule).values_list("key", flat=True)
    )
    for reading in wanted:
        key = _key(rule, reading.subject)
        verdict = judge(rule, reading)
        if verdict is Verdict.WRONG:
            alerts.raise_once(
                key,
                severity=Severity(rule.severity),
                title=reading.title,
                detail=reading.detail,
                rule=rule,
            )
        if verdict is not Verdict.WELL:
            stands.discard(key)
    for key in stands:  # well again, or nothing is left to measure
        alerts.resolve(key)


def _key(rule: AlertRule, subject: str) -> str:
    return f"rule.{rule.key}:{subject}" if subject else f"rule.{rule.key}"


# --- The rules there are from the start ------------------------------------------------------------

_HOUR = 3600

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "failures": {
        "name": "Many deliveries fail",
        "measure": Measure.FAILURE_RATE,
        "severity": Severity.CRITICAL,
        "bound": 0.1,
        "recovery": 0.05,
        "minimum": 50,
    },
    "provider-failures": {
        "name": "Many calls of a provider fail",
        "measure": Measure.CALL_FAILURES,
        "bound": 0.2,
        "recovery": 0.1,
        "minimum": 50,
    },
    "provider-shut": {
        "name": "A provider is not asked any more",
        "measure": Measure.PROVIDER_STATE,
        "severity": Severity.CRITICAL,
        "bound": 1,
        "recovery": 0,
    },
    "queue-urgent": {
        "name": "Urgent messages wait",
        "measure": Measure.QUEUE_AGE,
        "only": "urgent",
        "severity": Severity.CRITICAL,
        "bound": 15,
        "recovery": 5,
    },
    "queue-normal": {
        "name": "Messages wait",
        "measure": Measure.QUEUE_AGE,
        "only": "normal",
        "severity": Severity.CRITICAL,
        "bound": 60,
        "recovery": 20,
    },
    "queue-bulk": {
        "name": "Bulk messages wait",
        "measure": Measure.QUEUE_AGE,
        "only": "bulk",
        "bound": 1800,
        "recovery": 300,
    },
    "dead-letters": {
        "name": "Deliveries are given up",
        "measure": Measure.DEAD_LETTERS,
        "bound": 10,
        "recovery": 0,
    },
    "bounces": {
        "name": "Many messages bounce",
        "measure": Measure.BOUNCE_RATE,
        "window_seconds": _HOUR,
        "bound": 0.05,
        "recovery": 0.03,
        "minimum": 200,
    },
    "complaints": {
        "name": "Many messages are marked as spam",
        "measure": Measure.COMPLAINT_RATE,
        "window_seconds": 6 * _HOUR,
        "bound": 0.001,
        "recovery": 0.0005,
        "minimum": 1000,
    },
    "spend": {
        "name": "Money for text messages goes fast",
        "measure": Measure.SPEND,
        "severity": Severity.CRITICAL,
        "window_seconds": _HOUR,
        "bound": 0.3,
        "recovery": 0.2,
    },
    "no-receipts": {
        "name": "Receipts stay away",
        "measure": Measure.NO_RECEIPTS,
        "window_seconds": _HOUR // 2,
        "bound": 0.95,
        "recovery": 0.5,
        "minimum": 50,
    },
    "silence": {
        "name": "Nothing is sent where there usually is much",
        "measure": Measure.SILENCE,
        "window_seconds": _HOUR,
        "bound": 0.98,
        "recovery": 0.5,
        "minimum": 50,
    },
    "message-failed": {
        "name": "An urgent or essential message failed",
        "measure": Measure.MESSAGE_FAILED,
        "severity": Severity.CRITICAL,
        "window_seconds": 15 * 60,
        "bound": 1,
        "recovery": 0,
        "cool_down_seconds": 300,
    },
}
"""By key. They are made once; staff change them or switch them off."""


def _make_defaults() -> None:
    known = set(AlertRule.objects.filter(key__in=DEFAULTS).values_list("key", flat=True))
    AlertRule.objects.bulk_create(
        [AlertRule(key=key, **fields) for key, fields in DEFAULTS.items() if key not in known],
        ignore_conflicts=True,
    )
