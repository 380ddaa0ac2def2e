from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typing_extensions import override

from notifications.providers import fcm_token
from notifications.providers.account import Verdict
from notifications.providers.base import Provider
from notifications.providers.fcm import CODES, FCM, MAX_PAYLOAD
from notifications.types import (
    Attachment,
    Channel,
    ErrorClass,
    Lane,
    ProviderError,
    Sent,
    Wanted,
)
from tests.fakes.behaviours import Answer, Hang, HugeBody, MalformedJson, Redirect, Reset, Status
from tests.fakes.fcm import BAD_TOKEN, FcmServer, GoogleTokenServer, error, refuses
from tests.providers.contract import (
    CONTENT,
    SECRET,
    HttpContract,
    LoopContract,
    Refusal,
    Vendor,
    close,
    failure,
    logged,
    run,
    send,
    tell,
)
from tests.providers.push_messages import NOW, plain, rich

KEY = rsa.generate_private_key(65537, 2048)
PROJECT = "comms-test"
TOKEN = "dQw4w9WgXcQ:APA91b" + "annaschmidt" * 12

MESSAGE, RICH = plain(TOKEN), rich(TOKEN)

THROTTLED, TEMPORARY, CONFIG = (
    ErrorClass.THROTTLED,
    ErrorClass.TEMPORARY,
    ErrorClass.AUTH_CONFIG,
)


@pytest.fixture
def google() -> Iterator[GoogleTokenServer]:
    with GoogleTokenServer(PROJECT, key=KEY) as google:
        yield google


@pytest.fixture
def server(google: GoogleTokenServer) -> Iterator[FcmServer]:
    with FcmServer(google) as server:
        yield server


def provider_at(url: str, account: str) -> FCM:
    return FCM("fcm", service_account=account, api_url=url)


class _FCM(Vendor):
    message = MESSAGE
    rich = RICH
    private = (TOKEN, "annaschmidt", "PRIVATE KEY", "ya29.")
    fails: Sequence[Any] = tuple(
        Status(status, error(status, f"{TOKEN}: {CONTENT}").body) for status in (400, 403, 500)
    )
    refusal = refuses(404, code="UNREGISTERED")
    reads_answer = "receipt"

    @pytest.fixture(autouse=True)
    def _google(self, google: GoogleTokenServer) -> None:
        self.account = google.service_account(private_key_id=SECRET)

    def make_at(self, url: str) -> Provider:
        return provider_at(url, self.account)

    @override
    def make(self, port: int) -> Provider:
        return self.make_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> Provider:
        return self.make_at(f"https://localhost:{port}")


class TestFcmOnLoops(_FCM, LoopContract):
    pass


class TestFcm(_FCM, HttpContract):
    golden = "fcm.txt"
    golden_headers = ("content-type",)
    refusals: ClassVar[Sequence[Refusal]] = [
        *(
            Refusal(refuses(400, code=code), error_class, code)
            for code, error_class in CODES.items()
            if code not in {"UNAUTHENTICATED", "INVALID_TOKEN"}
        ),
        Refusal(
            refuses(400, BAD_TOKEN, code="INVALID_ARGUMENT"),
            ErrorClass.PERMANENT_RECIPIENT,
            "INVALID_TOKEN",
        ),
        Refusal(
            refuses(400, "Bad", code="INVALID_ARGUMENT", field="message.token"),
            ErrorClass.PERMANENT_RECIPIENT,
            "INVALID_TOKEN",
        ),
        Refusal(
            refuses(400, f"Not the {BAD_TOKEN}", field="message.android.ttl"),
            ErrorClass.PERMANENT_MESSAGE,
            "INVALID_ARGUMENT",
        ),
        Refusal(refuses(403), CONFIG, "PERMISSION_DENIED"),
        Refusal(refuses(404), CONFIG, "NOT_FOUND"),
        Refusal(refuses(429), THROTTLED, "RESOURCE_EXHAUSTED"),
        Refusal(refuses(500), ErrorClass.AMBIGUOUS, "INTERNAL"),
        Refusal(refuses(503), TEMPORARY, "UNAVAILABLE"),
        Refusal(refuses(401, code="THIRD_PARTY_AUTH_ERROR"), CONFIG, "THIRD_PARTY_AUTH_ERROR"),
        Refusal(refuses(400, code="BRAND_NEW"), TEMPORARY, "unmapped:BRAND_NEW"),
    ]
    unsupported: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "no content": {"parts": {"link": "https://example.org"}},
        "attachments": {"attachments": (Attachment("a.txt", b"", "text/plain"),)},
        "too long": {"parts": {"body": "x" * MAX_PAYLOAD}},
        "a badge that is no number": {"parts": {"body": "x", "badge": "new!"}},
    }

    @override
    def test_the_request(self, provider, server):
        with time_machine.travel(NOW, tick=False):
            super().test_the_request(provider, server)

    @override
    @pytest.mark.parametrize(
        ("status", "value", "expected"),
        [(429, "7", 7), (503, "7", 7), (429, "soon", 60), (503, "soon", None)],
    )
    def test_it_reads_how_long_to_wait(self, provider, server, status, value, expected):
        server.script.next(Status(status, headers={"Retry-After": value}))
        assert failure(provider, self.message).retry_after == expected

    def test_the_receipt(self, provider, server):
        sent = send(provider, self.message)
        assert sent == Sent(sent.ref, 200)
        assert sent.ref.startswith("0:")

    def test_the_least_there_is(self, provider, server):
        send(provider, replace(self.message, parts={"body": "x"}, lane=Lane.BULK))
        message = server.messages.last
        assert message["notification"] == {"body": "x"}
        assert message["data"] == {
            "notification_id": str(MESSAGE.notification_id),
            "delivery_id": str(MESSAGE.delivery_id),
        }
        assert message["android"] == {
            "priority": "NORMAL",
            "notification": {"tag": str(MESSAGE.delivery_id)},
        }
        assert message["apns"]["headers"]["apns-priority"] == "5"
        assert message["webpush"]["headers"] == {"Urgency": "low"}

    def test_an_installation_id_is_one(self, provider, server):
        send(provider, replace(self.message, to="cB1-xYz_0123456789abcd"))
        message = server.messages.last
        assert message["fid"] == "cB1-xYz_0123456789abcd"
        assert "token" not in message

    def test_a_link_into_the_app_goes_to_the_app_alone(self, provider, server):
        send(provider, replace(self.message, parts={"body": "x", "link": "myapp://orders/17"}))
        message = server.messages.last
        assert message["data"]["link"] == "myapp://orders/17"
        assert "fcm_options" not in message["webpush"]

    def test_as_long_as_it_may_be(self, provider, server):
        room = MAX_PAYLOAD - len(
            json.dumps(
                {
                    "notification": {"body": ""},
                    "data": {
                        "notification_id": str(MESSAGE.notification_id),
                        "delivery_id": str(MESSAGE.delivery_id),
                    },
                },
                separators=(",", ":"),
            )
        )
        send(provider, replace(self.message, parts={"body": "ü" * (room // 2)}))
        over = replace(self.message, parts={"body": "ü" * (room // 2 + 1)})
        assert failure(provider, over).code == "too_long"

    @pytest.mark.parametrize("left", [timedelta(seconds=-5), timedelta(days=400)])
    def test_a_time_to_live_has_limits(self, provider, server, left):
        expires_at = datetime.now(UTC) + left
        send(provider, replace(self.message, expires_at=expires_at))
        assert server.messages.last["android"]["ttl"] in {"0s", f"{28 * 24 * 3600}s"}

    def test_a_device_that_is_gone(self, provider, server):
        server.gone.add(TOKEN)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (ErrorClass.PERMANENT_RECIPIENT, "UNREGISTERED")

    def test_it_reaches_devices_of_its_platform_only(self, provider):
        device = UUID(int=1)
        assert provider.lacks(Wanted(Channel.PUSH, f"fcm:{device}")) == ""
        assert provider.lacks(Wanted(Channel.PUSH, f"apns:{device}")) == "platform"
        assert (
            provider.lacks(Wanted(Channel.PUSH, f"fcm:{device}", has_attachments=True))
            == "attachments"
        )


class TestAccessToken(_FCM):
    """The token that Google's other server gives out."""

    def test_one_for_all_calls(self, provider, server, google):
        for _ in range(3):
            send(provider, self.message)
        assert len(google.ledger) == 1
        assert len(server.messages) == 3

    def test_calls_at_once_ask_for_one(self, provider, server, google):
        google.script.always(Answer(delay=0.05))
        run(_many(provider, 50))
        assert len(google.ledger) == 1
        assert len(server.messages) == 50

    @pytest.mark.parametrize("usable", [True, False])
    def test_it_is_renewed_before_it_ends(self, provider, server, google, usable):
        google.seconds = 100 if usable else 20
        send(provider, self.message)
        google.seconds = 3599
        first = set(google.valid)
        run(_many(provider, 20))
        assert len(google.ledger) == 2
        used = [request.headers["authorization"].split()[1] for request in server.ledger]
        if usable:  # only who renews it waits for the new one
            assert set(used[1:]) == google.valid
            assert first & set(used[1:])
        else:
            assert not first & set(used[1:])

    def test_while_it_cannot_be_renewed_the_old_one_does(self, provider, server, google, settings):
        google.seconds = 200
        send(provider, self.message)
        for trouble in (Status(503), Status(400), Reset(), MalformedJson(), Hang()):
            settings.PROVIDER_CONNECT_TIMEOUT = 0.5 if isinstance(trouble, Hang) else 10.0
            google.script.next(trouble)
            send(provider, self.message)
        assert len(server.messages) == 6
        assert len(google.ledger) == 6

    def test_one_that_was_revoked_costs_no_message(self, provider, server, google):
        send(provider, self.message)
        google.valid.clear()
        run(_many(provider, 30))
        assert len(server.messages) == 31
        assert len(google.ledger) == 2

    def test_ten_revocations_under_load_cost_no_message(self, provider, server, google):
        async def load() -> None:
            for _ in range(10):
                calls = asyncio.ensure_future(_many(provider, 40))
                await asyncio.sleep(0)
                google.valid.clear()
                await calls

        run(load())
        assert len(server.messages) == 400

    def test_refused_twice_is_a_matter_of_configuration(self, provider, server):
        server.script.always(refuses(401))
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (CONFIG, "UNAUTHENTICATED")
        assert len(server.ledger) == 2

    @pytest.mark.parametrize(
        ("trouble", "error_class", "code"),
        [
            (Status(400), CONFIG, "token:invalid_grant"),
            (Status(401, b"<p>"), CONFIG, "token:401"),
            (Status(429), TEMPORARY, "token:server_error"),
            (Status(500), TEMPORARY, "token:server_error"),
            (Status(503), TEMPORARY, "token:server_error"),
            (Redirect("http://127.0.0.1:1/"), CONFIG, "token:302"),
            (MalformedJson(), TEMPORARY, "token:200"),
            (Status(200, {"access_token": 17, "expires_in": 1}), TEMPORARY, "token:200"),
            (Status(200, {"access_token": "x"}), TEMPORARY, "token:200"),
            (HugeBody(2**20), TEMPORARY, "token:200"),
            (Reset(), TEMPORARY, "token:connection_lost"),
            (Hang(), TEMPORARY, "token:read_timeout"),
        ],
        ids=str,
    )
    def test_without_one_nothing_is_sent(
        self, provider, server, google, trouble, error_class, code, caplog, settings
    ):
        if isinstance(trouble, Hang):
            settings.PROVIDER_CONNECT_TIMEOUT = 0.3
        caplog.set_level("DEBUG")
        google.script.always(trouble)
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (error_class, code)
        assert len(server.ledger) == 0
        told = tell(error) + logged(caplog)
        assert not [text for text in (SECRET, CONTENT, *self.private) if text in told]

    def test_a_token_server_that_is_away(self, provider, server, google):
        google.refuse()
        error = failure(provider, self.message)
        assert (error.error_class, error.code) == (TEMPORARY, "token:connect_failed")

    def test_each_loop_waits_by_itself(self, provider, server, google):
        send(provider, self.message)
        google.valid.clear()
        assert provider.send(self.message).http_status == 200
        assert len(google.ledger) == 2


class TestCheck(_FCM):
    def test_an_account_that_may_send(self, provider, server):
        (check,) = provider.check()
        assert (check.what, check.verdict) == ("service account", Verdict.OK)
        assert server.ledger.last.json["validate_only"] is True
        assert len(server.messages) == 0

    @pytest.mark.parametrize(
        ("answer", "code"), [(refuses(403), "PERMISSION_DENIED"), (Status(503), "UNAVAILABLE")]
    )
    def test_one_that_may_not(self, provider, server, answer, code):
        server.script.next(answer)
        with pytest.raises(ProviderError) as caught:
            list(provider.check())
        assert caught.value.code == code


class TestServiceAccount:
    @pytest.mark.parametrize("missing", ["project_id", "client_email", "private_key", "token_uri"])
    def test_what_is_missing_is_told(self, google, missing):
        given = json.loads(google.service_account())
        del given[missing]
        self._is_refused(json.dumps(given))

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"private_key": 1}'])
    def test_what_is_none(self, text):
        self._is_refused(text)

    def test_a_key_of_another_kind(self, google):
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self._is_refused(google.service_account(private_key=pem.decode()))

    def test_a_good_one_is_no_problem(self, google):
        assert provider_at("http://127.0.0.1:1", google.service_account()).problems() == []

    def _is_refused(self, text: str) -> None:
        provider = provider_at("http://127.0.0.1:1", text)
        assert provider.problems() == [
            "fcm: FCM_SERVICE_ACCOUNT is no service account's key in JSON."
        ]
        error = failure(provider, MESSAGE)
        close(provider)
        assert (error.error_class, error.code) == (CONFIG, "service_account")


def test_a_thousand_in_flight_all_arrive(server, google, settings):
    settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = 30.0
    server.script.always(Answer(delay=1.0))
    provider = provider_at(server.url, google.service_account())
    run(_many(provider, provider.concurrency))
    close(provider)
    assert len(server.messages) == 1000
    assert len({message["data"]["delivery_id"] for message in server.messages}) == 1000


def test_the_time_before_the_end_is_longer_than_a_call(settings):
    assert fcm_token.RENEW_BEFORE > fcm_token.USABLE_BEFORE > settings.PROVIDER_READ_TIMEOUT


DOCUMENTED: dict[ErrorClass, str] = {
    ErrorClass.PERMANENT_RECIPIENT: "UNREGISTERED SENDER_ID_MISMATCH",
    ErrorClass.PERMANENT_MESSAGE: "INVALID_ARGUMENT",
    ErrorClass.AUTH_CONFIG: "THIRD_PARTY_AUTH_ERROR APNS_AUTH_ERROR "
    "UNAUTHENTICATED PERMISSION_DENIED NOT_FOUND",
    ErrorClass.THROTTLED: "QUOTA_EXCEEDED RESOURCE_EXHAUSTED",
    ErrorClass.TEMPORARY: "UNAVAILABLE",
    ErrorClass.AMBIGUOUS: "INTERNAL",
}
"""The codes of FCM's reference (rest/v1/ErrorCode), and those of google.rpc without one."""


def test_the_table_is_the_documented_one():
    documented = {code: known for known, codes in DOCUMENTED.items() for code in codes.split()}
    assert {**documented, "INVALID_TOKEN": ErrorClass.PERMANENT_RECIPIENT} == CODES


async def _many(provider: Provider, count: int) -> None:
    assert isinstance(provider, FCM)
    messages = [replace(MESSAGE, delivery_id=UUID(int=number)) for number in range(count)]
    await asyncio.gather(*(provider.carry([message]) for message in messages))
