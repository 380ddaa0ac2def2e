"""All that is known of a person, as rows of JSON values. Secrets of theirs, such as the tokens of
devices, are left out: they open doors, and say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from commsproject.common.personal_data.registry import Export, Page, Person, Row
from commsproject.common.personal_data.rows import fields, told
from notifications.models import (
    Address,
    Consent,
    DeadLetter,
    Delivery,
    Device,
    Digest,
    InboxItem,
    LiftedSuppression,
    Notification,
    Preference,
    QuietHours,
    Recipient,
    SimulatedMessage,
    Suppression,
    TopicMember,
)
from notifications.services import erase, render, replay
from notifications.types import Channel
from templates_app.errors import TemplateError
from templates_app.types import Reader

MESSAGES = 100
"""In a step: each is rendered again."""


def _own(model: Any, *related: str) -> Any:
    return lambda person: model.objects.filter(
        recipient__in=person.named("recipient")
    ).select_related(*related)


def _with_category(row: Any) -> Row:
    return {
        **fields(row, "id", "recipient_id", "category_id", "address_hash"),
        "category": row.category.key if row.category else None,
    }


def messages(person: Person, after: str) -> Page:
    """Each with what it said, as far as that is kept, and what became of it on every channel."""
    found = Notification.objects.filter(_sent_to(person)).order_by("id").distinct()
    if after:
        found = found.filter(id__gt=UUID(after))
    deliveries = Delivery.objects.order_by("id").prefetch_related("attempts", "events")
    page = list(
        found.select_related("client", "category", "batch", "template_version__template")
        .prefetch_related(Prefetch("deliveries", queryset=deliveries))
        .order_by("id")[:MESSAGES]
    )
    return Page([_message(row) for row in page], str(page[-1].id) if len(page) == MESSAGES else "")


def _sent_to(person: Person) -> Q:
    by_address = Delivery.objects.filter(
        address_hash__in=erase.hashes(person), notification__recipient__isnull=True
    ).exclude(address="")
    return Q(recipient_id__in=person.named("recipient")) | Q(
        id__in=by_address.values("notification")
    )


def _message(row: Notification) -> Row:
    deliveries = list(row.deliveries.all())
    edited = replay.data_of(deliveries)
    version = row.template_version
    return {
        **fields(
            row,
            *("client_id", "batch_id", "recipient_id", "category_id", "variant_id"),
            *("template_version_id", "idempotency_key", "attachments"),
        ),
        "agent": row.client.name,
        "category": row.category.key if row.category else None,
        "template": version.template.key if version else None,
        "attachments": [item.get("filename", "file") for item in row.attachments],
        "deliveries": [_delivery(row, one, edited.get(one.id, row.data)) for one in deliveries],
    }


def _delivery(row: Notification, delivery: Delivery, data: Mapping[str, Any] | None) -> Row:
    return {
        **fields(delivery, "notification_id", "address_hash", "replay_of_id"),
        "said": _said(row, Channel(delivery.channel), data),
        "attempts": [
            fields(one, "delivery_id", "work_id", "token", "cost")
            for one in delivery.attempts.all()
        ],
        "events": [fields(one, "delivery_id", "dedupe") for one in delivery.events.all()],
    }


def _said(
    row: Notification, channel: Channel, data: Mapping[str, Any] | None
) -> Mapping[str, str] | None:
    """Made again from version and data; None where that is no longer kept."""
    source = None if row.erased_at else render.of_message(row, channel)
    if source is None:
        return None
    shared = row.batch.data if row.batch else None
    both = shared if data is None else {**(shared or {}), **data}
    try:
        return source.render(both, Reader(row.locale, row.time_zone))
    except TemplateError:
        return None


def schedules(person: Person, _after: str) -> Page:
    """What is sent again and again; of one for many people the person's own rows."""
    return Page(
        [
            {**fields(row, "id", "client_id"), "request": erase.request_for(person, row)}
            for row in erase.schedules_of(person)
        ]
    )


def _simulated(person: Person) -> QuerySet[SimulatedMessage]:
    everywhere = [person.user_id, *person.named(*Channel.values, "device")]
    return SimulatedMessage.objects.filter(address__in=everywhere)


EXPORTS: Mapping[str, Export] = {
    "person": told(
        lambda person: Recipient.objects.filter(id__in=person.named("recipient")),
        lambda row: fields(row, "id"),
    ),
    "address": told(_own(Address), lambda row: fields(row, "id", "recipient_id")),
    "device": told(_own(Device), lambda row: fields(row, "recipient_id", "token", "token_hash")),
    "preference": told(_own(Preference, "category"), _with_category),
    "quiet hours": told(_own(QuietHours), lambda row: fields(row, "id", "recipient_id")),
    "consent": told(_own(Consent, "category"), _with_category),
    "suppression": told(
        lambda person: Suppression.objects.filter(address_hash__in=erase.hashes(person)),
        lambda row: fields(row, "id", "address_hash"),
    ),
    "lifted suppression": told(
        lambda person: LiftedSuppression.objects.filter(address_hash__in=erase.hashes(person)),
        lambda row: fields(row, "id", "address_hash"),
    ),
    "topic": told(
        _own(TopicMember, "topic"),
        lambda row: {"topic": row.topic.key, "name": row.topic.name, "joined_at": row.joined_at},
    ),
    "message": messages,
    "schedule": schedules,
    "dead letter": told(
        lambda person: DeadLetter.objects.filter(
            delivery__notification__recipient_id__in=person.named("recipient")
        ),
        lambda row: fields(row, "id"),
    ),
    "digest": told(_own(Digest, "category"), _with_category),
    "inbox item": told(
        _own(InboxItem, "category", "announcement"),
        lambda row: {
            **_with_category(row),
            **(_announced(row) if row.announcement else {}),
        },
    ),
    "simulated message": told(
        _simulated,
        lambda row: fields(row, "id", *(["address"] if row.channel == Channel.PUSH else [])),
    ),
}


def _announced(item: InboxItem) -> Row:
    """It says what its announcement says."""
    announcement = item.announcement
    return {"title": announcement.title, "body": announcement.body} if announcement else {}
