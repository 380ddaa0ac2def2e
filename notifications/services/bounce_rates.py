"""How much of each category bounces or is complained about; what must not go on pauses by itself.

Writers only add rows, which a job folds into hours: no two of them wait for each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from commsproject.common import alerts, clock
from commsproject.common.copy import copy_rows
from commsproject.common.models import Severity
from notifications.models import Category, CategoryDelta, CategoryHour

LEAST = 1000
"""Messages in 24 hours, below which a rate says nothing."""
WINDOW = timedelta(hours=24)
KEEP = timedelta(days=2)


@dataclass(frozen=True)
class Limits:
    """Parts of the messages sent. Mailbox providers act on senders above `pause`; Gmail and Yahoo
    ask to stay below 0.3 % complaints, and better 0.1 %.
    """

    warning: float
    pause: float


BOUNCES, COMPLAINTS = Limits(0.05, 0.10), Limits(0.001, 0.003)


# --- Counting ------------------------------------------------------------------------------------


def sent(taken: Mapping[UUID, int]) -> None:
    """How many messages of each category providers have taken, in the caller's transaction."""
    copy_rows(CategoryDelta, (CategoryDelta(category_id=id_, sent=n) for id_, n in taken.items()))


def came_back(bounced: Iterable[UUID | None], complained: Iterable[UUID | None]) -> None:
    """One entry for each hard bounce and each complaint, in the caller's transaction."""
    bounces, complaints = Counter(bounced), Counter(complained)
    copy_rows(
        CategoryDelta,
        (
            CategoryDelta(category_id=id_, bounced=bounces[id_], complained=complaints[id_])
            for id_ in bounces.keys() | complaints.keys()
            if id_
        ),
    )


_FOLD = """
WITH gone AS (DELETE FROM notifications_categorydelta RETURNING *)
INSERT INTO notifications_categoryhour AS kept (id, category_id, hour, sent, bounced, complained)
SELECT uuidv7(), category_id, date_trunc('hour', %s::timestamptz),
       sum(sent), sum(bounced), sum(complained)
FROM gone JOIN notifications_category AS category ON category.id = category_id
GROUP BY category_id
ON CONFLICT (category_id, hour) DO UPDATE SET
    sent = kept.sent + EXCLUDED.sent,
    bounced = kept.bounced + EXCLUDED.bounced,
    complained = kept.complained + EXCLUDED.complained
"""


# --- Judging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rates:
    """Of one category in 24 hours."""

    sent: int = 0
    bounced: int = 0
    complained: int = 0

    def trouble(self) -> tuple[Severity, str] | None:
        """How bad it is, and what: of two that are as bad, bounces."""
        if self.sent < LEAST:
            return None
        bounced, complained = self.bounced / self.sent, self.complained / self.sent
        said = [
            (bounced, BOUNCES, f"{bounced:.1%} of its messages bounced in 24 hours"),
            (complained, COMPLAINTS, f"{complained:.2%} were marked as spam in 24 hours"),
        ]
        for part, limits, words in said:
            if part >= limits.pause:
                return Severity.CRITICAL, words
        for part, limits, words in said:
            if part >= limits.warning:
                return Severity.WARNING, words
        return None


def tend() -> None:
    """Fold what was noted, and pause what must not go on."""
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FOLD, [now])
    CategoryHour.objects.filter(hour__lt=now - KEEP).delete()
    found = rates()
    for category in Category.objects.filter(is_paused=False):
        _judge(category, found.get(category.id, Rates()))


def rates() -> dict[UUID, Rates]:
    """Of the last 24 hours, by category."""
    hours = CategoryHour.objects.filter(hour__gt=clock.now() - WINDOW)
    sums = (
        hours.order_by()
        .values_list("category_id")
        .annotate(Sum("sent"), Sum("bounced"), Sum("complained"))
    )
    return {id_: Rates(*counts) for id_, *counts in sums}


def _judge(category: Category, found: Rates) -> None:
    trouble = found.trouble()
    if trouble is None:
        alerts.resolve(_alert(category))
        return
    severity, words = trouble
    # Codes that people wait for go on: a list that somebody fed with dead addresses must not stop
    # everybody's sign-in.
    pauses = severity is Severity.CRITICAL and category.kind != Category.Kind.ESSENTIAL
    if pauses:
        Category.objects.filter(id=category.id).update(is_paused=True, pause_reason=words)
    advice = "It is paused. Look at its bounces, mend the list, then switch it on again."
    alerts.raise_once(
        _alert(category),
        severity=severity,
        title=f"Category {category.key}: {words}",
        detail=advice if pauses else "Look at its bounces by provider and sender.",
    )


def start_again(category: Category) -> None:
    """Staff have switched it on: what was before does not count any more."""
    CategoryDelta.objects.filter(category_id=category.id).delete()
    CategoryHour.objects.filter(category=category).delete()
    alerts.resolve(_alert(category))


def _alert(category: Category) -> str:
    return f"category-bounces:{category.key}"
