"""Settle deliveries whose outcome is unknown and whose receipt did not come in time."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from notifications import queue, retry
from notifications.models import Attempt, Category, Delivery
from notifications.retry import AfterUnknown
from notifications.services import complete
from notifications.services.complete import Outcome, Successor
from notifications.services.window import attempts_of, lock_pending
from notifications.states import State


def settle(lease: queue.Lease) -> None:
    """Carry out one claim of reconcile work. Raises `queue.LeaseLost`."""
    with transaction.atomic():
        queue.hold_token(lease)
        unknown = [d for d in lock_pending(lease.ids) if d.state == State.UNKNOWN]
        attempts = attempts_of(unknown)
        again = Successor(Successor.SEND, timezone.now())
        wait = Successor(Successor.RECONCILE, timezone.now() + retry.HOLD_FOR)
        outcomes = [_decide(lease, d, attempts[d.id], again, wait) for d in unknown]
        complete.record(lease, outcomes, [work for work in (again, wait) if work.ids])


def _decide(
    lease: queue.Lease,
    delivery: Delivery,
    attempts: list[Attempt],
    again: Successor,
    wait: Successor,
) -> Outcome:
    since = _asked_at(attempts) or delivery.updated_at
    match retry.after_unknown(
        lease.lane,
        hold=_holds(delivery.notification.category),
        waited=timezone.now() - since,
        copies=sum(attempt.state == Attempt.State.UNKNOWN for attempt in attempts),
    ):
        case AfterUnknown.RESEND:
            again.ids.append(delivery.id)
            return Outcome(delivery, state=State.QUEUED, reason="no receipt came; sending again")
        case AfterUnknown.WAIT:
            wait.ids.append(delivery.id)
            wait.due_at = min(wait.due_at, since + retry.HOLD_FOR)
            return Outcome(delivery, state=State.UNKNOWN, reason="held until a receipt comes")
        case AfterUnknown.END_UNCONFIRMED:
            return Outcome(delivery, state=State.UNCONFIRMED, reason="no receipt came in 24 hours")
        case AfterUnknown.GIVE_UP:
            return Outcome(delivery, state=State.DEAD, reason="no provider ever answered")


def _holds(category: Category | None) -> bool:
    return category is not None and category.on_unknown == Category.OnUnknown.HOLD


def _asked_at(attempts: list[Attempt]) -> datetime | None:
    """When the provider was last left without an answer."""
    return max((a.ended_at for a in attempts if a.ended_at), default=None)
