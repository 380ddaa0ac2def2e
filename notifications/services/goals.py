"""What messages in an experiment bring about, each goal counted once a message: insert-only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction

from commsproject.common.arrays import uuids
from notifications.models import Delivery, GoalReached, Notification
from notifications.types import EventType
from templates_app import experiments
from templates_app.models import Goal
from templates_app.results import VALUE_UNIT

BY_EVENT = {
    EventType.DELIVERED: Goal.DELIVERED,
    EventType.OPENED: Goal.OPENED,
    EventType.CLICKED: Goal.CLICKED,
}
"""What is told of deliveries; a conversion is told by its sender."""


def assigned(variants: Iterable[UUID | None], sign: int = 1) -> None:
    """Note new messages by their variants; `sign` -1: they are taken back."""
    counted = Counter(variant for variant in variants if variant is not None)
    experiments.note({variant: {"assigned": sign * n} for variant, n in counted.items()})


_OF_DELIVERIES = """
SELECT delivery.id, notification.id, variant.id, variant.experiment_id,
       coalesce(notification.recipient_id::text, delivery.address_hash)
FROM notifications_delivery AS delivery
JOIN notifications_notification AS notification ON notification.id = delivery.notification_id
JOIN templates_app_variant AS variant ON variant.id = notification.variant_id
WHERE delivery.id = ANY(%s::uuid[])
"""


def reached(facts: Collection[tuple[UUID, Goal]]) -> None:
    """Note what was reported of deliveries, in the caller's transaction; safe to repeat."""
    if not facts:
        return
    with connection.cursor() as cursor:
        cursor.execute(_OF_DELIVERIES, [uuids({delivery_id for delivery_id, _ in facts})])
        found = {row[0]: row[1:] for row in cursor.fetchall()}
    _store(
        [
            GoalReached(
                notification_id=notification_id,
                goal=goal,
                experiment_id=experiment_id,
                variant_id=variant_id,
                person=person,
                is_first=True,
            )
            for delivery_id, goal in facts
            if delivery_id in found
            for notification_id, variant_id, experiment_id, person in [found[delivery_id]]
        ]
    )


@transaction.atomic
def convert(notification: Notification, value: Decimal | None) -> GoalReached:
    """Note that the message brought about what it was sent for; said twice, the first one counts."""
    variant = notification.variant
    wish = GoalReached(
        notification=notification,
        goal=Goal.CONVERTED,
        experiment_id=variant.experiment_id if variant else None,
        variant=variant,
        person=_person(notification),
        is_first=True,
        value=value,
    )
    _store([wish])
    return GoalReached.objects.get(notification=notification, goal=Goal.CONVERTED)


def _person(notification: Notification) -> str:
    if notification.recipient_id:
        return str(notification.recipient_id)
    hashes = Delivery.objects.filter(notification=notification).order_by("id")
    return hashes.values_list("address_hash", flat=True).first() or ""


def _store(wished: Sequence[GoalReached]) -> None:
    """Insert what is new, and count it: as its person's first, else as one more.

    In one order for all: who inserts a key waits for whoever inserts the same.
    """
    rows = sorted({(r.notification_id, r.goal): r for r in wished}.values(), key=_key)
    firsts = _insert(rows)
    others = [row for row in rows if row.id not in firsts]
    for row in others:
        row.is_first = False
    counts: dict[UUID, Counter[str]] = defaultdict(Counter)
    stored = firsts | _insert(others)
    for row in rows:
        if row.id in stored and row.variant_id is not None:
            _count(row, counts[row.variant_id])
    experiments.note(counts)


def _key(row: GoalReached) -> tuple[str, str, str]:
    return row.goal, row.person, str(row.notification_id)


def _insert(rows: Sequence[GoalReached]) -> set[UUID]:
    """The keys of those that were not there."""
    GoalReached.objects.bulk_create(rows, ignore_conflicts=True)
    ids = [row.id for row in rows]
    return set(GoalReached.objects.filter(id__in=ids).values_list("id", flat=True))


def _count(row: GoalReached, counts: Counter[str]) -> None:
    counts[row.goal] += 1
    if row.is_first:
        counts[f"{row.goal}_people"] += 1
    if row.value is not None:
        counts["value"] += int(row.value * VALUE_UNIT)
