"""Bounces, complaints and provider-side unsubscribes: recorded, and fed to the suppression list."""

from __future__ import annotations

from collections.abc import Sequence

from notifications.models import Delivery, Suppression
from notifications.services import suppress
from notifications.services.status import Applied
from notifications.types import Channel, EventType, ProviderEvent, SuppressionReason
from tracking.models import Bounce


def record(provider: str, applied: Sequence[Applied]) -> None:
    """Write a Bounce row for each bounce or complaint, and suppress where it is for good.

    A soft bounce is recorded only. An unsubscribe at the provider is for the message's category,
    that of a telephone for all.
    """
    rows = [
        Bounce(
            delivery_id=item.delivery.id,
            event_id=item.event_id,
            channel=item.delivery.channel,
            address_hash=item.delivery.address_hash,
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
    # In one order for all: entries that exist are locked until the end of the transaction.
    for item in sorted(applied, key=lambda one: one.delivery.address_hash):
        if reason := _reason(item.event):
            suppress.recipient_of(
                item.delivery, reason, source=provider, scope=_scope(item.delivery, reason)
            )


def _kind(event: ProviderEvent) -> Bounce.Kind | None:
    match event.type:
        case EventType.BOUNCED:
            return Bounce.Kind.HARD if event.permanent else Bounce.Kind.SOFT
        case EventType.COMPLAINED:
            return Bounce.Kind.COMPLAINT
    return None


def _reason(event: ProviderEvent) -> SuppressionReason | None:
    match event.type:
        case EventType.BOUNCED if event.permanent:
            return SuppressionReason.BOUNCE
        case EventType.COMPLAINED:
            return SuppressionReason.COMPLAINT
        case EventType.UNSUBSCRIBED:
            return SuppressionReason.UNSUBSCRIBE
    return None


def _scope(delivery: Delivery, reason: SuppressionReason) -> str:
    category = delivery.notification.category
    # Who says STOP to a number gets nothing from it any more, whatever it was about.
    is_of_all = delivery.channel == Channel.SMS
    if reason is SuppressionReason.UNSUBSCRIBE and category is not None and not is_of_all:
        return category.key
    return Suppression.ALL
