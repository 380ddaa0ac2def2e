"""Stop a message that no provider has been called for yet, or that would be sent once more.

The delivery is locked first and its attempts are read in a new statement, so what the lock waited
for is seen: a window writes its attempts before it calls, under the same lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import TextChoices
from django.utils import timezone

from notifications.errors import CannotCancel
from notifications.models import Attempt, Delivery, Notification
from notifications.services import complete, counts, status
from notifications.services.status import StatusChange
from notifications.states import PENDING, State
from notifications.types import Channel

BY_SENDER = "cancelled by its sender"
BY_STAFF = "cancelled by staff"


class Outcome(TextChoices):
    """What a cancel came to for one delivery."""

    CANCELLED = "cancelled", "No provider has it, and none will be called."
    NOT_SENT_AGAIN = "not_sent_again", "An earlier call was not answered; there will be no other."
    IN_FLIGHT = "in_flight", "Too late: the call to its provider has begun."
    ENDED = "ended", "Too late: it is sent, or at an end."


STOPPED = {Outcome.CANCELLED: State.CANCELLED, Outcome.NOT_SENT_AGAIN: State.UNCONFIRMED}
"""The outcomes after which no provider is called, and the state that says so. A delivery whose
call was not answered may have arrived: it is never called `cancelled`.
"""


@dataclass(frozen=True)
class Result:
    delivery: Delivery
    """As it is afterwards."""
    outcome: Outcome

    @property
    def state(self) -> State:
        """As people see it."""
        in_flight = self.outcome is Outcome.IN_FLIGHT
        return State.SENDING if in_flight else State(self.delivery.state)


def cancel(notification: Notification, reason: str) -> list[Result]:
    """Stop each delivery that can be stopped; what became of each, in the order of their ids.

    Safe to repeat. Raises `CannotCancel` where no delivery is stopped, now or before.
    """
    with transaction.atomic():
        deliveries = list(
            Delivery.objects.select_for_update(no_key=True)
            .filter(notification=notification)
            .order_by("id")
        )
        results = _judge(deliveries)
        pending = [result for result in results if result.delivery.state in PENDING]
        _stop(notification, [result for result in pending if result.outcome in STOPPED], reason)
    if not any(result.outcome in STOPPED for result in results):
        raise CannotCancel(_why_not(results))
    return results


def _judge(deliveries: Sequence[Delivery]) -> list[Result]:
    calls = Attempt.objects.filter(
        delivery__in=deliveries, state__in=[Attempt.State.CALLING, Attempt.State.UNKNOWN]
    )
    open_calls = set(calls.values_list("delivery_id", "state"))
    return [
        Result(
            delivery,
            _outcome(
                State(delivery.state),
                calling=(delivery.id, Attempt.State.CALLING) in open_calls,
                unanswered=(delivery.id, Attempt.State.UNKNOWN) in open_calls,
            ),
        )
        for delivery in deliveries
    ]


def _outcome(state: State, *, calling: bool, unanswered: bool) -> Outcome:
    if state is State.CANCELLED:
        return Outcome.CANCELLED
    if state is State.UNCONFIRMED:
        return Outcome.NOT_SENT_AGAIN
    if state not in PENDING:
        return Outcome.ENDED
    if calling:
        return Outcome.IN_FLIGHT
    return Outcome.NOT_SENT_AGAIN if unanswered else Outcome.CANCELLED


def _stop(notification: Notification, stopped: Sequence[Result], reason: str) -> None:
    """The work rows go on naming these deliveries; a window takes pending ones only."""
    now = timezone.now()
    ends, moves, changes = [], [], []
    for result in stopped:
        delivery, state = result.delivery, STOPPED[result.outcome]
        was = delivery.state
        moves.append((notification.batch_id, was, state.value))
        again = state is State.UNCONFIRMED
        delivery.reason = f"not sent again, {reason}; a call was not answered" if again else reason
        delivery.state, delivery.updated_at = state, now
        ends.append((delivery, state, delivery.reason))
        changes.append(StatusChange(delivery.id, notification.id, state, delivery.reason, was))
    Delivery.objects.bulk_update(
        [delivery for delivery, _, _ in ends], ["state", "reason", "updated_at"]
    )
    complete.tell_ends(ends)
    counts.move(moves)
    status.announce(changes)


def _why_not(results: Sequence[Result]) -> str:
    """A sentence for each channel; the state it is in, and what that means."""
    told = []
    for result in results:
        channel = Channel(result.delivery.channel).label
        told.append(f"{channel} is {result.state.value}. {result.outcome.label}")
    return " ".join(told)
