"""Write down what came of a window, fenced by the claims' tokens, in a few statements for all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

import structlog
from django.db import connection, transaction

from commsproject.common import clock
from commsproject.common.arrays import uuids
from commsproject.common.copy import copy_rows
from notifications import addresses, queue
from notifications.models import Attempt, Batch, DeadLetter, Event, Work
from notifications.services import bounce_rates, counts, devices, goals, items, status, suppress
from notifications.services.items import Item
from notifications.services.status import StatusChange
from notifications.states import PENDING, State
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    ProviderError,
    Sent,
    SuppressionReason,
    storable,
)
from templates_app.models import Goal

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of one delivery in one window. `attempt` is None where no call was made."""

    item: Item
    attempt: UUID | None = None
    provider: str = ""
    answer: Sent | ProviderError | None = None
    state: State = State.QUEUED
    reason: str = ""
    was: str = ""
    now: str = ""
    why: str = ""
    """The delivery's states before and after, once this is written, and the reason; empty where it
    is erased. A webhook may have been quicker, so these need not be `state` and `reason`.
    """

    @property
    def ref(self) -> str:
        """The provider's reference, `""` where it gave none."""
        return storable(self.answer.ref)[:255] if isinstance(self.answer, Sent) else ""

    @property
    def made(self) -> int:
        """Calls made for the delivery so far."""
        return self.item.attempts_made + (self.attempt is not None)


@dataclass
class Successor:
    """Work that follows a claim: deliveries to send again, or to settle, at one due time.

    `held`: not before its batch goes on. `suspect`: each in a work of its own, carried alone.
    `throttled_since`: it waits for leave of a limit, the first of them since then.
    """

    SEND: ClassVar[str] = Work.Kind.SEND
    RECONCILE: ClassVar[str] = Work.Kind.RECONCILE

    lease: queue.Lease
    kind: str
    due_at: datetime
    ids: list[UUID] = field(default_factory=list)
    held: bool = False
    suspect: bool = False
    throttled_since: datetime | None = None


def record(
    leases: Collection[queue.Lease],
    outcomes: Sequence[Outcome],
    done: Collection[queue.Lease] = (),
    successors: Sequence[Successor] = (),
) -> list[queue.Lease]:
    """Write `outcomes` of deliveries under `leases`; end those of them that are `done`, leaving
    `successors` behind.

    Returns the claims that are no longer ours; unless there are none, no claim is ended. Of lost
    ones only that is saved which a receipt would have told: messages that providers took.
    """
    with transaction.atomic():
        ours = queue.hold(leases)
        lost = [lease for lease in leases if lease.id not in ours]
        valid = [outcome for outcome in outcomes if outcome.item.lease.id in ours]
        changes = _write_deliveries(valid)  # before the attempts: the lock order of `status`
        _write_attempts(valid)
        # Not those that were cancelled or erased meanwhile, or that a webhook has told more of.
        _write_ends([outcome for outcome in valid if outcome.now == outcome.state])
        delivered = [one.item.id for one in valid if one.now == State.DELIVERED]
        goals.reached([(delivery_id, Goal.DELIVERED) for delivery_id in delivered])
        queue.note_progress({one.item.lease.id: one.item.lease for one in valid}.values())
        if done and not lost:
            _replace(done, successors)
        status.announce(changes, valid)
    if lost:
        _save_late_answers([one for one in outcomes if one.item.lease.id not in ours])
    return lost


@transaction.atomic
def quarantine(lease: queue.Lease) -> bool:
    """Give up the one message of a work that three workers died with.

    False where that is not known to be the message's fault: a call for it was under way.
    """
    if not queue.hold([lease]):
        return True
    found = items.lock(dict.fromkeys(lease.ids, lease), lease.ids)
    if any(one.state == State.UNKNOWN or one.in_state(Attempt.State.CALLING) for one in found):
        return False
    error = ProviderError(
        ErrorClass.PERMANENT_MESSAGE,
        "quarantined",
        "Three workers ended, or failed, while they held it.",
    )
    reason = "quarantined: three claims of it ended without a result"
    record([lease], [Outcome(i, None, "", error, State.DEAD, reason) for i in found], [lease])
    return True


def _replace(leases: Collection[queue.Lease], successors: Collection[Successor]) -> None:
    now = clock.now()
    for successor in successors:
        successor.lease.follow_ups.append((successor.due_at - now).total_seconds())
    waiting = {one.lease.batch_id for one in successors if one.held and one.lease.batch_id}
    held = _still_held(waiting)
    Work.objects.filter(id__in=[lease.id for lease in leases]).delete()
    copy_rows(
        Work,
        (
            Work(
                kind=one.kind,
                lane=one.lease.lane,
                channel=one.lease.channel,
                client_id=one.lease.client_id,
                batch_id=one.lease.batch_id,
                # What waits for a receipt may wait a day, of many batches: it takes no turns.
                flow=one.lease.client_id if one.kind == Successor.RECONCILE else one.lease.flow,
                ids=ids,
                due_at=one.due_at,
                throttled_since=one.throttled_since,
                token=one.lease.token,
                claims=queue.SUSPECT_AT if one.suspect else 0,
                held=one.held and one.lease.batch_id in held,
                suspect=one.suspect,
            )
            for one in successors
            for ids in ([[id_] for id_ in one.ids] if one.suspect else [one.ids])
        ),
    )


def _still_held(batch_ids: Collection[UUID]) -> set[UUID]:
    """Read under a lock: a batch that is resumed meanwhile must not leave a chunk behind."""
    rows = Batch.objects.select_for_update(no_key=True).filter(id__in=batch_ids).order_by("id")
    return {row.id for row in rows if row.state in Batch.HOLDING}


_STATE_OF_CLASS = {
    ErrorClass.PERMANENT_RECIPIENT: Attempt.State.REJECTED,
    ErrorClass.PERMANENT_MESSAGE: Attempt.State.REJECTED,
    ErrorClass.AUTH_CONFIG: Attempt.State.FAILED,
    ErrorClass.TEMPORARY: Attempt.State.FAILED,
    ErrorClass.THROTTLED: Attempt.State.THROTTLED,
    ErrorClass.AMBIGUOUS: Attempt.State.UNKNOWN,
}

# Most outcomes of a window are alike but for the provider's reference: they go as one group, and
# only what differs goes as an array, whose making costs more than the statement (measured).

_ATTEMPTS = """
UPDATE notifications_attempt AS attempt
SET state = %s, error_class = %s, code = %s, detail = %s, http_status = %s,
    provider_ref = new.ref, ended_at = clock_timestamp()
FROM unnest(%s::uuid[], %s::text[]) AS new (id, ref)
WHERE attempt.id = new.id AND attempt.state = 'calling'
"""

# Rows come back with the place of their outcome: an index costs less than an id to look it up.

_LOCK = """
SELECT place - 1, delivery.state
FROM unnest(%s::uuid[]) WITH ORDINALITY AS new (id, place)
JOIN notifications_delivery AS delivery ON delivery.id = new.id
ORDER BY delivery.id FOR NO KEY UPDATE OF delivery
"""
"""In one order for all, as `status` does: an update alone locks in whatever order it joins."""

_DELIVERIES = """
UPDATE notifications_delivery AS delivery
SET state = CASE WHEN delivery.state = ANY(%(pending)s) THEN %(state)s ELSE delivery.state END,
    reason = CASE WHEN delivery.state = ANY(%(pending)s) THEN %(reason)s ELSE delivery.reason END,
    attempts_made = new.made,
    provider = coalesce(nullif(%(provider)s, ''), delivery.provider),
    provider_ref = coalesce(nullif(new.ref, ''), delivery.provider_ref),
    updated_at = now()
FROM unnest(%(ids)s::uuid[], %(made)s::int[], %(refs)s::text[])
    WITH ORDINALITY AS new (id, made, ref, place)
WHERE delivery.id = new.id
RETURNING place - 1, delivery.state, delivery.reason
"""


def _write_attempts(outcomes: Sequence[Outcome]) -> None:
    groups: dict[tuple[Any, ...], list[tuple[UUID, str]]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.attempt is not None:
            groups[_told(outcome.answer)].append((outcome.attempt, outcome.ref))
    with connection.cursor() as cursor:
        for told, group in groups.items():
            ids, refs = zip(*group, strict=True)
            cursor.execute(_ATTEMPTS, [*told, uuids(ids), list(refs)])


def _told(answer: Sent | ProviderError | None) -> tuple[Any, ...]:
    """What an attempt's row says of its end, but for the reference."""
    if isinstance(answer, ProviderError):
        state, error = _STATE_OF_CLASS[answer.error_class], answer.error_class
        return (state.value, error.value, answer.code, answer.detail, answer.http_status)
    return (Attempt.State.ACCEPTED.value, "", "", "", answer.http_status if answer else None)


def _write_deliveries(outcomes: Sequence[Outcome]) -> list[StatusChange]:
    """Where each is now, and those that moved. A webhook may have been quicker: what it reported is
    never lowered again.
    """
    if not outcomes:
        return []
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.state.value, outcome.reason[:200], outcome.provider].append(outcome)
    changes: list[StatusChange] = []
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [uuids(outcome.item.id for outcome in outcomes)])
        for place, was in cursor.fetchall():
            outcomes[place].was = was
        for (state, reason, provider), group in groups.items():
            values: dict[str, Any] = {
                "pending": [pending.value for pending in PENDING],
                "state": state,
                "reason": reason,
                "provider": provider,
                "ids": uuids(outcome.item.id for outcome in group),
                "made": [outcome.made for outcome in group],
                "refs": [outcome.ref for outcome in group],
            }
            cursor.execute(_DELIVERIES, values)
            for place, now, told in cursor.fetchall():
                one = group[place]
                one.now, one.why = now, told
                if now != one.was:
                    item = one.item
                    change = StatusChange(item.id, item.notification_id, now, told, one.was)
                    changes.append(change)
    _count(outcomes)
    return changes


def _count(outcomes: Iterable[Outcome]) -> None:
    """What batches and categories keep count of."""
    moves: Counter[tuple[queue.Lease, str, str]] = Counter()
    taken: Counter[int] = Counter()
    for one in outcomes:
        if one.now:
            moves[one.item.lease, one.was, one.now] += 1
            if one.now in _TAKEN and one.item.category_id:
                taken[one.item.category_id.int] += 1
    counts.add(((lease.batch_id, was, now), n) for (lease, was, now), n in moves.items())
    bounce_rates.sent({UUID(int=number): n for number, n in taken.items()})


_TAKEN = frozenset({State.SENT.value, State.DELIVERED.value})


TOLD_BY_EVENT = {
    State.SUPPRESSED: EventType.SUPPRESSED,
    State.EXPIRED: EventType.EXPIRED,
    State.CANCELLED: EventType.CANCELLED,
    State.DEAD: EventType.DEAD,
    State.UNCONFIRMED: EventType.UNCONFIRMED,
    State.DELIVERED: EventType.DELIVERED,  # by a provider that has nobody behind it
    State.FAILED: EventType.FAILED,  # where there was no call
}
"""The ends that no attempt tells of."""


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


def tell_ends(ends: Iterable[tuple[HasId, State, str]]) -> None:
    """An event for each delivery that ended without a call: its state and why. Safe to repeat."""
    now = clock.now()
    Event.objects.bulk_create(
        [
            Event(
                delivery_id=delivery.id,
                type=TOLD_BY_EVENT[state],
                at=now,
                dedupe=f"{delivery.id}:{state.value}",
                detail=reason,
            )
            for delivery, state, reason in ends
        ],
        ignore_conflicts=True,
    )


def _write_ends(outcomes: Sequence[Outcome]) -> None:
    ended = [
        outcome
        for outcome in outcomes
        if outcome.state in TOLD_BY_EVENT
        and not (outcome.state is State.FAILED and outcome.attempt)  # the attempt tells
    ]
    if ended:
        tell_ends((outcome.item, outcome.state, outcome.reason) for outcome in ended)
        DeadLetter.objects.bulk_create(
            [_dead_letter(outcome) for outcome in ended if outcome.state is State.DEAD],
            ignore_conflicts=True,
        )
    # In one order for all, as two windows may hold the same two addresses.
    for outcome in sorted(outcomes, key=lambda one: one.item.address_hash):
        if (error := _dead_address(outcome)) is not None:
            _forget(outcome, error)


def _dead_address(outcome: Outcome) -> ProviderError | None:
    """Where the provider says that the address is no good, and it is the end of this delivery."""
    answer = outcome.answer
    if outcome.state is not State.FAILED or not isinstance(answer, ProviderError):
        return None
    return answer if answer.error_class is ErrorClass.PERMANENT_RECIPIENT else None


def _forget(outcome: Outcome, error: ProviderError) -> None:
    """Nothing more is sent there: a device is removed, every other address is suppressed."""
    item = outcome.item
    match item.channel:
        case Channel.PUSH if not error.may_be_ours or _takes_others(outcome.provider):
            devices.gone(*addresses.device(item.address), outcome.reason, error.gone_since)
        case Channel.EMAIL | Channel.SMS:
            is_wish = error.is_opt_out
            reason = SuppressionReason.UNSUBSCRIBE if is_wish else SuppressionReason.BOUNCE
            suppress.recipient_of(item, reason, source=outcome.provider)


_TAKES_OTHERS = """
SELECT EXISTS (
    SELECT FROM (SELECT provider, state FROM notifications_attempt ORDER BY id DESC LIMIT 5000)
        AS latest
    WHERE provider = %s AND state = 'accepted')
"""


def _takes_others(provider: str) -> bool:
    """Whether it has taken anything of late. With the wrong key or environment it refuses all
    devices as it would refuse a dead one: they must not all be forgotten.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKES_OTHERS, [provider])
        return bool(cursor.fetchone()[0])


def _dead_letter(outcome: Outcome) -> DeadLetter:
    error = outcome.answer if isinstance(outcome.answer, ProviderError) else None
    return DeadLetter(
        delivery_id=outcome.item.id,
        error_class=error.error_class if error else "",
        code=error.code if error else "",
        reason=outcome.reason[:200],
        providers=_asked(outcome),
    )


def _asked(outcome: Outcome) -> list[str]:
    """The providers that were tried, in the order of their first calls."""
    last = [outcome.provider] if outcome.provider else []
    return list(dict.fromkeys([*(call.provider for call in outcome.item.past), *last]))


def _save_late_answers(outcomes: Sequence[Outcome]) -> None:
    """Our claim ran out while the provider was taking its time; what it said is still true."""
    taken = [(o.attempt, o.answer) for o in outcomes if isinstance(o.answer, Sent)]
    for attempt_id, answer in taken:
        if attempt_id is not None:
            status.settle_late(attempt_id, answer)
    log.warning("answers after the lease", taken=len(taken), all=len(outcomes))
