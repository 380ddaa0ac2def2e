"""One story of a message: in the API and on the page of staff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from commsproject.common.models import ApiClient
from notifications.models import (
    Attempt,
    Delivery,
    Event,
    FallbackStep,
    Notification,
    Suppression,
)
from notifications.timeline import NO_RECEIPT
from notifications.types import Channel
from tests.factories import AttemptFactory, DeliveryFactory, NotificationFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def message(agent: ApiClient) -> Notification:
    return sent_by(agent)


def sent_by(agent: ApiClient) -> Notification:
    """An email that a second provider took and that bounced, and a text as its next step."""
    row: Notification = NotificationFactory.create(client=agent, agent_id="till-7", created_at=NOON)
    email = DeliveryFactory.create(
        notification=row, address="ada@example.org", state="bounced", created_at=NOON
    )
    text = DeliveryFactory.create(
        notification=row, channel=Channel.SMS, address="+14155550132", state="sent", created_at=NOON
    )
    FallbackStep.objects.create(
        delivery=text,
        notification=row,
        number=1,
        unless="delivered",
        due_at=after(600),
        work_id=text.id,
    )
    _call(email, 1, "sendgrid", 1.0, 0.25, state="throttled", error_class="throttled", code="429")
    _call(email, 2, "ses", 1.3, 0.04, state="accepted", http_status=200)
    Event.objects.create(
        delivery=email, type="opened", at=after(8), provider="links", data={"machine": True}
    )
    Event.objects.create(delivery=email, type="bounced", at=after(9), provider="ses", code="5.1.1")
    Suppression.objects.create(
        channel="email",
        address_hash=email.address_hash,
        reason="bounce",
        delivery_id=email.id,
        created_at=after(9.5),
    )
    _call(text, 1, "twilio", 600.0, 0.1, state="accepted")
    Delivery.objects.filter(id=text.id).update(
        reason=NO_RECEIPT, provider="twilio", updated_at=after(259_800)
    )
    return row


def _call(
    delivery: Delivery, number: int, provider: str, at: float, took: float, **row: Any
) -> None:
    AttemptFactory.create(
        delivery=delivery,
        number=number,
        provider=provider,
        started_at=after(at),
        ended_at=after(at + took),
        **row,
    )


STORY = [
    ("submitted", "By billing (till-7), priority normal"),
    ("accepted", "Email to ada@example.org"),
    ("accepted", "SMS to +14155550132: step 1, after 10\xa0minutes unless it was delivered"),
    ("sending", "Call 1 goes to sendgrid"),
    ("retry", "sendgrid said no after 250 ms: throttled"),
    ("sending", "Call 2 goes to ses, instead of sendgrid"),
    ("sent", "ses took it after 40 ms (HTTP 200)"),
    ("opened", "links: opened, by a machine"),
    ("bounced", "ses: bounced"),
    ("suppression", "Hard bounce: no more email at all"),
    ("sending", "Call 1 goes to twilio"),
    ("sent", "twilio took it after 100 ms"),
    ("no_receipt", "twilio has not said what became of it"),
]


def test_the_api_tells_calls_failover_reports_and_what_they_brought_about(
    api: APIClient, message: Notification
) -> None:
    found = api.get(f"/api/v1/notifications/{message.id}").json()["timeline"]
    assert [(one["type"], one["text"]) for one in found] == STORY
    moments = [datetime.fromisoformat(one["at"]) for one in found]
    assert moments == sorted(moments)
    (refused,) = (one for one in found if one["type"] == "retry")
    assert (refused["provider"], refused["code"], refused["attempt"], refused["latency_ms"]) == (
        *("sendgrid", "429"),
        *(1, 250),
    )
    assert refused["delivery_id"] == str(message.deliveries.get(channel="email").id)
    assert found[0]["delivery_id"] is None


def test_the_page_of_staff_shows_the_same_story(
    admin_client: Client, message: Notification
) -> None:
    page = reverse("admin:notifications_notification_change", args=[message.id])
    shown = admin_client.get(page).content.decode()
    places = [shown.find(f"<p>{text[0].upper()}{text[1:]}</p>") for _, text in STORY]
    assert -1 not in places, STORY[places.index(-1)]
    assert places == sorted(places)


def test_a_call_that_is_out_has_no_answer_yet(api: APIClient, agent: ApiClient) -> None:
    row = NotificationFactory.create(client=agent)
    AttemptFactory.create(
        delivery__notification=row, state=Attempt.State.CALLING, ended_at=None, provider="ses"
    )
    found = api.get(f"/api/v1/notifications/{row.id}").json()["timeline"]
    assert found[-1]["text"] == "Call 1 goes to ses"
    assert found[-1]["latency_ms"] is None
