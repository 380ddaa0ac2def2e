"""What text messages may cost us: the last questions before a call is written down.

Who orders codes to numbers of their own earns by each of them, so there is a limit for one number
and one for all numbers that begin alike, essential messages included; staff hear of the second. And
there is what may be spent in a day: beyond it messages wait for the next one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from commsproject.common import alerts, clock, ids
from commsproject.common.alerts import counts
from commsproject.common.env import Rate
from commsproject.common.limits import Bucket, take
from notifications import limits, sms
from notifications.models import Attempt
from notifications.policy import Refusal
from notifications.services.compose import Call
from notifications.services.items import Item
from notifications.services.route import Stranded
from notifications.states import State
from notifications.types import Channel

LOOK_AGAIN = timedelta(seconds=30)

PREFIX = 7
"""Digits of a number, its country's code among them, that numbers bought together share."""

UNSEEN = 3
"""Digits that a prefix leaves out of the shortest number: a thousand numbers begin alike at least, and
none is nearly named by what staff are told.
"""


def passed(
    refused: list[tuple[Item, Refusal]],
    stranded: list[tuple[Item, Stranded]],
    calls: Sequence[Call],
) -> list[Call]:
    """Those of `calls` that may be made; what becomes of the others goes to the two lists, and the
    leave they had is given back.

    The day's money is counted as of the last commits: two workers can exceed the cap by what both
    have under way, and by what all spend in `KEPT_SECONDS` while it is not yet near.
    """
    if not calls or calls[0].items[0].channel is not Channel.SMS:
        return list(calls)
    budget = _Budget()
    kept: list[Call] = []
    flooded = Counter[str]()
    for call in calls:
        item, cost = call.items[0], cost_of(call) or Decimal(0)
        if isinstance(call.outbound, Exception):
            kept.append(call)
        elif until := budget.exceeded_by(cost):
            stranded.append((item, Stranded(until, limited=True, reason=_SPENT)))
            limits.give_back(call.grant, 1)
        elif isinstance(verdict := _flood(item), _Flood):
            refused.append((item, verdict.refusal))
            if verdict.prefix:
                flooded[verdict.prefix] += 1
            limits.give_back(call.grant, 1)
        elif verdict:
            stranded.append((item, verdict))
            limits.give_back(call.grant, 1)
        else:
            budget.spend(cost)
            kept.append(call)
    counts.note({(counts.What.FLOODED, prefix): n for prefix, n in flooded.items()})
    return kept


def cost_of(call: Call) -> Decimal | None:
    """What a text message's call is expected to cost; None where that is not known."""
    if isinstance(call.outbound, Exception):
        return None
    (message,) = call.outbound
    return sms.price(call.items[0].part, message.segments, call.way.provider.name)


# --- How many ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Flood:
    """Too many: of one number, or of all that begin with `prefix`."""

    refusal: Refusal
    prefix: str = ""


def _flood(item: Item) -> _Flood | Stranded | None:
    """Whether there were too many already. Counted with its first call only.

    While Valkey is away a process keeps to its share; what goes beyond that is not known to be too
    much, so it waits.
    """
    if item.attempts_made:
        return None
    prefix = _prefix(item.address)
    asked: list[tuple[str, str, Rate | None, str]] = [
        ("this number", "", settings.SMS_PER_NUMBER, f"number:{item.address_hash}"),
        ("numbers that begin like this", prefix, settings.SMS_PER_PREFIX, f"prefix:{prefix}"),
    ]
    limited = [(what, whose, rate, name) for what, whose, rate, name in asked if rate]
    buckets = [Bucket(f"sms:{name}", rate.count, rate.seconds) for _, _, rate, name in limited]
    grant = take(buckets, 1)
    if grant.granted:
        return None
    if not grant.slots:
        return Stranded(clock.now() + LOOK_AGAIN, limited=True)
    full = [standing.free < 1 for standing in grant.standings]
    what, whose, rate, _ = limited[full.index(True)]
    reason = f"too many messages to {what}: {rate.count} in {rate.seconds:g} s"
    return _Flood(Refusal(State.SUPPRESSED, reason), whose)


def _prefix(address: str) -> str:
    digits = address.removeprefix("+")
    return digits[: min(PREFIX, len(digits) - UNSEEN)]


FLOOD = "sms.flood"

NAMED = 10
"""Prefixes that the alert names, at most."""

STANDS = timedelta(hours=1)
"""How long after the last of them was refused."""


def watch_floods() -> None:
    """Tell staff where more is ordered to numbers that begin alike than their limit lets through."""
    now = timezone.now()
    refused = Counter(counts.between(now - STANDS, now)[counts.What.FLOODED])
    if not refused:
        alerts.resolve(FLOOD)
        return
    named = [f"{n:,} to +{prefix}*" for prefix, n in refused.most_common(NAMED)]
    more = len(refused) - len(named)
    alerts.raise_once(
        FLOOD,
        severity=alerts.Severity.CRITICAL,
        title=f"{refused.total():,} text messages to numbers that begin alike were refused",
        detail=f"In the last hour: {', '.join(named)}{f' and {more:,} more' if more else ''}. Who is "
        "paid for messages to numbers of their own orders codes to them in rows: look at what orders "
        "them, name your countries in SMS_COUNTRIES, cap a day in SMS_DAILY_CAP. Where these are your "
        "people, raise SMS_PER_PREFIX.",
    )


# --- How much ----------------------------------------------------------------------------------

KEPT_SECONDS = 5.0
"""How long what was spent is remembered, while it is less than `NEAR` of the cap."""

NEAR = Decimal("0.8")

_SPENT = "the day's money for text messages is spent; it waits for midnight (UTC)"

_MAY_COST = (Attempt.State.CALLING, Attempt.State.ACCEPTED, Attempt.State.UNKNOWN)


class _Budget:
    """What is left of the day's money; there may be no end to it."""

    def __init__(self) -> None:
        self._cap: Decimal | None = settings.SMS_DAILY_CAP
        self._now = clock.now()
        self._spent = Decimal(0) if self._cap is None else _ledger.spent(self._now, self._cap)

    def exceeded_by(self, cost: Decimal) -> datetime | None:
        """When there will be money for it; None: now."""
        if self._cap is None or self._spent + cost <= self._cap:
            return None
        return midnight(self._now) + timedelta(days=1)

    def spend(self, cost: Decimal) -> None:
        if self._cap is not None:
            self._spent += cost
            _ledger.note(cost)


class _Ledger:
    """What the database said was spent today, and what this process spent since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day = datetime.min.replace(tzinfo=UTC)
        self._amount = Decimal(0)
        self._asked = 0.0

    def spent(self, now: datetime, cap: Decimal) -> Decimal:
        with self._lock:
            is_fresh = time.monotonic() - self._asked < KEPT_SECONDS
            if self._day == midnight(now) and is_fresh and self._amount < NEAR * cap:
                return self._amount
        amount = spent(now)
        with self._lock:
            self._day, self._amount, self._asked = midnight(now), amount, time.monotonic()
        return amount

    def note(self, cost: Decimal) -> None:
        with self._lock:
            self._amount += cost


_ledger = _Ledger()


def midnight(now: datetime) -> datetime:
    """When the day of `now` began (UTC)."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def spent(now: datetime) -> Decimal:
    """What today's calls are estimated to have cost: those that were taken, or may have been."""
    rows = Attempt.objects.filter(
        id__gte=ids.floor(midnight(now)), cost__isnull=False, state__in=_MAY_COST
    )
    total: Decimal | None = rows.aggregate(total=Sum("cost"))["total"]
    return total or Decimal(0)


def watch() -> None:
    """Tell staff when the day's money is nearly spent, and when it is."""
    cap: Decimal | None = settings.SMS_DAILY_CAP
    amount = Decimal(0) if cap is None else spent(clock.now())
    for part, severity in (
        (NEAR, alerts.Severity.WARNING),
        (Decimal(1), alerts.Severity.CRITICAL),
    ):
        key = f"sms.spent.{part:.0%}"
        if cap is None or amount < part * cap:
            alerts.resolve(key)
            continue
        alerts.raise_once(
            key,
            severity=severity,
            title=f"{part:.0%} of the day's money for text messages are spent",
            detail=f"{amount:.2f} of {cap:.2f} {settings.SMS_CURRENCY} since midnight (UTC). "
            "Once all is spent, text messages wait for the next day.",
        )
