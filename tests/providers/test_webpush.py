from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from typing_extensions import override

from notifications.providers import webpush
from notifications.providers.account import Verdict
from notifications.providers.base import Provider
from notifications.providers.webpush import ANSWERS, MAX_PAYLOAD, STATUSES, WebPush
from notifications.push_tokens import base64url
from notifications.types import (
    Attachment,
    Channel,
    ErrorClass,
    Lane,
    Wanted,
)
from tests.fakes.behaviours import Status
from tests.fakes.webpush import Browser, WebPushServer, from_base64url
from tests.providers import contract
from tests.providers.contract import (
    CONTENT,
    SECRET,
    HttpContract,
    LoopContract,
    Refusal,
    Vendor,
    close,
    failure,
    send,
    wire,
)
from tests.providers.push_messages import NOW, plain, rich

KEY = base64url(SECRET.encode().ljust(32, b"!"))
OTHER_KEY = base64url(bytes(range(1, 33)))
SUBJECT = "mailto:push@example.com"


def provider_with(*keys: str, subject: str = SUBJECT) -> WebPush:
    return WebPush("webpush", private_key=",".join(keys), subject=subject)


OURS, OTHER = provider_with(KEY, OTHER_KEY).server_keys
ANNA = Browser("anna-schmidt", OURS)

ADDRESS = ANNA.token("https://push.invalid")
MESSAGE, RICH = plain(ADDRESS), rich(ADDRESS)


@pytest.fixture
def server() -> Iterator[WebPushServer]:
    with WebPushServer(ANNA) as server:
        yield server


class _WebPush(Vendor):
    """Where it posts to is in the message: `make_at` addresses it."""

    message = MESSAGE
    rich = RICH
    private = (ANNA.name, base64url(ANNA.auth), base64url(ANNA.p256dh), KEY)
    fails: Sequence[Any] = tuple(
        Status(status, f"{ANNA.name}: {CONTENT}".encode()) for status in (400, 401, 410, 500)
    )
    refusal = Status(410)
    reads_answer = "receipt"

    @pytest.fixture(autouse=True)
    def _hosts(self, settings, _settings):
        self._django = settings

    def make_at(self, url: str) -> Provider:
        self._django.WEBPUSH_HOSTS = [url]
        at = ANNA.token(url)
        self.message, self.rich = replace(MESSAGE, to=at), replace(RICH, to=at)  # type: ignore[misc]
        return provider_with(KEY)

    @override
    def make(self, port: int) -> Provider:
        return self.make_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> Provider:
        return self.make_at(f"https://localhost:{port}")


class TestWebPushOnLoops(_WebPush, LoopContract):
    pass


class TestWebPush(_WebPush, HttpContract):
    golden = "webpush.txt"
    golden_headers = ("content-encoding", "content-type", "ttl", "urgency", "topic")
    needs_body = False
    statuses: ClassVar[Mapping[int, ErrorClass]] = {**contract.STATUSES, **STATUSES}
    refusals: ClassVar[Sequence[Refusal]] = [
        *(Refusal(Status(status), known, str(status)) for status, known in STATUSES.items()),
        *(
            Refusal(Status(status, f'{{"reason": "{text}"}}'.encode()), known, code)
            for status, text, known, code in ANSWERS
        ),
    ]
    unsupported: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "no content": {"parts": {"link": "https://example.org"}},
        "attachments": {"attachments": (Attachment("a.txt", b"", "text/plain"),)},
        "a badge that is no number": {"parts": {"body": "Hi", "badge": "many"}},
        "too long": {"parts": {"body": "x" * 4000}},
    }

    @override
    def test_the_request(self, provider, server):
        """As the browser decrypts it."""
        with time_machine.travel(NOW, tick=False):
            send(provider, self.rich)
        (request,), (pushed,) = server.ledger, server.messages
        golden = Path(__file__).parent / "golden" / self.golden
        shown = wire(replace(request, body=pushed.plain), self.golden_headers)
        assert shown == golden.read_text(encoding="utf-8")

    @override
    @pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", "http://10.0.0.1"])
    def test_a_url_that_is_none_is_our_fault(self, url):
        """It is the browser's, and no longer one that may be called."""
        provider = self.make_at(url)
        self._django.WEBPUSH_HOSTS = ["fcm.googleapis.com"]
        error = failure(provider, self.message)
        close(provider)
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "bad_subscription",
        )

    def test_the_receipt(self, provider, server):
        sent = send(provider, self.message)
        assert (sent.ref, sent.http_status, sent.is_delivered) == ("0:1", 201, False)

    @pytest.mark.parametrize(
        ("status", "headers", "ref"),
        [
            (200, {}, ""),
            (202, {"Location": "/m/" + "x" * 400}, "x" * 255),
            (201, {"apns-id": "E1"}, "E1"),
        ],
    )
    def test_each_kind_of_success(self, provider, server, status, headers, ref):
        server.script.next(Status(status, b"", headers))
        assert (sent := send(provider, self.message)).ref == ref
        assert sent.http_status == status

    def test_another_attempt_replaces_the_first(self, provider, server):
        send(provider, self.message)
        send(provider, replace(self.message, attempt_id=UUID(int=9), number=2))
        send(provider, replace(self.message, delivery_id=UUID(int=9)))
        first, again, other = [pushed.topic for pushed in server.messages]
        assert first == again != other
        assert [pushed.data["tag"] for pushed in server.messages] == [first, again, other]

    def test_a_collapse_id_replaces_across_messages(self, provider, server):
        for number, collapse_id in enumerate(("a", "a", "b" * 500), start=10):
            parts = {"title": "Hi", "collapse_id": collapse_id}
            send(provider, replace(self.message, delivery_id=UUID(int=number), parts=parts))
        one, same, other = [pushed.topic for pushed in server.messages]
        assert one == same != other

    @pytest.mark.parametrize(
        ("left", "ttl"),
        [
            (None, 28 * 24 * 3600),
            (timedelta(minutes=5), 300),
            (timedelta(seconds=-5), 0),
            (timedelta(days=300), 28 * 24 * 3600),
        ],
    )
    def test_it_is_kept_until_it_expires(self, provider, server, left, ttl):
        with time_machine.travel(NOW, tick=False):
            send(provider, replace(self.message, expires_at=left and NOW + left))
        assert server.messages.last.ttl == ttl

    @pytest.mark.parametrize(
        ("lane", "urgency"),
        [(Lane.URGENT, "high"), (Lane.NORMAL, "normal"), (Lane.BULK, "low")],
    )
    def test_the_lane_decides_how_urgent_it_is(self, provider, server, lane, urgency):
        send(provider, replace(self.message, lane=lane))
        assert server.messages.last.urgency == urgency

    @pytest.mark.parametrize("letter", ["x", "é", "世"])
    def test_the_largest_message_fits(self, provider, server, letter):
        bare = len(webpush.payload(replace(self.message, parts={"body": "x"}))) - 1
        room = (MAX_PAYLOAD - bare) // len(letter.encode())
        send(provider, replace(self.message, parts={"body": letter * room}))
        assert server.messages.last.data["body"] == letter * room
        error = failure(provider, replace(self.message, parts={"body": letter * (room + 1)}))
        assert (error.error_class, error.code) == (ErrorClass.PERMANENT_MESSAGE, "too_long")

    def test_the_largest_body_is_what_every_push_service_takes(self, provider, server):
        bare = len(webpush.payload(replace(self.message, parts={"body": "x"}))) - 1
        send(provider, replace(self.message, parts={"body": "x" * (MAX_PAYLOAD - bare)}))
        assert server.messages.last.size == 4096

    @pytest.mark.parametrize(
        "parts", [{"title": "Hi"}, {"body": "Hi"}, {"body": "\ud800 half a character"}]
    )
    def test_one_part_is_enough(self, provider, server, parts):
        send(provider, replace(self.message, parts=parts))
        assert set(parts) <= set(server.messages.last.data)

    def test_nothing_but_the_documented_is_told(self, provider, server):
        send(provider, self.rich)
        assert set(server.messages.last.data) == {
            *("title", "body", "link", "badge", "image", "tag"),
            *("notification_id", "delivery_id"),
        }

    def test_each_message_has_a_key_and_a_salt_of_its_own(self, provider, server):
        send(provider, self.message)
        send(provider, self.message)
        one, other = [request.body for request in server.ledger]
        assert one[:16] != other[:16]
        assert one[21:86] != other[21:86]

    # Who sends

    def test_the_token_tells_who_answers_for_it(self, provider, server):
        with time_machine.travel(NOW, tick=False):
            send(provider, self.message)
        claims = server.messages.last.claims
        assert claims["aud"] == server.url
        assert claims["sub"] == SUBJECT
        assert 6 * 3600 <= claims["exp"] - NOW.timestamp() <= 12 * 3600

    def test_a_token_is_made_anew_in_time(self, provider, server):
        made = set()
        with time_machine.travel(NOW, tick=False) as clock:
            for _ in range(16):
                send(provider, self.message)
                made.add(server.ledger.last.headers["authorization"])
                clock.shift(timedelta(hours=3))
        assert len(made) == 8

    def test_each_push_service_gets_a_token_of_its_own(self, provider, server, settings):
        send(provider, self.message)
        settings.WEBPUSH_HOSTS = [f"http://localhost:{server.port}"]
        elsewhere = ANNA.token(f"http://localhost:{server.port}")
        error = failure(provider, replace(self.message, to=elsewhere))
        assert error.error_class is ErrorClass.AUTH_CONFIG  # the fake is not called so
        token = server.ledger.last.headers["authorization"].split("=")[1].partition(",")[0]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["aud"] == f"http://localhost:{server.port}"

    def test_a_browser_of_another_key_is_gone(self, provider, server):
        server.browsers[ANNA.name] = Browser(ANNA.name, OTHER)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "vapid_key_mismatch",
        )

    def test_an_old_key_serves_those_who_subscribed_with_it(self, server):
        self.make(server.port)
        provider = provider_with(OTHER_KEY, KEY)
        old = ANNA.token(server.url, server_key=OURS)
        send(provider, replace(self.message, to=old))
        server.browsers["berta"] = berta = Browser("berta", OTHER)
        send(provider, replace(self.message, to=berta.token(server.url, server_key=OTHER)))
        send(provider, replace(self.message, to=berta.token(server.url)))
        close(provider)
        assert [pushed.browser.name for pushed in server.messages] == [ANNA.name, "berta", "berta"]

    def test_a_key_that_was_given_up_ends_its_subscriptions(self, server):
        self.make(server.port)
        provider = provider_with(OTHER_KEY)
        old = ANNA.token(server.url, server_key=OURS)
        error = failure(provider, replace(self.message, to=old))
        close(provider)
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "vapid_key_mismatch",
        )
        assert len(server.ledger) == 0

    @pytest.mark.parametrize("key", ["", "nonsense", "%", KEY[:20], KEY + KEY])
    def test_a_key_that_is_none_sends_nothing(self, server, key):
        self.make(server.port)
        provider = provider_with(key)
        assert provider.server_keys == []
        for to in (self.message.to, ANNA.token(server.url, server_key=OURS)):
            error = failure(provider, replace(self.message, to=to))
            assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "private_key")
        close(provider)
        assert len(server.ledger) == 0

    @pytest.mark.parametrize(
        "to",
        [
            "",
            "{}",
            "[]",
            "null",
            '"x"',
            '{"endpoint": 5, "keys": {"p256dh": "", "auth": ""}}',
            '{"endpoint": "https://fcm.googleapis.com/x", "keys": []}',
        ],
    )
    def test_what_is_no_subscription_is_gone(self, provider, server, to):
        error = failure(provider, replace(self.message, to=to))
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "bad_subscription",
        )
        assert len(server.ledger) == 0

    def test_the_endpoint_is_called_letter_by_letter(self, provider, server):
        """Those of Windows have escapes in them, and compare them as text."""
        strange = "/w/?token=BQYAAAD%2fab%2b1%3d%3d&x=%7E~a+b"
        kept = json.loads(self.message.to)
        kept["endpoint"] = f"{server.url}{strange}"
        failure(provider, replace(self.message, to=json.dumps(kept)))
        assert server.ledger.last.target == strange

    def test_a_host_that_somebody_has_made_up_is_the_addresss_trouble(self, settings):
        """Else each such name would have a breaker, and alerts, of its own."""
        settings.WEBPUSH_HOSTS = ["named.invalid", "*.wild.invalid"]
        provider = provider_with(KEY)
        for host, made_up in (("named.invalid", False), ("x7.wild.invalid", True)):
            message = replace(MESSAGE, to=ANNA.token(f"https://{host}"))
            error = failure(provider, message)
            assert (error.code, error.for_address) == ("connect_failed", made_up)
        close(provider)

    def test_the_blocking_way_sends_the_same(self, provider, server):
        assert provider.send(self.message).http_status == 201
        asyncio.run(provider.aclose())
        assert server.messages.last.data["body"] == CONTENT


def test_the_example_of_rfc_8291_can_be_read() -> None:
    """Section 5: that the fake decrypts says something about what we encrypt."""
    private = int.from_bytes(from_base64url("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
    auth = from_base64url("BTBZMqHH6r4Tts7J_aSIgg")
    browser = Browser("rfc", OURS, private=private, auth=auth)
    body = from_base64url(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6"
        "TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy"
        "4a-fN"
    )
    assert browser.decrypt(body) == b"When I grow up, I want to be a watermelon"


def test_the_error_table_is_the_documented_one() -> None:
    """RFC 8030 and the push services' own pages."""
    assert {
        known.value: {status for status in STATUSES if STATUSES[status] is known}
        for known in set(STATUSES.values())
    } == {
        "permanent_recipient": {404, 410},
        "permanent_message": {400, 413},
        "auth_config": {401, 403},
        "throttled": {406, 429},
        "temporary": {503},
        "ambiguous": {500, 502, 504},
    }


@pytest.mark.parametrize(
    "form", ["raw", "padded", "pem", "pem of openssl", "pem in one line", "der"]
)
def test_a_key_is_read_in_every_form(form: str) -> None:
    key = ec.derive_private_key(int.from_bytes(from_base64url(KEY)), ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    openssl = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    written = {
        "raw": KEY,
        "padded": KEY + "=",
        "pem": pem,
        "pem of openssl": openssl.decode().rstrip(),
        "pem in one line": pem.replace("\n", "\\n"),
        "der": base64url(der),
    }
    provider = provider_with(written[form])
    assert provider.problems() == []
    assert provider.server_keys == [OURS]


@pytest.mark.parametrize("subject", ["mailto:a@example.com", "https://example.com/push"])
def test_a_subject_that_all_push_services_take(subject: str) -> None:
    assert provider_with(KEY, subject=subject).problems() == []


@pytest.mark.parametrize(
    "subject",
    ["", "a@example.com", "mailto:a@localhost", "http://example.com", "https://localhost"],
)
def test_a_subject_that_apple_refuses_is_told_at_start(subject: str) -> None:
    (problem,) = provider_with(KEY, subject=subject).problems()
    assert "VAPID_SUBJECT" in problem


def test_a_key_that_is_none_is_told_at_start() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    pem = p384.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for key in ("", "nonsense", KEY[:-4], pem, f"{KEY},nonsense"):
        (problem,) = provider_with(key).problems()
        assert "VAPID_PRIVATE_KEY" in problem
        assert not key or key not in problem


def test_staff_see_which_key_is_in_use() -> None:
    (check,) = provider_with(KEY).check()
    assert (check.verdict, OURS[:12] in check.found) == (Verdict.OK, True)
    (check, other) = provider_with("nonsense", subject="").check()
    assert check.verdict is other.verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("address", "lacks"),
    [("webpush:0190", ""), ("fcm:0190", "platform"), ("apns:0190", "platform")],
)
def test_it_carries_for_browsers_alone(address: str, lacks: str) -> None:
    assert provider_with(KEY).lacks(Wanted(Channel.PUSH, address)) == lacks


def test_it_carries_no_files() -> None:
    wanted = Wanted(Channel.PUSH, "webpush:0190", has_attachments=True)
    assert provider_with(KEY).lacks(wanted) == "attachments"
