"""Write down what came of a window, fenced by the claim's token, in a few statements for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils import timezone

from commsproject.common.copy import copy_rows
from notifications import queue
from notifications.models import Attempt, DeadLetter, Delivery, Event, Work
from notifications.services import status, suppress
from notifications.services.status import StatusChange
from notifications.states import PENDING, State
from notifications.types import ErrorClass, EventType, ProviderError, Sent, SuppressionReason

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one delivery in one window. `attempt` is None where no call was made."""

    delivery: Delivery
    attempt: Attempt | None = None
    answer: Sent | ProviderError | None = None
    state: State = State.QUEUED
    reason: str = ""

    @property
    def number(self) -> int:
        """Calls made for the delivery so far."""
        return self.attempt.number if self.attempt else self.delivery.attempts_made


@dataclass
class Successor:
    """Work that follows: deliveries to send again, or to settle, at one due time."""

    SEND: ClassVar[str] = Work.Kind.SEND
    RECONCILE: ClassVar[str] = Work.Kind.RECONCILE

    kind: str
    due_at: datetime
    ids: list[UUID] = field(default_factory=list)


def record(
    lease: queue.Lease, outcomes: Sequence[Outcome], successors: Sequence[Successor] | None
) -> None:
    """Write `outcomes`; with `successors` (possibly none of them) also end the claim.

    Raises `queue.LeaseLost` after saving what a receipt would have told: messages that providers
    took under a claim that is no longer ours.
    """
    try:
        with transaction.atomic():
            queue.hold_token(lease)
            changes = _write_deliveries(outcomes)  # before the attempts: the lock order of status
            _write_attempts(outcomes)
            _write_ends(outcomes)
            if successors is not None:
                _replace(lease, successors)
            transaction.on_commit(partial(status.announce, changes), robust=True)
    except queue.LeaseLost:
        _save_late_answers(outcomes)
        raise


def split_off(lease: queue.Lease, pending: Sequence[UUID], later: Mapping[Any, Successor]) -> None:
    """Stop in the middle of a chunk: the rest is due at once, for whoever comes."""
    with transaction.atomic():
        queue.hold_token(lease)
        rest = Successor(Successor.SEND, timezone.now(), list(pending))
        _replace(lease, [rest, *later.values()])


def _replace(lease: queue.Lease, successors: Collection[Successor]) -> None:
    now = timezone.now()
    lease.follow_ups = [(successor.due_at - now).total_seconds() for successor in successors]
    Work.objects.filter(id=lease.id).delete()
    copy_rows(
        Work,
        (
            Work(
                kind=successor.kind,
                lane=lease.lane,
                channel=lease.channel,
                client_id=lease.client_id,
                batch_id=lease.batch_id,
                flow=lease.batch_id or lease.client_id,
                ids=successor.ids,
                due_at=successor.due_at,
            )
            for successor in successors
        ),
    )


_STATE_OF_CLASS = {
    ErrorClass.PERMANENT_RECIPIENT: Attempt.State.REJECTED,
    ErrorClass.PERMANENT_MESSAGE: Attempt.State.REJECTED,
    ErrorClass.AUTH_CONFIG: Attempt.State.FAILED,
    ErrorClass.TEMPORARY: Attempt.State.FAILED,
    ErrorClass.THROTTLED: Attempt.State.THROTTLED,
    ErrorClass.AMBIGUOUS: Attempt.State.UNKNOWN,
}

_ATTEMPTS = """
UPDATE notifications_attempt AS attempt
SET state = new.state, error_class = new.error_class, code = new.code, detail = new.detail,
    http_status = new.http_status, provider_ref = new.provider_ref, ended_at = clock_timestamp()
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[])
     AS new (id, state, error_class, code, detail, http_status, provider_ref)
WHERE attempt.id = new.id AND attempt.state = 'calling'
"""

_LOCK = "SELECT 1 FROM notifications_delivery WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
"""In one order for all, as `status` does: an update alone locks in whatever order it joins."""

_DELIVERIES = """
UPDATE notifications_delivery AS delivery
SET state = CASE WHEN delivery.state = ANY(%s) THEN new.state ELSE delivery.state END,
    reason = CASE WHEN delivery.state = ANY(%s) THEN new.reason ELSE delivery.reason END,
    attempts_made = new.attempts_made,
    provider = CASE WHEN new.provider = '' THEN delivery.provider ELSE new.provider END,
    provider_ref = CASE WHEN new.provider_ref = '' THEN delivery.provider_ref
                        ELSE new.provider_ref END,
    updated_at = now()
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::text[])
     AS new (id, state, reason, attempts_made, provider, provider_ref)
WHERE delivery.id = new.id
RETURNING delivery.id, delivery.notification_id, delivery.state, delivery.reason
"""


def _write_attempts(outcomes: Sequence[Outcome]) -> None:
    columns: list[tuple[Any, ...]] = []
    for outcome in outcomes:
        if outcome.attempt is None:
            continue
        answer = outcome.answer
        if isinstance(answer, ProviderError):
            state = _STATE_OF_CLASS[answer.error_class]
            told = (answer.error_class.value, answer.code, answer.detail, answer.http_status, "")
        else:
            state = Attempt.State.ACCEPTED
            ref = answer.ref if answer else ""
            told = ("", "", "", answer.http_status if answer else None, ref[:255])
        columns.append((outcome.attempt.id, state.value, *told))
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(_ATTEMPTS, [list(column) for column in zip(*columns, strict=True)])


def _write_deliveries(outcomes: Sequence[Outcome]) -> list[StatusChange]:
    """A webhook may have been quicker: what it reported is never lowered again."""
    if not outcomes:
        return []
    columns = [
        (
            outcome.delivery.id,
            outcome.state.value,
            outcome.reason[:200],
            outcome.number,
            outcome.attempt.provider if outcome.attempt else "",
            outcome.answer.ref[:255] if isinstance(outcome.answer, Sent) else "",
        )
        for outcome in outcomes
    ]
    pending = [state.value for state in PENDING]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [[outcome.delivery.id for outcome in outcomes]])
        cursor.execute(
            _DELIVERIES,
            [pending, pending, *(list(column) for column in zip(*columns, strict=True))],
        )
        return [StatusChange(*row) for row in cursor.fetchall()]


TOLD_BY_EVENT = {
    State.SUPPRESSED: EventType.SUPPRESSED,
    State.EXPIRED: EventType.EXPIRED,
    State.CANCELLED: EventType.CANCELLED,
    State.DEAD: EventType.DEAD,
    State.UNCONFIRMED: EventType.UNCONFIRMED,
}
"""The ends that no attempt tells of."""


def tell_ends(ends: Iterable[tuple[Delivery, State, str]]) -> None:
    """An event for each delivery that ended without a call: its state and why. Safe to repeat."""
    now = timezone.now()
    Event.objects.bulk_create(
        [
            Event(
                delivery=delivery,
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
    ended = [outcome for outcome in outcomes if outcome.state in TOLD_BY_EVENT]
    tell_ends((outcome.delivery, outcome.state, outcome.reason) for outcome in ended)
    DeadLetter.objects.bulk_create(
        [_dead_letter(outcome) for outcome in ended if outcome.state is State.DEAD],
        ignore_conflicts=True,
    )
    # In one order for all, as two windows may hold the same two addresses.
    for outcome in sorted(outcomes, key=lambda one: one.delivery.address_hash):
        answer = outcome.answer
        if (
            isinstance(answer, ProviderError)
            and answer.error_class is ErrorClass.PERMANENT_RECIPIENT
        ):
            source = outcome.attempt.provider if outcome.attempt else ""
            suppress.recipient_of(outcome.delivery, SuppressionReason.BOUNCE, source=source)


def _dead_letter(outcome: Outcome) -> DeadLetter:
    error = outcome.answer if isinstance(outcome.answer, ProviderError) else None
    return DeadLetter(
        delivery=outcome.delivery,
        error_class=error.error_class if error else "",
        code=error.code if error else "",
        reason=outcome.reason[:200],
        providers=_asked(outcome.delivery),
    )


def _asked(delivery: Delivery) -> list[str]:
    """The providers that were tried, in the order of their first calls."""
    names = delivery.attempts.order_by("id").values_list("provider", flat=True)
    return list(dict.fromkeys(names))


def _save_late_answers(outcomes: Sequence[Outcome]) -> None:
    """Our claim ran out while the provider was taking its time; what it said is still true."""
    taken = [o for o in outcomes if o.attempt and isinstance(o.answer, Sent)]
    for outcome in taken:
        assert outcome.attempt is not None  # noqa: S101 - for the type checker: filtered above
        assert isinstance(outcome.answer, Sent)  # noqa: S101
        status.settle_late(outcome.attempt.id, outcome.answer)
    log.warning("answers after the lease", taken=len(taken), all=len(outcomes))
