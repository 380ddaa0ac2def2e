"""A provider is one file and one entry in the settings: with those two it passes the contract, and
the engine sends by it. No other file of the service knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from rest_framework.test import APIClient
from typing_extensions import override

from notifications.types import Channel, ErrorClass, Outbound
from tests.engine import drain, make_everything_due
from tests.fakes.behaviours import Status, throttled
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request, Response
from tests.providers.acme import Acme
from tests.providers.contract import CONTENT, SECRET, HttpContract, Refusal

NUMBER = "+4915112345678"


class AcmeServer(FakeHttpServer):
    @override
    def respond(self, request: Request) -> Response:
        return Response.of(202, {"id": f"acme-{len(self.ledger)}"})


@pytest.fixture
def server():
    with AcmeServer() as server:
        yield server


class TestAcme(HttpContract):
    message = Outbound(
        attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
        delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
        notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
        channel=Channel.SMS,
        to=NUMBER,
        parts={"text": f"Grüße ✓. {CONTENT}"},
    )
    rich = message
    private = (NUMBER,)
    golden = "acme.txt"
    reads_answer = "_read"
    fails = (Status(400, {"error": f"{NUMBER}: {CONTENT}"}),)
    refusals: ClassVar[Sequence[Refusal]] = [
        Refusal(Status(401), ErrorClass.AUTH_CONFIG, "401"),
        Refusal(Status(422), ErrorClass.PERMANENT_MESSAGE, "422"),
        Refusal(throttled(), ErrorClass.THROTTLED, "429"),
    ]
    unsupported: ClassVar = {
        "no text": {"parts": {}},
        "a header": {"headers": {"X-A": "1"}},
        "reply-to": {"reply_to": "help@example.com"},
        "an attachment": {"attachments": ("file",)},
        "values": {"values": {"name": "Anna"}},
    }

    @override
    def make_at(self, url: str) -> Acme:
        return Acme("acme", api_key=SECRET, api_url=url)


@pytest.fixture
def entry(server: AcmeServer, settings: Any) -> None:
    line = {
        "CLASS": "tests.providers.acme.Acme",
        "ENABLED": True,
        "OPTIONS": {"api_key": SECRET, "api_url": server.url},
    }
    settings.PROVIDERS = {"acme": line, "simulator": settings.PROVIDERS["simulator"]}


def story(api: APIClient, notification_id: str) -> tuple[str, list[tuple[str, str]]]:
    """The status of the only delivery, and each attempt's provider and outcome."""
    (delivery,) = api.get(f"/api/v1/notifications/{notification_id}").json()["deliveries"]
    attempts = [(attempt["provider"], attempt["state"]) for attempt in delivery["attempts"]]
    return delivery["status"], attempts


@pytest.mark.django_db
@pytest.mark.usefixtures("entry")
def test_the_engine_sends_by_it(api: APIClient, server: AcmeServer) -> None:
    server.script.next(Status(503))
    message = {"to": {"phone": NUMBER}, "content": {"text": CONTENT}}
    answer = api.post("/api/v1/notifications", message, format="json")
    assert answer.status_code == 202, answer.content
    drain()
    make_everything_due()
    drain()
    assert story(api, answer.json()["id"]) == ("sent", [("acme", "failed"), ("acme", "accepted")])
    (taken,) = server.accepted
    assert (taken.json["to"], taken.json["text"]) == (NUMBER, CONTENT)


def test_the_how_to_shows_this_very_file() -> None:
    root = Path(__file__).parents[2]
    code = (root / "tests/providers/acme.py").read_text().partition('"""\n\n')[2]
    assert f"```python\n{code}```" in (root / "docs/how-to/add-a-provider.md").read_text()
