"""Outgoing webhooks: signed, tried again, logged, and never to where they must not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from rest_framework.test import APIClient

from commsproject.common import alerts, egress
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from commsproject.common.outbox import Event, publisher
from conversations.services import entries, marks, start
from conversations.types import Actor, Kind, Who
from tests.documents import ROOT, fences
from tests.engine import drain
from tests.fakes.behaviours import Hang, Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request
from tests.integration.test_events_out import send as send_message
from tests.processes import eventually
from tracking.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tracking.services import endpoints, webhook_sender, webhook_signing, webhooks_out

V1 = "/api/v1/webhook-endpoints"


@pytest.fixture(autouse=True)
def _near(settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    endpoints._kept = float("-inf"), frozenset()


@pytest.fixture
def receiver() -> Iterator[FakeHttpServer]:
    server = FakeHttpServer()
    server.start()
    yield server
    server.stop()


def call(api: APIClient, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = getattr(api, method)(V1 + path, body, format="json")
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def make(api: APIClient, url: str, **more: Any) -> Any:
    return call(api, "post", "", {"url": url, **more}, 201)


def due_now() -> None:
    WebhookDelivery.objects.exclude(next_try_at=None).update(next_try_at=timezone.now())


def deliver() -> list[webhooks_out.Result]:
    """One turn of the sender, inline."""
    calls = webhooks_out.claim({})

    async def all_of_them() -> list[webhooks_out.Result]:
        async with egress.session() as client:
            return [await webhook_sender.send(client, one) for one in calls]

    results = asyncio.run(all_of_them())
    if results:
        webhooks_out.record(results)
    return results


def signed_by(request: Request, secret: str) -> bool:
    """As a receiver checks it, from the description of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    wanted = base64.b64encode(hmac.new(key, text + request.body, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in request.headers["webhook-signature"].split(" ")


@pytest.mark.django_db
def test_an_agent_hears_of_its_own_messages_signed(
    api: APIClient, receiver: FakeHttpServer
) -> None:
    mine = make(api, receiver.url, events=["notification.sent"], description="orders")
    other = APIClient()
    _, secret = keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    other.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    sent = send_message(api)
    send_message(other)
    drain()
    while publisher.hand_over():
        pass
    deliver()
    (request,) = receiver.accepted
    event = json.loads(request.body)
    assert (event["type"], event["subject"]) == ("notification.sent", sent["id"])
    assert request.headers["webhook-id"] == event["id"]
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert signed_by(request, mine["secret"])
    assert "secret" not in call(api, "get", f"/{mine['id']}")
    # The secret before a rotation signs too, the one before that does not.
    first = mine["secret"]
    second = call(api, "post", f"/{mine['id']}/rotate-secret")["secret"]
    call(api, "post", f"/{mine['id']}/test", status=202)
    deliver()
    tried = receiver.accepted[-1]
    assert json.loads(tried.body)["type"] == "webhook.test"
    assert signed_by(tried, first)
    assert signed_by(tried, second)
    third = call(api, "post", f"/{mine['id']}/rotate-secret")["secret"]
    call(api, "post", f"/{mine['id']}/test", status=202)
    deliver()
    tried = receiver.accepted[-1]
    assert [signed_by(tried, one) for one in (first, second, third)] == [False, True, True]
    # Somebody else's endpoint is nobody's.
    for method, path in (
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("get", "/deliveries"),
        ("post", "/replay"),
        ("post", "/test"),
        ("post", "/rotate-secret"),
    ):
        call(other, method, f"/{mine['id']}{path}", {} if method != "get" else None, 404)
    assert call(other, "get", "")["results"] == []


@pytest.mark.django_db
def test_failures_are_tried_for_three_days_and_all_is_logged(
    api: APIClient, receiver: FakeHttpServer
) -> None:
    mine = make(api, receiver.url)
    call(api, "post", f"/{mine['id']}/test", status=202)
    receiver.script.always(Status(500, {"what": "x" * 2000}))
    waited = timedelta(0)
    for made in range(1, len(webhooks_out.WAITS) + 2):
        deliver()
        row = WebhookDelivery.objects.get()
        assert row.tries == made
        if row.next_try_at:
            wait, wanted = row.next_try_at - timezone.now(), webhooks_out.WAITS[made - 1]
            assert wanted * 0.79 < wait + timedelta(seconds=2)
            assert wait < wanted * 1.21
            waited += wanted
        due_now()
    assert row.state == "failed"
    assert timedelta(days=3) <= waited < timedelta(days=3.3)
    assert deliver() == []
    (told,) = call(api, "get", f"/{mine['id']}/deliveries?state=failed")["results"]
    assert [one["number"] for one in told["attempts"]] == list(range(1, made + 1))
    assert told["attempts"][0]["status"] == 500
    assert len(told["attempts"][0]["answer"]) == 500
    # Replayed, it goes out with the id it had, and waits from the beginning.
    receiver.script.always(Status(503, headers={"Retry-After": "600"}))
    call(api, "post", f"/{mine['id']}/replay", {}, 400)
    body = {"since": (timezone.now() - timedelta(hours=1)).isoformat(), "only_failed": True}
    assert call(api, "post", f"/{mine['id']}/replay", body) == {"replayed": 1}
    assert call(api, "post", f"/{mine['id']}/replay", {"delivery_id": told["id"]}) == {
        "replayed": 0  # it waits already
    }
    deliver()
    row.refresh_from_db()
    assert row.next_try_at
    assert row.next_try_at - timezone.now() > timedelta(seconds=590)  # as it asked
    receiver.script.reset()
    due_now()
    deliver()
    row.refresh_from_db()
    assert (row.state, row.status) == ("delivered", 200)
    assert receiver.accepted[-1].headers["webhook-id"] == row.event_id


@pytest.mark.django_db
def test_one_that_only_fails_is_switched_off_and_waits(
    api: APIClient, receiver: FakeHttpServer
) -> None:
    mine = make(api, receiver.url)
    row = WebhookEndpoint.objects.get()
    receiver.script.always(Status(302, headers={"Location": "/elsewhere"}))
    call(api, "post", f"/{mine['id']}/test", status=202)
    deliver()
    row.refresh_from_db()
    assert row.failing_since
    assert len(receiver.ledger) == 1  # no redirect was followed
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=5, minutes=1))
    due_now()
    deliver()
    told = call(api, "get", f"/{mine['id']}")
    assert not told["is_active"]
    assert "five days" in told["disabled_reason"]
    assert alerts.standing().filter(key=endpoints.alert_key(row.id)).exists()
    due_now()
    assert deliver() == []
    call(api, "post", f"/{mine['id']}/test", status=409)
    receiver.script.reset()
    assert call(api, "patch", f"/{mine['id']}", {"is_active": True})["failing_since"] is None
    assert len(deliver()) == 1
    assert not alerts.standing().exists()
    receiver.script.always(Status(410))
    call(api, "post", f"/{mine['id']}/test", status=202)
    deliver()
    assert not call(api, "get", f"/{mine['id']}")["is_active"]
    assert alerts.standing().exists()
    call(api, "delete", f"/{mine['id']}", status=204)
    assert not alerts.standing().exists()


@pytest.mark.django_db
def test_an_agent_that_is_switched_off_hears_nothing(
    agent: ApiClient, receiver: FakeHttpServer
) -> None:
    mine = WebhookEndpoint.objects.create(client=agent, url=receiver.url, events=["alert.raised"])
    everything = WebhookEndpoint.objects.create(url=receiver.url)
    raised = Event("1", "alert.raised", timezone.now(), {"key": "k"})
    endpoints.take([raised])
    agent.is_active = False
    agent.save()
    endpoints.take([replace(raised, id="2")])
    assert [one.call.endpoint_id for one in deliver()] == [everything.id] * 2
    assert mine.deliveries.get().tries == 0
    agent.is_active = True
    agent.save()
    assert [one.call.endpoint_id for one in deliver()] == [mine.id]


def pass_time(span: timedelta) -> None:
    """All that is stored is so much older: PostgreSQL's clock cannot be moved."""
    back = {"next_try_at": F("next_try_at") - span, "created_at": F("created_at") - span}
    WebhookDelivery.objects.update(**back)
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - span)
    WebhookAttempt.objects.update(at=F("at") - span)


@pytest.mark.django_db
def test_five_days_of_a_receiver_that_is_away(api: APIClient, receiver: FakeHttpServer) -> None:
    """An event every six hours. It comes back on the sixth day, and gets what it has missed."""
    mine = make(api, receiver.url, events=["alert.*"])
    row = WebhookEndpoint.objects.get()
    receiver.script.always(Status(502))
    step, days = timedelta(hours=6), 0.0
    while row.is_active:
        endpoints.take([Event(f"e{days}", "alert.raised", timezone.now(), {"key": "k"})])
        for _ in range(4):  # what is due after seconds and minutes
            deliver()
            pass_time(step / 4)
        row.refresh_from_db()
        days += 0.25
        assert days < 6
    assert days > 5
    (alert,) = alerts.standing()
    assert alert.key == endpoints.alert_key(row.id)
    assert "five days" in alert.detail
    states = {one.state for one in row.deliveries.all()}
    assert states == {"failed", "waiting"}  # after three days each, and those of the last three
    tries = [one.tries for one in row.deliveries.order_by("id")]
    assert max(tries) == tries[0] == len(webhooks_out.WAITS) + 1
    # While it is off nothing is tried, and nothing more is heard of.
    before = len(receiver.ledger)
    pass_time(timedelta(days=1))
    endpoints.take([Event("while off", "alert.raised", timezone.now(), {"key": "k"})])
    assert deliver() == []
    # Switched on again what waits is sent, and what was given up where it is asked for.
    receiver.script.reset()
    secret = call(api, "post", f"/{mine['id']}/rotate-secret")["secret"]
    call(api, "patch", f"/{mine['id']}", {"is_active": True})
    while deliver():
        pass
    assert not alerts.standing().exists()
    assert {one.state for one in row.deliveries.all()} == {"failed", "delivered"}
    missed = row.deliveries.filter(delivered_at=None).order_by("id")
    first, last = missed.first(), missed.last()
    assert first
    assert last
    since, until = first.created_at.isoformat(), last.created_at.isoformat()
    asked = {"since": since, "until": until, "only_failed": True}
    count = missed.count() - 1  # `until` is not among them
    assert call(api, "post", f"/{mine['id']}/replay", asked) == {"replayed": count}
    while deliver():
        pass
    assert list(missed.values_list("id", flat=True)) == [last.id]
    heard = [one.headers["webhook-id"] for one in receiver.accepted]
    assert len(heard) == len(set(heard)) == row.deliveries.count() - 1
    assert len(receiver.ledger) - before == len(heard)
    for request in receiver.accepted:
        assert signed_by(request, mine["secret"])
        assert signed_by(request, secret)


@pytest.mark.django_db
def test_what_is_asked_for_is_checked(agent: ApiClient, api: APIClient) -> None:
    url = "https://hooks.example.com/x"
    _, secret = keys.issue(agent, [Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE])
    narrow = APIClient()
    narrow.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    for client, body, field, code in (
        (api, {}, "url", "required"),
        (api, {"url": "gopher://example.com/"}, "url", "bad_url"),
        (api, {"url": url, "events": ["notification.eaten"]}, "events.0", "unknown_event"),
        (api, {"url": url, "events": ["webhook.test"]}, "events.0", "unknown_event"),
        (narrow, {"url": url, "events": ["recipient.*"]}, "events.0", "scope"),
        (narrow, {"url": url, "events": ["conversation.*"]}, "events.0", "scope"),
        (narrow, {"url": url, "events": ["alert.raised"]}, "events.0", "scope"),
        (api, {"url": url, "secret": "mine"}, "secret", "unknown_field"),
    ):
        (error,) = call(client, "post", "", body, 400)["errors"]
        assert (error["field"], error["code"]) == (field, code)
    made = make(narrow, url, events=["notification.*"])
    call(api, "get", f"/{made['id']}/deliveries?state=lost", status=400)
    call(narrow, "delete", f"/{made['id']}", status=204)
    for number in range(endpoints.MOST):
        WebhookEndpoint.objects.create(client=agent, url=f"{url}/{number}")
    call(api, "post", "", {"url": url}, 409)


@pytest.mark.django_db
def test_without_a_filter_staff_hear_all_and_agents_their_messages(agent: ApiClient) -> None:
    mine = WebhookEndpoint.objects.create(client=agent, url="https://a.example.com/")
    everything = WebhookEndpoint.objects.create(url="https://b.example.com/")
    now = timezone.now()
    events = [
        Event("1", "notification.sent", now, {"notification_id": "n", "agent": str(agent.id)}),
        Event("2", "notification.sent", now, {"notification_id": "n", "agent": "somebody"}),
        Event("3", "conversation.created", now, {"conversation_id": "c"}),
    ]
    endpoints.take(events)
    endpoints.take(events)  # handed over twice
    assert sorted(mine.deliveries.values_list("event_id", flat=True)) == ["1"]
    assert sorted(everything.deliveries.values_list("event_id", flat=True)) == ["1", "2", "3"]


@pytest.mark.django_db
def test_agents_hear_of_the_conversations_they_take_part_in(
    agent: ApiClient, api: APIClient
) -> None:
    wanted = ["conversation.*", "alert.raised"]
    mine = make(api, "https://a.example.com/", events=wanted)
    stranger = ApiClient.objects.create(name="stranger")
    theirs = WebhookEndpoint.objects.create(
        client=stranger, url="https://b.example.com/", events=wanted
    )
    endpoints._kept = float("-inf"), frozenset()
    me, ada = Actor(Who.AGENT, str(agent.id)), Actor(Who.USER, "ada")
    ours, _ = start.start(me, Kind.DIRECT, ["ada"])
    start.start(ada, Kind.DIRECT, ["bob"])
    entries.post(ada, ours.id, "Hello")
    marks.read(me, ours.id)
    marks.archive(ada, ours.id, on=True)
    marks.archive(me, ours.id, on=True)
    alerts.raise_once("k", severity=alerts.Severity.WARNING, title="Look")
    while publisher.hand_over():
        pass
    heard = WebhookDelivery.objects.filter(endpoint=mine["id"]).order_by("id")
    assert [(one.type, json.loads(one.body)["data"].get("sender_id")) for one in heard] == [
        ("conversation.created", me.id),
        ("conversation.message.sent", ada.id),
        ("conversation.message.read", me.id),
        ("conversation.archived", me.id),
        ("alert.raised", None),
    ]
    assert [one.type for one in theirs.deliveries.all()] == ["alert.raised"]


def test_secrets_outlive_a_new_secret_key_while_the_old_one_is_kept(settings: Any) -> None:
    row = WebhookEndpoint()
    before = endpoints.secret_of(row)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert endpoints.secret_of(row) != before
    assert before in webhook_signing.valid(row.id, 1, None, timezone.now())


@pytest.mark.django_db(transaction=True)
def test_one_that_hangs_holds_up_nobody_else(receiver: FakeHttpServer) -> None:
    slow = FakeHttpServer()
    slow.start()
    slow.script.always(Hang())
    stuck = WebhookEndpoint.objects.create(url=slow.url)
    well = WebhookEndpoint.objects.create(url=receiver.url)
    now = timezone.now()
    endpoints.take([Event(f"e{n}", "alert.raised", now, {"key": "k"}) for n in range(60)])
    stopping = threading.Event()
    sender = threading.Thread(target=webhook_sender.serve, args=[stopping])
    sender.start()
    try:
        eventually(lambda: well.deliveries.filter(delivered_at=None).count() == 0)
        assert slow.connections <= webhooks_out.PER_ENDPOINT
        assert stuck.deliveries.filter(tries=1).count() == webhooks_out.HELD
    finally:
        stopping.set()
        sender.join()
        slow.stop()
    assert WebhookAttempt.objects.count() == 60
    assert len({one.headers["webhook-id"] for one in receiver.accepted}) == 60


def show(staff: Client, own: str) -> str:
    return staff.get(f"{own}change/").content.decode()


@pytest.mark.django_db
def test_staff_make_try_and_repeat(
    admin_client: Client, receiver: FakeHttpServer, settings: Any
) -> None:
    base = "/admin/tracking/webhookendpoint/"
    chosen = ["alert.*", "conversation.message.*", "notification.failed"]
    form = {"url": "https://10.0.0.1/", "events": [*chosen, "weather.*"], "is_active": "on"}
    settings.WEBHOOK_NETWORKS = ()
    page = admin_client.post(f"{base}add/", form).content.decode()
    assert "private network" in page
    assert "weather.* is not one of the available choices" in page
    assert "webhook.test" not in page
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    form |= {"url": receiver.url, "events": chosen, "description": "Pager"}
    assert admin_client.post(f"{base}add/", form).status_code == 302
    row = WebhookEndpoint.objects.get()
    assert row.events == chosen
    own = f"{base}{row.id}/"
    for name in chosen:
        assert re.search(rf'value="{re.escape(name)}"[^>]* checked', show(admin_client, own)), name
    assert "Send a test event" in show(admin_client, own)
    for name in ("test", "secret", "rotate"):
        asked = admin_client.get(f"{own}{name}/").content.decode()
        assert "whsec_" not in asked
    shown = admin_client.post(f"{own}secret/")
    assert "no-store" in shown["Cache-Control"]
    assert escape(endpoints.secret_of(row)) in shown.content.decode()
    admin_client.post(f"{own}rotate/")
    row.refresh_from_db()
    assert row.secret_number == 2
    admin_client.post(f"{own}test/")
    deliver()
    (request,) = receiver.accepted
    assert signed_by(request, endpoints.secret_of(row))
    delivery = WebhookDelivery.objects.get()
    deliveries = "/admin/tracking/webhookdelivery/"
    assert "Pager" in admin_client.get(f"{deliveries}?q={delivery.event_id}").content.decode()
    page = admin_client.get(f"{deliveries}{delivery.id}/change/").content.decode()
    assert "webhook.test" in page
    assert "Send it again" in page
    admin_client.post(f"{deliveries}{delivery.id}/replay/")
    deliver()
    assert [one.headers["webhook-id"] for one in receiver.accepted] == [delivery.event_id] * 2
    WebhookEndpoint.objects.update(is_active=False, disabled_reason="it was gone")
    assert "it was gone" in show(admin_client, own)
    admin_client.post(f"{own}change/", form)
    row.refresh_from_db()
    assert (row.is_active, row.disabled_reason) == (True, "")


def test_the_receiver_of_the_page_knows_our_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    row = WebhookEndpoint()
    monkeypatch.setenv("WEBHOOK_SECRET", endpoints.secret_of(row))
    (code,) = fences(ROOT / "docs/how-to/receive-webhooks.md", "python")
    page: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, "receive-webhooks.md", "exec"), page)
    now, body = timezone.now(), b'{"id": "e"}'
    secrets = webhook_signing.valid(row.id, 2, now + timedelta(hours=1), now)
    assert page["is_ours"](webhook_signing.headers(secrets, "e", now, body), body)
    for headers, told in (
        (webhook_signing.headers(secrets, "e", now, body), body + b" "),
        (webhook_signing.headers(secrets[:1], "e", now, body), body),  # of another secret
        (webhook_signing.headers(secrets, "e", now - timedelta(minutes=6), body), body),
        ({**webhook_signing.headers(secrets, "e", now, body), "webhook-id": "f"}, body),
    ):
        assert not page["is_ours"](headers, told)


# --- Where nothing must go -----------------------------------------------------------------------

FORBIDDEN = [
    "http://example.com/",
    "https://example.com:8080/",
    "https://example.com:22/",
    "ftp://example.com/",
    "https://localhost/",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://127.0.0.1.:443/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    "https://192.0.0.8/",
    "https://192.0.0.170/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:1:1:1:1:80ff:fffe]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[fec0::1]/",
    "https://[feff:ffff::1]/",
    "https://[100::1]/",
    "https://[100:0:0:1::1]/",
    "https://[2001:2::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[3fff:fff:ffff::1]/",
    "https://[4000::1]/",
    "https://[5f00::1]/",
    "https://[2002:c058:6301::1]/",
    "https://[64:ff9b::192.88.99.1]/",
    "https://[64:ff9b:1::808:808]/",
    "https://[fe80::1%25eth0]/",
    "https://user@example.com/",
    "https://user:secret@example.com/",
    "https://example.com/#part",
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\.example.com/",
    "https://exa<mple.com/",
    "https:///x",
    "https://example.com:99999/",
    "https://example.com:0/",
    "https://ⓛocalhost/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "file:///etc/passwd",
    "//example.com/",
    "x",
]

PUBLIC = [
    "https://example.com/a?b=c",
    "https://8.8.8.8/",
    "https://192.0.1.1/",
    "https://192.88.100.1/",
    "https://[2606:4700::1111]:8443/",
    "https://[2a00:1450:4001:80b::200e]/",
    "https://[3ffe:ffff::1]/",
    "https://[64:ff9b::808:808]/",
    "https://[2002:808:808::1]/",
]
"""The neighbours of what is refused among them."""


def test_no_form_of_a_private_address_passes(
    settings: Any, receiver: FakeHttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_NETWORKS = ()
    for url in FORBIDDEN:
        with pytest.raises(egress.Forbidden):
            egress.check(url)
    for url in PUBLIC:
        egress.check(url)

    # A name passes; where it leads is seen at the connection. Each of these leads to the canary.
    near = ("127.0.0.1", receiver.port)
    mapped = (f"::ffff:{near[0]}", receiver.port, 0, 0)
    leads = [(socket.AF_INET, near), (socket.AF_INET6, mapped)]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_args, **_named: [(family, socket.SOCK_STREAM, 6, "", to) for family, to in leads],
    )

    async def post() -> egress.Answer:
        async with egress.session() as client:
            url = "https://rebound.example.com/"
            return await egress.post(client, url, b"{}", {}, seconds=1)

    answer = asyncio.run(post())
    assert (answer.status, answer.error) == (None, "It is in a private network.")
    assert receiver.connections == 0
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    assert "private" not in asyncio.run(post()).error  # it connects: TLS is what fails there


def test_what_a_library_opens_is_judged_too(settings: Any, receiver: FakeHttpServer) -> None:
    def connect(to: Any, family: int = socket.AF_INET) -> None:
        with socket.socket(family) as one:
            one.connect(to)

    def send(to: Any) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            one.sendto(b"x", to)

    near = ("127.0.0.1", receiver.port)
    settings.WEBHOOK_NETWORKS = ()
    with egress.public_only() as refused:
        for reach in (
            lambda: connect(near),
            lambda: connect(("localhost", receiver.port)),
            lambda: connect(("::1", receiver.port), socket.AF_INET6),
            lambda: connect("/run/some.sock", socket.AF_UNIX),
            lambda: send(near),
            lambda: send(("localhost", receiver.port)),
        ):
            with pytest.raises(OSError, match="private"):
                reach()
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(connect, near).result()
    assert len(refused) == 6
    connect(near)
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    with egress.public_only() as refused:
        connect(near)
    assert not refused


def test_only_so_much_of_an_answer_is_read_and_waited_for(receiver: FakeHttpServer) -> None:
    async def post(seconds: float) -> egress.Answer:
        async with egress.session() as client:
            return await egress.post(client, receiver.url, b"{}", {}, seconds=seconds)

    receiver.script.next(Status(200, b"x" * 1_000_000))
    assert len(asyncio.run(post(5)).text) <= egress.MAX_BODY
    receiver.script.next(Hang())
    assert "within" in asyncio.run(post(0.2)).error
    receiver.stop()
    assert asyncio.run(post(5)).error == "It does not take the connection."
