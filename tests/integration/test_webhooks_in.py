"""What providers report, from the signed call over HTTP to the state of the message and the lists."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common.ids import new_id
from notifications.models import (
    Attempt,
    Category,
    Delivery,
    Event,
    SimulatedMessage,
    Suppression,
)
from notifications.providers import simulator
from notifications.providers.base import CannotVerify, Webhook
from notifications.services import status
from notifications.types import EventType, ProviderEvent
from tests.engine import drain
from tests.factories import AttemptFactory, CategoryFactory, DeliveryFactory
from tracking import tasks
from tracking.models import Bounce, WebhookReceipt
from tracking.services import bounces, ingest
from tracking.webhooks import MAX_BYTES

pytestmark = pytest.mark.django_db

URL = "/webhooks/simulator/"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTENT = {"subject": "Hello", "text": "It works."}


def report(attempt_id: object, kind: str, **changes: Any) -> dict[str, Any]:
    """One event as the simulator writes it; the same for the same attempt and kind."""
    event = {
        "id": f"{attempt_id}-{kind}",
        "type": kind,
        "at": AT.isoformat(),
        "attempt_id": str(attempt_id),
        "ref": "ref-1",
        "code": "550 5.1.1" if kind == "bounced" else "",
    }
    return {**event, **changes}


def body_of(*events: dict[str, Any]) -> bytes:
    return json.dumps({"id": new_id().hex, "events": events}).encode()


def signed(body: bytes, *, age: float = 0) -> dict[str, str]:
    timestamp = str(int(timezone.now().timestamp() - age))
    return {
        simulator.TIMESTAMP: timestamp,
        simulator.SIGNATURE: simulator._sign(timestamp, body),
    }


def post(body: bytes, headers: dict[str, str] | None = None, url: str = URL) -> Any:
    return Client().post(
        url,
        body,
        content_type="application/json",
        headers=signed(body) if headers is None else headers,
    )


def tell(*events: dict[str, Any]) -> None:
    """Post events as the provider would, and have them applied."""
    assert post(body_of(*events)).status_code == 200
    ingest.run()


def problem_of(answer: Any, status_code: int) -> dict[str, Any]:
    assert answer.status_code == status_code, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


def state_of(attempt: Attempt) -> str:
    return Delivery.objects.get(id=attempt.delivery_id).state


@pytest.fixture
def attempt() -> Attempt:
    return AttemptFactory.create()


# The door


def _unsigned(_: bytes) -> dict[str, str]:
    return {}


def _without_time(body: bytes) -> dict[str, str]:
    return {simulator.SIGNATURE: signed(body)[simulator.SIGNATURE]}


def _without_signature(body: bytes) -> dict[str, str]:
    return {simulator.TIMESTAMP: signed(body)[simulator.TIMESTAMP]}


def _of_another_body(body: bytes) -> dict[str, str]:
    return signed(body + b" ")


def _of_another_time(body: bytes) -> dict[str, str]:
    return {**signed(body), simulator.TIMESTAMP: str(int(timezone.now().timestamp()) - 1)}


def _stale(body: bytes) -> dict[str, str]:
    return signed(body, age=simulator.FRESH_SECONDS + 5)


def _of_the_future(body: bytes) -> dict[str, str]:
    return signed(body, age=-simulator.FRESH_SECONDS - 5)


def _not_ascii(body: bytes) -> dict[str, str]:
    return {**signed(body), simulator.SIGNATURE: "é" * 64}


def _time_is_no_number(body: bytes) -> dict[str, str]:
    return {**signed(body), simulator.TIMESTAMP: "now"}


@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _without_time,
        _without_signature,
        _of_another_body,
        _of_another_time,
        _stale,
        _of_the_future,
        _not_ascii,
        _time_is_no_number,
    ],
)
def test_what_the_provider_did_not_sign_just_now_is_refused_and_not_stored(attempt, forge):
    body = body_of(report(attempt.id, "bounced"))
    assert problem_of(post(body, forge(body)), 400)["code"] == "bad_signature"
    assert not WebhookReceipt.objects.exists()
    ingest.run()
    assert state_of(attempt) == "sent"


@pytest.mark.parametrize("provider", ["no-such", "sendgrid", "ses", "SIMULATOR"])
def test_a_provider_that_is_not_on_is_404(provider):
    problem_of(post(b"{}", url=f"/webhooks/{provider}/"), 404)
    assert not WebhookReceipt.objects.exists()


def test_a_body_that_is_too_large_is_413():
    body = b"x" * (MAX_BYTES + 1)
    assert problem_of(post(body), 413)["code"] == "too_large"
    assert not WebhookReceipt.objects.exists()
    assert post(b"x" * MAX_BYTES).status_code == 200


@pytest.mark.parametrize(("method", "status_code"), [("head", 200), ("get", 405), ("put", 405)])
def test_consoles_may_look_whether_the_address_exists(method, status_code):
    assert getattr(Client(), method)(URL).status_code == status_code


def test_a_webhook_is_stored_raw_before_anything_is_done_with_it(attempt):
    body = body_of(report(attempt.id, "delivered"))
    answer = post(body)
    assert (answer.status_code, answer.content) == (200, b"")
    receipt = WebhookReceipt.objects.get()
    assert bytes(receipt.body) == body
    assert (receipt.provider, receipt.processed_at, receipt.tries) == ("simulator", None, 0)
    assert state_of(attempt) == "sent"
    assert ingest.run() == 1
    assert state_of(attempt) == "delivered"
    receipt.refresh_from_db()
    assert receipt.processed_at is not None


def test_the_same_webhook_five_times_is_one_receipt_and_one_event(attempt):
    body = body_of(report(attempt.id, "bounced"))
    for _ in range(5):
        assert post(body).status_code == 200
        ingest.run()
    assert WebhookReceipt.objects.count() == 1
    assert Event.objects.count() == Bounce.objects.count() == Suppression.objects.count() == 1


def test_the_same_event_in_five_webhooks_is_one_event(attempt):
    for _ in range(5):
        tell(report(attempt.id, "bounced"))
    assert WebhookReceipt.objects.count() == 5
    assert Event.objects.count() == Bounce.objects.count() == Suppression.objects.count() == 1


# Any order, any repetition


def final(events: list[list[str]]) -> tuple[str, str, tuple[str, ...], int]:
    """Tell a new attempt's `events`, webhook by webhook: its state, reason, bounces, events."""
    attempt = AttemptFactory.create()
    for webhook in events:
        tell(*(report(attempt.id, kind) for kind in webhook))
    delivery = Delivery.objects.get(id=attempt.delivery_id)
    kinds = Bounce.objects.filter(delivery_id=delivery.id).values_list("kind", flat=True)
    return delivery.state, delivery.reason, tuple(sorted(kinds)), delivery.events.count()


@pytest.mark.parametrize(
    "kinds",
    [
        ["delivered"],
        ["sent", "delivered"],
        ["delivered", "bounced"],
        ["delivered", "complained"],
        ["delivered", "bounced", "complained"],
        ["sent", "bounced", "opened"],
    ],
    ids="-".join,
)
def test_any_order_and_repetition_of_reports_ends_the_same(kinds):
    stories = [[list(order)] for order in itertools.permutations(kinds)]
    stories += [[[kind] for kind in order] for order in itertools.permutations(kinds)]
    stories += [[[kind] for kind in order * 2] for order in itertools.permutations(kinds)]
    assert len({final(story) for story in stories}) == 1


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["bounced", "delivered"], "bounced"),
        (["delivered", "bounced"], "bounced"),
        (["complained", "bounced", "delivered"], "complained"),
        (["opened", "clicked", "deferred"], "sent"),
    ],
)
def test_reports_raise_the_state_and_never_lower_it(kinds, state):
    assert final([[kind] for kind in kinds])[0] == state


def test_a_bounce_says_why(attempt):
    tell(report(attempt.id, "bounced"))
    assert Delivery.objects.get().reason == "550 5.1.1"


def test_a_report_about_an_attempt_whose_answer_was_lost_is_the_answer():
    attempt = AttemptFactory.create(
        state="unknown", delivery__state="unknown", delivery__provider=""
    )
    tell(report(attempt.id, "delivered"))
    attempt.refresh_from_db()
    assert (attempt.state, attempt.provider_ref) == ("accepted", "ref-1")
    assert state_of(attempt) == "delivered"


@pytest.mark.parametrize(
    "end", ["failed", "dead", "unconfirmed", "suppressed", "cancelled", "expired"]
)
def test_a_receipt_raises_even_what_the_engine_had_given_up(end):
    attempt = AttemptFactory.create(delivery__state=end)
    tell(report(attempt.id, "delivered"))
    assert state_of(attempt) == "delivered"


def test_an_attempt_that_is_not_here_may_still_come_and_the_others_count_at_once(attempt):
    late = new_id()
    with time_machine.travel(AT, tick=False) as clock:
        tell(report(late, "bounced"), report(attempt.id, "delivered"))
        assert state_of(attempt) == "delivered"
        assert Event.objects.count() == 1
        assert not Bounce.objects.exists()
        receipt = WebhookReceipt.objects.get()
        assert (receipt.processed_at, receipt.error) == (None, "unknown message")
        other = AttemptFactory.create(id=late)
        clock.shift(timedelta(seconds=5))
        assert ingest.run() == 1
    assert (state_of(attempt), state_of(other)) == ("delivered", "bounced")
    receipt.refresh_from_db()
    assert (receipt.processed_at is not None, receipt.error) == (True, "")


def test_an_attempt_that_never_comes_is_left_with_that_as_its_reason():
    with time_machine.travel(AT, tick=False) as clock:
        tell(report(new_id(), "bounced"))
        waits = []
        while WebhookReceipt.objects.get().processed_at is None:
            receipt = WebhookReceipt.objects.get()
            waits.append((receipt.next_try_at - timezone.now()).total_seconds())
            clock.move_to(receipt.next_try_at)
            assert ingest.run() == 1
    assert waits == [5, 20, 80, 320]
    assert WebhookReceipt.objects.get().error == "unknown message"


def test_what_another_provider_sent_is_left_out_and_the_others_count_at_once(attempt):
    others = AttemptFactory.create(provider="simulator-b")
    tell(report(others.id, "bounced"), report(attempt.id, "delivered"))
    assert (state_of(attempt), state_of(others)) == ("delivered", "sent")
    receipt = WebhookReceipt.objects.get()
    assert (receipt.processed_at is not None, receipt.error) == (True, "another provider's message")
    tell(report(others.id, "bounced"), report(new_id(), "bounced"))
    assert WebhookReceipt.objects.get(processed_at=None).error == "unknown message"
    assert state_of(others) == "sent"


def test_what_may_have_killed_its_process_is_taken_alone():
    bodies = [body_of(report(new_id(), "opened")) for _ in range(4)]
    for body in bodies:
        post(body)
    second = WebhookReceipt.objects.order_by("next_try_at")[1]
    WebhookReceipt.objects.filter(id=second.id).update(tries=ingest.ALONE_AT)
    assert [len(ingest._claim()) for _ in range(4)] == [1, 1, 2, 0]


# What cannot be applied


UNREADABLE = [
    b"",
    b"not json",
    b"[]",
    b"{}",
    b'{"events": [{}]}',
    b'{"events": [{"type": "exploded"}]}',
    b'{"events": null}',
    b"\xff\xfe",
    b"[" * 50_000,
]


WAITS = [timedelta(seconds=seconds) for seconds in (5, 20, 80, 320, 1280, 3600, 3600, 3600)]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:25]))
def test_a_body_that_cannot_be_read_is_tried_ever_later_and_then_left_with_its_error(body):
    with time_machine.travel(AT, tick=False) as clock:
        assert post(body).status_code == 200
        for tries, wait in enumerate(WAITS, start=1):
            assert [ingest.run(), ingest.run()] == [1, 0]
            receipt = WebhookReceipt.objects.get()
            assert (receipt.tries, receipt.next_try_at - timezone.now()) == (tries, wait)
            clock.shift(wait)
        assert ingest.run() == 0
    receipt = WebhookReceipt.objects.get()
    assert receipt.processed_at is None
    assert receipt.error.endswith(("Error", "Exception"))


def test_a_bad_webhook_does_not_hold_up_those_behind_it(attempt):
    post(b"not json")
    post(body_of(report(attempt.id, "bounced", code={})))
    post(body_of(report(attempt.id, "delivered")))
    assert ingest.run() == 3
    assert state_of(attempt) == "delivered"


class Talkative(simulator.Simulator):
    """A provider whose reports carry what is no JSON for PostgreSQL."""

    @override
    def parse(self, webhook: Webhook) -> list[ProviderEvent]:
        return [replace(event, data={"score": nan}) for event in super().parse(webhook)]


def test_a_webhook_the_database_refuses_does_not_hold_up_those_behind_it(attempt, settings):
    entry = {**settings.PROVIDERS["simulator"], "CLASS": f"{__name__}.Talkative"}
    settings.PROVIDERS = {**settings.PROVIDERS, "talkative": entry}
    other = AttemptFactory.create(provider="talkative")
    post(body_of(report(other.id, "bounced")), url="/webhooks/talkative/")
    post(body_of(report(attempt.id, "delivered")))
    assert ingest.run() == 2
    assert WebhookReceipt.objects.get(provider="talkative").error == "DataError"
    assert state_of(attempt) == "delivered"


def test_what_a_process_took_and_died_of_is_taken_again_after_twenty_seconds(attempt):
    with time_machine.travel(AT, tick=False) as clock:
        post(body_of(report(attempt.id, "delivered")))
        assert ingest._claim()
        clock.shift(19)
        assert ingest.run() == 0
        clock.shift(1)
        assert ingest.run() == 1
    assert state_of(attempt) == "delivered"


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_read_outside_any_transaction_and_applied_in_one(attempt, monkeypatch):
    seen: list[bool] = []

    def noting(function: Any) -> Any:
        def call(*args: Any) -> Any:
            seen.append(connection.in_atomic_block)
            return function(*args)

        return call

    monkeypatch.setattr(simulator.Simulator, "parse", noting(simulator.Simulator.parse))
    for module, name in ((status, "apply"), (bounces, "record")):
        monkeypatch.setattr(module, name, noting(getattr(module, name)))
    tell(report(attempt.id, "delivered"))
    assert seen == [False, True, True]
    assert state_of(attempt) == "delivered"


def _deadlock(*_: object) -> None:
    raise OperationalError("deadlock detected")


def _cut(*_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", [_deadlock, _cut])
def test_trouble_of_the_database_is_raised_and_costs_the_webhook_no_try(
    attempt, monkeypatch, trouble
):
    with time_machine.travel(AT, tick=False) as clock:
        post(body_of(report(attempt.id, "bounced")))
        with monkeypatch.context() as broken:
            broken.setattr(bounces, "record", trouble)
            with pytest.raises(OperationalError):
                ingest.run()
        receipt = WebhookReceipt.objects.get()
        assert (receipt.tries, receipt.error, receipt.processed_at) == (0, "", None)
        assert state_of(attempt) == "sent"
        assert ingest.run() == 0
        clock.shift(20)
        assert ingest.run() == 1
    assert state_of(attempt) == "bounced"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_loses_the_database_leaves_the_webhook_where_it_is(attempt, monkeypatch):
    post(body_of(report(attempt.id, "bounced")))
    with monkeypatch.context() as broken:
        broken.setattr(bounces, "record", _cut)
        tasks.ingest()
    receipt = WebhookReceipt.objects.get()
    assert (receipt.tries, receipt.processed_at) == (0, None)


def test_a_webhook_that_is_applied_in_the_end_has_no_error(attempt):
    post(body_of(report(attempt.id, "delivered")))
    WebhookReceipt.objects.update(tries=3, error="OSError")
    ingest.run()
    receipt = WebhookReceipt.objects.get()
    assert receipt.error == ""
    assert receipt.processed_at is not None


def test_nothing_of_a_webhook_is_applied_when_one_part_fails(attempt):
    post(body_of(report(attempt.id, "bounced"), report(attempt.id, "clicked", code={})))
    ingest.run()
    assert state_of(attempt) == "sent"
    assert not Event.objects.exists()
    assert not Bounce.objects.exists()
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("code", ["550 \x00 5.1.1", "\ud800", "x" * 5000, "\u2028\x7f"])
def test_whatever_a_mail_server_said_the_report_counts(attempt, code):
    tell(report(attempt.id, "bounced", code=code, id=f"id {code}", ref=code))
    assert state_of(attempt) == "bounced"
    assert Event.objects.get().type == Bounce.objects.get().kind.replace("hard", "bounced")


def test_what_a_report_carries_is_kept_without_what_cannot_be_stored(attempt):
    data = {"a\x00": ["\x00b", {"c": "\udfff", "d": 1, "e": None}]}
    status.apply("simulator", [ProviderEvent(EventType.OPENED, AT, "1", attempt.id, data=data)])
    assert Event.objects.get().data == {"a": ["b", {"c": "?", "d": 1, "e": None}]}


# Bounces and the suppression list


def told(attempt: Attempt, kind: EventType, *, permanent: bool = False) -> None:
    """A report of a provider that tells soft bounces from hard ones."""
    event = ProviderEvent(
        kind, AT, f"{attempt.id}-{kind}", attempt.id, permanent=permanent, code="4.2.2"
    )
    status.apply("simulator", [event])


def test_a_hard_bounce_is_recorded_and_suppresses_the_address(attempt):
    told(attempt, EventType.BOUNCED, permanent=True)
    bounce, entry = Bounce.objects.get(), Suppression.objects.get()
    assert (bounce.kind, bounce.delivery_id, bounce.code) == ("hard", attempt.delivery_id, "4.2.2")
    assert bounce.address_hash == entry.address_hash == attempt.delivery.address_hash
    assert (entry.reason, entry.scope, entry.source) == ("bounce", "*", "simulator")
    assert entry.delivery_id == attempt.delivery_id


def test_a_soft_bounce_is_recorded_and_suppresses_nobody(attempt):
    told(attempt, EventType.BOUNCED, permanent=False)
    assert Bounce.objects.get().kind == "soft"
    assert not Suppression.objects.exists()


def test_a_complaint_suppresses_every_category():
    category = CategoryFactory.create(key="news")
    attempt = AttemptFactory.create(delivery__notification__category=category)
    told(attempt, EventType.COMPLAINED)
    assert Bounce.objects.get().kind == "complaint"
    assert Suppression.objects.get().scope == "*"


@pytest.mark.parametrize(("key", "scope"), [("news", "news"), (None, "*")])
def test_an_unsubscribe_at_the_provider_is_for_the_messages_category(key, scope):
    category = CategoryFactory.create(key=key) if key else None
    attempt = AttemptFactory.create(delivery__notification__category=category)
    told(attempt, EventType.UNSUBSCRIBED)
    entry = Suppression.objects.get()
    assert (entry.reason, entry.scope) == ("unsubscribe", scope)
    assert not Bounce.objects.exists()


def test_a_second_bounce_leaves_the_first_entry_as_it_is(attempt):
    told(attempt, EventType.BOUNCED, permanent=True)
    first = Suppression.objects.values().get()
    again = AttemptFactory.create(delivery=DeliveryFactory(address=attempt.delivery.address))
    told(again, EventType.BOUNCED, permanent=True)
    assert Suppression.objects.values().get() == first
    assert Bounce.objects.count() == 2


def send(api: APIClient, address: str, **more: Any) -> dict[str, Any]:
    body = {"to": {"email": address}, "content": CONTENT, **more}
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    drain()
    found: dict[str, Any] = api.get(f"/api/v1/notifications/{answer.json()['id']}").json()
    return found


def report_of_last(kind: str) -> None:
    tell(report(SimulatedMessage.objects.latest("id").attempt_id, kind))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("bounced", "the address bounced"),
        ("complained", "the recipient marked a message as spam"),
    ],
)
def test_the_next_message_to_that_address_is_suppressed_without_an_attempt(api, kind, reason):
    first = send(api, "Ada@simulator.test")
    report_of_last(kind)
    assert api.get(f"/api/v1/notifications/{first['id']}").json()["status"] == kind
    second = send(api, "ada@SIMULATOR.test")
    (delivery,) = second["deliveries"]
    assert (delivery["status"], delivery["reason"]) == ("suppressed", reason)
    assert (delivery["attempts"], delivery["attempts_made"]) == ([], 0)
    assert SimulatedMessage.objects.count() == 1
    assert send(api, "bob@simulator.test")["status"] == "sent"


def test_a_report_between_acceptance_and_sending_counts(api):
    send(api, "ada@simulator.test")
    waiting = api.post(
        "/api/v1/notifications",
        {"to": {"email": "ada@simulator.test"}, "content": CONTENT},
        format="json",
    ).json()
    assert waiting["status"] == "queued"
    report_of_last("bounced")
    drain()
    found = api.get(f"/api/v1/notifications/{waiting['id']}").json()
    (delivery,) = found["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("suppressed", [])
    assert [event["type"] for event in delivery["events"]] == ["accepted", "suppressed"]


@pytest.mark.parametrize(("kind", "state"), [("complained", "sent"), ("bounced", "suppressed")])
def test_an_essential_message_goes_out_in_spite_of_a_complaint_but_not_of_a_bounce(
    api, kind, state
):
    CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    send(api, "ada@simulator.test")
    report_of_last(kind)
    assert send(api, "ada@simulator.test", category="codes")["status"] == state


def test_a_bounce_stops_essential_messages_even_after_a_complaint(api):
    CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    send(api, "ada@simulator.test")
    report_of_last("complained")
    send(api, "ada@simulator.test", category="codes")
    report_of_last("bounced")
    assert send(api, "ada@simulator.test", category="codes")["status"] == "suppressed"


def test_the_timeline_tells_the_whole_story_in_order(api):
    found = send(api, "ada@simulator.test")
    attempt_id = found["deliveries"][0]["attempts"][0]["id"]
    later = timezone.now() + timedelta(minutes=1)
    tell(
        report(attempt_id, "complained", at=(later + timedelta(minutes=2)).isoformat()),
        report(attempt_id, "opened", at=(later + timedelta(minutes=1)).isoformat()),
        report(attempt_id, "delivered", at=later.isoformat()),
    )
    shown = api.get(f"/api/v1/notifications/{found['id']}").json()
    assert [event["type"] for event in shown["deliveries"][0]["events"]] == [
        "accepted",
        "sending",
        "sent",
        "delivered",
        "opened",
        "complained",
    ]


class Unsure(simulator.Simulator):
    @override
    def verify(self, webhook):
        raise CannotVerify("the certificate cannot be had")


def test_what_cannot_be_verified_just_now_is_asked_for_again(client, settings, db):
    entry = {"CLASS": f"{__name__}.Unsure", "ENABLED": True, "OPTIONS": {}}
    settings.PROVIDERS = {"simulator": entry}
    answer = client.post("/webhooks/simulator/", b"{}", content_type="application/json")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "20"
    assert not WebhookReceipt.objects.exists()


@pytest.mark.parametrize("path", ["/webhooks/simulator", "/webhooks/simulator/events"])
def test_an_address_without_its_last_slash_is_no_redirect(client, path):
    """Vendors do not follow one: what they report would be lost."""
    assert client.post(path, b"{}", content_type="application/json").status_code == 400
