"""A message on its whole way, without threads: accepted, sent by the simulator, reported."""

from __future__ import annotations

from rest_framework.test import APIClient

from notifications.models import SimulatedMessage, Work
from tests.engine import drain

MESSAGE = {
    "to": {"email": "ada@simulator.test"},
    "content": {"subject": "Grüße", "text": "Hello", "html": "<p>Hello</p>"},
}


def test_a_message_is_accepted_and_sent(api: APIClient) -> None:
    answer = api.post("/api/v1/notifications", MESSAGE, format="json")

    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert body["status"] == "queued"
    assert drain() == 1
    found = api.get(f"/api/v1/notifications/{body['id']}").json()
    assert found["status"] == "sent"
    assert [attempt["state"] for attempt in found["deliveries"][0]["attempts"]] == ["accepted"]
    assert SimulatedMessage.objects.get().parts["subject"] == "Grüße"
    assert not Work.objects.exists()
