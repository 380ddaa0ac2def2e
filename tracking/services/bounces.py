"""Bounces, complaints and provider-side unsubscribes: recorded, and fed to the suppression list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Max

from commsproject.common import clock
from notifications.models import Category, Delivery, Event, Notification, Suppression
from notifications.services import bounce_rates, suppress
from notifications.services.status import Applied
from notifications.types import Channel, EventType, ProviderEvent, SuppressionReason
from tracking.models import Bounce

_BLOCK = re.compile(r"(?<![\d.])[45]\.7\.\d{1,3}(?![\d.])|\bblocked\b", re.IGNORECASE)
"""RFC 3463: the third kind of status is about policy (`5.7.1`): what is refused is us, or what the
message says. SendGrid says `blocked`.
"""

SOFT_DAYS = 3
SOFT_WITHIN = timedelta(days=30)


def record(provider: str, applied: Sequence[Applied]) -> None:
    """Write a Bounce row for each bounce or complaint, and suppress where it is for good.

    An unsubscribe at the provider is for the message's category, that of a telephone for all.
    """
    about = _about(applied)
    rows = [
        Bounce(
            delivery_id=item.delivery.id,
            event_id=item.event_id,
            channel=item.delivery.channel,
            address_hash=item.delivery.address_hash,
            category=_key(about[item.delivery.id].category),
            sender=about[item.delivery.id].agent_id,
            kind=kind,
            provider=provider,
            code=item.event.code[:100],
            detail=item.event.detail[:500],
            at=item.event.at,
        )
        for item in applied
        if (kind := _kind(item.event))
    ]
    Bounce.objects.bulk_create(rows, ignore_conflicts=True)
    _count(rows, about)
    # In one order for all: entries that exist are locked until the end of the transaction.
    for item in sorted(applied, key=lambda one: one.delivery.address_hash):
        if reason := _reason(item):
            category = about[item.delivery.id].category
            suppress.recipient_of(
                item.delivery,
                reason,
                source=provider,
                scope=_scope(item.delivery, category, reason),
            )


def _about(applied: Sequence[Applied]) -> dict[UUID, Notification]:
    """By delivery, what it is part of."""
    messages = Notification.objects.select_related("category").defer("content", "data")
    found = messages.in_bulk({item.delivery.notification_id for item in applied})
    return {item.delivery.id: found[item.delivery.notification_id] for item in applied}


def _key(category: Category | None) -> str:
    return category.key if category else ""


def _count(rows: Sequence[Bounce], about: dict[UUID, Notification]) -> None:
    of = {
        kind: [about[row.delivery_id].category_id for row in rows if row.kind == kind]
        for kind in (Bounce.Kind.HARD, Bounce.Kind.COMPLAINT)
    }
    bounce_rates.came_back(of[Bounce.Kind.HARD], of[Bounce.Kind.COMPLAINT])


def _kind(event: ProviderEvent) -> Bounce.Kind | None:
    match event.type:
        case EventType.BOUNCED if _BLOCK.search(event.code) or _BLOCK.search(event.detail):
            return Bounce.Kind.BLOCK
        case EventType.BOUNCED:
            return Bounce.Kind.HARD if event.permanent else Bounce.Kind.SOFT
        case EventType.COMPLAINED:
            return Bounce.Kind.COMPLAINT
    return None


def _reason(item: Applied) -> SuppressionReason | None:
    if item.event.type is EventType.UNSUBSCRIBED:
        return SuppressionReason.UNSUBSCRIBE
    match _kind(item.event):
        case Bounce.Kind.HARD:
            return SuppressionReason.BOUNCE
        case Bounce.Kind.SOFT if _is_worn_out(item.delivery):
            return SuppressionReason.BOUNCE
        case Bounce.Kind.COMPLAINT:
            return SuppressionReason.COMPLAINT
    return None


def _is_worn_out(delivery: Delivery) -> bool:
    """Whether the address has bounced softly on so many days, and nothing arrived between."""
    since = clock.now() - SOFT_WITHIN
    arrived = Event.objects.filter(
        delivery__address_hash=delivery.address_hash,
        delivery__channel=delivery.channel,
        type=EventType.DELIVERED,
        at__gt=since,
    ).aggregate(last=Max("at"))["last"]
    bounces = Bounce.objects.filter(
        address_hash=delivery.address_hash,
        channel=delivery.channel,
        kind=Bounce.Kind.SOFT,
        at__gt=arrived or since,
    )
    return len(bounces.dates("at", "day")) >= SOFT_DAYS


def _scope(delivery: Delivery, category: Category | None, reason: SuppressionReason) -> str:
    # Who says STOP to a number gets nothing from it any more, whatever it was about.
    is_of_all = delivery.channel == Channel.SMS
    if reason is SuppressionReason.UNSUBSCRIBE and category is not None and not is_of_all:
        return category.key
    return Suppression.ALL
