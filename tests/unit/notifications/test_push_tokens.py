from __future__ import annotations

from typing import Any

import pytest

from notifications import push_tokens
from notifications.push_tokens import BadToken, Subscription, is_push_service
from notifications.types import Platform
from tests.fakes.webpush import Browser, base64url

ANNA = Browser("anna", "")
MOZILLA = "https://updates.push.services.mozilla.com"


def subscription(**changes: Any) -> Subscription:
    given = ANNA.subscription(MOZILLA)
    parts = {"endpoint": given["endpoint"], **given["keys"], **changes}
    return Subscription.of(**parts)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/cITe60iQR1w:APA91bEWLv9I-_",
        "https://fcm.googleapis.com/wp/dSbTwHYXBxQ:APA91bFj",
        f"{MOZILLA}/wpush/v2/gAAAAABnpdbulnTLVcG1dB8MMTW1w9txxdv6vn==",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAAD%2fab%2b1%3d",
        "https://web.push.apple.com/QF8w7V0M5Z3hbQiw4tIsMBJ",
    ],
)
def test_the_push_services_of_browsers_are_known(endpoint: str) -> None:
    assert is_push_service(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/wpush",
        "nonsense",
        "fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "http://fcm.googleapis.com/x",
        "HTTPS://fcm.googleapis.com/x",
        "ftp://fcm.googleapis.com/x",
        "javascript://fcm.googleapis.com/%0aalert(1)",
        "https://fcm.googleapis.com",
        "https://fcm.googleapis.com?x/y",
        "https://fcm.googleapis.com:443/x",
        "https://fcm.googleapis.com:8080/x",
        "https://fcm.googleapis.com./x",
        "https://FCM.googleapis.com/x",
        "https://evil.example/fcm.googleapis.com/",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x",
        "https://sub.fcm.googleapis.com/x",
        "https://notify.windows.com/x",
        "https://evilnotify.windows.com/x",
        "https://.notify.windows.com.evil.example/x",
        "https://anna@fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evil.example#@fcm.googleapis.com/x",
        "https://evil.example\\@fcm.googleapis.com/x",
        "https://fcm.googleapis.com\\.evil.example/x",
        "https:/\\evil.example/x",
        "https://fcm.googleapis.com\t/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\r\nHost: evil.example",
        "https://fcm.googleapis.com/\x00",
        "https://fcm.googleapis.com/ü",
        "https://fcm。googleapis。com/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://fcm.googleapis.com/" + "x" * 2000,
    ],
)
def test_nothing_else_is_ever_called(endpoint: str) -> None:
    assert not is_push_service(endpoint)


def test_more_hosts_can_be_allowed(settings: Any) -> None:
    settings.WEBPUSH_HOSTS = ["push.example.org", "http://localhost:9000"]
    assert is_push_service("https://push.example.org/x")
    assert is_push_service("http://localhost:9000/x")
    for other in (
        "http://push.example.org/x",
        "http://localhost:9000",
        "http://localhost:90001/x",
        "http://localhost:9000@evil.example/x",
        "http://localhost/x",
        "https://localhost:9000/x",
        "https://fcm.googleapis.com/x",
    ):
        assert not is_push_service(other)


def test_a_subscription_is_kept_in_one_form() -> None:
    given = ANNA.subscription(MOZILLA)
    padded = subscription(p256dh=given["keys"]["p256dh"] + "=", auth=given["keys"]["auth"] + "==")
    assert padded.dump() == subscription().dump()
    assert Subscription.load(padded.dump()) == subscription()
    with_key = subscription(server_key="BKey")
    assert Subscription.load(with_key.dump()).server_key == "BKey"
    assert repr(with_key) == "<Subscription>"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoint": "https://evil.example/x"}, "endpoint"),
        ({"p256dh": ""}, "keys.p256dh"),
        ({"p256dh": "%%%"}, "keys.p256dh"),
        ({"p256dh": "A"}, "keys.p256dh"),
        ({"p256dh": base64url(bytes(65))}, "keys.p256dh"),
        ({"p256dh": base64url(b"\x04" + bytes([7]) * 64)}, "keys.p256dh"),
        ({"p256dh": base64url(ANNA.p256dh[:64])}, "keys.p256dh"),
        ({"p256dh": base64url(ANNA.p256dh + b"\0")}, "keys.p256dh"),
        ({"auth": ""}, "keys.auth"),
        ({"auth": "ü"}, "keys.auth"),
        ({"auth": base64url(bytes(15))}, "keys.auth"),
        ({"auth": base64url(bytes(17))}, "keys.auth"),
    ],
)
def test_a_wrong_subscription_is_refused(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadToken) as caught:
        subscription(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("platform", "token", "normal"),
    [
        (Platform.FCM, "cITe60iQR1w:APA91bEWLv9I-_Z", "cITe60iQR1w:APA91bEWLv9I-_Z"),
        (Platform.FCM, "dXpwUpT5VOmu_cf_v6ih07", "dXpwUpT5VOmu_cf_v6ih07"),
        (Platform.APNS, "4F" * 32, "4f" * 32),
        (Platform.APNS, "00" * 100, "00" * 100),
    ],
)
def test_a_token_has_one_form(platform: Platform, token: str, normal: str) -> None:
    assert push_tokens.normalise(platform, token) == normal


@pytest.mark.parametrize(
    ("platform", "token"),
    [
        (Platform.FCM, ""),
        (Platform.FCM, "short"),
        (Platform.FCM, "x" * 4097),
        (Platform.FCM, "cITe60iQR1w:APA91bEWLv9I\n"),
        (Platform.FCM, "cITe60iQR1w/../APA91bEWLv9I"),
        (Platform.FCM, "cITe60iQR1w:APA91bEWLv9I ü"),
        (Platform.APNS, "4f" * 31),
        (Platform.APNS, "4f" * 101),
        (Platform.APNS, "4f" * 32 + "4"),
        (Platform.APNS, "zz" * 32),
        (Platform.APNS, f"<{'4f' * 32}>"),
        (Platform.APNS, "٤f" * 32),
    ],
)
def test_a_wrong_token_is_refused(platform: Platform, token: str) -> None:
    with pytest.raises(BadToken) as caught:
        push_tokens.normalise(platform, token)
    assert not token or token not in str(caught.value)


def test_a_browser_is_the_same_whatever_its_keys() -> None:
    other = Browser("berta", "")
    renewed = subscription(p256dh=base64url(other.p256dh), server_key="BKey")
    digest = push_tokens.digest(Platform.WEBPUSH, subscription().dump())
    assert digest == push_tokens.digest(Platform.WEBPUSH, renewed.dump())
    elsewhere = Subscription.of(**vars_of(other))
    assert digest != push_tokens.digest(Platform.WEBPUSH, elsewhere.dump())


def vars_of(browser: Browser) -> dict[str, str]:
    given = browser.subscription(MOZILLA)
    return {"endpoint": given["endpoint"], **given["keys"]}


def test_tokens_of_two_platforms_are_two_devices() -> None:
    token = "4f" * 32
    assert push_tokens.digest(Platform.FCM, token) != push_tokens.digest(Platform.APNS, token)
