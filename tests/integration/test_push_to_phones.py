"""Messages to phones, from the call to the end: Google's and Apple's services on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import valkey
from notifications import breaker
from notifications.models import Attempt, Delivery, Device, ProviderState
from notifications.states import State
from notifications.types import Lane
from tests.engine import drain, make_everything_due
from tests.fakes.apns import ApnsServer, refuses
from tests.fakes.fcm import FcmServer, GoogleTokenServer
from tests.fakes.fcm import refuses as fcm_refuses
from tests.fakes.http2 import GoAway

KEY = rsa.generate_private_key(65537, 2048)
IPHONE, IPAD, ANDROID = "a1" * 32, "b2" * 32, "cB1xYz0123:APA91b" + "x" * 120


def switch_on(settings: Any, name: str, **options: str) -> None:
    entry = {**settings.PROVIDERS[name], "ENABLED": True, "OPTIONS": options}
    settings.PROVIDERS = {**settings.PROVIDERS, name: entry}


@pytest.fixture
def fcm(settings: Any) -> Iterator[FcmServer]:
    with GoogleTokenServer(key=KEY) as google, FcmServer(google) as server:
        switch_on(settings, "fcm", service_account=google.service_account(), api_url=server.url)
        yield server


@pytest.fixture
def apns(settings: Any) -> Iterator[ApnsServer]:
    with ApnsServer() as server:
        names = {"key_id": "ABC123DEFG", "team_id": server.team_id, "topic": server.topic}
        key = server.new_key("ABC123DEFG")
        switch_on(settings, "apns", key=key, api_url=server.url, **names)
        yield server
    for name in valkey.client().scan_iter("comms:apns:*"):
        valkey.client().delete(name)


def register(api: APIClient, platform: str, token: str, **fields: str) -> Device:
    body = {"platform": platform, "token": token, **fields}
    answer = api.post("/api/v1/recipients/ada/devices", body, format="json")
    assert answer.status_code in {200, 201}, answer.json()
    return Device.objects.get(id=answer.json()["id"])


def submitted(api: APIClient, **fields: Any) -> list[Delivery]:
    content = {"subject": "Your order", "text": "It is on its way."}
    body = {"to": {"user_id": "ada"}, "channels": ["push"], "content": content, **fields}
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.json()
    ids = [each["id"] for each in answer.json()["deliveries"]]
    return list(Delivery.objects.filter(id__in=ids).order_by("id"))


def ended(delivery: Delivery) -> tuple[str, str]:
    drain()
    delivery.refresh_from_db()
    return delivery.state, delivery.provider


def test_each_device_by_its_own_platform(api: Any, fcm: FcmServer, apns: ApnsServer) -> None:
    register(api, "apns", IPHONE)
    register(api, "fcm", ANDROID)
    deliveries = submitted(api, priority="urgent")
    drain(Lane.URGENT)
    for delivery in deliveries:
        delivery.refresh_from_db()
    assert {one.provider: one.state for one in deliveries} == {
        "apns": State.SENT,
        "fcm": State.SENT,
    }
    (pushed,), (message,) = apns.pushes, fcm.messages
    assert pushed.json["aps"]["alert"] == message["notification"]
    assert pushed.path == f"/3/device/{IPHONE}"
    assert (message["token"], message["android"]["priority"]) == (ANDROID, "HIGH")


def test_the_attempt_is_what_apple_knows_it_by(api: Any, apns: ApnsServer) -> None:
    register(api, "apns", IPHONE)
    (delivery,) = submitted(api)
    ended(delivery)
    (attempt,) = Attempt.objects.filter(delivery_id=delivery.id)
    assert apns.pushes.last.headers["apns-id"] == str(attempt.id) == attempt.provider_ref


def test_a_device_that_is_gone_is_removed(api: Any, fcm: FcmServer, apns: ApnsServer) -> None:
    phone, other = register(api, "apns", IPHONE), register(api, "fcm", ANDROID)
    apns.gone[IPHONE] = int((timezone.now() + timedelta(seconds=5)).timestamp() * 1000)
    fcm.gone.add(ANDROID)
    for delivery in submitted(api):
        assert ended(delivery)[0] == State.FAILED
    for device, reason in ((phone, "Unregistered"), (other, "UNREGISTERED")):
        device.refresh_from_db()
        assert device.removed_at
        assert reason in device.reason


def test_one_that_has_registered_since_stays(api: Any, apns: ApnsServer) -> None:
    phone = register(api, "apns", IPHONE)
    apns.gone[IPHONE] = int((timezone.now() - timedelta(days=1)).timestamp() * 1000)
    (delivery,) = submitted(api)
    assert ended(delivery)[0] == State.FAILED
    phone.refresh_from_db()
    assert phone.removed_at is None


def test_a_device_that_has_had_too_many_stops_no_other(api: Any, apns: ApnsServer) -> None:
    register(api, "apns", IPHONE)
    apns.script.when(IPHONE, refuses(429, "TooManyRequests"))
    throttled = [submitted(api)[0] for _ in range(breaker.FAILURES + 2)]
    for delivery in throttled:
        assert ended(delivery)[0] == State.QUEUED
    assert not ProviderState.objects.filter(name="apns", opened_until__isnull=False).exists()
    apns.script.reset()
    make_everything_due()
    for delivery in throttled:
        assert ended(delivery) == (State.SENT, "apns")


def test_a_lost_answer_is_made_good_and_shown_once(api: Any, apns: ApnsServer) -> None:
    register(api, "apns", IPHONE)
    (delivery,) = submitted(api)
    apns.script.next(GoAway())
    assert ended(delivery)[0] == State.UNKNOWN
    make_everything_due()
    drain()
    make_everything_due()
    assert ended(delivery)[0] == State.SENT
    first, again = apns.pushes
    assert first.headers["apns-collapse-id"] == again.headers["apns-collapse-id"]
    assert first.headers["apns-id"] != again.headers["apns-id"]
    assert first.json == again.json


def test_a_device_with_an_app_of_its_own(api: Any, apns: ApnsServer) -> None:
    apns.topic = "com.example.tablet"
    register(api, "apns", IPAD, app="com.example.tablet")
    (delivery,) = submitted(api)
    assert ended(delivery)[0] == State.SENT


def is_left_alone(provider: str) -> bool:
    return ProviderState.objects.filter(name=provider, opened_until__isnull=False).exists()


def test_a_device_that_names_somebody_elses_app_stops_no_other(api: Any, apns: ApnsServer) -> None:
    """Whoever registers a device says of which app: Apple's refusal says nothing of our key."""
    stranger = register(api, "apns", IPAD, app="com.example.stranger")
    apns.script.when(IPAD, refuses(400, "TopicDisallowed"))
    (delivery,) = submitted(api)
    assert ended(delivery)[0] == State.FAILED
    stranger.refresh_from_db()
    assert stranger.removed_at is None  # Apple has taken nothing yet: it may be our key after all

    register(api, "apns", IPHONE)
    states = [ended(delivery)[0] for _ in range(2) for delivery in submitted(api)]
    assert states.count(State.SENT) == 2
    stranger.refresh_from_db()
    assert "TopicDisallowed" in stranger.reason
    assert not is_left_alone("apns")


def test_the_same_of_our_own_app_is_our_trouble(api: Any, apns: ApnsServer) -> None:
    phone = register(api, "apns", IPHONE, app=apns.topic)
    apns.script.when(IPHONE, refuses(400, "TopicDisallowed"))
    (delivery,) = submitted(api)
    assert ended(delivery)[0] == State.QUEUED
    assert is_left_alone("apns")
    phone.refresh_from_db()
    assert phone.removed_at is None


def test_a_project_without_apples_key_still_reaches_android(api: Any, fcm: FcmServer) -> None:
    iphone = "cI1xYz0123:APA91b" + "y" * 120
    register(api, "fcm", iphone)
    fcm.script.when(iphone, fcm_refuses(401, code="THIRD_PARTY_AUTH_ERROR"))
    for _ in range(breaker.FAILURES + 2):
        assert ended(submitted(api)[0])[0] == State.QUEUED
    assert not is_left_alone("fcm")
    register(api, "fcm", ANDROID)
    states = {ended(delivery)[0] for delivery in submitted(api)}
    assert states == {State.SENT, State.QUEUED}
