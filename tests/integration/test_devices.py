"""Devices: registered over HTTP, by agents and by the person; moved, removed, forgotten."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import issuer, keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import jobs
from notifications.models import Device, Recipient
from notifications.services import devices
from notifications.services.devices import MAX_DEVICES, DeviceToken
from notifications.types import Platform
from tests.factories import DeviceFactory, RecipientFactory
from tests.fakes.webpush import Browser, base64url
from tests.walk import each

FCM = "cITe60iQR1w:APA91bEWLv9I-token"
APNS = "4f" * 32
MOZILLA = "https://updates.push.services.mozilla.com"
ANNA = Browser("anna", "")
PHONE = {"platform": "fcm", "token": FCM}
BROWSER: dict[str, Any] = {"platform": "webpush", "subscription": ANNA.subscription(MOZILLA)}
KEY = base64url(bytes(range(1, 33)))
OLD_KEY = base64url(bytes(range(2, 34)))


def url(user_id: str = "ada", device: object = "") -> str:
    return f"/api/v1/recipients/{user_id}/devices{f'/{device}' if device else ''}"


def register(api: APIClient, body: Any = PHONE, user_id: str = "ada") -> Any:
    return api.post(url(user_id), body, format="json")


def registered(api: APIClient, body: Any = PHONE, user_id: str = "ada") -> Device:
    answer = register(api, body, user_id)
    assert answer.status_code in {200, 201}, answer.json()
    return Device.objects.get(id=answer.json()["id"])


def person(user_id: str) -> APIClient:
    """A client with the person's own token."""
    client = APIClient()
    token = issuer.issue(user_id, timedelta(hours=1))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def agent_with(*scopes: Scope) -> APIClient:
    _, secret = keys.issue(ApiClient.objects.create(name="other"), list(scopes))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def web_push(settings: Any) -> None:
    providers = {**settings.PROVIDERS}
    options = {"private_key": f"{KEY},{OLD_KEY}", "subject": "mailto:push@example.com"}
    providers["webpush"] = {**providers["webpush"], "ENABLED": True, "OPTIONS": options}
    settings.PROVIDERS = providers


# --- Registering -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "platform", "token"),
    [
        (PHONE, "fcm", FCM),
        ({"platform": "apns", "token": APNS.upper()}, "apns", APNS),
        (BROWSER, "webpush", ANNA.token(MOZILLA).replace(": ", ":").replace(", ", ",")),
    ],
)
def test_a_device_of_each_platform(api: Any, body: Any, platform: str, token: str) -> None:
    answer = register(api, body)
    assert answer.status_code == 201
    told = answer.json()
    assert {**told, "id": "", "registered_at": "", "seen_at": ""} == {
        "id": "",
        "platform": platform,
        "name": "",
        "app": "",
        "registered_at": "",
        "seen_at": "",
        "removed_at": None,
        "reason": "",
    }
    kept = devices.tokens([UUID(told["id"])])
    assert kept == {UUID(told["id"]): DeviceToken(Platform(platform), token, "")}


def test_the_token_is_never_told(api: Any) -> None:
    for body in (PHONE, BROWSER):
        device = registered(api, body)
        for answer in (register(api, body), api.get(url()), api.get(url(device=device.id))):
            text = answer.content.decode()
            for secret in (FCM, ANNA.name, base64url(ANNA.auth), base64url(ANNA.p256dh)):
                assert secret not in text
        assert FCM not in repr(devices.tokens([device.id]))


def test_registering_again_is_to_be_seen(api: Any) -> None:
    first = registered(api, {**PHONE, "name": "Pixel", "app": "org.example.app"})
    Device.objects.update(seen_at=timezone.now() - timedelta(days=100))
    answer = register(api, PHONE)
    assert answer.status_code == 200
    again = Device.objects.get()
    assert (again.id, again.name, again.app) == (first.id, "Pixel", "org.example.app")
    assert again.registered_at == first.registered_at
    assert timezone.now() - again.seen_at < timedelta(minutes=1)
    assert registered(api, {**PHONE, "name": "Old Pixel"}).name == "Old Pixel"


def test_a_browser_may_renew_its_keys(api: Any) -> None:
    first = registered(api, BROWSER)
    keys_of = Browser("berta", "").subscription(MOZILLA)["keys"]
    again = registered(
        api, {"platform": "webpush", "subscription": {**BROWSER["subscription"], "keys": keys_of}}
    )
    assert again.id == first.id
    assert keys_of["p256dh"] in devices.tokens([again.id])[again.id].token


def test_a_device_belongs_to_whoever_registered_it_last(api: Any) -> None:
    first = registered(api, PHONE, "ada")
    second = registered(api, PHONE, "bob")
    first.refresh_from_db()
    assert first.removed_at
    assert (first.reason, first.token) == (devices.REREGISTERED, "")
    assert set(devices.tokens([first.id, second.id])) == {second.id}
    back = registered(api, PHONE, "ada")
    assert back.id not in {first.id, second.id}
    assert set(devices.tokens([first.id, second.id, back.id])) == {back.id}


def test_a_removed_device_can_be_registered_again(api: Any) -> None:
    first = registered(api)
    api.delete(url(device=first.id))
    assert register(api).status_code == 201
    assert Device.objects.count() == 2


def test_one_person_keeps_the_devices_seen_last(api: Any) -> None:
    them = RecipientFactory.create(user_id="ada")
    now = timezone.now()
    for day in range(MAX_DEVICES):
        DeviceFactory.create(recipient=them, seen_at=now - timedelta(days=day + 1))
    other = DeviceFactory.create(seen_at=now - timedelta(days=200))
    unseen = Device.objects.filter(recipient=them).earliest("seen_at")
    registered(api)
    unseen.refresh_from_db()
    assert (unseen.reason, unseen.token) == (devices.SURPLUS, "")
    assert Device.objects.filter(recipient=them, removed_at=None).count() == MAX_DEVICES
    other.refresh_from_db()
    assert other.removed_at is None


def test_a_person_nobody_heard_of_is_made(api: Any) -> None:
    registered(api, user_id="new|person")
    assert Recipient.objects.get().user_id == "new|person"


@pytest.mark.django_db(transaction=True)
def test_many_registrations_at_once_leave_one_device(agent: ApiClient) -> None:
    def one(number: int) -> UUID:
        try:
            device, _ = devices.register(f"u-{number % 3}", Platform.FCM, FCM)
            return device.id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(one, range(24)))
    (left,) = Device.objects.filter(removed_at=None)
    assert left.id in made
    assert set(devices.tokens(made)) == {left.id}
    others = Device.objects.exclude(id=left.id)
    assert set(others.values_list("reason", flat=True)) == {devices.REREGISTERED}


@pytest.mark.django_db(transaction=True)
def test_one_person_registering_many_at_once_stays_within_the_limit(agent: ApiClient) -> None:
    def one(number: int) -> None:
        try:
            devices.register("ada", Platform.FCM, f"{FCM}{number}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(MAX_DEVICES + 8)))
    assert Device.objects.filter(removed_at=None).count() == MAX_DEVICES


# --- What is refused -------------------------------------------------------------------------


def with_subscription(**changes: Any) -> dict[str, Any]:
    given = {**BROWSER["subscription"], **changes}
    return {
        "platform": "webpush",
        "subscription": {name: value for name, value in given.items() if value is not ...},
    }


def with_keys(**changes: Any) -> dict[str, Any]:
    given = {**BROWSER["subscription"]["keys"], **changes}
    return with_subscription(
        keys={name: value for name, value in given.items() if value is not ...}
    )


@each(
    ("body", "field"),
    [
        ({}, "platform"),
        ([], ""),
        ({"token": FCM}, "platform"),
        ({"platform": "pager", "token": FCM}, "platform"),
        ({"platform": 5, "token": FCM}, "platform"),
        ({"platform": None, "token": FCM}, "platform"),
        ({"platform": "fcm"}, "token"),
        ({"platform": "apns"}, "token"),
        ({"platform": "webpush"}, "subscription"),
        ({"platform": "webpush", "token": FCM}, "subscription"),
        ({**BROWSER, "token": FCM}, "token"),
        ({**PHONE, "subscription": BROWSER["subscription"]}, "subscription"),
        ({**PHONE, "server_key": KEY}, "server_key"),
        ({**BROWSER, "server_key": "unknown"}, "server_key"),
        ({**BROWSER, "server_key": 5}, "server_key"),
        ({**PHONE, "token": ""}, "token"),
        ({**PHONE, "token": 5}, "token"),
        ({**PHONE, "token": None}, "token"),
        ({**PHONE, "token": [FCM]}, "token"),
        ({**PHONE, "token": "short"}, "token"),
        ({**PHONE, "token": f"{FCM}\n"}, "token"),
        ({**PHONE, "token": f"{FCM}\0"}, ""),
        ({**PHONE, "token": "x" * 5000}, "token"),
        ({"platform": "apns", "token": FCM}, "token"),
        ({**PHONE, "name": "x" * 101}, "name"),
        ({**PHONE, "name": "two\nlines"}, "name"),
        ({**PHONE, "name": 5}, "name"),
        ({**PHONE, "app": "org.example.app\r\napns-topic: x"}, "app"),
        ({**PHONE, "app": "with blank"}, "app"),
        ({**PHONE, "app": "x" * 201}, "app"),
        ({**PHONE, "user_id": "bob"}, "user_id"),
        ({**PHONE, "token_hash": "x"}, "token_hash"),
        ({"platform": "webpush", "subscription": "x"}, "subscription"),
        ({"platform": "webpush", "subscription": {}}, "subscription.endpoint"),
        (with_subscription(endpoint=...), "subscription.endpoint"),
        (with_subscription(endpoint=5), "subscription.endpoint"),
        (with_subscription(endpoint="https://evil.example/x"), "subscription.endpoint"),
        (with_subscription(endpoint="http://127.0.0.1:8002/x"), "subscription.endpoint"),
        (with_subscription(endpoint="https://169.254.169.254/"), "subscription.endpoint"),
        (with_subscription(endpoint=f"{MOZILLA}/{'x' * 2000}"), "subscription.endpoint"),
        (with_subscription(keys=...), "subscription.keys"),
        (with_subscription(keys=[]), "subscription.keys"),
        (with_subscription(expirationTime="soon"), "subscription.expirationTime"),
        (with_subscription(more=1), "subscription.more"),
        (with_keys(p256dh=...), "subscription.keys.p256dh"),
        (with_keys(p256dh="AAAA"), "subscription.keys.p256dh"),
        (with_keys(p256dh=base64url(bytes(65))), "subscription.keys.p256dh"),
        (with_keys(p256dh="x" * 500), "subscription.keys.p256dh"),
        (with_keys(auth=...), "subscription.keys.auth"),
        (with_keys(auth=5), "subscription.keys.auth"),
        (with_keys(auth="AAAA"), "subscription.keys.auth"),
        (with_keys(more="x"), "subscription.keys.more"),
    ],
)
def test_bad_input_names_its_field(api: Any, body: Any, field: str) -> None:
    answer = register(api, body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "invalid"), problem
    assert field in {error["field"] for error in problem["errors"]}, problem
    assert all(error["code"] and error["message"] for error in problem["errors"])
    assert FCM not in answer.content.decode()
    assert not Device.objects.exists()


@pytest.mark.parametrize("user_id", ["x" * 201, "a%00b", "a%0ab", "%E2%80%A8"])
def test_a_user_id_that_is_none_is_not_found(api: Any, user_id: str) -> None:
    assert register(api, user_id=user_id).status_code == 404
    assert api.get(url(user_id)).status_code == 404
    assert api.get(url(user_id, new_id())).status_code == 404
    assert api.delete(url(user_id, new_id())).status_code == 404
    assert not Recipient.objects.exists()


# --- Who may ---------------------------------------------------------------------------------


def test_a_person_manages_their_own_devices(db: None) -> None:
    me = person("ada")
    device = registered(me)
    assert [row["id"] for row in me.get(url()).json()["results"]] == [str(device.id)]
    assert me.get(url(device=device.id)).status_code == 200
    assert me.delete(url(device=device.id)).status_code == 204
    assert me.get(url()).json()["results"] == []


def test_a_person_sees_nobody_elses(api: Any) -> None:
    device = registered(api, PHONE, "ada")
    me = person("bob")
    for answer in (
        me.get(url("ada")),
        me.get(url("ada", device.id)),
        me.delete(url("ada", device.id)),
        register(me, PHONE, "ada"),
        me.get(url("bob", device.id)),
        me.delete(url("bob", device.id)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    device.refresh_from_db()
    assert device.removed_at is None


@pytest.mark.parametrize(
    ("scopes", "reads", "writes"),
    [
        ([Scope.AUDIENCE_READ], 200, 403),
        ([Scope.AUDIENCE_WRITE], 403, 201),
        ([Scope.NOTIFICATIONS_READ, Scope.NOTIFICATIONS_WRITE], 403, 403),
    ],
)
def test_an_agent_needs_the_scope(db: None, scopes: list[Scope], reads: int, writes: int) -> None:
    client = agent_with(*scopes)
    assert client.get(url()).status_code == reads
    assert register(client).status_code == writes


def test_nobody_else_gets_in(db: None) -> None:
    client = APIClient()
    for answer in (register(client), client.get(url()), client.get("/api/v1/push/web-key")):
        assert answer.status_code == 401


def test_the_list_has_pages_newest_first(api: Any) -> None:
    them = RecipientFactory.create(user_id="ada")
    made = [DeviceFactory.create(recipient=them) for _ in range(3)]
    DeviceFactory.create()
    first = api.get(url(), {"limit": 2}).json()
    assert [row["id"] for row in first["results"]] == [str(made[2].id), str(made[1].id)]
    second = api.get(first["next"]).json()
    assert [row["id"] for row in second["results"]] == [str(made[0].id)]
    assert api.get(url("u-unknown")).json()["results"] == []


# --- Removing --------------------------------------------------------------------------------


def test_removing_is_safe_to_repeat_and_says_why(api: Any) -> None:
    device = registered(api)
    assert api.delete(url(device=device.id)).status_code == 204
    told = api.get(url(device=device.id)).json()
    assert told["removed_at"]
    assert told["reason"] == devices.BY_PERSON
    assert api.delete(url(device=device.id)).status_code == 204
    assert api.get(url(device=device.id)).json() == told
    assert api.get(url()).json()["results"] == []
    assert api.delete(url(device=new_id())).status_code == 404
    assert api.delete(url("bob", device.id)).status_code == 404
    assert api.delete(url(device="nonsense")).status_code == 404


def test_what_its_push_service_does_not_know_is_removed(db: None) -> None:
    device = DeviceFactory.create()
    assert devices.gone(Platform.FCM, device.id, "x" * 300)
    device.refresh_from_db()
    assert (device.token, len(device.reason)) == ("", 200)
    assert not devices.gone(Platform.FCM, device.id, "again")
    assert not devices.gone(Platform.FCM, new_id(), "unknown")
    assert devices.tokens([device.id]) == {}


def test_a_device_of_another_platform_is_not_meant(db: None) -> None:
    device = DeviceFactory.create(platform=Platform.FCM)
    assert not devices.gone(Platform.APNS, device.id, "Unregistered")


def test_who_registered_again_since_is_not_meant(api: Any) -> None:
    device = registered(api)
    hour = timedelta(hours=1)
    Device.objects.update(registered_at=timezone.now() - 5 * hour, seen_at=timezone.now() - hour)
    assert not devices.gone(Platform.FCM, device.id, "410", timezone.now() - 2 * hour)
    assert set(devices.tokens([device.id])) == {device.id}
    assert devices.gone(Platform.FCM, device.id, "410", timezone.now())


def test_tokens_take_one_query(db: None, django_assert_num_queries: Any) -> None:
    made = [DeviceFactory.create(app="org.example") for _ in range(3)]
    with django_assert_num_queries(1):
        found = devices.tokens(device.id for device in made)
    assert found == {
        device.id: DeviceToken(Platform.FCM, device.token, "org.example") for device in made
    }


def test_a_device_unseen_for_most_of_a_year_is_removed(db: None) -> None:
    now = timezone.now()
    old = DeviceFactory.create(seen_at=now - devices.UNSEEN_FOR - timedelta(hours=1))
    fresh = DeviceFactory.create(seen_at=now - devices.UNSEEN_FOR + timedelta(hours=1))
    jobs.remove_unseen_devices()
    old.refresh_from_db()
    fresh.refresh_from_db()
    assert (old.reason, old.token) == ("not seen for 270 days", "")
    assert fresh.removed_at is None


# --- The key of Web Push ---------------------------------------------------------------------


def test_the_key_for_browsers(api: Any, web_push: None) -> None:
    answer = api.get("/api/v1/push/web-key")
    key = answer.json()["server_key"]
    assert (answer.status_code, len(key)) == (200, 87)
    assert person("ada").get("/api/v1/push/web-key").json() == {"server_key": key}


def test_without_web_push_there_is_no_key(api: Any) -> None:
    answer = api.get("/api/v1/push/web-key")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_key_that_cannot_be_read_is_as_good_as_none(api: Any, settings: Any) -> None:
    options = {"private_key": "nonsense", "subject": "mailto:push@example.com"}
    entry = {**settings.PROVIDERS["webpush"], "ENABLED": True, "OPTIONS": options}
    settings.PROVIDERS = {**settings.PROVIDERS, "webpush": entry}
    assert api.get("/api/v1/push/web-key").status_code == 404
    assert register(api, {**BROWSER, "server_key": KEY}).status_code == 400


def test_a_browser_says_which_key_it_subscribed_with(api: Any, web_push: None) -> None:
    key = api.get("/api/v1/push/web-key").json()["server_key"]
    device = registered(api, {**BROWSER, "server_key": key})
    assert key in devices.tokens([device.id])[device.id].token
