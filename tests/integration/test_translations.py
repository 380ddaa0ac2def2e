"""A message in the language of its reader, from the request to what is sent."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.errors import TemplateProblem
from notifications.models import DeadLetter, Delivery, SimulatedMessage
from notifications.services import replay
from notifications.states import State
from notifications.types import Lane
from templates_app import services
from tests.engine import drain
from tests.factories import DeadLetterFactory

pytestmark = pytest.mark.django_db

EMAIL = {"email": {"subject": "Hello {{ name }}", "html": "<p>Welcome</p>", "preheader": "Look"}}
PT = {"email": {"subject": "Olá {{ name }}", "text": "Bem-vindo"}}


@pytest.fixture(autouse=True)
def _welcome() -> None:
    template = services.create(
        key="welcome",
        name="Welcome",
        channels=EMAIL,
        locale="en",
        author="ada",
        translations={"pt": PT, "de": {"email": {"subject": "Hallo {{ vorname }}", "text": "x"}}},
    )
    services.publish(template)


def send(api: APIClient, locale: str, **body: Any) -> Any:
    message = {"template": "welcome", "to": {"email": "a@example.com"}, "data": {"name": "Ada"}}
    return api.post("/api/v1/notifications", {**message, "locale": locale, **body}, format="json")


def sent() -> list[str]:
    return sorted(message.parts["subject"] for message in SimulatedMessage.objects.all())


def test_each_message_is_in_its_language(api: APIClient):
    for locale in ("pt-BR", "fr", "pt"):
        assert send(api, locale).status_code == 202
    drain()
    assert sent() == ["Hello Ada", "Olá Ada", "Olá Ada"]


def test_what_was_built_is_what_is_sent(api: APIClient):
    assert send(api, "en").status_code == 202
    drain()
    parts = SimulatedMessage.objects.get().parts
    assert parts.keys() == {"subject", "text", "html"}
    assert parts["text"] == "Welcome"
    assert parts["html"].endswith(">Look</div><p>Welcome</p>")


def test_data_are_checked_against_the_text_that_will_be_sent(api: APIClient):
    answer = send(api, "de-AT")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "data.vorname"


def test_a_batch_is_in_its_language(api: APIClient):
    body = {
        "template": "welcome",
        "locale": "pt-BR",
        "rows": [{"to": {"email": f"{name}@example.com"}, "data": {"name": name}} for name in "ab"],
    }
    assert api.post("/api/v1/batches", body, format="json").status_code == 202
    drain(Lane.BULK)
    assert sent() == ["Olá a", "Olá b"]


def test_edited_data_of_a_dead_letter_are_checked_in_its_language(api: APIClient):
    assert send(api, "de", data={"vorname": "Ada"}).status_code == 202
    delivery = Delivery.objects.get()
    delivery.state = State.DEAD
    delivery.save()
    letter = DeadLetterFactory.create(delivery=delivery)
    with pytest.raises(TemplateProblem):
        replay.edit(DeadLetter.objects.all(), letter.id, {"data": {"name": "Ada"}})
    replay.edit(DeadLetter.objects.all(), letter.id, {"data": {"vorname": "Eva"}})
