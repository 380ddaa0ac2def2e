"""Reads of notifications, and the story of each as one timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from commsproject.common.errors import NotFound
from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Notification
from notifications.states import State, furthest
from notifications.types import EventType


def of_client(client: ApiClient) -> QuerySet[Notification]:
    """The agent's own notifications with their deliveries. Every read of an agent starts here."""
    deliveries = Delivery.objects.prefetch_related("attempts")
    return (
        Notification.objects.filter(client=client)
        .select_related("category", "recipient", "template_version__template", "variant")
        .prefetch_related(Prefetch("deliveries", queryset=deliveries))
    )


def with_state(rows: QuerySet[Notification], state: State) -> QuerySet[Notification]:
    """Those with a delivery in `state`."""
    matching = Delivery.objects.filter(notification=OuterRef("pk"))
    if state is State.SENDING:
        calling = Attempt.objects.filter(
            delivery__notification=OuterRef("pk"), state=Attempt.State.CALLING
        )
        return rows.filter(Exists(calling))
    return rows.filter(Exists(matching.filter(state=state)))


def get(client: ApiClient, notification_id: UUID) -> Notification:
    """Raises `NotFound`, also for another agent's."""
    row = of_client(client).prefetch_related("deliveries__events").filter(id=notification_id)
    found = row.first()
    if found is None:
        raise NotFound("There is no notification of yours with this id.")
    return found


def shown_state(delivery: Delivery) -> State:
    """The state as people see it: `sending` while a call is out, which no column says."""
    state = State(delivery.state)
    calling = any(attempt.state == Attempt.State.CALLING for attempt in delivery.attempts.all())
    return State.SENDING if calling and state in (State.QUEUED, State.SCHEDULED) else state


def status(notification: Notification) -> State:
    return furthest(shown_state(delivery) for delivery in notification.deliveries.all())


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened to a delivery. `provider`, `code` and `detail` may be empty."""

    type: EventType
    at: datetime
    provider: str = ""
    code: str = ""
    detail: str = ""


_ENDED = {
    Attempt.State.ACCEPTED: EventType.SENT,
    Attempt.State.REJECTED: EventType.FAILED,
    Attempt.State.FAILED: EventType.RETRY,
    Attempt.State.THROTTLED: EventType.RETRY,
    Attempt.State.UNKNOWN: EventType.UNKNOWN,
}


def timeline(delivery: Delivery) -> list[TimelineEntry]:
    """All that happened, oldest first: acceptance, each call and its answer, each report."""
    entries = [TimelineEntry(EventType.ACCEPTED, delivery.created_at)]
    for attempt in delivery.attempts.all():
        entries += _calls(attempt)
    entries += [
        TimelineEntry(EventType(event.type), event.at, event.provider, event.code, event.detail)
        for event in delivery.events.all()
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _calls(attempt: Attempt) -> Sequence[TimelineEntry]:
    begun = TimelineEntry(EventType.SENDING, attempt.started_at, attempt.provider)
    if attempt.ended_at is None:
        return [begun]
    how = _ENDED[Attempt.State(attempt.state)]
    told = TimelineEntry(how, attempt.ended_at, attempt.provider, attempt.code, attempt.detail)
    return [begun, told]
