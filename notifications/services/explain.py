"""Why a message goes out, or does not, and by which provider it would: asked, not decided. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from commsproject.common import clock
from notifications import addresses, limits, policy, sms
from notifications.models import CappedMessage, Category, Delivery, Device, Notification
from notifications.policy import Delay, Finding, Refusal
from notifications.push_tokens import service
from notifications.services import fallback, people
from notifications.services.frequency import DAY
from notifications.services.people import Person
from notifications.services.route import Routes
from notifications.types import Channel, Platform, Wanted


@dataclass(frozen=True)
class Route:
    """One provider of the channel. `hindrance` is empty where it may be asked now."""

    provider: str
    hindrance: str
    remaining: int | None
    """Messages that its limit leaves room for just now; None: it has none."""


@dataclass(frozen=True)
class Explained:
    """One delivery, as it would be decided at `at`; what has ended stays as it is."""

    at: datetime
    findings: Sequence[Finding]
    routes: Sequence[Route]
    segments: int | None = None
    cost: Decimal | None = None


def notification(message: Notification) -> dict[UUID, Explained]:
    """Of each delivery, by its id."""
    now = clock.now()
    deliveries = list(message.deliveries.all())
    known = people.by_id([message.recipient_id] if message.recipient_id else [])
    person = known.get(message.recipient_id) if message.recipient_id else None
    steps = fallback.due([one.id for one in deliveries], now)
    taken = _taken(message, now)
    suppressed = people.suppressed((one.channel, one.address_hash) for one in deliveries)
    return {
        one.id: _explained(
            now,
            Channel(one.channel),
            one.address,
            message.category,
            person,
            one.expires_at,
            suppressed.get((one.channel, one.address_hash), ()),
            taken=taken,
            has_attachments=bool(message.attachments),
            step=steps.get(one.id),
            billed=_billed(one),
        )
        for one in deliveries
    }


def address(
    channel: Channel,
    value: str,
    digest: str,
    category: Category | None,
    person: Person | None,
    expires_at: datetime | None,
    *,
    has_attachments: bool,
    segments: int,
) -> Explained:
    """Of a message that is not stored: a dry run."""
    suppressed = people.suppressed([(channel.value, digest)])
    cost = sms.price(addresses.country(value), segments) if segments else None
    return _explained(
        clock.now(),
        channel,
        value,
        category,
        person,
        expires_at,
        suppressed.get((channel.value, digest), ()),
        taken=_count(person.id, category.id) if person and category else 0,
        has_attachments=has_attachments,
        billed=(segments or None, cost),
    )


def _explained(
    now: datetime,
    channel: Channel,
    value: str,
    category: Category | None,
    person: Person | None,
    expires_at: datetime | None,
    suppressed: Sequence[policy.Suppressed],
    *,
    taken: int,
    has_attachments: bool,
    step: Refusal | Delay | None = None,
    billed: tuple[int | None, Decimal | None],
) -> Explained:
    rules = people.rules(category)
    watched = [person] if person and rules.spares_watchers else []
    country = addresses.country(value) if channel is Channel.SMS else None
    facts = people.facts(
        now=now,
        channel=channel,
        country=country,
        address=value,
        rules=rules,
        expires_at=expires_at,
        suppressed=suppressed,
        person=person,
        is_watching=bool(people.watching(watched)),
        taken=taken,
    )
    found = policy.explain(facts)
    if step is not None:
        found.append(Finding("earlier step", step))
    part = _part(channel, value)
    wanted = Wanted(channel, value, country or "", part, has_attachments)
    return Explained(now, found, _routes(channel, wanted), *billed)


def _part(channel: Channel, value: str) -> str:
    if channel is Channel.SMS:
        return addresses.country(value)
    if channel is Channel.PUSH:
        platform, id_ = addresses.device(value)
        token = Device.objects.filter(id=id_).values_list("token", flat=True).first()
        return service(Platform(platform), token) if token else ""
    return ""


def _routes(channel: Channel, wanted: Wanted) -> list[Route]:
    """In the order in which they would be asked."""
    routes = Routes(channel, in_transaction=True)
    found = []
    for name, hindrance in routes.explain(wanted):
        row = routes.state(name)
        standing = limits.standing(row) if row else None
        found.append(Route(name, hindrance, standing.free if standing else None))
    return found


def _taken(message: Notification, now: datetime) -> int:
    if message.recipient_id is None or message.category_id is None:
        return 0
    rows = CappedMessage.objects.filter(
        recipient=message.recipient_id, category=message.category_id, at__gt=now - DAY
    )
    return rows.exclude(notification=message).count()


def _count(recipient: UUID, category: UUID) -> int:
    since = clock.now() - DAY
    return CappedMessage.objects.filter(
        recipient=recipient, category=category, at__gt=since
    ).count()


def _billed(delivery: Delivery) -> tuple[int | None, Decimal | None]:
    calls = [call for call in delivery.attempts.all() if call.segments]
    return (calls[-1].segments, calls[-1].cost) if calls else (None, None)


def as_json(explained: Explained) -> Mapping[str, Any]:
    return {
        "at": explained.at,
        "policy": [_finding(one) for one in explained.findings],
        "routes": [
            {
                "provider": r.provider,
                "usable": not r.hindrance,
                "why": r.hindrance,
                "remaining": r.remaining,
            }
            for r in explained.routes
        ],
        "segments": explained.segments,
        "cost": None if explained.cost is None else str(explained.cost),
    }


def _finding(one: Finding) -> dict[str, Any]:
    match one.answer:
        case Refusal(state, reason):
            return {"rule": one.rule, "answer": state.value, "reason": reason, "until": None}
        case Delay(until, reason):
            return {"rule": one.rule, "answer": "wait", "reason": reason, "until": until}
    return {"rule": one.rule, "answer": "send", "reason": "", "until": None}
