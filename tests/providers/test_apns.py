from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from commsproject.common import valkey
from notifications.providers import apns, apns_token
from notifications.providers.account import Verdict
from notifications.providers.apns import MAX_PAYLOAD, REASONS, APNs
from notifications.providers.base import Provider
from notifications.types import (
    Attachment,
    Channel,
    ErrorClass,
    Lane,
    ProviderError,
    Sent,
    Wanted,
)
from tests.fakes.apns import ApnsServer, refuses
from tests.fakes.behaviours import Answer, Hang, Status
from tests.providers.contract import (
    CONTENT,
    SECRET,
    HttpContract,
    LoopContract,
    Refusal,
    Vendor,
    close,
    failure,
    run,
    send,
    wait_until,
)
from tests.providers.push_messages import plain, rich

KEY_ID, TEAM_ID, TOPIC = "ABC123DEFG", "TEAM123456", "com.example.app"
DEVICE = b"anna".hex() * 8
SINCE = 1_794_000_000_000


def forget() -> None:
    """The tokens that processes share."""
    for name in valkey.client().scan_iter("comms:apns:*"):
        valkey.client().delete(name)


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


KEY = ec.derive_private_key(int.from_bytes(SECRET.encode()), ec.SECP256R1())
PEM = pem(KEY)

MESSAGE, RICH = plain(DEVICE), rich(DEVICE)

TEMPORARY, CONFIG = ErrorClass.TEMPORARY, ErrorClass.AUTH_CONFIG

STATUS_OF = {
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "Unregistered": 410,
    "ExpiredToken": 410,
    "PayloadTooLarge": 413,
    "TooManyRequests": 429,
    "TooManyProviderTokenUpdates": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}


@pytest.fixture(autouse=True)
def _nobody_has_a_token() -> Iterator[None]:
    yield
    forget()


@pytest.fixture
def server() -> Iterator[ApnsServer]:
    with ApnsServer(team_id=TEAM_ID, topic=TOPIC) as server:
        server.keys[KEY_ID] = KEY
        yield server


def provider_at(url: str, **changes: str) -> APNs:
    options = {"key": PEM, "key_id": KEY_ID, "team_id": TEAM_ID, "topic": TOPIC, **changes}
    return APNs("apns", api_url=url, **options)


class _APNs(Vendor):
    message = MESSAGE
    rich = RICH
    private = (DEVICE, PEM.splitlines()[1], base64.b64encode(SECRET.encode()).decode())
    fails: Sequence[Any] = tuple(
        Status(status, f'{{"reason": "x", "text": "{DEVICE}: {CONTENT}"}}'.encode())
        for status in (400, 403, 500)
    )
    refusal = refuses(400, "BadDeviceToken")
    reads_answer = "receipt"

    def make_at(self, url: str) -> Provider:
        return provider_at(url)

    @override
    def make(self, port: int) -> Provider:
        return self.make_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> Provider:
        return self.make_at(f"https://localhost:{port}")


class TestApnsOnLoops(_APNs, LoopContract):
    @override
    def test_calls_at_once_have_a_connection_each(self, provider, server, opened):
        """They share one."""
        server.script.always(self.slow)
        run(_many(provider, 20))
        assert len(opened) == 1
        assert server.most_streams == 20

    @override
    def test_a_call_that_is_interrupted_leaves_no_connection(self, provider, server):
        """It leaves no stream; on the connection others may be under way."""
        server.script.next(Hang())

        async def interrupt() -> None:
            task = asyncio.ensure_future(provider.carry([self.message]))
            await asyncio.to_thread(self.wait_for_a_call, server)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(interrupt())
        assert wait_until(lambda: server.open_streams == 0)
        send(provider, self.message)


class TestApns(_APNs, HttpContract):
    golden = "apns.txt"
    golden_headers = (
        "apns-topic",
        "apns-push-type",
        "apns-id",
        "apns-priority",
        "apns-collapse-id",
        "apns-expiration",
    )
    needs_body = False
    refusals: ClassVar[Sequence[Refusal]] = [
        *(
            Refusal(refuses(STATUS_OF.get(reason, 400), reason), error_class, reason)
            for reason, error_class in REASONS.items()
            if reason != "ExpiredProviderToken"
        ),
        *(
            Refusal(
                refuses(410, reason, timestamp=SINCE),
                ErrorClass.PERMANENT_RECIPIENT,
                reason,
                is_gone=True,
            )
            for reason in ("Unregistered", "ExpiredToken")
        ),
        Refusal(refuses(400, "BrandNew"), TEMPORARY, "unmapped:BrandNew"),
    ]
    unsupported: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "no content": {"parts": {"link": "https://example.org"}},
        "attachments": {"attachments": (Attachment("a.txt", b"", "text/plain"),)},
        "too long": {"parts": {"body": "x" * MAX_PAYLOAD}},
        "a badge that is no number": {"parts": {"body": "x", "badge": "-1"}},
        "an app that is none": {"app": "com.example\r\nx: y"},
    }

    @override
    @pytest.mark.parametrize(
        ("status", "value", "expected"), [(429, "7", 7), (503, "7", 7), (429, "soon", None)]
    )
    def test_it_reads_how_long_to_wait(self, provider, server, status, value, expected):
        server.script.next(Status(status, b"<p>", {"Retry-After": value}))
        assert failure(provider, self.message).retry_after == expected

    def test_the_receipt(self, provider, server):
        sent = send(provider, self.message)
        assert sent == Sent(str(MESSAGE.attempt_id), 200)

    def test_the_least_there_is(self, provider, server):
        message = replace(self.message, parts={"title": "x"}, lane=Lane.BULK)
        send(provider, message)
        (push,) = server.pushes
        assert push.json == {
            "aps": {"alert": {"title": "x"}, "sound": "default"},
            "notification_id": str(MESSAGE.notification_id),
            "delivery_id": str(MESSAGE.delivery_id),
        }
        assert push.headers["apns-priority"] == "5"
        assert push.headers["apns-collapse-id"] == str(MESSAGE.delivery_id)
        assert "apns-expiration" not in push.headers

    def test_another_attempt_replaces_the_first(self, provider, server):
        send(provider, self.message)
        send(provider, replace(self.message, attempt_id=UUID(int=9), number=2))
        first, again = server.pushes
        assert first.headers["apns-collapse-id"] == again.headers["apns-collapse-id"]
        assert first.headers["apns-id"] != again.headers["apns-id"]

    @pytest.mark.parametrize("given", ["ü", "x" * 65, "a\r\nb: c", " x", "x" * 64])
    def test_a_collapse_id_is_one_for_apple(self, provider, server, given):
        parts = {"title": "x", "collapse_id": given}
        send(provider, replace(self.message, parts=parts))
        send(provider, replace(self.message, delivery_id=UUID(int=9), parts=parts))
        first, again = [push.headers["apns-collapse-id"] for push in server.pushes]
        assert first == again
        assert len(first) == 64

    def test_a_device_with_another_app(self, provider, server):
        server.topic = "com.example.other"
        send(provider, replace(self.message, app="com.example.other"))
        assert server.pushes.last.headers["apns-topic"] == "com.example.other"

    @pytest.mark.parametrize("to", ["", "../x", "zz", "a" * 201, "ab\r\nc: d"])
    def test_a_token_that_is_none(self, provider, server, to):
        error = failure(provider, replace(self.message, to=to))
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "BadDeviceToken",
        )
        assert self.calls(server) == 0

    def test_a_device_that_is_gone_says_since_when(self, provider, server):
        server.gone[DEVICE] = SINCE
        error = failure(provider, self.message)
        assert error.gone_since == datetime.fromtimestamp(SINCE / 1000, UTC)

    @pytest.mark.parametrize("timestamp", [10**30, -(10**30)])
    def test_a_moment_that_is_none(self, provider, server, timestamp):
        server.script.next(refuses(410, "Unregistered", timestamp=timestamp))
        error = failure(provider, self.message)
        assert (error.code, error.gone_since) == ("Unregistered", None)

    def test_too_many_for_one_device_says_nothing_of_the_others(self, provider, server):
        server.script.next(refuses(429, "TooManyRequests"))
        error = failure(provider, self.message)
        assert error.for_address
        assert (error.error_class, error.retry_after) == (TEMPORARY, apns.DEVICE_WAIT)

    def test_too_many_tokens_are_a_pause_for_all(self, provider, server):
        server.script.next(refuses(429, "TooManyProviderTokenUpdates"))
        error = failure(provider, self.message)
        assert not error.for_address
        assert error.retry_after == apns.TOKEN_WAIT

    def test_it_reaches_devices_of_its_platform_only(self, provider):
        device = UUID(int=1)
        assert provider.lacks(Wanted(Channel.PUSH, f"apns:{device}")) == ""
        assert provider.lacks(Wanted(Channel.PUSH, f"fcm:{device}")) == "platform"
        assert provider.lacks(Wanted(Channel.PUSH, f"apns:{device}", has_attachments=True)) == (
            "attachments"
        )


class TestCheck(_APNs):
    def test_a_key_that_apple_knows(self, provider, server):
        (check,) = provider.check()
        assert (check.what, check.verdict) == ("key", Verdict.OK)
        assert server.ledger.last.headers["apns-topic"] == TOPIC

    @pytest.mark.parametrize("reason", ["InvalidProviderToken", "TopicDisallowed", "Shutdown"])
    def test_one_that_it_does_not(self, provider, server, reason):
        server.script.next(refuses(STATUS_OF.get(reason, 403), reason))
        with pytest.raises(ProviderError) as caught:
            list(provider.check())
        assert caught.value.code == reason


class TestProviderToken(_APNs):
    def test_one_for_all_calls(self, provider, server):
        run(_many(provider, 50))
        assert len(_tokens(server)) == 1

    def test_what_it_says(self, provider, server):
        send(provider, self.message)
        (token,) = _tokens(server)
        assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": KEY_ID, "typ": "JWT"}
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims == {"iss": TEAM_ID, "iat": pytest.approx(time.time(), abs=5)}

    def test_another_process_has_the_same(self, provider, server):
        other = provider_at(server.url)
        send(provider, self.message)
        with time_machine.travel(time.time() + 600):
            send(other, self.message)
        close(other)
        assert len(_tokens(server)) == 1

    def test_another_key_has_another(self, provider, server):
        send(provider, self.message)
        other = provider_at(server.url, key=server.new_key("OTHER"), key_id="OTHER")
        send(other, self.message)
        close(other)
        assert len(_tokens(server)) == 2
        assert len(server.pushes) == 2

    def test_it_is_renewed_between_20_and_60_minutes(self, provider, server):
        send(provider, self.message)
        for minutes, tokens in ((19, 1), (49, 1), (51, 2)):
            with time_machine.travel(time.time() + minutes * 60):
                forget()
                send(provider, self.message)
            assert len(_tokens(server)) == tokens

    def test_an_old_one_of_another_process_is_not_used(self, provider, server):
        with time_machine.travel(time.time() - 55 * 60):
            other = provider_at(server.url)
            send(other, self.message)
            close(other)
        send(provider, self.message)
        first, second = _tokens(server)
        assert _age(second) < 5 < _age(first)

    @pytest.mark.parametrize("held", [b"\xff", b"", b"a.b.c", "forged"])
    def test_what_is_none_is_not_used(self, provider, server, held):
        send(provider, self.message)
        (name,) = set(valkey.client().scan_iter("comms:apns:*"))  # a scan may find one twice
        if held == "forged":
            stranger = ec.generate_private_key(ec.SECP256R1())
            claims = {"iss": TEAM_ID, "iat": int(time.time())}
            held = jwt.encode(claims, stranger, algorithm="ES256", headers={"kid": KEY_ID})
        valkey.client().set(name, held)
        other = provider_at(server.url)
        send(other, self.message)
        close(other)
        assert len(server.pushes) == 2

    def test_without_valkey_each_process_has_its_own(self, server, broker):
        broker.refuse()
        providers = [provider_at(server.url) for _ in range(2)]
        for age, provider in enumerate(providers):
            with time_machine.travel(time.time() - age * 60):
                send(provider, self.message)
            close(provider)
        assert len(_tokens(server)) == 2

    def test_one_that_has_expired_costs_no_message(self, provider, server):
        with time_machine.travel(time.time() - 60):
            send(provider, self.message)
        server.not_before = time.time() - 30
        run(_many(provider, 50))
        assert len(server.pushes) == 51
        assert len(_tokens(server)) == 2

    def test_after_it_has_expired_all_processes_have_the_same_new_one(self, provider, server):
        other = provider_at(server.url)
        with time_machine.travel(time.time() - 60):
            send(provider, self.message)
            send(other, self.message)
        server.not_before = time.time() - 30
        send(provider, self.message)
        with time_machine.travel(time.time() + 10):
            send(other, self.message)
        close(other)
        assert len(server.pushes) == 4
        assert len(_tokens(server)) == 2

    def test_refused_twice_is_a_matter_of_configuration(self, provider, server):
        server.script.always(refuses(403, "ExpiredProviderToken"))
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (CONFIG, "ExpiredProviderToken")
        assert self.calls(server) == 2

    def test_a_key_that_apple_does_not_know(self, server):
        provider = provider_at(server.url, key=pem(ec.generate_private_key(ec.SECP256R1())))
        error = failure(provider, self.message)
        close(provider)
        assert (error.error_class, error.code) == (CONFIG, "InvalidProviderToken")
        assert self.calls(server) == 1

    def test_its_time_is_within_what_apple_allows(self):
        assert 20 * 60 <= apns_token.SECONDS < 60 * 60


class TestKey:
    @pytest.mark.parametrize(
        "key",
        [
            "",
            "nonsense",
            PEM[:100],
            pem(ec.generate_private_key(ec.SECP384R1())),
            pem(rsa.generate_private_key(65537, 2048)),
        ],
        ids=["empty", "nonsense", "cut", "P-384", "RSA"],
    )
    def test_what_is_none_is_told(self, key):
        provider = provider_at("http://127.0.0.1:1", key=key)
        assert provider.problems() == [
            "apns: APNS_KEY is no private key on P-256 (the text of the .p8)."
        ]
        error = failure(provider, MESSAGE)
        close(provider)
        assert (error.error_class, error.code) == (CONFIG, "key")

    def test_one_line_is_enough(self):
        assert provider_at("http://127.0.0.1:1", key=PEM.replace("\n", "\\n")).problems() == []

    def test_a_topic_that_is_none_is_told(self):
        (problem,) = provider_at("http://127.0.0.1:1", topic="").problems()
        assert "APNS_TOPIC" in problem


def test_a_thousand_in_flight_all_arrive(server, settings):
    settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = 30.0
    server.script.always(Answer(delay=1.0))
    provider = provider_at(server.url)
    run(_many(provider, provider.concurrency))
    close(provider)
    assert len({push.json["delivery_id"] for push in server.pushes}) == 1000
    assert len({push.connection for push in server.pushes}) == 1
    assert len(server.ledger) == 1000


DOCUMENTED: dict[ErrorClass, str] = {
    ErrorClass.PERMANENT_RECIPIENT: "BadDeviceToken DeviceTokenNotForTopic Unregistered ExpiredToken",
    ErrorClass.PERMANENT_MESSAGE: "BadCollapseId BadExpirationDate BadMessageId BadPriority "
    "DuplicateHeaders MissingDeviceToken PayloadEmpty PayloadTooLarge",
    ErrorClass.AUTH_CONFIG: "BadTopic MissingTopic TopicDisallowed InvalidPushType BadCertificate "
    "BadCertificateEnvironment ExpiredProviderToken InvalidProviderToken MissingProviderToken "
    "UnrelatedKeyIdInToken BadEnvironmentKeyIdInToken Forbidden BadPath MethodNotAllowed",
    ErrorClass.THROTTLED: "TooManyProviderTokenUpdates",
    ErrorClass.TEMPORARY: "TooManyRequests IdleTimeout ServiceUnavailable Shutdown",
    ErrorClass.AMBIGUOUS: "InternalServerError",
}
"""The reasons of Apple's page "Handling notification responses from APNs"."""


def test_the_table_is_the_documented_one():
    assert {
        reason: known for known, reasons in DOCUMENTED.items() for reason in reasons.split()
    } == REASONS


def _tokens(server: ApnsServer) -> list[str]:
    """Those that were used, in order, each once."""
    return list(dict.fromkeys(call.headers["authorization"].split()[1] for call in server.ledger))


def _age(token: str) -> float:
    claims = jwt.decode(token, options={"verify_signature": False})
    return time.time() - float(claims["iat"])


async def _many(provider: Provider, count: int) -> None:
    assert isinstance(provider, APNs)
    messages = [replace(MESSAGE, delivery_id=UUID(int=number)) for number in range(count)]
    await asyncio.gather(*(provider.carry([message]) for message in messages))
