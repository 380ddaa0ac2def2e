"""Deliveries as the engine handles them: locked, with all that sending needs, in one query.

Plain tuples of slots instead of model instances: those cost more than everything else together
(measured).
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from commsproject.common.arrays import uuids
from notifications import addresses, queue
from notifications.models import Attempt, Batch, Category, Notification
from notifications.services import render
from notifications.services.render import Source
from notifications.states import PENDING
from notifications.types import Attachment, Channel, Wanted
from templates_app import selectors as templates
from templates_app.types import Reader
from templates_app.values import Admitted, admit

_LOCK = """
SELECT delivery.id, delivery.notification_id, delivery.address, delivery.address_hash,
       delivery.state, delivery.attempts_made, delivery.expires_at,
       notification.recipient_id, notification.category_id,
       extract(epoch FROM greatest(delivery.created_at, notification.send_at))::float8,
       notification.template_version_id, notification.variant_id, notification.locale,
       notification.time_zone, recipient.user_id, notification.reference,
       notification.content,
       CASE WHEN delivery.replay_of_id IS NULL THEN notification.data ELSE coalesce(
           (SELECT data FROM notifications_deadletter WHERE delivery_id = delivery.replay_of_id),
           notification.data) END,
       notification.agent_id, notification.reply_to, notification.tags, notification.metadata,
       CASE WHEN pg_column_size(notification.attachments) > 16
            THEN pg_column_size(notification.attachments) ELSE 0 END,
       category.key, category.kind, category.on_unknown, category.long_text,
       category.track_opens, category.track_clicks
FROM notifications_delivery AS delivery
JOIN notifications_notification AS notification ON notification.id = delivery.notification_id
LEFT JOIN notifications_category AS category ON category.id = notification.category_id
LEFT JOIN notifications_recipient AS recipient ON recipient.id = notification.recipient_id
WHERE delivery.id = ANY(%s::uuid[]) AND delivery.state = ANY(%s)
ORDER BY delivery.id FOR NO KEY UPDATE OF delivery
"""

_PAST = """
SELECT delivery_id, id, number, provider, state, code, started_at, ended_at, provider_ref
FROM notifications_attempt WHERE delivery_id = ANY(%s::uuid[]) ORDER BY id
"""


PROCESS_LOST = "process_lost"
"""The code of a call whose process ended before it could write down the answer."""


class Past(NamedTuple):
    """An earlier call for a delivery."""

    id: UUID
    number: int
    provider: str
    state: str
    code: str
    started_at: datetime
    ended_at: datetime | None
    ref: str = ""


@dataclass(slots=True, eq=False, repr=False)
class Item:
    """One delivery with its message. `lease` is the claim it is carried under, `past` its calls."""

    lease: queue.Lease
    id: UUID
    notification_id: UUID
    address: str
    address_hash: str
    state: str
    attempts_made: int
    expires_at: datetime | None
    recipient_id: UUID | None
    category_id: UUID | None
    due_epoch: float
    version_id: UUID | None
    variant_id: UUID | None
    locale: str
    time_zone: str
    user_id: str | None
    reference: str
    content: Mapping[str, Mapping[str, str]] | None
    data: Mapping[str, Any] | None
    agent_id: str
    reply_to: str
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    weight: int
    """Bytes of its attachments as they are stored, 0 where it has none. Read when they are sent."""
    category: str
    is_essential: bool
    is_marketing: bool
    holds_unknown: bool
    long_text: str
    """As in `Category`, empty without one."""
    tracks_opens: bool
    tracks_clicks: bool
    past: Sequence[Past] = ()
    to: str = ""
    """What the provider is told, where that is not the address: a device's token."""
    app: str = ""
    """Of a device."""

    part: str = ""
    """As `Wanted.part`."""
    said: Source | None = None
    """Once it was asked for: see `source`."""

    @property
    def wanted(self) -> Wanted:
        country = self.part if self.channel is Channel.SMS else ""
        has_files = self.weight > 0
        return Wanted(
            self.channel, self.address, country, self.part, has_files, hosted=self.kept_by
        )

    @property
    def kept_by(self) -> Collection[str]:
        """As `Source.kept_by`."""
        if self.channel is not Channel.EMAIL or self.version_id is None:
            return ()
        return source(self).kept_by

    @property
    def is_tracked(self) -> bool:
        """Whether it has links of its own in it, so that no two are alike."""
        return self.channel is Channel.EMAIL and (self.tracks_opens or self.tracks_clicks)

    @property
    def reader(self) -> Reader:
        return Reader(self.locale, self.time_zone)

    @property
    def first_due(self) -> datetime:
        """When it was to go out at first. Read as a number: most are never asked."""
        return datetime.fromtimestamp(self.due_epoch, UTC)

    @property
    def channel(self) -> Channel:
        return self.lease.channel

    def in_state(self, *states: Attempt.State) -> bool:
        return any(call.state in states for call in self.past)


def lock(owners: Mapping[UUID, queue.Lease], ids: Iterable[UUID]) -> list[Item]:
    """The deliveries among `ids` that are not at an end, locked in one order for all.

    `owners` names the claim of each. Earlier calls are read in a statement of its own, after the
    lock: it sees what the lock waited for.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [uuids(ids), [state.value for state in PENDING]])
        items = [_item(owners[row[0]], row) for row in cursor.fetchall()]
        # A work that nobody has claimed before cannot have been called for: its deliveries
        # count all calls that were made under earlier ones.
        called = [item.id for item in items if item.attempts_made or not item.lease.is_first]
        if called:
            cursor.execute(_PAST, [uuids(called)])
            past: dict[UUID, list[Past]] = defaultdict(list)
            for delivery_id, *call in cursor.fetchall():
                past[delivery_id].append(Past(*call))
            for item in items:
                item.past = past.get(item.id, ())
                item.attempts_made = max(item.attempts_made, len(item.past))
    return items


def _item(lease: queue.Lease, row: tuple[Any, ...]) -> Item:
    """`row` has the columns of `_LOCK`: first as `Item` has them, then six of the category."""
    *columns, content, data, agent_id, reply_to, tags, metadata, weight = row[:-6]
    category, kind, on_unknown, long_text, tracks_opens, tracks_clicks = row[-6:]
    values = (
        *columns,
        *(_json(content), _json(data), agent_id, reply_to, tags),
        *(_json(metadata), weight),
        *(category or "", kind == Category.Kind.ESSENTIAL, kind == Category.Kind.MARKETING),
        on_unknown == Category.OnUnknown.HOLD,
        long_text or "",
        *(bool(tracks_opens), bool(tracks_clicks)),
    )
    item = Item(lease, *values)
    if lease.channel is Channel.SMS:
        item.part = addresses.country(item.address)
    return item


def _json(text: str | None) -> Any:
    """Django leaves jsonb as text; most columns hold one of these."""
    if text is None:
        return None
    return _EMPTY[text] if text in _EMPTY else orjson.loads(text)


_EMPTY: dict[str, Any] = {"{}": {}, "[]": []}


def attachments(item: Item) -> list[Attachment]:
    """What is sent with it, read for this one message: they can weigh more than all the rest."""
    if not item.weight:
        return []
    stored = Notification.objects.values_list("attachments", flat=True).get(id=item.notification_id)
    return [
        Attachment(
            file["filename"],
            base64.b64decode(file["content"]),
            file.get("content_type", "application/octet-stream"),
        )
        for file in stored
    ]


# --- What messages share: never changes once it is there, so a process may keep it --------------


def source(item: Item) -> Source:
    """What `item` says, before its own data is filled in."""
    if item.said is None:
        item.said = _source(item)
    return item.said


def _source(item: Item) -> Source:
    if item.content is not None:
        return Source(item.content[item.channel.value])
    if item.lease.batch_id:
        return _of_batch(item.lease.batch_id, item.channel.value, item.version_id, item.locale)
    assert item.version_id is not None  # noqa: S101 - one of the three is written by `submit`
    return _of_version(item.version_id, item.channel.value, item.locale)


def batch_source(lease: queue.Lease) -> Source:
    """What messages of a batch say, but for those of an experiment's other variants and for
    readers of other languages.
    """
    assert lease.batch_id is not None  # noqa: S101 - the caller has looked
    batch = _batch(lease.batch_id)
    return _of_batch(batch.id, lease.channel.value, batch.template_version_id, batch.locale)


@lru_cache(maxsize=4096)
def _of_version(version_id: UUID, channel: str, locale: str) -> Source:
    """The same object for all locales that have the same words."""
    return _in_language(
        version_id, channel, templates.tag(templates.kept(version_id), channel, locale)
    )


@lru_cache(maxsize=1024)
def _in_language(version_id: UUID, channel: str, tag: str) -> Source:
    return render.source(templates.kept(version_id), channel, tag)


@lru_cache(maxsize=4096)
def _of_batch(batch_id: UUID, channel: str, version_id: UUID | None, locale: str) -> Source:
    """As `_of_version`, with the data that the batch shares."""
    tag = templates.tag(templates.kept(version_id), channel, locale) if version_id else ""
    return _of_batch_in_language(batch_id, channel, version_id, tag)


@lru_cache(maxsize=256)
def _of_batch_in_language(
    batch_id: UUID, channel: str, version_id: UUID | None, tag: str
) -> Source:
    shared = _shared(batch_id)
    if version_id:
        return replace(_in_language(version_id, channel, tag), shared=shared)
    return Source((_batch(batch_id).content or {})[channel], "", shared)


@lru_cache(maxsize=64)
def _batch(batch_id: UUID) -> Batch:
    return Batch.objects.only("template_version", "content", "data", "locale").get(id=batch_id)


@lru_cache(maxsize=64)
def _shared(batch_id: UUID) -> Admitted | None:
    data = _batch(batch_id).data
    return None if data is None else admit(data)
