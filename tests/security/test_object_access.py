"""Every call of the API but those of conversations (tests/integration/conversations/test_access.py), made by
those it is not for: generated from the API's own description, so that a new one is in it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models import (
    Address,
    Batch,
    DeadLetter,
    Delivery,
    Device,
    InboxItem,
    Notification,
    Recipient,
    Schedule,
)
from tests import api_calls
from tests.api_calls import Operation
from tests.engine import drain
from tests.factories import AddressFactory, DeadLetterFactory, DeviceFactory
from tests.inboxes import person
from tests.integration.test_api_refusals import example
from tracking.models import Bounce, WebhookEndpoint

pytestmark = pytest.mark.django_db

SECRET = "only-for-its-owner"

AN_AGENTS = {
    *("analytics", "batches", "bounces", "dead-letters", "notifications", "queues", "schedules"),
    "webhook-endpoints",
}
"""What belongs to the agent that made it."""

EVERY_AGENTS = {
    *("alerts", "announcements", "categories", "providers", "recipients", "suppressions"),
    *("templates", "topics", "webhook-receipts"),
}
"""What belongs to the organisation: a key's scopes are the only bound."""

OF_THE_CALLER = {"inbox", "presence", "push", "whoami", "ws-ticket"}
"""These name nobody: what they give is the caller's own."""


def family(operation: Operation) -> str:
    return operation.path.split("/")[3]


def operations() -> dict[Operation, dict[str, Any]]:
    return {
        operation: told
        for operation, told in api_calls.operations().items()
        if family(operation) != "conversations"
    }


@pytest.fixture
def world(api: APIClient, agent: ApiClient) -> dict[str, Any]:
    """One of everything that somebody owns, and what paths name of it."""

    def made(path: str, body: dict[str, Any]) -> Any:
        answer = api.post(f"/api/v1/{path}", body, format="json")
        assert answer.status_code < 300, answer.content
        return answer.json()

    content = {"subject": SECRET, "text": SECRET}
    to = {"email": f"bounced+{SECRET}@simulator.test"}
    ada = Recipient.objects.create(user_id="ada", data={"a": SECRET})
    address = AddressFactory.create(recipient=ada, value=f"{SECRET}@simulator.test")
    device = DeviceFactory.create(recipient=ada, name=SECRET)
    sent = made("notifications", {"to": to, "content": content, "reference": SECRET})
    inbox = made(
        "notifications", {"to": {"user_id": "ada"}, "channels": ["inapp"], "content": content}
    )
    row = {"to": to, "reference": SECRET}
    batch = made("batches", {"rows": [row], "content": content, "approval": True})
    later = {"name": SECRET, "cron": "0 9 * * *", "notification": {"to": to, "content": content}}
    endpoint = {"url": f"https://{SECRET}.example.com/hook", "events": ["notification.*"]}
    drain()
    letter = DeadLetterFactory.create(
        delivery__notification__client=agent,
        delivery__notification__content={"email": content},
        delivery__notification__reference=SECRET,
        reason=SECRET,
    )
    return {
        "user_id": "ada",
        "address_id": address.id,
        "device_id": device.id,
        "notification_id": sent["id"],
        "item": inbox["deliveries"][0]["id"],
        "batch_id": batch["id"],
        "schedule_id": made("schedules", later)["id"],
        "endpoint_id": made("webhook-endpoints", endpoint)["id"],
        "letter_id": letter.id,
    }


def ask(client: Client, operation: Operation, told: dict[str, Any], names: dict[str, Any]) -> Any:
    known = dict.fromkeys(("key", "name"), "nobodys") | {"number": 1}
    unknown = {one: new_id() for one in ("alert_id", "announcement_id", "experiment_id")}
    unknown |= {one: new_id() for one in ("receipt_id", "suppression_id")}
    path = operation.path.format(**known, **unknown, **names)
    method = getattr(client, operation.method.lower())
    if isinstance(client, APIClient):
        return method(path, **example(told))
    return method(path)


def text(answer: Any) -> bytes:
    return bytes(answer.getvalue() if answer.streaming else answer.content)


def owned() -> dict[str, Any]:
    """All that strangers might have changed."""
    kinds = (Notification, Delivery, Batch, Schedule, WebhookEndpoint, DeadLetter, Bounce)
    personal = (Recipient, Address, Device, InboxItem)
    return {
        kind.__name__: list(kind.objects.order_by("pk").values()) for kind in (*kinds, *personal)
    }


def views(resolver: Any, start: str = "/") -> Iterator[tuple[str, Any]]:
    """Every page below a resolver, by its route."""
    for one in resolver.url_patterns:
        route = f"{start}{one.pattern}"
        if hasattr(one, "url_patterns"):
            yield from views(one, route)
        else:
            yield route, one.callback


def methods(view: Any) -> Iterator[str]:
    """Of a page of the API, those that it answers beside HEAD and OPTIONS."""
    yield from (one.upper() for one in api_calls.METHODS if hasattr(view.view_class, one))


def test_no_operation_is_left_out_of_the_description() -> None:
    """What the matrix is made of is what is there."""
    found = {
        Operation.of(method, route.removeprefix("/"))
        for route, view in views(get_resolver("commsproject.urls"))
        if route.startswith("/api/v1/")
        for method in methods(view)
    }
    assert found == set(api_calls.operations())


def test_every_operation_has_an_owner() -> None:
    assert {family(one) for one in operations()} == AN_AGENTS | EVERY_AGENTS | OF_THE_CALLER
    of_people = {
        family(operation)
        for operation, told in operations().items()
        if {"userToken": []} in told["security"]
    }
    assert of_people == OF_THE_CALLER | {"recipients"}


def test_another_agent_sees_and_changes_nothing(world: dict[str, Any]) -> None:
    other = ApiClient.objects.create(name="other")
    _, secret = keys.issue(other, list(Scope))
    stranger = APIClient()
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    nowhere = {**world, **{name: new_id() for name in world if name.endswith("_id")}}
    before = owned()
    asked = 0
    for operation, told in operations().items():
        if family(operation) not in AN_AGENTS:
            continue
        answer = ask(stranger, operation, told, world)
        where = (operation, answer.status_code)
        assert SECRET.encode() not in text(answer), where
        for one in world.values():
            assert len(str(one)) < 36 or str(one).encode() not in text(answer), where
        if "{" in operation.path:
            asked += 1
            assert answer.status_code == 404, where
            absent = ask(stranger, operation, told, nowhere)
            assert (absent.status_code, text(absent)) == (404, text(answer)), where
    assert asked >= 20
    Notification.objects.filter(client=other).delete()  # what it sent itself
    for kind in (Batch, Schedule, WebhookEndpoint):
        kind.objects.filter(client=other).delete()
    assert owned() == before


def test_a_person_reaches_only_what_is_their_own(world: dict[str, Any]) -> None:
    mallory = person("mallory")
    before = owned()
    for operation, told in operations().items():
        answer = ask(mallory, operation, told, world)
        where = (operation, answer.status_code)
        assert SECRET.encode() not in text(answer), where
        if {"userToken": []} not in told["security"]:
            assert answer.status_code == 403, where
        elif "{user_id}" in operation.path:
            assert answer.status_code in (403, 404), where
            answer_for_none = ask(mallory, operation, told, {**world, "user_id": "nobody"})
            assert text(answer_for_none) == text(answer), where
    for verb in ("seen", "read", "archive", "snooze", "act"):
        body = {"ids": [world["item"]], "id": world["item"], "until": "2099-01-01T00:00:00Z"}
        wanted = {"snooze": ("ids", "until"), "act": ("id",)}.get(verb, ("ids",))
        fields = {name: body[name] for name in wanted} | ({"key": "x"} if verb == "act" else {})
        answer = mallory.post(f"/api/v1/inbox/{verb}", fields, format="json")
        assert SECRET.encode() not in text(answer)
    Recipient.objects.filter(user_id="mallory").delete()
    assert owned() == before


def test_neither_nobody_nor_a_browser_of_staff_gets_in(world: dict[str, Any]) -> None:
    staff = Client()
    staff.force_login(User.objects.create_superuser("root", password="x"))
    before = owned()
    for operation, told in operations().items():
        for client in (APIClient(), staff):
            if client is staff and {"cookieAuth": []} in told["security"]:
                continue
            answer = ask(client, operation, told, world)
            assert answer.status_code == 401, (operation, answer.status_code)
            assert SECRET.encode() not in text(answer), operation
    assert owned() == before
