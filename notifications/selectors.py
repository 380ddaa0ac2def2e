"""Reads of notifications."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from commsproject.common import clock, ids
from commsproject.common.errors import NotFound
from commsproject.common.models import ApiClient
from notifications import timeline
from notifications.models import Attempt, Delivery, Notification, Suppression
from notifications.states import State, furthest
from notifications.timeline import Entry


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


def since(rows: QuerySet[Notification], moment: datetime) -> QuerySet[Notification]:
    """Those accepted at `moment` or later; the id keeps it from reading all that is older."""
    return rows.filter(created_at__gte=moment, id__gte=ids.floor(moment, slack=clock.SKEW))


def get(client: ApiClient, notification_id: UUID) -> Notification:
    """Raises `NotFound`, also for another agent's."""
    rows = of_client(client).select_related("client").prefetch_related("deliveries__events")
    found = rows.filter(id=notification_id).first()
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


def story(notification: Notification) -> list[Entry]:
    """What happened to it and what it brought about, oldest first."""
    deliveries = list(notification.deliveries.all())
    caused = Suppression.objects.filter(
        channel__in={delivery.channel for delivery in deliveries},
        address_hash__in={delivery.address_hash for delivery in deliveries},
        delivery_id__in=[delivery.id for delivery in deliveries],
    )
    return timeline.of_message(notification, deliveries, notification.steps.all(), caused)
