"""What providers report, applied to deliveries: any order, any number of times, one result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from notifications import states
from notifications.models import Attempt, Delivery, Event, Notification
from notifications.services import counts
from notifications.signals import status_changed
from notifications.states import State
from notifications.types import EventType, ProviderEvent, Sent, storable


@dataclass(frozen=True)
class StatusChange:
    delivery_id: UUID
    notification_id: UUID
    state: str
    reason: str


@dataclass(frozen=True)
class Applied:
    """An event that was new, stored under `event_id`, with the delivery it is about."""

    event_id: UUID
    event: ProviderEvent
    delivery: Delivery


def announce(changes: Sequence[StatusChange]) -> None:
    """Tell the apps above; after commit. A receiver's error is logged, never ours."""
    if changes:
        status_changed.send_robust(sender=Delivery, changes=list(changes))


@transaction.atomic
def apply(provider: str, events: Sequence[ProviderEvent]) -> list[Applied]:
    """Store the events that are new and raise the states they report.

    Events whose attempt is not ours are left out; those seen before have no effect.
    """
    events = [_storable(event) for event in events]
    attempts = _attempts(events)
    deliveries = _lock({attempt.delivery_id for attempt in attempts.values()})
    known = [
        (event, attempts[event.attempt_id])
        for event in events
        if event.attempt_id in attempts  # a test message of the vendor's, or another installation's
    ]
    rows = [_row(provider, event, attempt) for event, attempt in known]
    Event.objects.bulk_create(rows, ignore_conflicts=True)
    stored = set(Event.objects.filter(id__in=[row.id for row in rows]).values_list("id", flat=True))
    applied = [
        Applied(row.id, event, deliveries[row.delivery_id])
        for row, (event, _) in zip(rows, known, strict=True)
        if row.id in stored
    ]
    _confirm_attempts(applied, attempts)
    was = {delivery.id: delivery.state for delivery in deliveries.values()}
    changes = _raise_states(applied, attempts)
    _count(was, changes)
    transaction.on_commit(partial(announce, changes), robust=True)
    return applied


@transaction.atomic
def settle_late(attempt_id: UUID, answer: Sent) -> None:
    """A provider's own acceptance, known only after its time or its claim was over: worth a
    receipt.
    """
    attempt = Attempt.objects.get(id=attempt_id)
    delivery = _lock({attempt.delivery_id})[attempt.delivery_id]
    _accept({attempt.id: storable(answer.ref)})
    was = {delivery.id: delivery.state}
    change = _raise(delivery, [EventType.SENT], attempt)
    changes = [change] if change else []
    _count(was, changes)
    transaction.on_commit(partial(announce, changes), robust=True)


def _count(was: Mapping[UUID, str], changes: Sequence[StatusChange]) -> None:
    """Note the moves of those that belong to a batch; `was` has the states before."""
    asked = [change.notification_id for change in changes]
    in_batches = Notification.objects.filter(id__in=asked, batch__isnull=False)
    batches = dict(in_batches.values_list("id", "batch_id"))
    counts.move(
        (batches.get(one.notification_id), was[one.delivery_id], one.state) for one in changes
    )


def _attempts(events: Sequence[ProviderEvent]) -> dict[UUID, Attempt]:
    ids = {event.attempt_id for event in events if event.attempt_id}
    return Attempt.objects.in_bulk(list(ids))


def _lock(ids: set[UUID]) -> dict[UUID, Delivery]:
    rows = Delivery.objects.select_for_update(no_key=True).filter(id__in=ids).order_by("id")
    return {row.id: row for row in rows}


def _storable(event: ProviderEvent) -> ProviderEvent:
    """Mail servers answer what they like, and vendors pass it on."""
    return replace(
        event,
        dedupe=_clean(event.dedupe),
        provider_ref=_clean(event.provider_ref),
        code=_clean(event.code),
        detail=_clean(event.detail),
        data=_clean(dict(event.data)),
    )


def _clean(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
    return value


def _row(provider: str, event: ProviderEvent, attempt: Attempt) -> Event:
    return Event(
        delivery_id=attempt.delivery_id,
        type=event.type,
        at=event.at,
        provider=provider,
        attempt_id=attempt.id,
        dedupe=event.dedupe[:200],
        code=event.code[:100],
        detail=event.detail[:500],
        data=dict(event.data),
    )


def _confirm_attempts(applied: Sequence[Applied], attempts: Mapping[UUID, Attempt]) -> None:
    """A report about an attempt whose answer was lost is the answer."""
    refs = {
        item.event.attempt_id: item.event.provider_ref
        for item in applied
        if item.event.attempt_id in attempts and item.event.type in states.REPORTED
    }
    _accept({attempt_id: ref for attempt_id, ref in refs.items() if attempt_id})


def _accept(refs: Mapping[UUID, str]) -> None:
    unsettled = Attempt.objects.filter(
        id__in=list(refs), state__in=[Attempt.State.UNKNOWN, Attempt.State.CALLING]
    )
    for attempt in unsettled.select_for_update().order_by("id"):
        attempt.state = Attempt.State.ACCEPTED
        attempt.provider_ref = attempt.provider_ref or refs[attempt.id][:255]
        attempt.ended_at = attempt.ended_at or timezone.now()
        attempt.save(update_fields=["state", "provider_ref", "ended_at"])


def _raise_states(
    applied: Sequence[Applied], attempts: Mapping[UUID, Attempt]
) -> list[StatusChange]:
    by_delivery: dict[UUID, list[Applied]] = defaultdict(list)
    for item in applied:
        by_delivery[item.delivery.id].append(item)
    changes = [
        _raise(
            items[0].delivery,
            [item.event.type for item in items],
            max((attempts[id_] for item in items if (id_ := item.event.attempt_id)), key=_number),
            next((i.event.code for i in items if i.event.type is EventType.BOUNCED), ""),
        )
        for items in by_delivery.values()
    ]
    return [change for change in changes if change]


def _number(attempt: Attempt) -> int:
    return attempt.number


def _raise(
    delivery: Delivery, reported: Sequence[EventType], attempt: Attempt, reason: str = ""
) -> StatusChange | None:
    was = State(delivery.state)
    now = states.after(was, reported)
    if now is was:
        return None
    delivery.state, delivery.updated_at = now, timezone.now()
    delivery.reason = reason[:200] if now is State.BOUNCED else ""
    delivery.provider = delivery.provider or attempt.provider
    delivery.attempts_made = max(delivery.attempts_made, attempt.number)
    delivery.save(update_fields=["state", "reason", "updated_at", "provider", "attempts_made"])
    return StatusChange(delivery.id, delivery.notification_id, now, delivery.reason)
