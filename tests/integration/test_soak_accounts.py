"""The soak's accounts: each thing that is not as it was said to be is found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from conversations.models import Entry
from conversations.services import entries, start
from conversations.types import Actor, Kind, Who
from notifications.models import Batch, Delivery, Notification
from notifications.states import State
from tests.factories import ApiClientFactory, AttemptFactory, DeliveryFactory
from tests.faults import invariants
from tests.soak import accounts
from tracking.models import WebhookDelivery, WebhookEndpoint

pytestmark = pytest.mark.django_db

BEGAN = datetime(2026, 11, 22, 8, 59, 30, tzinfo=UTC)
MINUTES = [f"2026-11-22T09:{minute:02}:00+00:00" for minute in range(4)]


@pytest.fixture
def left() -> dict[str, Any]:
    """A message, a batch of two, a run of the schedule each minute, a line; all as it was said."""
    invariants.record_moves()
    client = ApiClientFactory.create()
    call: Any = AttemptFactory(delivery__state=State.DELIVERED)
    message = str(call.delivery.notification_id)
    batch = Batch.objects.create(client=client, received=2, counts={"cancelled": 2})
    for _ in range(2):
        DeliveryFactory(
            notification__batch=batch, state=State.CANCELLED, reason="its batch was cancelled"
        )
    for minute in MINUTES:
        DeliveryFactory(
            notification__reference="soak-minute",
            notification__idempotency_key=f"schedule:{batch.id}:{minute}",
            state=State.EXPIRED,
            reason="too late",
        )
    WebhookDelivery.objects.create(
        endpoint=WebhookEndpoint.objects.create(client=client, url="https://hooks.example.com/"),
        event_id="e-1",
        delivered_at=timezone.now(),
    )
    people = [Actor(Who.USER, name) for name in ("ada", "bob")]
    chat, _ = start.start(people[0], Kind.GROUP, [one.id for one in people])
    entries.post(people[0], chat.id, "Hello.", client_id="line-1")
    told = [
        (f"notification.{state}", str(id_))
        for state, id_ in Delivery.objects.values_list("state", "id")
    ]
    return {
        "keys": {"single-1": message},
        "rows": {str(batch.id): 2},
        "cancelled": [],
        "taken": [(message, str(call.id))],
        "reported": [message],
        "heard": ["e-1"],
        "told": told,
        "written": ["line-1"],
        "scheduled": [BEGAN.timestamp(), BEGAN.timestamp() + 60 * len(MINUTES)],
    }


def kinds(left: dict[str, Any]) -> set[str]:
    return {kind for kind, _ in accounts.findings(left)}


def test_nothing_is_found_where_all_is_as_it_was_said(left: dict[str, Any]) -> None:
    assert list(accounts.findings(left)) == []


def test_what_was_said_and_is_not_so_is_found(left: dict[str, Any]) -> None:
    (message,) = left["keys"].values()
    (batch,) = left["rows"]
    said: dict[str, dict[str, Any]] = {
        "I3": {"taken": []},
        "messages": {"keys": {}},
        "keys": {"keys": {"single-1": message, "single-2": message}},
        "batch": {"rows": {batch: 3}},
        "cancelled and sent": {"cancelled": [message]},
        "webhook never came": {"heard": []},
        "not told": {"told": []},
        "line": {"written": ["line-2"]},
        "schedule": {"scheduled": [BEGAN.timestamp(), BEGAN.timestamp() + 60 * 9]},
    }
    for kind, wrong in said.items():
        assert kind in kinds({**left, **wrong}), kind


def test_what_is_not_as_it_was_said_is_found(left: dict[str, Any]) -> None:
    assert kinds(left) == set()
    runs = Notification.objects.filter(reference="soak-minute")
    runs.filter(idempotency_key__endswith=MINUTES[0]).update(  # one twice
        idempotency_key=f"schedule:019a0000-0000-7000-8000-000000000021:{MINUTES[1]}"
    )
    assert kinds(left) == {"schedule"}
    runs.update(reference="another")  # none at all
    assert "schedule" in kinds(left)
    runs = Notification.objects.filter(reference="another")
    runs.update(reference="soak-minute")
    Delivery.objects.filter(state=State.CANCELLED).update(reason="")
    assert kinds(left) == {"schedule", "without a reason"}
    WebhookDelivery.objects.update(delivered_at=None)
    assert kinds(left) == {"schedule", "without a reason", "webhook not delivered"}
    Entry.objects.filter(client_id="line-1").update(client_id="")
    Delivery.objects.filter(state=State.DELIVERED).update(state=State.SENT)
    assert {"line", "report lost"} < kinds(left)
