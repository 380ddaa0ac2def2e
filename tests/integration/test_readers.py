"""Who reads a message decides its language, the shape of its numbers and the time on its clock."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import Address, DeadLetter, Delivery, Notification, SimulatedMessage
from notifications.services import replay
from notifications.states import State
from notifications.types import Lane
from templates_app import services
from templates_app.types import NullIs
from tests.email_world import email_world
from tests.engine import drain
from tests.factories import DeadLetterFactory, RecipientFactory

pytestmark = pytest.mark.django_db

AT = "2026-11-22T18:30:00Z"
EMAIL = {"subject": "{{ name }}", "text": "{{ at|datetime }} {{ sum|currency('EUR') }}"}
DE = {"subject": "Für {{ name }}", "text": "{{ at|datetime }} {{ sum|currency('EUR') }}"}
DATA = {"at": AT, "sum": 1234.5}
READERS = {
    "anna": ("de-AT", "Europe/Vienna"),
    "bob": ("en-GB", "Europe/London"),
    "carl": ("en-US", "America/New_York"),
    "dora": ("de", ""),
}
SAYS = {
    "anna": "22.11.2026, 19:30 € 1.234,50",
    "bob": "22 Nov 2026, 18:30 €1,234.50",
    "carl": "Nov 22, 2026, 1:30 PM €1,234.50",
    "dora": "22.11.2026, 18:30 1.234,50 €",
}


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\xa0", " ")


@pytest.fixture(autouse=True)
def _bill() -> None:
    template = services.create(
        key="bill",
        name="Bill",
        channels={"email": EMAIL},
        locale="en",
        author="ada",
        translations={"de": {"email": DE}},
    )
    services.publish(template)
    for user_id, (locale, time_zone) in READERS.items():
        person = RecipientFactory.create(user_id=user_id, locale=locale, time_zone=time_zone)
        Address.objects.create(recipient=person, channel="email", value=f"{user_id}@example.org")


def rows() -> list[dict[str, Any]]:
    return [{"to": {"user_id": name}, "data": {"name": name}} for name in READERS]


def test_each_person_is_written_to_in_their_own_way(api: APIClient):
    for name in READERS:
        body = {"template": "bill", "to": {"user_id": name}, "data": {"name": name, **DATA}}
        body["channels"] = ["email"]
        assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    drain()
    found = {m.parts["subject"].split()[-1]: m.parts for m in SimulatedMessage.objects.all()}
    assert {name: plain(parts["text"]) for name, parts in found.items()} == SAYS
    assert found["anna"]["subject"] == "Für anna"
    assert found["bob"]["subject"] == "bob"


def test_what_was_asked_for_wins_and_is_kept_when_the_person_changes(api: APIClient):
    body = {"template": "bill", "to": {"user_id": "carl"}, "data": {"name": "carl", **DATA}}
    body |= {"locale": "de", "channels": ["email"]}
    assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    person = Notification.objects.get().recipient
    assert person is not None
    person.locale, person.time_zone = "en", "Asia/Tokyo"
    person.save()
    drain()
    assert plain(SimulatedMessage.objects.get().parts["text"]) == "22.11.2026, 13:30 1.234,50 €"


def test_a_batch_call_holds_all_readers_of_one_language(api: APIClient):
    """SendGrid puts values into one text: who reads other words goes in another call."""
    body = {"template": "bill", "data": DATA, "rows": rows(), "channels": ["email"]}
    with email_world() as world:
        assert api.post("/api/v1/batches", body, format="json").status_code == 202
        drain(Lane.BULK)
        assert len(world.sendgrid.ledger) == 2
        found = {}
        for mail in world.sendgrid.messages:
            texts = {part["type"]: part["value"] for part in mail.payload["content"]}
            for text in [texts["text/plain"]]:
                for key, value in mail.personalization["substitutions"].items():
                    text = text.replace(key, value)
                found[mail.recipient.partition("@")[0]] = plain(text)
    assert found == SAYS


def test_a_replay_is_checked_for_its_reader(api: APIClient):
    body = {"template": "bill", "to": {"user_id": "anna"}, "data": {"name": "a", **DATA}}
    body["channels"] = ["email"]
    assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    delivery = Delivery.objects.get()
    delivery.state = State.DEAD
    delivery.save()
    letter = DeadLetterFactory.create(delivery=delivery)
    data = {"name": "Anna", "at": AT, "sum": 2}
    replay.edit(DeadLetter.objects.all(), letter.id, {"data": data})
    replay.replay(DeadLetter.objects.all(), [letter.id], by="ada")
    drain()
    assert plain(SimulatedMessage.objects.get().parts["text"]) == "22.11.2026, 19:30 € 2,00"


def test_null_is_what_the_version_says(api: APIClient):
    cases: list[tuple[NullIs, int]] = [("error", 400), ("empty", 202)]
    for null_is, status in cases:
        template = services.create(
            key=f"null-{null_is}",
            name="N",
            channels={"sms": {"text": "x{{ a }}"}},
            locale="en",
            author="ada",
            null_is=null_is,
        )
        services.publish(template)
        body = {"template": f"null-{null_is}", "to": {"phone": "+491701234567"}}
        sent = api.post("/api/v1/notifications", {**body, "data": {"a": None}}, format="json")
        assert sent.status_code == status, sent.content
        batch: dict[str, Any] = {"template": f"null-{null_is}", "data": {"a": None}}
        batch |= {"rows": [{"to": {"phone": "+491701234568"}, "data": {}}]}
        made = api.post("/api/v1/batches", batch, format="json").json()
        assert made["rejected"] == (null_is == "error")
    drain()
    drain(Lane.BULK)
    assert [message.parts["text"] for message in SimulatedMessage.objects.all()] == ["x", "x"]
