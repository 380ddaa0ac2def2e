"""What providers report, applied to deliveries: any order, any number of times, one result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from commsproject.common.arrays import uuids
from notifications import states
from notifications.models import Attempt, Delivery, Event, Notification
from notifications.services import counts, goals
from notifications.signals import accepted, reported, status_changed
from notifications.states import State
from notifications.types import EventType, ProviderEvent, Sent, storable

log = structlog.get_logger(__name__)


class StatusChange(NamedTuple):
    """A delivery has gone from state to state, for a `reason`."""

    delivery_id: UUID
    notification_id: UUID
    state: str
    reason: str
    was: str
    """The state before, which may be the same; empty: the delivery is new."""


@dataclass(frozen=True)
class Applied:
    """An event that was new, stored under `event_id`, with the delivery it is about."""

    event_id: UUID
    event: ProviderEvent
    delivery: Delivery


def announce(changes: Sequence[StatusChange], outcomes: Sequence[Any] = ()) -> None:
    """Tell the apps above, at the end of the transaction that wrote the changes; `outcomes` are the
    `complete.Outcome`s of the window that brought them about.
    """
    if changes or outcomes:
        _tell(status_changed, changes=list(changes), outcomes=outcomes)


def announce_accepted(planned: Sequence[Any]) -> None:
    """The same of `Planned` messages that were just stored."""
    if planned:
        _tell(accepted, planned=list(planned))


def _tell(signal: Signal, **what: Any) -> None:
    """A receiver's defect costs its own rows, never ours: it is logged. Raises only what the whole
    transaction is to be tried again for.
    """
    if not signal.has_listeners(Delivery):
        return
    try:
        with transaction.atomic():
            for _, error in signal.send_robust(sender=Delivery, **what):
                if isinstance(error, (DatabaseError, InterfaceError)):
                    raise error
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:
        log.error("not announced", error=type(error).__name__, what=sorted(what))


@transaction.atomic
def apply(provider: str, events: Sequence[ProviderEvent], *, of_all: bool = False) -> list[Applied]:
    """Store the events that are new and raise the states they report, whoever was told: a webhook
    or a look-up. Raises what a receiver of `reported` raises.

    Events whose attempt is not ours are left out, and without `of_all` those whose attempt another
    provider made: who holds one vendor's secret tells nothing of the others' messages. Those seen
    before have no effect.
    """
    events = [_storable(event) for event in events]
    attempts = _attempts(events)
    if not of_all:
        attempts = _made_by(provider, attempts)
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
    goals.reached(
        [
            (item.delivery.id, goal)
            for item in applied
            if (goal := goals.BY_EVENT.get(item.event.type))
            and item.delivery.state != State.BOUNCED
            and item.event.data.get("machine") is not True
        ]
    )
    if applied:
        reported.send(sender=Event, provider=provider, applied=applied)
    announce(changes)
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
    change = _raise(delivery, {attempt.id: [EventType.SENT]}, attempt)
    changes = [change] if change else []
    _save([delivery] if change else [])
    _count(was, changes)
    announce(changes)


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


def _made_by(provider: str, attempts: Mapping[UUID, Attempt]) -> dict[UUID, Attempt]:
    """By name: each has a door of its own, two accounts of one vendor as well."""
    own = {id_: one for id_, one in attempts.items() if one.provider == provider}
    if len(own) < len(attempts):
        makers = sorted({one.provider for one in attempts.values()} - {provider})
        left_out = len(attempts) - len(own)
        log.warning("reports left out", provider=provider, attempts=left_out, made_by=makers)
    return own


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
            told := _by_copy((item.event.attempt_id, item.event.type) for item in items),
            max((attempts[id_] for id_ in told), key=_number),
            next((i.event.code for i in items if i.event.type is EventType.BOUNCED), ""),
        )
        for items in by_delivery.values()
    ]
    found = [change for change in changes if change]
    changed = {change.delivery_id for change in found}
    _save([items[0].delivery for id_, items in by_delivery.items() if id_ in changed])
    return found


def _number(attempt: Attempt) -> int:
    return attempt.number


_Copies = Mapping[UUID, Sequence[EventType]]
"""What was reported of each copy of a message, by attempt."""


def _by_copy(told: Iterable[tuple[UUID | None, str]]) -> _Copies:
    found: dict[UUID, list[EventType]] = defaultdict(list)
    for attempt_id, kind in told:
        if attempt_id:
            found[attempt_id].append(EventType(kind))
    return found


def _state(delivery: Delivery, told: _Copies, attempt: Attempt) -> State:
    """Where what was `told` raises it; `attempt` is the newest of those. Of a message that left more
    than once all reports are read again: each counts for its own copy.
    """
    was = State(delivery.state)
    if max(delivery.attempts_made, attempt.number) == 1:
        return states.after(was, chain.from_iterable(told.values()))
    rows = Event.objects.filter(delivery=delivery.id, type__in=states.REPORTED)
    known = _by_copy(rows.values_list("attempt_id", "type"))
    both = {id_: [*known.get(id_, ()), *told.get(id_, ())] for id_ in {*known, *told}}
    return states.joined(was, both.values())


def _raise(
    delivery: Delivery, told: _Copies, attempt: Attempt, reason: str = ""
) -> StatusChange | None:
    was, now = State(delivery.state), _state(delivery, told, attempt)
    if now is was:
        return None
    delivery.state, delivery.updated_at = now, timezone.now()
    delivery.reason = reason[:200] if now is State.BOUNCED else ""
    delivery.provider = delivery.provider or attempt.provider
    delivery.attempts_made = max(delivery.attempts_made, attempt.number)
    return StatusChange(delivery.id, delivery.notification_id, now, delivery.reason, was)


_SAVE = """
UPDATE notifications_delivery AS delivery
SET state = new.state, reason = new.reason, provider = new.provider,
    attempts_made = new.made, updated_at = new.at
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::int[], %s::timestamptz[])
     AS new (id, state, reason, provider, made, at)
WHERE delivery.id = new.id
"""


def _save(deliveries: Sequence[Delivery]) -> None:
    """What `_raise` has set, of all in one statement: a save each was half of what an event costs
    (measured).
    """
    if not deliveries:
        return
    rows = [
        (str(row.state), row.reason, row.provider, row.attempts_made, row.updated_at)
        for row in deliveries
    ]
    with connection.cursor() as cursor:
        ids = uuids(row.id for row in deliveries)
        cursor.execute(_SAVE, [ids, *map(list, zip(*rows, strict=True))])
