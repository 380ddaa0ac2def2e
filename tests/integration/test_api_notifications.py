"""`/api/v1/notifications` from outside: what is taken, what is refused and how, and nothing twice."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.api.serializers import MOST_TOLD
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, ApiKey, IdempotencyKey
from notifications.models import (
    Address,
    Delivery,
    Notification,
    Recipient,
    SimulatedMessage,
    Work,
)
from notifications.states import State
from notifications.types import Channel, SuppressionReason
from templates_app.models import Template
from tests.engine import drain, make_everything_due
from tests.factories import (
    AddressFactory,
    ApiClientFactory,
    AttemptFactory,
    CategoryFactory,
    DeliveryFactory,
    NotificationFactory,
    RecipientFactory,
    SuppressionFactory,
    TemplateVersionFactory,
)
from tests.integration.doors import FastClient
from tests.walk import each

URL = "/api/v1/notifications"
ADA = {"email": "ada@simulator.test"}
CONTENT = {"subject": "Hello", "text": "It works."}
GOOD: dict[str, Any] = {"to": ADA, "content": CONTENT}


@pytest.fixture(params=[APIClient, FastClient], ids=["django", "fast"])
def api(request: pytest.FixtureRequest, agent: ApiClient) -> APIClient:
    """Everything here holds at both doors."""
    return client_of(agent, request.param)


def but(**changes: Any) -> dict[str, Any]:
    """A good request with other or more fields; `None` leaves one out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def by_template(**changes: Any) -> dict[str, Any]:
    return but(**{"content": None, "template": "welcome", "data": {"name": "Ada"}, **changes})


def in_(**delta: float) -> str:
    return (timezone.now() + timedelta(**delta)).isoformat()


def client_of(agent: ApiClient, kind: type[APIClient] = APIClient) -> APIClient:
    client = kind()
    _, secret = keys.issue(agent, list(Scope))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def send(api: APIClient, body: Any, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else None
    return api.post(URL, body, format="json", headers=headers)


def assert_nothing_stored() -> None:
    for model in (Notification, Delivery, Work, IdempotencyKey, Recipient, Address):
        assert not model.objects.exists(), model.__name__
    assert not SimulatedMessage.objects.exists()


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    """The body of an answer that must be a problem with this status."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["type"] == f"urn:comms:problem:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.fixture
def welcome(db: None) -> None:
    TemplateVersionFactory.create(template__key="welcome")


# Bad input: what is wrong is named, nothing is stored, nothing is sent

BIG = "x" * 3_000_000

WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    # whom
    (but(to=None), "to"),
    (but(to={}), "to"),
    (but(to=[]), "to"),
    (but(to="ada@simulator.test"), "to"),
    (but(to={"email": None}), "to.email"),
    (but(to={"email": ""}), "to.email"),
    (but(to={"email": ["ada@simulator.test"]}), "to.email"),
    (but(to={"email": {"address": "ada@simulator.test"}}), "to.email"),
    (but(to={"email": True}), "to.email"),
    (but(to={"email": 1}), "to.email"),
    (but(to={"email": "nobody"}), "to.email"),
    (but(to={"email": "ada@simulator.test,bob@simulator.test"}), "to.email"),
    (but(to={"email": "ada@simulator.test bob@simulator.test"}), "to.email"),
    (but(to={"email": "Ada <ada@simulator.test>"}), "to.email"),
    (but(to={"email": "ada@simulator.test\nBcc: bob@simulator.test"}), "to.email"),
    (but(to={"email": "ada@simulator.test\r\n"}), "to.email"),
    (but(to={"email": BIG}), "to.email"),
    (but(to={"phone": "0151 2345678"}), "to.phone"),
    (but(to={"phone": "+4915112345678\n"}), "to.phone"),
    (but(to={"phone": "+4915112345678,+4915112345679"}), "to.phone"),
    (but(to={"phone": BIG}), "to.phone"),
    (but(to={"user_id": ""}), "to.user_id"),
    (but(to={"user_id": "u\n1", **ADA}), "to.user_id"),
    (but(to={"user_id": "u" * 201, **ADA}), "to.user_id"),
    (but(to={"user_id": {"id": 1}, **ADA}), "to.user_id"),
    (but(to={"user_id": "u-404"}), "to.user_id"),
    (but(to={**ADA, "fax": "1"}), "to.fax"),
    # what
    (but(content=None), "template"),
    (but(template="welcome"), "template"),
    (but(content=None, template="no-such"), "template"),
    (but(content=None, template=""), "template"),
    (but(content=None, template="we lcome"), "template"),
    (but(content=None, template=["welcome"]), "template"),
    (but(content={}), "content"),
    (but(content=[]), "content"),
    (but(content={"subject": "Hello"}), "content"),
    (but(content={"subject": "Hello", "text": ""}), "content.text"),
    (but(content={**CONTENT, "subject": "Hello\nBcc: bob@simulator.test"}), "content.subject"),
    (but(content={**CONTENT, "subject": "Hello\r\n"}), "content.subject"),
    (but(content={**CONTENT, "subject": "Hello\u2028you"}), "content.subject"),
    (but(content={**CONTENT, "subject": "x" * 999}), "content.subject"),
    (but(content={**CONTENT, "text": 1.5, "bodies": "x"}), "content.bodies"),
    (but(content={**CONTENT, "text": {}}), "content.text"),
    (but(content={**CONTENT, "html": "x" * 500_001}), "content.html"),
    (by_template(data={}), "data.name"),
    (by_template(data={"name": None, "other": [None]}, template="lists"), "data.items"),
    (by_template(data=[]), "data"),
    (by_template(data="name=Ada"), "data"),
    (by_template(data={"name": "x" * 20_000}), "data"),
    (by_template(data={"name": 10**4000}), "data"),
    (but(content={**CONTENT, "text": "{{ name }}"}, data={}), "data.name"),
    (but(content={**CONTENT, "text": "{{ name"}, data={}), "data"),
    (but(content={**CONTENT, "subject": "{{ name }}"}, data={"name": ""}), "data"),
    # how
    (but(channels=[]), "channels"),
    (but(channels="email"), "channels"),
    (but(channels=["fax"]), "channels.0"),
    (but(channels=["email", 1]), "channels.1"),
    (but(channels=["email"] * 5), "channels"),
    (but(channels=["sms"]), "channels.0"),
    (but(to={"phone": "+4915112345678"}, channels=["email"]), "channels.0"),
    (but(to={"email": "ada@simulator.test"}, content={"text": "Hi"}), "channels"),
    (but(category="no-such"), "category"),
    (but(category="no such"), "category"),
    (but(category=1.5), "category"),
    (but(priority="asap"), "priority"),
    (but(priority=["urgent"]), "priority"),
    (but(locale="de\nBcc: x"), "locale"),
    (but(locale="x" * 36), "locale"),
    (but(send_at="tomorrow"), "send_at"),
    (but(send_at=0), "send_at"),
    (but(send_at="2026-13-01T00:00:00Z"), "send_at"),
    (but(send_at="9999-12-31T23:59:59-12:00"), "send_at"),
    (but(send_at="2999-01-01T00:00:00Z"), "send_at"),
    (but(expires_at="2020-01-01T00:00:00Z"), "expires_at"),
    (but(send_at=in_(hours=2), expires_at=in_(hours=1)), "expires_at"),
    (but(expires_at="never"), "expires_at"),
    (but(dry_run="perhaps"), "dry_run"),
    # beside it
    (but(agent_id="a\nb"), "agent_id"),
    (but(agent_id="a" * 101), "agent_id"),
    (but(reference="r\r\nX-Evil: 1"), "reference"),
    (but(reference="r" * 201), "reference"),
    (but(reference={}), "reference"),
    (but(tags="news"), "tags"),
    (but(tags=["a"] * 11), "tags"),
    (but(tags=["a", "b\nc"]), "tags.1"),
    (but(tags=["a" * 65]), "tags.0"),
    (but(tags=[["a"]]), "tags.0"),
    (but(reply_to="nobody"), "reply_to"),
    (but(reply_to="help@example.com\nBcc: x@example.com"), "reply_to"),
    (but(reply_to="a@example.com, b@example.com"), "reply_to"),
    (but(metadata=["a"]), "metadata"),
    (but(metadata={"a": {"b": 1}}), "metadata.a"),
    (but(metadata={"a": "b\nc"}), "metadata.a"),
    (but(metadata={"a": "b" * 501}), "metadata.a"),
    (but(metadata={"a b": "c"}), "metadata"),
    (but(metadata={"X-Evil\n": "c"}), "metadata"),
    (but(metadata={f"k{number}": "v" for number in range(21)}), "metadata"),
    (but(attachments={}), "attachments"),
    (but(attachments=["a.txt"]), "attachments.0"),
    (but(attachments=[{"filename": "a.txt"}]), "attachments.0.content"),
    (but(attachments=[{"filename": "a.txt", "content": "?"}]), "attachments.0.content"),
    (but(attachments=[{"filename": "a.txt", "content": "é==="}]), "attachments.0.content"),
    (but(attachments=[{"filename": "../a", "content": "QQ=="}]), "attachments.0.filename"),
    (but(attachments=[{"filename": "a\nb", "content": "QQ=="}]), "attachments.0.filename"),
    (
        but(attachments=[{"filename": "a", "content": "QQ==", "content_type": "x\ny/z"}]),
        "attachments.0.content_type",
    ),
    (
        but(attachments=[{"filename": "a", "content": "QQ=="}, {"filename": "b", "size": 1}]),
        "attachments.1.size",
    ),
    (but(attachments=[{"filename": "a", "content": "QUFB" * 1_048_577}]), "attachments"),
    # nothing we know
    (but(subject="Hello"), "subject"),
    (but(To=ADA), "To"),
    (but(data={}, Data={}), "Data"),
]


@pytest.fixture
def lists(db: None) -> None:
    text = "{% for item in items %}{{ item }}{% endfor %}"
    TemplateVersionFactory.create(
        template__key="lists", channels={"email": {"subject": "S", "text": text}}
    )


@each(("body", "field"), WRONG_FIELDS)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    api: APIClient, welcome: None, lists: None, body, field
):
    problem = problem_of(send(api, body, "key-1"), 400)
    assert field in {error["field"] for error in problem["errors"]}
    assert all(error["code"] and error["message"] for error in problem["errors"])
    assert len(json.dumps(problem)) < 4000
    assert_nothing_stored()


def test_all_wrong_fields_are_named_together(api: APIClient):
    body = but(to={"email": "x"}, tags=["a" * 65], send_at="tomorrow")
    errors = problem_of(send(api, body), 400)["errors"]
    assert {error["field"] for error in errors} == {"to.email", "tags.0", "send_at"}


MALFORMED: list[bytes] = [
    b"{",
    b'{"to": {"email": "ada@simulator.test"},}',
    b"{'to': 1}",
    b'{"to": NaN}',
    b'{"to": -Infinity}',
    b'{"data": {"price": 1e400}}',
    b'{"to": 1, "to": 2}',
    b'{"to": "\\u0000"}',
    b'{"to": "\\ud800"}',
    b'{"\\u0000": 1}',
    b'{"to": "\xff"}',
    b'\xef\xbb\xbf{"to": 1}',
    b"\x00",
    b"[" * 100_000,
    b'{"to":' * 60 + b"1" + b"}" * 60,
    b'{"to": ' + b"9" * 5000 + b"}",
    b"to=ada",
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
def test_what_is_not_our_json_is_a_problem_and_nothing_is_stored(api: APIClient, body: bytes):
    answer = api.post(
        URL, body, content_type="application/json", headers={"Idempotency-Key": "key-1"}
    )
    assert problem_of(answer, 400)["errors"][0]["code"] == "malformed"
    assert_nothing_stored()


@pytest.mark.parametrize("body", [b"[]", b'"to"', b"1", b"true", b"null", b""])
def test_json_that_is_no_object_is_a_problem(api: APIClient, body: bytes):
    problem_of(api.post(URL, body, content_type="application/json"), 400)
    assert_nothing_stored()


def test_a_body_of_10_mb_is_413(api: APIClient):
    body = json.dumps(but(content={**CONTENT, "text": "x" * 10_000_000}))
    answer = api.post(URL, body, content_type="application/json")
    assert problem_of(answer, 413)["code"] == "too_large"
    assert_nothing_stored()


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"],
)
def test_another_content_type_is_415(api: APIClient, content_type: str):
    problem_of(api.post(URL, b"to=ada", content_type=content_type), 415)
    assert_nothing_stored()


@pytest.mark.parametrize(
    "name",
    ["tags", "channels", "actions", "attachments", "metadata", "nothing"],
)
def test_what_is_too_long_is_not_looked_through(api: APIClient, name: str):
    """One error for the whole, none for what is in it: looking costs the event loop a third of a
    second, and anybody can ask for it.
    """
    many = 3_000
    bodies: dict[str, dict[str, Any]] = {
        "tags": {"tags": [[]] * many},
        "channels": {"channels": [[]] * many},
        "actions": {"actions": [{}] * many},
        "attachments": {"attachments": [{}] * many},
        "metadata": {"metadata": {f"k{number}": [] for number in range(many)}},
        "nothing": {f"k{number}": 1 for number in range(many)},
    }
    given = bodies[name]
    errors = problem_of(send(api, but(**given)), 400)["errors"]
    assert len(errors) == (1 if name in given else MOST_TOLD), errors[:3]
    assert_nothing_stored()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_wrong_method_is_405(api: APIClient, method: str):
    answer = getattr(api, method)(URL, GOOD, format="json")
    assert problem_of(answer, 405)["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert_nothing_stored()


@pytest.mark.parametrize(
    "path", ["/api/v1/no-such", "/api/", "/api/v2/notifications", f"{URL}/not-a-uuid", f"{URL}/"]
)
def test_an_unknown_path_is_404(api: APIClient, path: str):
    assert problem_of(api.get(path), 404)["code"] == "not_found"


def _without_key(_: ApiClient) -> str:
    return ""


def _expired_key(agent: ApiClient) -> str:
    key, secret = keys.issue(agent, list(Scope))
    ApiKey.objects.filter(id=key.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    return secret


def _revoked_key(agent: ApiClient) -> str:
    key, secret = keys.issue(agent, list(Scope))
    keys.revoke(key)
    return secret


def _foreign_key(_: ApiClient) -> str:
    return f"comm_live_abcdefgh_{'x' * 43}"


def _key_of_nobody_any_more(agent: ApiClient) -> str:
    _, secret = keys.issue(agent, list(Scope))
    ApiClient.objects.filter(id=agent.id).update(is_active=False)
    return secret


def _altered_key(agent: ApiClient) -> str:
    """Its public part is right."""
    _, secret = keys.issue(agent, list(Scope))
    return secret[:-1] + ("a" if secret[-1] != "a" else "b")


@pytest.mark.parametrize("kind", [APIClient, FastClient], ids=["django", "fast"])
@pytest.mark.parametrize(
    "make",
    [
        _without_key,
        _expired_key,
        _revoked_key,
        _foreign_key,
        _key_of_nobody_any_more,
        _altered_key,
    ],
)
def test_without_a_key_of_ours_nothing_is_taken(
    agent: ApiClient, make: Callable[..., str], kind: type[APIClient]
):
    client = kind()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make(agent)}")
    problem_of(send(client, GOOD), 401)
    assert_nothing_stored()


@pytest.mark.parametrize("kind", [APIClient, FastClient], ids=["django", "fast"])
def test_a_key_without_the_scope_is_403(agent: ApiClient, kind: type[APIClient]):
    client = kind()
    _, secret = keys.issue(agent, [Scope.NOTIFICATIONS_READ])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    problem_of(send(client, GOOD), 403)
    assert client.get(URL).status_code == 200
    assert_nothing_stored()


# Good input


def accepted(api: APIClient, body: Any) -> dict[str, Any]:
    answer = send(api, body)
    assert answer.status_code == 202, answer.content
    found: dict[str, Any] = answer.json()
    return found


def parts_sent() -> dict[str, str]:
    parts: dict[str, str] = SimulatedMessage.objects.get().parts
    return parts


def test_a_template_is_filled_with_data(api: APIClient, welcome: None):
    body = accepted(api, by_template())
    drain()
    assert parts_sent() == {
        "subject": "Hello Ada",
        "text": "Good to have you, Ada.",
        "html": "<p>Good to have you, <b>Ada</b>.</p>",
    }
    shown = api.get(f"{URL}/{body['id']}").json()
    assert (shown["template"], shown["template_version"]) == ("welcome", 1)


def test_a_message_keeps_the_version_it_was_accepted_with(api: APIClient, welcome: None):
    accepted(api, by_template())
    template = Template.objects.get()
    TemplateVersionFactory.create(
        template=template, number=2, channels={"email": {"subject": "New", "text": "New"}}
    )
    drain()
    assert parts_sent()["subject"] == "Hello Ada"


def test_inline_content_is_filled_where_data_is_given(api: APIClient):
    content = {"subject": "For {{ name }}", "html": "<p>{{ name }}</p>"}
    accepted(api, but(content=content, data={"name": "A & B"}))
    drain()
    assert parts_sent() == {"subject": "For A & B", "html": "<p>A &amp; B</p>"}


def test_inline_content_without_data_is_sent_literally(api: APIClient):
    content = {"subject": "{{ name }}", "text": "{% if x %} {{ 1 +", "html": "<p>{{ name }}</p>"}
    accepted(api, but(content=content))
    drain()
    assert parts_sent() == content


def test_the_answer_names_each_delivery(api: APIClient):
    to = {"email": "Ada@SIMULATOR.test", "phone": "+49 151 12345678"}
    body = accepted(api, but(to=to, reference="order-7"))
    assert body["status"] == "queued"
    assert [
        {name: delivery[name] for name in ("channel", "to", "status", "reason")}
        for delivery in body["deliveries"]
    ] == [
        {"channel": "email", "to": "Ada@simulator.test", "status": "queued", "reason": ""},
        {"channel": "sms", "to": "+4915112345678", "status": "queued", "reason": ""},
    ]
    stored = Delivery.objects.values_list("id", flat=True)
    assert {delivery["id"] for delivery in body["deliveries"]} == {str(id_) for id_ in stored}


def test_only_the_channels_asked_for_are_used(api: APIClient):
    to = {"email": "ada@simulator.test", "phone": "+4915112345678"}
    body = accepted(api, but(to=to, channels=["sms", "sms"]))
    assert [delivery["channel"] for delivery in body["deliveries"]] == ["sms"]


def test_an_sms_goes_to_a_phone(api: APIClient):
    accepted(api, but(to={"phone": "+4915112345678"}, content={"text": "Your code is 1234"}))
    assert drain() == 1
    sent = SimulatedMessage.objects.get()
    assert (sent.channel, sent.address) == (Channel.SMS, "+4915112345678")
    assert sent.parts == {"text": "Your code is 1234"}
    assert sent.headers == {}


def test_an_address_beside_a_user_id_is_kept_unverified(api: APIClient):
    accepted(api, but(to={"user_id": "u-1", **ADA}))
    accepted(api, but(to={"user_id": "u-1", **ADA}))
    address = Address.objects.get()
    assert address.recipient.user_id == "u-1"
    assert (address.channel, address.value) == ("email", "ada@simulator.test")
    assert address.verified_at is None


def test_a_known_person_needs_no_address(api: APIClient):
    AddressFactory.create(recipient__user_id="u-1", value="ada@simulator.test")
    body = accepted(api, but(to={"user_id": "u-1"}))
    assert [delivery["to"] for delivery in body["deliveries"]] == ["ada@simulator.test"]
    assert api.get(f"{URL}/{body['id']}").json()["user_id"] == "u-1"


def test_an_address_that_is_given_wins_over_one_that_is_known(api: APIClient):
    AddressFactory.create(
        recipient__user_id="u-1", value="old@simulator.test", verified_at=timezone.now()
    )
    body = accepted(api, but(to={"user_id": "u-1", "email": "new@simulator.test"}))
    assert [delivery["to"] for delivery in body["deliveries"]] == ["new@simulator.test"]


def test_a_verified_address_wins_over_one_that_only_somebody_gave(api: APIClient):
    ada = RecipientFactory.create(user_id="u-1")
    AddressFactory.create(recipient=ada, value="older@simulator.test", verified_at=in_(days=-2))
    AddressFactory.create(recipient=ada, value="verified@simulator.test", verified_at=in_(days=-1))
    AddressFactory.create(recipient=ada, value="unverified@simulator.test")
    body = accepted(api, but(to={"user_id": "u-1"}))
    assert [delivery["to"] for delivery in body["deliveries"]] == ["verified@simulator.test"]


def test_the_newest_address_wins_where_none_is_verified(api: APIClient):
    ada = RecipientFactory.create(user_id="u-1")
    for value in ("first@simulator.test", "second@simulator.test"):
        AddressFactory.create(recipient=ada, value=value)
    body = accepted(api, but(to={"user_id": "u-1"}))
    assert [delivery["to"] for delivery in body["deliveries"]] == ["second@simulator.test"]


def test_a_message_for_later_is_scheduled_and_waits(api: APIClient):
    body = accepted(api, but(send_at=in_(hours=1), expires_at=in_(hours=2)))
    assert body["status"] == "scheduled"
    assert drain() == 0
    make_everything_due()
    assert drain() == 1
    assert api.get(f"{URL}/{body['id']}").json()["status"] == "sent"


def test_a_time_that_has_passed_means_now(api: APIClient):
    assert accepted(api, but(send_at="2020-01-01T00:00:00Z"))["status"] == "queued"
    assert drain() == 1


def test_a_message_that_waited_too_long_expires_with_its_reason(api: APIClient):
    body = accepted(api, but(expires_at=in_(hours=1)))
    Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    drain()
    (delivery,) = api.get(f"{URL}/{body['id']}").json()["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("expired", [])
    assert delivery["reason"] == "it expired before it could be sent"
    assert [event["type"] for event in delivery["events"]] == ["accepted", "expired"]
    assert not SimulatedMessage.objects.exists()


def test_a_dry_run_says_what_would_happen_and_stores_nothing(api: APIClient):
    answer = send(api, but(to={"user_id": "u-1", **ADA}, dry_run=True), "key-1")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["id"], body["status"]) == (None, "queued")
    assert [delivery["id"] for delivery in body["deliveries"]] == [None]
    assert_nothing_stored()


def test_a_dry_run_tells_of_a_suppression(api: APIClient):
    SuppressionFactory.create(address="ada@simulator.test", reason=SuppressionReason.BOUNCE)
    (delivery,) = send(api, but(dry_run=True)).json()["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("suppressed", "the address bounced")


def test_a_dry_run_refuses_what_the_real_run_would(api: APIClient):
    problem_of(send(api, but(dry_run=True, category="no-such")), 400)


def test_a_message_to_a_suppressed_address_is_stored_and_never_sent(api: APIClient):
    SuppressionFactory.create(address="ada@simulator.test", reason=SuppressionReason.MANUAL)
    body = accepted(api, GOOD)
    assert body["status"] == "suppressed"
    assert body["deliveries"][0]["reason"] == "the address was suppressed by staff"
    assert not Work.objects.exists()


def test_all_that_may_come_with_a_message_is_kept_to_its_limits(api: APIClient):
    CategoryFactory.create(key="news")
    attachment = {"filename": "größe.csv", "content": b64encode(b"a;b" * 1_048_576).decode()}
    body = accepted(
        api,
        but(
            category="news",
            priority="urgent",
            locale="de-AT",
            agent_id="a" * 100,
            reference="r" * 200,
            tags=[f"{number}{'t' * 63}" for number in range(10)],
            metadata={f"k{number}": "v" * 500 for number in range(20)},
            reply_to="Help@EXAMPLE.com",
            attachments=[{**attachment, "content_type": "text/csv"}],
            content={"subject": "s" * 998, "text": "t" * 500_000},
        ),
    )
    shown = api.get(f"{URL}/{body['id']}").json()
    assert shown["category"] == "news"
    assert shown["priority"] == "urgent"
    assert shown["locale"] == "de-AT"
    assert len(shown["tags"]) == 10
    assert len(shown["metadata"]) == 20
    assert shown["agent_id"] == "a" * 100
    assert shown["reference"] == "r" * 200
    row = Notification.objects.get()
    assert row.reply_to == "Help@example.com"
    assert len(row.attachments) == 1


def test_data_may_hold_names_that_mean_something_in_python(api: APIClient):
    data = {"self": "a", "name": "b", "template_name": "c", "items": "d", "class": "e"}
    text = "{{ self }}{{ name }}{{ template_name }}{{ items }}{{ class }}"
    accepted(api, but(content={"subject": "S", "text": text}, data=data))
    drain()
    assert parts_sent()["text"] == "abcde"


# Reading


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def test_another_agents_message_is_not_found(api: APIClient):
    body = accepted(api, GOOD)
    stranger = client_of(ApiClientFactory.create())
    assert api.get(f"{URL}/{body['id']}").status_code == 200
    theirs = problem_of(stranger.get(f"{URL}/{body['id']}"), 404)
    absent = problem_of(stranger.get(f"{URL}/019a0000-0000-7000-8000-000000000001"), 404)
    assert theirs == absent
    assert ids(stranger.get(URL)) == []


def test_the_list_is_newest_first_in_pages(api: APIClient):
    made = [accepted(api, but(reference=f"r{number}"))["id"] for number in range(5)]
    page = api.get(URL, {"limit": 2})
    assert ids(page) == [made[4], made[3]]
    assert page.json()["previous"] is None
    second = api.get(page.json()["next"])
    assert ids(second) == [made[2], made[1]]
    third = api.get(second.json()["next"])
    assert ids(third) == [made[0]]
    assert third.json()["next"] is None
    assert ids(api.get(third.json()["previous"])) == [made[2], made[1]]


def test_a_page_stays_where_it_is_while_messages_come_in(api: APIClient):
    made = [accepted(api, GOOD)["id"] for _ in range(3)]
    page = api.get(URL, {"limit": 2})
    accepted(api, GOOD)
    assert ids(api.get(page.json()["next"])) == [made[0]]


def test_the_list_filters_by_reference_status_person_and_time(api: APIClient):
    first = accepted(api, but(reference="first", to={"user_id": "u-1", **ADA}))["id"]
    drain()
    second = accepted(api, but(reference="second", to={"user_id": "u-2", **ADA}))["id"]
    assert ids(api.get(URL, {"reference": "first"})) == [first]
    assert ids(api.get(URL, {"status": "sent"})) == [first]
    assert ids(api.get(URL, {"status": "queued"})) == [second]
    assert ids(api.get(URL, {"status": "sending"})) == []
    assert ids(api.get(URL, {"user_id": "u-2"})) == [second]
    begin = api.get(f"{URL}/{second}").json()["created_at"]
    assert ids(api.get(URL, {"created_after": begin})) == [second]
    assert ids(api.get(URL, {"reference": "first", "user_id": "u-2"})) == []


def test_a_message_that_is_being_handed_over_is_shown_as_sending(api: APIClient, agent: ApiClient):
    delivery = DeliveryFactory.create(notification=NotificationFactory(client=agent))
    AttemptFactory.create(delivery=delivery, state="calling", ended_at=None)
    assert ids(api.get(URL, {"status": "sending"})) == [str(delivery.notification_id)]
    shown = api.get(f"{URL}/{delivery.notification_id}").json()
    assert shown["status"] == "sending"
    assert [e["type"] for e in shown["deliveries"][0]["events"]] == ["accepted", "sending"]


WRONG_QUERIES = [
    {"status": "lost"},
    {"status": "\x00"},
    {"created_after": "yesterday"},
    {"created_after": "2026-02-30T00:00:00Z"},
    {"created_after": "2026-01-01T00:00:00"},
    {"created_after": "2026-01-01"},
    {"reference": "a\x00b"},
    {"user_id": "a\x00b"},
    {"cursor": "nonsense"},
    {"cursor": b64encode(b"p=nonsense").decode()},
    {"cursor": b64encode(b"p=%00").decode()},
    {"cursor": b64encode(b"o=-1&p=2026").decode()},
]


@pytest.mark.parametrize("query", WRONG_QUERIES, ids=str)
def test_a_wrong_query_is_a_problem_that_names_it(api: APIClient, query: dict[str, str]):
    accepted(api, GOOD)
    problem = problem_of(api.get(URL, query), 400)
    assert [error["field"] for error in problem["errors"]] == list(query)


def test_a_list_costs_the_same_number_of_queries_however_long_it_is(
    api: APIClient, agent: ApiClient, django_assert_max_num_queries: Any
):
    for _ in range(20):
        AttemptFactory.create(
            delivery=DeliveryFactory.create(
                notification=NotificationFactory.create(
                    client=agent, recipient=RecipientFactory.create(), category=CategoryFactory()
                )
            )
        )
    with django_assert_max_num_queries(8):
        assert len(ids(api.get(URL))) == 20


# Idempotency


def test_a_repeated_request_gets_the_first_answer_and_makes_no_second_message(api: APIClient):
    first = send(api, GOOD, "key-1")
    again = send(api, GOOD, "key-1")
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Notification.objects.count() == Work.objects.count() == 1


def test_the_first_answer_is_given_even_when_the_message_has_gone_on(api: APIClient):
    first = send(api, GOOD, "key-1").json()
    drain()
    assert send(api, GOOD, "key-1").json() == first
    assert SimulatedMessage.objects.count() == 1


def test_the_same_json_written_otherwise_is_the_same_request(api: APIClient):
    send(api, GOOD, "key-1")
    other = json.dumps(dict(reversed(GOOD.items())), indent=3)
    answer = api.post(
        URL, other, content_type="application/json", headers={"Idempotency-Key": "key-1"}
    )
    assert answer.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "other", [but(reference="x"), but(content={**CONTENT, "text": "It works!"}), but(dry_run=False)]
)
def test_the_same_key_with_another_body_is_422(api: APIClient, other: dict[str, Any]):
    send(api, GOOD, "key-1")
    assert problem_of(send(api, other, "key-1"), 422)["code"] == "idempotency_key_reused"
    assert Notification.objects.count() == 1


def test_a_key_belongs_to_its_agent(api: APIClient):
    stranger = client_of(ApiClientFactory.create())
    first, theirs = send(api, GOOD, "key-1"), send(stranger, but(reference="x"), "key-1")
    assert theirs.status_code == 202
    assert theirs.json()["id"] != first.json()["id"]


def test_a_key_is_the_agents_and_not_the_api_keys(agent: ApiClient):
    first = send(client_of(agent), GOOD, "key-1")
    assert send(client_of(agent), GOOD, "key-1").json() == first.json()
    assert Notification.objects.count() == 1


@pytest.mark.parametrize(
    "refused", [but(to={"email": "x"}), but(category="no-such"), but(to={"user_id": "u-404"})]
)
def test_a_key_may_be_used_again_after_a_refusal(api: APIClient, refused: dict[str, Any]):
    problem_of(send(api, refused, "key-1"), 400)
    answer = send(api, GOOD, "key-1")
    assert answer.status_code == 202
    assert "Idempotent-Replayed" not in answer.headers


def test_without_a_key_every_request_is_a_message(api: APIClient):
    assert accepted(api, GOOD)["id"] != accepted(api, GOOD)["id"]


@pytest.mark.parametrize(
    ("key", "status"),
    [("k" * 255, 202), ("k" * 256, 400), ("k" * 100_000, 400), ("a\tb", 400), ("a\x7fb", 400)],
)
def test_a_key_has_at_most_255_printable_characters(api: APIClient, key: str, status: int):
    answer = send(api, GOOD, key)
    assert answer.status_code == status, answer.content
    if status == 400:
        errors = problem_of(answer, 400)["errors"]
        assert [error["field"] for error in errors] == ["Idempotency-Key"]
        assert_nothing_stored()


# Idempotency of requests at the same time: real transactions, each in its own connection


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """Threads with connections of their own, closed in the end."""
    with ThreadPoolExecutor(4) as threads:
        yield threads
        barrier = threading.Barrier(4)

        def close() -> None:
            barrier.wait(5)
            connections.close_all()

        for done in [threads.submit(close) for _ in range(4)]:
            done.result()


@pytest.mark.django_db(transaction=True)
def test_while_the_first_request_is_carried_out_the_second_is_told_409(
    agent: ApiClient, elsewhere: ThreadPoolExecutor
):
    api = client_of(agent)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            IdempotencyKey.objects.create(client=agent, key="key-1", fingerprint=b"x", response={})
            held.set()
            release.wait(20)
            transaction.set_rollback(True)

    holding = elsewhere.submit(hold)
    assert held.wait(5)
    try:
        answer = send(api, GOOD, "key-1")
        assert problem_of(answer, 409)["code"] == "idempotency_key_in_flight"
        assert answer.headers["Retry-After"] == "1"
        assert not Notification.objects.exists()
        assert send(api, GOOD, "key-2").status_code == 202
    finally:
        release.set()
        holding.result(5)
    assert send(api, GOOD, "key-1").status_code == 202
    assert Notification.objects.count() == 2
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("10s",)


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_the_same_time_exactly_one_makes_a_message(
    agent: ApiClient, elsewhere: ThreadPoolExecutor
):
    clients = [client_of(agent) for _ in range(4)]
    for turn in range(5):
        barrier = threading.Barrier(4)

        def post(api: APIClient, key: str, barrier: threading.Barrier) -> Any:
            barrier.wait(5)
            return send(api, GOOD, key)

        asked = [elsewhere.submit(post, api, f"key-{turn}", barrier) for api in clients]
        answers = [one.result(20) for one in asked]
        assert [answer.status_code for answer in answers] == [202] * 4
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 3
        assert Notification.objects.count() == turn + 1
    assert Work.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_different_requests_with_one_key_one_wins_and_the_others_are_422(
    agent: ApiClient, elsewhere: ThreadPoolExecutor
):
    barrier = threading.Barrier(4)

    def post(number: int, api: APIClient) -> Any:
        barrier.wait(5)
        return send(api, but(reference=f"r{number}"), "key-1")

    asked = [elsewhere.submit(post, number, client_of(agent)) for number in range(4)]
    statuses = sorted(one.result(20).status_code for one in asked)
    assert statuses == [202, 422, 422, 422]
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_new_people_in_requests_at_the_same_time_are_made_once(
    agent: ApiClient, elsewhere: ThreadPoolExecutor
):
    barrier = threading.Barrier(4)

    def post(api: APIClient) -> Any:
        barrier.wait(5)
        return send(api, but(to={"user_id": "u-1", **ADA}))

    asked = [elsewhere.submit(post, client_of(agent)) for _ in range(4)]
    assert [one.result(20).status_code for one in asked] == [202] * 4
    assert Recipient.objects.count() == Address.objects.count() == 1
    assert Notification.objects.filter(recipient__user_id="u-1").count() == 4


def test_states_in_answers_are_ones_the_schema_knows(api: APIClient):
    assert accepted(api, GOOD)["status"] in State.values
