"""How the measures of alert rules are taken: from kept counts, the queue and states of providers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from uuid import UUID

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from commsproject.common.alerts import counts
from commsproject.common.alerts.counts import What
from commsproject.common.alerts.rules import Measure, Reading, measure
from commsproject.common.ids import floor
from notifications import states
from notifications.models import Attempt, Delivery, ProviderState
from notifications.services import metrics
from notifications.states import State
from notifications.types import Lane
from tracking.models import FailedMessage
from tracking.services.alert_counts import LOST

KEEP = timedelta(days=1)
NAMED = 5
"""Messages that an alert names, at most."""
LOOKED_AT = 500
WEEK = 7


def _counted(window: timedelta) -> Mapping[What, Mapping[str, int]]:
    now = timezone.now()
    return counts.between(now - window, now)


def _span(window: timedelta) -> str:
    """`5 min`."""
    minutes = int(window.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _shares(
    bad: Mapping[str, int], good: Mapping[str, int], title: str, window: timedelta
) -> Iterator[Reading]:
    """Of each subject the share of what is `bad` in all of it. `title` has its `{subject}` and its
    `{share}`.
    """
    for subject in sorted(bad.keys() | good.keys()):
        n = bad.get(subject, 0)
        of = n + good.get(subject, 0)
        yield Reading(
            subject,
            n / of,
            title.format(subject=subject, share=f"{n / of:.1%}"),
            f"{n:,} of {of:,} in the last {_span(window)}.",
            of,
        )


@measure(Measure.FAILURE_RATE)
def failure_rate(window: timedelta) -> Iterator[Reading]:
    found = _counted(window)
    title = "{share} of the deliveries by {subject} fail"
    yield from _shares(found[What.FAILED], found[What.TAKEN], title, window)


@measure(Measure.CALL_FAILURES)
def call_failures(window: timedelta) -> Iterator[Reading]:
    found = _counted(window)
    title = "{share} of the calls of {subject} fail"
    yield from _shares(found[What.CALL_FAILED], found[What.CALL_TAKEN], title, window)


@measure(Measure.PROVIDER_STATE)
def provider_state(_window: timedelta) -> Iterator[Reading]:
    for row in ProviderState.objects.all():
        is_open = row.enabled and row.breaker == ProviderState.Breaker.OPEN
        yield Reading(row.name, float(is_open), f"{row.name} is not asked any more", row.reason)


@measure(Measure.QUEUE_AGE)
def queue_age(_window: timedelta) -> Iterator[Reading]:
    for lane, figures in metrics.by_lane(metrics.depths()).items():
        # Bulk may wait for a limit for hours, and is meant to.
        throttled = 0.0 if lane is Lane.BULK else figures.throttled_seconds
        oldest = max(figures.oldest_seconds, throttled)
        yield Reading(
            lane.value,
            oldest,
            f"{Lane(lane).label} messages have waited for {oldest:,.0f} s",
            f"{figures.due:,} are due, {figures.in_flight:,} with workers,"
            f" {figures.throttled:,} wait for a limit. Do workers run? Are the limits too low?",
        )


@measure(Measure.DEAD_LETTERS)
def dead_letters(window: timedelta) -> Iterator[Reading]:
    for channel, n in _counted(window)[What.DEAD].items():
        yield Reading(
            channel,
            n,
            f"{n:,} deliveries by {channel} were given up in {_span(window)}",
            "Dead letters says why, and replays them once the cause is gone.",
        )


@measure(Measure.BOUNCE_RATE)
def bounce_rate(window: timedelta) -> Iterator[Reading]:
    yield from _of_taken(What.BOUNCED, "{share} of the messages by {subject} bounce", window)


@measure(Measure.COMPLAINT_RATE)
def complaint_rate(window: timedelta) -> Iterator[Reading]:
    title = "{share} of the messages by {subject} are marked as spam"
    yield from _of_taken(What.COMPLAINED, title, window)


def _of_taken(what: What, title: str, window: timedelta) -> Iterator[Reading]:
    found = _counted(window)
    taken = found[What.CALL_TAKEN]
    bad = {name: min(n, taken.get(name, 0)) for name, n in found[what].items()}
    rest = {name: n - bad.get(name, 0) for name, n in taken.items()}
    yield from _shares({name: n for name, n in bad.items() if n}, rest, title, window)


@measure(Measure.SPEND)
def spend(window: timedelta) -> Iterator[Reading]:
    """Of the last calls that cost something, through their own index."""
    cap: Decimal | None = settings.SMS_DAILY_CAP
    if not cap:
        return
    since = floor(timezone.now() - window)
    calls = Attempt.objects.filter(id__gte=since, cost__isnull=False, state__in=_MAY_COST)
    spent = calls.aggregate(total=Sum("cost"))["total"] or Decimal(0)
    yield Reading(
        "",
        float(spent / cap),
        f"{spent / cap:.0%} of a day's money for text messages went in {_span(window)}",
        f"{spent:.2f} of {cap:.2f} {settings.SMS_CURRENCY}. Somebody may order codes to numbers "
        "of their own.",
    )


_MAY_COST = (Attempt.State.CALLING, Attempt.State.ACCEPTED, Attempt.State.UNKNOWN)


@measure(Measure.NO_RECEIPTS)
def no_receipts(window: timedelta) -> Iterator[Reading]:
    """Of providers that sent some in the week before. Receipts of the last messages are on their
    way: so the messages of the window before count.
    """
    now = timezone.now()
    usual = counts.between(now - counts.KEEP, now - 2 * window)[What.RECEIPT]
    taken = counts.between(now - 2 * window, now - window)[What.CALL_TAKEN]
    came = counts.between(now - 2 * window, now)[What.RECEIPT]
    for provider in sorted(taken.keys() & usual.keys()):
        n = taken[provider]
        missing = max(n - came.get(provider, 0), 0)
        yield Reading(
            provider,
            missing / n,
            f"{provider} tells nothing of {missing / n:.0%} of its messages",
            f"{missing:,} of {n:,}. Is the webhook still set at the vendor, and its secret right?",
            n,
        )


@measure(Measure.SILENCE)
def silence(window: timedelta) -> Iterator[Reading]:
    """Against the same time on each of the last seven days: half of them had as much, or more."""
    now = timezone.now()
    before = [_taken(now - timedelta(days=day), window) for day in range(1, WEEK + 1)]
    usual = median(before)
    if usual:
        n = _taken(now, window)
        yield Reading(
            "",
            max(1 - n / usual, 0.0),
            f"{n:,} messages in {_span(window)}, where there usually are {usual:,.0f}",
            "Do agents still reach the service, and workers the providers?",
            int(usual),
        )


def _taken(end: datetime, window: timedelta) -> int:
    return sum(counts.between(end - window, end)[What.TAKEN].values())


@measure(Measure.MESSAGE_FAILED)
def message_failed(window: timedelta) -> Iterator[Reading]:
    """Those of which no other delivery may still do, or has done."""
    now = timezone.now()
    FailedMessage.objects.filter(id__lt=floor(now - KEEP)).delete()
    rows = list(FailedMessage.objects.filter(id__gte=floor(now - window))[:LOOKED_AT])
    lost = _lost({row.notification_id for row in rows})
    by_category: dict[str, dict[UUID, str]] = defaultdict(dict)
    for row in rows:
        if row.notification_id in lost:
            by_category[row.category].setdefault(row.notification_id, row.error)
    for category, errors in sorted(by_category.items()):
        yield _failed(category, errors)


def _failed(category: str, errors: Mapping[UUID, str]) -> Reading:
    """`errors` by message, the newest first."""
    told = [f"{id_}: {error}" for id_, error in errors.items()]
    kind = category or "urgent"
    title = f"A message ({kind}) failed: {told[0]}"
    if len(told) > 1:
        title = f"{len(told):,} messages ({kind}) failed, the last is {told[0]}"
    return Reading(category, len(told), title, "\n".join(told[:NAMED]), len(told))


def _lost(notifications: set[UUID]) -> set[UUID]:
    found: dict[UUID, list[State]] = defaultdict(list)
    rows = Delivery.objects.filter(notification__in=notifications)
    for id_, state in rows.values_list("notification_id", "state"):
        found[id_].append(State(state))
    return {id_ for id_, all_of_it in found.items() if _is_lost(all_of_it)}


def _is_lost(deliveries: list[State]) -> bool:
    may_do = states.PENDING | {State.SENT, State.DELIVERED, State.COMPLAINED}
    return not may_do.intersection(deliveries) and not LOST.isdisjoint(deliveries)
