"""Messages to browsers and to the inbox, from the call to the end: a real push service on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import Delivery, Device, Event, InboxItem
from notifications.providers.webpush import WebPush
from notifications.services import audit
from notifications.states import State
from notifications.types import EventType, Lane
from tests.engine import drain, make_everything_due
from tests.factories import RecipientFactory
from tests.fakes.behaviours import Reset, Status
from tests.fakes.webpush import Browser, WebPushServer, base64url

OPTIONS = {"private_key": base64url(bytes(range(1, 33))), "subject": "mailto:push@example.com"}
(KEY,) = WebPush("webpush", **OPTIONS).server_keys
BROWSER = Browser("firefox", KEY)


@pytest.fixture
def server(settings: Any) -> Iterator[WebPushServer]:
    """Web Push is on, and this is the only push service."""
    with WebPushServer(BROWSER) as server:
        settings.WEBPUSH_HOSTS = [server.url]
        settings.PROVIDERS = {
            **settings.PROVIDERS,
            "webpush": {**settings.PROVIDERS["webpush"], "ENABLED": True, "OPTIONS": OPTIONS},
        }
        yield server


def register(api: APIClient, server: WebPushServer, user_id: str = "ada") -> Device:
    body = {"platform": "webpush", "subscription": BROWSER.subscription(server.url)}
    answer = api.post(f"/api/v1/recipients/{user_id}/devices", body, format="json")
    assert answer.status_code in {200, 201}, answer.json()
    return Device.objects.get(id=answer.json()["id"])


def submit(api: APIClient, channel: str, **fields: Any) -> Any:
    content = {"subject": "Your order", "text": "It is on its way."}
    body = {"to": {"user_id": "ada"}, "channels": [channel], "content": content, **fields}
    return api.post("/api/v1/notifications", body, format="json")


def submitted(api: APIClient, channel: str, **fields: Any) -> Delivery:
    answer = submit(api, channel, **fields)
    assert answer.status_code == 202, answer.json()
    return Delivery.objects.get(id=answer.json()["deliveries"][0]["id"])


def ended(delivery: Delivery) -> tuple[str, str]:
    drain()
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


def test_a_message_reaches_the_browser(api: Any, server: WebPushServer) -> None:
    device = register(api, server)
    delivery = submitted(api, "push", priority="urgent")
    drain(Lane.URGENT)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.provider) == (State.SENT, "webpush")
    (pushed,) = server.messages
    assert (pushed.data["title"], pushed.data["body"]) == ("Your order", "It is on its way.")
    assert pushed.data["delivery_id"] == str(delivery.id)
    assert pushed.urgency == "high"
    assert delivery.address == f"webpush:{device.id}"


def test_a_browser_that_took_the_permission_back_is_removed(
    api: Any, server: WebPushServer
) -> None:
    device = register(api, server)
    server.script.always(Status(410))
    state, _ = ended(submitted(api, "push"))
    assert state == State.FAILED
    device.refresh_from_db()
    assert device.removed_at
    assert device.token == ""
    assert "410" in device.reason
    assert submit(api, "push").status_code == 400
    server.script.reset()
    register(api, server)
    assert ended(submitted(api, "push"))[0] == State.SENT


def test_what_was_on_its_way_is_not_shown_to_the_next_owner(
    api: Any, server: WebPushServer
) -> None:
    register(api, server, "ada")
    delivery = submitted(api, "push")
    register(api, server, "bob")
    state, reason = ended(delivery)
    assert state == State.SUPPRESSED
    assert reason
    assert len(server.ledger) == 0


def test_a_lost_answer_is_made_good_and_shown_once(api: Any, server: WebPushServer) -> None:
    register(api, server)
    delivery = submitted(api, "push")
    server.script.next(Reset())
    assert ended(delivery)[0] == State.UNKNOWN
    make_everything_due()
    drain()
    make_everything_due()
    assert ended(delivery)[0] == State.SENT
    first, again = server.messages
    assert first.topic == again.topic
    assert first.data == again.data


def test_the_inbox_has_it_at_once(api: Any) -> None:
    RecipientFactory.create(user_id="ada")
    delivery = submitted(api, "inapp")
    assert ended(delivery)[0] == State.DELIVERED
    (item,) = InboxItem.objects.all()
    assert (item.title, item.body) == ("Your order", "It is on its way.")
    assert item.id == delivery.id
    assert item.recipient.user_id == "ada"


def test_the_timeline_tells_that_the_inbox_has_it(api: Any) -> None:
    """There is nobody behind the inbox who would send a receipt."""
    RecipientFactory.create(user_id="ada")
    delivery = submitted(api, "inapp")
    assert ended(delivery)[0] == State.DELIVERED
    told = Event.objects.get(delivery=delivery)
    assert (told.type, told.provider) == (EventType.DELIVERED, "")
    assert list(audit.findings()) == []


def test_who_is_erased_meanwhile_gets_nothing(api: Any) -> None:
    person = RecipientFactory.create(user_id="ada")
    delivery = submitted(api, "inapp")
    person.delete()
    assert ended(delivery)[0] == State.FAILED
    assert not InboxItem.objects.exists()
