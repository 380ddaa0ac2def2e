"""How many messages of a category a person had in 24 hours: the daily cap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from commsproject.common.arrays import uuids
from notifications.models import CappedMessage
from notifications.services.items import Item

DAY = timedelta(hours=24)

_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(pair, 0))
FROM unnest(%s::text[]) AS pair ORDER BY pair
"""
"""Two windows may hold messages for the same person: neither must overlook the other's."""

_TAKEN = """
SELECT capped.recipient_id, capped.category_id, capped.notification_id
FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (recipient, category)
JOIN notifications_cappedmessage AS capped
  ON capped.recipient_id = wanted.recipient AND capped.category_id = wanted.category
WHERE capped.at > %s
"""

Pair = tuple[UUID, UUID]
"""A recipient and a category."""


class Caps:
    """The messages that count against caps; those that a window lets pass are added. In the
    window's transaction.
    """

    def __init__(self, pairs: Iterable[Pair], now: datetime) -> None:
        wanted = sorted(set(pairs))
        self._now = now
        self._taken: dict[Pair, set[UUID]] = defaultdict(set)
        self._new: list[CappedMessage] = []
        if wanted:
            with connection.cursor() as cursor:
                cursor.execute(_LOCK, [[f"{one}:{other}" for one, other in wanted]])
                people, categories = zip(*wanted, strict=True)
                cursor.execute(_TAKEN, [uuids(people), uuids(categories), now - DAY])
                for person, category, notification in cursor.fetchall():
                    self._taken[person, category].add(notification)

    def taken(self, item: Item) -> int:
        """How many the person had, this one not counted."""
        return len(self._taken.get(_pair(item), set()) - {item.notification_id})

    def count(self, item: Item) -> None:
        """It goes out. A message counts once, however many channels it has."""
        taken = self._taken[_pair(item)]
        if item.notification_id not in taken:
            taken.add(item.notification_id)
            recipient, category = _pair(item)
            self._new.append(
                CappedMessage(
                    recipient_id=recipient,
                    category_id=category,
                    notification_id=item.notification_id,
                    at=self._now,
                )
            )

    def write(self) -> None:
        if self._new:
            CappedMessage.objects.bulk_create(self._new, ignore_conflicts=True)


def taken(people: Iterable[UUID], category: UUID, now: datetime) -> Mapping[UUID, int]:
    """How many messages of the category each had, without a lock: to inform."""
    rows = CappedMessage.objects.filter(
        recipient__in=list(people), category=category, at__gt=now - DAY
    )
    return Counter(rows.values_list("recipient", flat=True))


def _pair(item: Item) -> Pair:
    assert item.recipient_id is not None  # noqa: S101 - caps are asked for people only
    assert item.category_id is not None  # noqa: S101 - and for categories
    return item.recipient_id, item.category_id


def forget(before: datetime) -> int:
    """Delete what no cap asks for any more; how many."""
    return CappedMessage.objects.filter(at__lt=before - 2 * DAY).delete()[0]
