"""Messages that are collected for a while and become one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from commsproject.common.arrays import uuids
from commsproject.common.ids import new_id
from notifications.models import Category, DigestEntry
from notifications.policy import Refusal
from notifications.services.items import Item
from notifications.states import PENDING, State

ITEMS = 100
"""Messages whose data a digest carries, the newest ones; `count` tells of all."""

OWN = {"items", "count"}
"""What the data of a collected message has besides its own."""

Key = tuple[UUID, UUID, str]
"""Recipient, category, channel."""


@dataclass(slots=True)
class Joining:
    """A delivery on its way in. `due`: when its digest goes out, None where it goes at once."""

    delivery: UUID
    key: Key
    due: datetime | None = None
    digest: UUID | None = None


_OPEN = """
INSERT INTO notifications_digest (id, recipient_id, category_id, channel, opened_at, due_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[],
                     %s::timestamptz[])
ON CONFLICT (recipient_id, category_id, channel) WHERE carried_by IS NULL DO NOTHING
"""

_JOIN = """
SELECT digest.id, digest.recipient_id, digest.category_id, digest.channel, digest.due_at,
       EXISTS (SELECT FROM notifications_digestentry WHERE digest_id = digest.id)
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS wanted (recipient, category, channel)
JOIN notifications_digest AS digest
  ON digest.recipient_id = wanted.recipient AND digest.category_id = wanted.category
 AND digest.channel = wanted.channel AND digest.carried_by IS NULL
ORDER BY digest.id FOR UPDATE OF digest
"""

_AGAIN = """
UPDATE notifications_digest SET opened_at = %s, due_at = new.due
FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (id, due)
WHERE notifications_digest.id = new.id
"""


def join(joining: Sequence[Joining], categories: Mapping[UUID, Category], now: datetime) -> None:
    """Find or open the digest of each, in the caller's transaction; `write` stores who waits."""
    keys = sorted({one.key for one in joining})
    if not keys:
        return
    found = _open(keys, categories, now)
    fresh: list[tuple[UUID, datetime]] = []
    for one in joining:
        digest, due, has_entries = found[one.key]
        category = categories[one.key[1]]
        begins = due <= now and not has_entries
        if begins:  # it is new, or nothing has come since its time was up
            due = now + _window(category)
            fresh.append((digest, due))
        if not (begins and category.digest_first_at_once):
            one.digest, one.due = digest, max(due, now)
        found[one.key] = (digest, due, True)
    if fresh:
        ids, dues = zip(*fresh, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_AGAIN, [now, uuids(ids), list(dues)])


def _open(
    keys: Sequence[Key], categories: Mapping[UUID, Category], now: datetime
) -> dict[Key, tuple[UUID, datetime, bool]]:
    """The open digest of each key, locked: its id, when it is due, whether anything waits in it.

    One that is new is due now: `join` sets its time. One can be carried away between the two
    statements: then it is opened anew.
    """
    people, kinds, channels = (list(column) for column in zip(*keys, strict=True))
    found: dict[Key, tuple[UUID, datetime, bool]] = {}
    with connection.cursor() as cursor:
        while len(found) < len(keys):
            cursor.execute(
                _OPEN,
                [
                    *(uuids([new_id() for _ in keys]), uuids(people), uuids(kinds), channels),
                    *([now] * len(keys), [now] * len(keys)),
                ],
            )
            cursor.execute(_JOIN, [uuids(people), uuids(kinds), channels])
            found = {
                (person, kind, channel): (id_, due, has_entries)
                for id_, person, kind, channel, due, has_entries in cursor.fetchall()
            }
    return found


def _window(category: Category) -> timedelta:
    return timedelta(minutes=category.digest_minutes or 0)


def write(joining: Iterable[Joining]) -> None:
    """After the deliveries."""
    DigestEntry.objects.bulk_create(
        DigestEntry(delivery_id=one.delivery, digest_id=one.digest)
        for one in joining
        if one.digest is not None
    )


# --- In a window ---------------------------------------------------------------------------------

_CLAIM = """
SELECT digest.id FROM notifications_digest AS digest
WHERE digest.id IN (SELECT digest_id FROM notifications_digestentry
                    WHERE delivery_id = ANY(%s::uuid[]))
ORDER BY digest.id FOR UPDATE
"""

_WAITING = """
SELECT entry.delivery_id, entry.digest_id, digest.carried_by
FROM notifications_digestentry AS entry
JOIN notifications_digest AS digest ON digest.id = entry.digest_id
WHERE entry.digest_id = ANY(%s::uuid[])
"""

_LOCK = """
SELECT id FROM notifications_delivery WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_DATA = """
SELECT entry.digest_id, coalesce(batch.data, '{}') || coalesce(notification.data, '{}')
FROM notifications_digestentry AS entry
JOIN notifications_delivery AS delivery ON delivery.id = entry.delivery_id
JOIN notifications_notification AS notification ON notification.id = delivery.notification_id
LEFT JOIN notifications_batch AS batch ON batch.id = notification.batch_id
WHERE entry.digest_id = ANY(%s::uuid[]) AND delivery.state = ANY(%s)
  AND (delivery.expires_at IS NULL OR delivery.expires_at > %s)
ORDER BY entry.delivery_id
"""

_CARRIED = """
UPDATE notifications_digest SET carried_by = new.by
FROM unnest(%s::uuid[], %s::uuid[]) AS new (id, by) WHERE notifications_digest.id = new.id
"""

_SET_DATA = """
UPDATE notifications_notification SET data = new.data::jsonb
FROM unnest(%s::uuid[], %s::text[]) AS new (id, data)
WHERE notifications_notification.id = new.id
"""


class Digests:
    """The digests of a window's deliveries. Made before the window locks these, in its
    transaction: whoever holds a digest may lock all that waits in it, in one order.
    """

    def __init__(self, ids: Iterable[UUID]) -> None:
        self._digest: dict[UUID, UUID] = {}
        self._carrier: dict[UUID, UUID | None] = {}
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [uuids(ids)])
            digests = [row[0] for row in cursor.fetchall()]
            if digests:
                cursor.execute(_WAITING, [uuids(digests)])
                for delivery, digest, carrier in cursor.fetchall():
                    self._digest[delivery] = digest
                    self._carrier[digest] = carrier
                cursor.execute(_LOCK, [uuids({*ids, *self._digest})])

    def collect(self, ready: Sequence[Item], now: datetime) -> list[tuple[Item, Refusal]]:
        """Let the first of each digest carry the data of all; what becomes of the others."""
        if not self._digest:
            return []
        leaders: dict[UUID, Item] = {}
        others: list[tuple[Item, Refusal]] = []
        for item in ready:
            digest = self._digest.get(item.id)
            if digest is None:
                continue
            carrier = self._carrier[digest]
            if carrier is None:
                leaders[digest] = item
                self._carrier[digest] = item.id
            elif carrier != item.id:
                others.append((item, _elsewhere(carrier)))
        if leaders:
            self._carry(leaders, now)
        return others

    def _carry(self, leaders: Mapping[UUID, Item], now: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_DATA, [uuids(leaders), [state.value for state in PENDING], now])
            collected: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
            for digest, data in cursor.fetchall():
                own = orjson.loads(data)
                collected[digest].append({n: v for n, v in own.items() if n not in OWN})
            for digest, item in leaders.items():
                item.data = _together(item.data, collected[digest])
            cursor.execute(_CARRIED, [uuids(leaders), uuids(i.id for i in leaders.values())])
            cursor.execute(
                _SET_DATA,
                [
                    uuids(item.notification_id for item in leaders.values()),
                    [orjson.dumps(item.data).decode() for item in leaders.values()],
                ],
            )


def _together(
    data: Mapping[str, Any] | None, collected: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {**(data or {}), "items": list(collected[-ITEMS:]), "count": len(collected)}


def _elsewhere(carrier: UUID) -> Refusal:
    return Refusal(State.CANCELLED, f"collected: it went out with delivery {carrier}")
