"""What others hear: written with the change, handed on in order, at least once, to each who asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import alerts, outbox
from commsproject.common.models import OutboxEvent
from commsproject.common.outbox import brokers, catalogue, publisher
from commsproject.common.outbox.checks import broker_is_known
from notifications import addresses
from notifications.models import Attempt, ProviderChange, ProviderState
from notifications.services import preferences, status, suppress
from notifications.services.preferences import Said, Wish
from notifications.types import Channel, EventType, ProviderEvent, SuppressionReason
from tests import told
from tests.documents import ROOT, fences
from tests.engine import drain
from tests.factories import CategoryFactory
from tests.fakes.proxy import TcpProxy
from tests.integration.test_docs import bare, tables
from tests.processes import eventually
from tracking.models import WebhookDelivery, WebhookEndpoint
from tracking.services import endpoints, events_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def stream(_patient: redis.Redis) -> Any:
    _patient.delete(brokers.STREAM)
    return _patient


def published(stream: Any) -> list[dict[str, Any]]:
    entries: Any = stream.xrange(brokers.STREAM)
    return [json.loads(fields[b"event"]) for _, fields in entries]


def publish_all() -> None:
    while publisher.hand_over():
        pass
    broker = brokers.of(django_settings.EVENTS_URL)
    while publisher.publish(broker):
        pass


def empty_the_outbox() -> None:
    publish_all()
    assert not OutboxEvent.objects.exists()


def send(api: APIClient, **more: Any) -> Any:
    body = {
        "to": {"user_id": "u-1", "email": "delivered@simulator.test"},
        "content": {"subject": "Hello", "text": "It works."},
        "channels": ["email"],
        **more,
    }
    response = api.post("/api/v1/notifications", body, format="json")
    assert response.status_code == 202, response.data
    return response.data


def test_a_messages_whole_way_is_told_in_order(api: APIClient, stream: Any) -> None:
    good = send(api, reference="order-7")
    bad = send(api, to={"email": "fail@simulator.test"})
    drain()
    empty_the_outbox()
    events = published(stream)
    of_good = [one for one in events if one["subject"] == good["id"]]
    assert [one["type"] for one in of_good][:2] == ["notification.accepted", "notification.sent"]
    sent = of_good[1]
    assert sent["specversion"] == "1.0"
    assert sent["source"] == django_settings.PUBLIC_URL
    assert sent["data"]["user_id"] == "u-1"
    assert sent["data"]["channel"] == "email"
    assert sent["data"]["reference"] == "order-7"
    assert sent["data"]["delivery_id"] == good["deliveries"][0]["id"]
    of_bad = [one for one in events if one["subject"] == bad["id"]]
    assert [one["type"] for one in of_bad] == ["notification.accepted", "notification.failed"]
    failed = of_bad[1]["data"]
    assert failed["user_id"] is None
    assert (failed["status"], failed["retry_count"]) == ("failed", 0)
    assert failed["error"]
    assert len({one["id"] for one in events}) == len(events)


def test_what_people_want_and_how_providers_are(stream: Any) -> None:
    CategoryFactory(key="news", is_optional=True)
    double: Any = CategoryFactory(key="double", is_optional=True, needs_confirmation=True)
    preferences.put("ada", [Wish("news", "email", False)], Said("api"))
    preferences.put("ada", [Wish("news", "email", False)], Said("api"))  # nothing new
    preferences.put("ada", [Wish("", "sms", False), Wish("news", "email", True)], Said("api"))
    preferences.confirm("ada", double, "email", Said("link"))
    hashed = "f" * 64
    suppress.add(
        channel="email", address_hash=hashed, reason=SuppressionReason.UNSUBSCRIBE, scope="news"
    )
    suppress.add(channel="email", address_hash=hashed, reason=SuppressionReason.BOUNCE)
    suppress.opt_in("email", [hashed], suppress.Lift("staff", "asked"), ["news"])
    row = ProviderState.objects.create(name="ses")
    ProviderChange.objects.create(provider=row, was="closed", now="open", reason="it fails")
    empty_the_outbox()
    told = [(one["type"], one["data"]) for one in published(stream)]
    assert [
        (kind.removeprefix("recipient."), data["user_id"], data["channel"], data["category"])
        for kind, data in told[:-1]
    ] == [
        ("opted_out", "ada", "email", "news"),
        ("opted_out", "ada", "sms", ""),
        ("opted_in", "ada", "email", "news"),
        ("opted_in", "ada", "email", "double"),
        ("opted_out", None, "email", "news"),
        ("opted_in", None, "email", "news"),
    ]
    kind, data = told[-1]
    assert kind == "provider.state_changed"
    assert (data["provider"], data["was"], data["now"]) == ("ses", "closed", "open")


def test_what_providers_report_is_told_once(api: APIClient, stream: Any) -> None:
    message = send(api)
    drain()
    attempt = Attempt.objects.get()
    when = timezone.now()
    reports = [
        ProviderEvent(attempt_id=attempt.id, type=kind, at=when, dedupe=f"{kind}-{attempt.id}")
        for kind in (
            EventType.DELIVERED,
            EventType.OPENED,
            EventType.CLICKED,
            EventType.BOUNCED,
            EventType.COMPLAINED,
        )
    ]
    for report in [*reports, *reports]:
        status.apply("simulator", [report])
    empty_the_outbox()
    kinds = [one["type"].removeprefix("notification.") for one in published(stream)]
    wanted = ["accepted", "sent", "delivered", "opened", "clicked", "bounced", "complained"]
    assert kinds == wanted, message


def test_a_refused_message_is_told_of_by_its_end(api: APIClient, stream: Any) -> None:
    late = (timezone.now() + timedelta(hours=2)).isoformat()
    waits = send(api, send_at=late)
    response = api.post(f"/api/v1/notifications/{waits['id']}/cancel", {}, format="json")
    assert response.status_code == 200
    hashed = addresses.digest(Channel.EMAIL, "delivered@simulator.test")
    suppress.add(channel="email", address_hash=hashed, reason=SuppressionReason.MANUAL)
    send(api)
    empty_the_outbox()
    kinds = [one["type"] for one in published(stream)]
    assert kinds == ["notification.accepted", "notification.cancelled", "notification.suppressed"]


def test_nothing_is_written_for_nobody(settings: Any) -> None:
    settings.EVENTS_URL = ""
    endpoints._kept = float("-inf"), frozenset()
    outbox.emit("alert.raised", [told.alert("k")])
    assert not OutboxEvent.objects.exists()
    WebhookEndpoint.objects.create(url="https://a.example.com/", events=["alert.*"])
    endpoints._kept = float("-inf"), frozenset()
    outbox.emit("alert.raised", [told.alert("k")])
    change = {"provider": "p", "was": "", "now": "", "reason": "", "timestamp": "2026-11-22T09:00Z"}
    outbox.emit("provider.state_changed", [change])
    assert OutboxEvent.objects.get().type == "alert.raised"
    publisher.hand_over()
    publisher.publish(brokers.of(""))
    assert not OutboxEvent.objects.exists()
    assert WebhookDelivery.objects.get().type == "alert.raised"
    with pytest.raises(ImproperlyConfigured):
        brokers.of("carrier-pigeon://user:secret@loft")
    for wrong in ("carrier-pigeon://user:secret@loft", "redis://user:secret@loft:door/0"):
        settings.EVENTS_URL = wrong
        (error,) = broker_is_known()
        assert "secret" not in error.msg


def test_what_one_consumer_cannot_take_is_lost_to_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, list[Any]] = {"careful": [], "picky": []}

    def careful(events: Any) -> None:
        taken["careful"] += [event.data["n"] for event in events]

    def picky(events: Any) -> None:
        if any(event.data["n"] == 2 for event in events):
            raise KeyError(2)
        taken["picky"] += [event.data["n"] for event in events]

    def always(_kind: str) -> bool:
        return True

    both = {
        "picky": outbox.Consumer(picky, always),
        "careful": outbox.Consumer(careful, always),
    }
    monkeypatch.setattr(publisher, "consumers", both)
    for number in range(5):
        outbox.emit("alert.raised", [told.alert("k", n=number)])
    assert publisher.hand_over() == 5
    assert publisher.hand_over() == 0
    assert taken == {"careful": [0, 1, 2, 3, 4], "picky": [0, 1, 3, 4]}


def test_a_broker_that_is_away_delays_nobody_inside(
    broker: TcpProxy, settings: Any, stream: Any
) -> None:
    outbox.emit("alert.raised", [told.alert("first")])
    away = brokers.of(settings.REDIS_URL)
    broker.refuse()
    publisher.hand_over()
    with pytest.raises(brokers.Refused):
        publisher.publish(away)
    outbox.emit("alert.raised", [told.alert("second")])
    assert publisher.hand_over() == 1
    assert OutboxEvent.objects.filter(is_handed=True).count() == 2
    OutboxEvent.objects.update(at=timezone.now() - timedelta(minutes=2))
    events_out.watch()
    assert alerts.standing().get().key == "outbox.waits"
    broker.accept()
    publisher.hand_over()
    assert publisher.publish(away) == 3
    heard = [one["data"]["key"] for one in published(stream)]
    assert heard == ["first", "second", "outbox.waits"]
    events_out.watch()
    assert not alerts.standing().exists()


@pytest.mark.django_db(transaction=True)
def test_a_late_commit_is_not_overlooked_and_one_publishes_at_a_time(stream: Any) -> None:
    """What was begun first and committed last has the lower number."""
    began, go_on = threading.Event(), threading.Event()

    def late() -> None:
        try:
            with transaction.atomic():
                outbox.emit("alert.raised", [told.alert("late")])
                began.set()
                assert go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    assert began.wait(20)
    outbox.emit("alert.raised", [told.alert("early")])
    publish_all()
    go_on.set()
    thread.join()
    empty_the_outbox()
    assert [one["data"]["key"] for one in published(stream)] == ["early", "late"]


def test_every_type_has_a_schema_that_its_page_shows(client: Any) -> None:
    every = client.get("/api/events/").json()
    assert set(every) == set(catalogue.KINDS)
    for kind, schema in every.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert client.get(f"/api/events/{kind}").json() == schema
        assert catalogue.KINDS[kind].subject in schema["properties"]
    assert client.get("/api/events/notification.eaten").status_code == 404


def test_the_consumer_of_the_page_hears_what_fails(
    api: APIClient, stream: Any, tmp_path: Path
) -> None:
    code, _ = fences(ROOT / "docs/how-to/consume-events.md", "python")
    script = tmp_path / "consumer.py"
    script.write_text(code)
    failed = send(api, to={"email": "fail@simulator.test"})
    drain()
    empty_the_outbox()
    heard = tmp_path / "heard"
    with heard.open("wb") as out:
        consumer = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=out,
            env={**os.environ, "EVENTS_URL": django_settings.EVENTS_URL},
        )
        try:
            eventually(lambda: failed["id"] in heard.read_text())
        finally:
            consumer.kill()
            consumer.wait()
    (group,) = stream.xinfo_groups(brokers.STREAM)
    assert group["pending"] == 0


def test_the_page_tells_of_every_type() -> None:
    rows = tables(ROOT / "docs/how-to/consume-events.md", "Type", "Says", "Data")
    told = {bare(kind): [bare(field) for field in data.split(", ")] for kind, _, data in rows}
    assert told == {name: list(kind.fields) for name, kind in catalogue.KINDS.items()}
