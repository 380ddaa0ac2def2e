from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from twilio.request_validator import RequestValidator
from typing_extensions import override

from commsproject.settings import comms
from notifications.models import Suppression
from notifications.providers.account import Verdict
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.twilio import ERRORS, OF_COUNTRY, OPT_OUT, STATUSES, TRIAL, Twilio
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Inbound,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Wanted,
)
from tests.engine import drain, make_everything_due
from tests.fakes.behaviours import Answer, Reset, Status, failed_after_accept, throttled
from tests.fakes.twilio import TwilioServer, post, twilio_error
from tests.providers.contract import (
    CONTENT,
    SECRET,
    SLOW,
    HttpContract,
    LookUpContract,
    Refusal,
    WebhookContract,
    close,
    failure,
    flips,
    inquiry,
    payload,
    send,
)
from tests.providers.vectors import TWILIO, TWILIO_BODY, TWILIO_TOKEN, TWILIO_URL
from tracking.services import ingest

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
SERVICE = "MG0123456789abcdef0123456789abcdef"
TOKEN = f"{SECRET}-token"
NUMBER = "+4915112345678"
FROM = "+15005550006"
PUBLIC = "https://comms.example.com"

CONFIG, THROTTLED = ErrorClass.AUTH_CONFIG, ErrorClass.THROTTLED
RECIPIENT, MESSAGE = ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE
TEMPORARY, AMBIGUOUS = ErrorClass.TEMPORARY, ErrorClass.AMBIGUOUS

PLAIN = Outbound(
    attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
    delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
    notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
    channel=Channel.SMS,
    to=NUMBER,
    parts={"text": f"Grüße ✓ & 100 % = {CONTENT}"},
    agent_id="agent-1",
    template_id="code.v1",
    tags=("welcome",),
    metadata={"order": "A17"},
)
RICH = replace(PLAIN, expires_at=datetime(2100, 1, 1, tzinfo=UTC))

DOCUMENTED: dict[ErrorClass, str] = {
    RECIPIENT: "21211 21265 21266 21610 21614 21635 30004 30005 30006 30450 30453 63003 63014",
    MESSAGE: "21602 21617 21619 21658 30007 30010 63016 14107",
    CONFIG: "20003 20404 21212 21408 21601 21606 21608 21609 21612 21659 21660 21661 21703 21704 21705"
    " 30002 30024 30032 30034 30127",
    THROTTLED: "20429 21611 30022 30023 30027 60728 63017 63018 63038",
    TEMPORARY: "21730 30001 30003 30008 30036",
    AMBIGUOUS: "30410",
}
"""Twilio's documented codes by what they mean for us (twilio.com/docs/api/errors)."""


@pytest.fixture
def server():
    with TwilioServer(ACCOUNT, TOKEN) as server:
        yield server


@pytest.fixture(autouse=True)
def _public(settings):
    settings.PUBLIC_URL = PUBLIC


def provider_at(url: str = "http://127.0.0.1:1", **options: str) -> Twilio:
    defaults = {
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "from_number": FROM,
        "messaging_service_sid": "",
    }
    return Twilio("twilio", api_url=url, **{**defaults, **options})


class TestTwilio(HttpContract, LookUpContract):
    message = PLAIN
    rich = RICH
    private = (NUMBER, FROM)
    golden = "twilio.txt"
    reads_answer = "_sent"
    slow = Answer(delay=SLOW)
    refusal = twilio_error(21614)
    fails = (
        twilio_error(21211, f"The 'To' number {NUMBER} is not valid: {CONTENT}"),
        twilio_error(99999, f"{NUMBER}: {CONTENT}"),
        Status(500, f"{NUMBER}: {CONTENT}".encode()),
    )
    refusals: ClassVar[Sequence[Refusal]] = [
        Refusal(
            twilio_error(code),
            error_class,
            str(code),
            is_opt_out=code == 21610,
            for_country=code in (21408, 21612, 21659),
        )
        for code, error_class in ERRORS.items()
    ]
    unsupported: ClassVar = {
        "no text": {"parts": {"subject": "Hi"}},
        "a header": {"headers": {"X-A": "1"}},
        "reply-to": {"reply_to": "help@example.com"},
        "an attachment": {"attachments": ("file",)},
        "values": {"values": {"name": "Anna"}},
        "a template of theirs": {"hosted": {"twilio": "HX00"}},
    }

    @override
    def make_at(self, url: str) -> Twilio:
        return provider_at(url)

    def test_the_receipt(self, provider, server):
        sent = send(provider, PLAIN)
        assert (sent.ref, sent.http_status) == (server.messages.last.sid, 201)
        assert server.messages.last.body == PLAIN.parts["text"]

    def test_a_service_goes_before_a_number(self, server):
        provider = provider_at(server.url, messaging_service_sid=SERVICE)
        send(provider, PLAIN)
        close(provider)
        fields = server.messages.last.fields
        assert fields["MessagingServiceSid"] == SERVICE
        assert "From" not in fields

    def test_the_first_of_two_tokens_is_used(self, server):
        provider = provider_at(server.url, auth_token=f"{TOKEN}, old")
        send(provider, PLAIN)
        close(provider)
        assert len(server.messages) == 1

    def test_a_wrong_token(self, server):
        provider = provider_at(server.url, auth_token="wrong")
        error = failure(provider, PLAIN)
        close(provider)
        assert (error.error_class, error.code, error.http_status) == (CONFIG, "20003", 401)

    def test_nothing_of_the_environment_changes_where_it_calls(self, server, monkeypatch):
        monkeypatch.setenv("TWILIO_REGION", "ie1")
        monkeypatch.setenv("TWILIO_EDGE", "dublin")
        provider = provider_at(server.url)
        send(provider, PLAIN)
        close(provider)
        assert len(server.messages) == 1

    @pytest.mark.parametrize(
        ("to", "code"),
        [
            ("+15005550001", "21211"),
            ("+15005550002", "21612"),
            ("+15005550003", "21408"),
            ("+15005550004", "21610"),
            ("+15005550009", "21614"),
        ],
    )
    def test_the_magic_numbers(self, provider, server, to, code):
        assert failure(provider, replace(PLAIN, to=to)).code == code
        assert len(server.messages) == 0

    @pytest.mark.parametrize(
        ("sender", "code"),
        [("+15005550001", "21212"), ("+15005550007", "21606"), ("+15005550008", "21611")],
    )
    def test_the_magic_senders(self, server, sender, code):
        provider = provider_at(server.url, from_number=sender)
        assert failure(provider, PLAIN).code == code
        close(provider)

    @pytest.mark.parametrize(
        "to", ["", "0151 1234567", "15005550006", "+0151123456", "+49151123456789012", "+49\n1511"]
    )
    def test_an_address_that_is_no_number_never_leaves(self, provider, server, to):
        error = failure(provider, replace(PLAIN, to=to))
        assert error.error_class is RECIPIENT
        assert self.calls(server) == 0

    def test_a_text_that_is_too_long(self, provider):
        error = failure(provider, replace(PLAIN, parts={"text": "x" * 1601}))
        assert (error.error_class, error.code) == (MESSAGE, "21617")

    def test_a_code_nobody_documents_is_temporary(self, provider, server):
        server.script.next(twilio_error(29999))
        error = failure(provider, PLAIN)
        assert (error.error_class, error.code) == (TEMPORARY, "unmapped:29999")

    @pytest.mark.parametrize(
        ("status", "error_class"), [(500, AMBIGUOUS), (503, TEMPORARY), (401, CONFIG)]
    )
    def test_the_status_counts_where_it_says_more_than_the_code(
        self, provider, server, status, error_class
    ):
        server.script.next(twilio_error(29999, status=status))
        error = failure(provider, PLAIN)
        assert (error.error_class, error.code) == (error_class, str(status))

    def test_a_known_code_of_a_failing_server_is_not_believed(self, provider, server):
        server.script.next(twilio_error(21211, status=500))
        assert failure(provider, PLAIN).error_class is AMBIGUOUS

    def test_throttling_says_how_long(self, provider, server):
        server.script.next(throttled(30), twilio_error(20429, Retry_After="40"))
        assert failure(provider, PLAIN).retry_after == 30
        error = failure(provider, PLAIN)
        assert (error.code, error.retry_after) == ("20429", 40)

    def test_an_error_after_the_message_was_taken_is_looked_up(self, provider, server):
        server.script.next(failed_after_accept())
        assert failure(provider, PLAIN).error_class is AMBIGUOUS
        (event,) = provider.status(inquiry(PLAIN))
        assert event.type is EventType.SENT

    @pytest.mark.parametrize(
        ("left", "field"),
        [
            (timedelta(seconds=90, milliseconds=900), "90"),
            (timedelta(days=2), "36000"),
            (-timedelta(1), "1"),
        ],
    )
    def test_how_long_it_may_wait(self, provider, server, left, field):
        send(provider, replace(PLAIN, expires_at=timezone.now() + left))
        assert server.messages.last.fields["ValidityPeriod"] == field

    def test_it_may_wait_as_long_as_it_likes(self, provider, server):
        send(provider, PLAIN)
        assert "ValidityPeriod" not in server.messages.last.fields

    def test_a_thread_keeps_its_connection(self, provider, server, opened):
        for _ in range(3):
            send(provider, PLAIN)
        server.script.next(self.refusal)
        failure(provider, PLAIN)
        send(provider, PLAIN)
        assert len(opened) == 1

    def test_an_idle_connection_is_replaced(self, provider, opened, monkeypatch):
        send(provider, PLAIN)
        monkeypatch.setattr("notifications.providers.common.http_thread.IDLE_SECONDS", 0.0)
        send(provider, PLAIN)
        assert len(opened) == 2

    def test_each_thread_has_a_connection_of_its_own(self, provider, opened):
        def other() -> None:
            send(provider, PLAIN)
            provider.close()

        send(provider, PLAIN)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
        send(provider, PLAIN)
        assert len(opened) == 2

    # The account

    def test_the_account_is_checked(self, provider, server):
        token, sender = provider.check()
        assert {token.verdict, sender.verdict} == {Verdict.OK}
        assert len(server.messages) == 0

    def test_a_trial_account_that_is_suspended(self, provider, server):
        server.account = {"status": "suspended", "type": "Trial"}
        server.numbers = set()
        found = {check.what: check.verdict for check in provider.check()}
        assert found == {
            "token": Verdict.OK,
            "account": Verdict.FAILED,
            "trial": Verdict.WARNING,
            "sender": Verdict.WARNING,
        }

    def test_a_service_is_a_sender(self, server):
        provider = provider_at(server.url, messaging_service_sid=SERVICE)
        assert {check.verdict for check in provider.check()} == {Verdict.OK}
        close(provider)

    def test_a_token_that_is_refused(self, server):
        provider = provider_at(server.url, auth_token="wrong")
        with pytest.raises(ProviderError) as caught:
            list(provider.check())
        close(provider)
        assert caught.value.error_class is CONFIG

    # Look-up

    def test_a_message_is_fetched_by_its_id(self, provider, server):
        ref = send(provider, PLAIN).ref
        server.messages.last.status, server.messages.last.error_code = "undelivered", 30005
        (event,) = provider.status(inquiry(PLAIN, ref))
        assert event == ProviderEvent(
            type=EventType.BOUNCED,
            at=server.messages.last.at,
            dedupe=f"{ref}:undelivered",
            attempt_id=PLAIN.attempt_id,
            provider_ref=ref,
            address=NUMBER,
            permanent=True,
            code="30005",
        )
        assert server.ledger.last.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{ref}.json"

    def test_an_id_that_twilio_does_not_know(self, provider):
        assert provider.status(inquiry(PLAIN, "SM00")) == []

    def test_a_look_up_tells_what_a_callback_tells(self, provider, server):
        ref = send(provider, PLAIN).ref
        server.messages.last.status = "delivered"
        (found,) = provider.status(inquiry(PLAIN))
        message = server.messages.last
        (told,) = provider.parse(webhook(server.callback(message, "delivered"), message.fields))
        assert (found.dedupe, found.type, found.attempt_id, found.provider_ref) == (
            told.dedupe,
            told.type,
            told.attempt_id,
            ref,
        )

    @pytest.mark.parametrize(
        "age", [timedelta(minutes=-2), timedelta(minutes=2), timedelta(seconds=-10)]
    )
    def test_the_same_text_of_another_time_is_another(self, provider, server, age):
        send(provider, PLAIN)
        server.messages.last.at += age
        assert provider.status(inquiry(PLAIN)) == []

    def test_another_text_is_another_message(self, provider, server):
        send(provider, replace(PLAIN, parts={"text": f"No. {PLAIN.parts['text']}"}))
        assert provider.status(inquiry(PLAIN)) == []

    def test_a_trial_account_has_a_sentence_before_every_text(self, provider, server):
        send(provider, PLAIN)
        server.messages.last.fields["Body"] = TRIAL + PLAIN.parts["text"]
        assert len(provider.status(inquiry(PLAIN))) == 1

    @pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": [1]}])
    def test_a_list_that_is_none(self, provider, server, body):
        server.script.next(Status(200, body))
        with pytest.raises(ProviderError) as caught:
            provider.status(inquiry(PLAIN))
        assert caught.value.error_class is AMBIGUOUS


def test_the_table_is_the_documented_one():
    documented = {
        int(code): error_class
        for error_class, codes in DOCUMENTED.items()
        for code in codes.split()
    }
    assert documented == ERRORS
    assert OPT_OUT in ERRORS
    assert set(ERRORS) > OF_COUNTRY


def test_what_it_lacks():
    provider = provider_at()
    assert provider.lacks(Wanted(Channel.SMS, NUMBER, "DE", has_attachments=True))
    assert provider.lacks(Wanted(Channel.SMS, NUMBER, "DE", hosted={"sendgrid"}))
    assert provider.lacks(Wanted(Channel.SMS, NUMBER, "DE")) == ""


def test_a_sender_is_needed():
    assert provider_at().problems() == []
    assert provider_at(from_number="", messaging_service_sid=SERVICE).problems() == []
    (problem,) = provider_at(from_number="").problems()
    assert "TWILIO_FROM_NUMBER" in problem


def test_the_entry_in_the_settings_makes_one():
    entry = comms.PROVIDERS["twilio"]
    assert entry["CLASS"] == f"{Twilio.__module__}.{Twilio.__qualname__}"
    assert not entry["ENABLED"]
    assert entry["LIMIT"] == {"COUNT": 1, "SECONDS": 1.0, "UNIT": "recipients"}
    assert isinstance(Twilio("twilio", **entry["OPTIONS"]), Twilio)


# Webhooks

SID = "SM2f9e1c3c0a6b4d0e8f7a6b5c4d3e2f10"


def webhook(sent: Any, fields: dict[str, str]) -> Webhook:
    """What the fake posts, as it comes in."""
    url = urlsplit(fields["StatusCallback"])
    headers = {name.lower(): value for name, value in sent.headers.items()}
    return Webhook(sent.body, headers, f"{url.path}?{url.query}")


def told(kind: EventType, status: str, **changes: Any) -> ProviderEvent:
    event = ProviderEvent(
        type=kind,
        at=WebhookContract.now,
        dedupe=f"{SID}:{status}",
        attempt_id=PLAIN.attempt_id,
        provider_ref=SID,
        address=NUMBER,
    )
    return replace(event, **changes)


class TestWebhooks(WebhookContract):
    path = f"/webhooks/twilio/status/?attempt={PLAIN.attempt_id}&message={PLAIN.notification_id}"
    signature = "x-twilio-signature"
    captured: ClassVar[dict[str, list[Report]]] = {
        "twilio_sent.form": [told(EventType.SENT, "sent")],
        "twilio_delivered.form": [told(EventType.DELIVERED, "delivered")],
        "twilio_read.form": [
            told(EventType.DELIVERED, "read"),
            told(EventType.OPENED, "read", dedupe=f"{SID}:read:1"),
        ],
        "twilio_undelivered.form": [
            told(EventType.BOUNCED, "undelivered", permanent=True, code="30005")
        ],
        "twilio_failed.form": [told(EventType.BOUNCED, "failed", code="30001")],
        "twilio_opted_out.form": [
            told(EventType.BOUNCED, "failed", code="21610"),
            told(EventType.UNSUBSCRIBED, "failed", code="21610", dedupe=f"{SID}:failed:1"),
        ],
        "twilio_inbound.form": [
            Inbound(
                channel=Channel.SMS,
                sender=NUMBER,
                to=FROM,
                text="Danke, passt ✓",
                at=WebhookContract.now,
                dedupe="SM9b1e7a52c4d34f0f8e6d5c4b3a291807",
            )
        ],
        "twilio_inbound_stop.form": [
            Inbound(
                channel=Channel.SMS,
                sender=NUMBER,
                to=FROM,
                text="Stopp",
                at=WebhookContract.now,
                dedupe="SM9b1e7a52c4d34f0f8e6d5c4b3a291808",
                wish="stop",
            )
        ],
        "twilio_inbound_mms.form": [
            Inbound(
                channel=Channel.SMS,
                sender="+14155550100",
                to=FROM,
                text="",
                at=WebhookContract.now,
                dedupe="MM9b1e7a52c4d34f0f8e6d5c4b3a291809",
                has_attachments=True,
            )
        ],
    }
    unknown = (
        f"AccountSid={ACCOUNT}&MessageSid={SID}&MessageStatus=teleported".encode(),
        f"AccountSid={ACCOUNT}&MessageSid={SID}".encode(),
        f"AccountSid={ACCOUNT}&CallSid=CA00&CallStatus=ringing".encode(),
    )

    @override
    def receiver(self) -> Twilio:
        return provider_at()

    @override
    def unprepared(self) -> Twilio:
        return provider_at(auth_token="")

    @override
    def sign(self, body: bytes) -> Webhook:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC + self.path, fields)
        return Webhook(body, {self.signature: signature}, self.path)

    @override
    def is_same(self, one: bytes, other: bytes) -> bool:
        try:
            return parse_qsl(one.decode(), errors="strict") == parse_qsl(other.decode())
        except ValueError:
            return False

    def test_each_bit_of_the_path_is_signed(self):
        provider, webhook = self.receiver(), self.sign(self._any())
        for path in flips(self.path.encode()):
            with pytest.raises(BadSignature):
                provider.verify(replace(webhook, path=path.decode("latin-1")))

    def test_either_token_does_while_it_is_changed(self):
        webhook = self.sign(self._any())
        provider_at(auth_token=f"new,{TOKEN}").verify(webhook)
        provider_at(auth_token=f"{TOKEN},old").verify(webhook)
        with pytest.raises(BadSignature):
            provider_at(auth_token="new,old").verify(webhook)

    def test_each_status_is_known(self):
        for status, kinds in STATUSES.items():
            body = urlencode(
                {"AccountSid": ACCOUNT, "MessageSid": SID, "MessageStatus": status}
            ).encode()
            events = self._parsed(body)
            assert [event.type for event in events if isinstance(event, ProviderEvent)] == list(
                kinds
            )

    def test_only_a_refusal_of_the_recipient_is_for_good(self):
        for code, error_class in ERRORS.items():
            body = urlencode(
                {
                    "AccountSid": ACCOUNT,
                    "MessageSid": SID,
                    "MessageStatus": "undelivered",
                    "ErrorCode": code,
                }
            ).encode()
            event = self._parsed(body)[0]
            assert isinstance(event, ProviderEvent)
            assert event.permanent == (error_class is RECIPIENT and code != OPT_OUT)

    @pytest.mark.parametrize("path", ["/webhooks/twilio/status/", "/webhooks/twilio/?attempt=x"])
    def test_a_callback_without_our_attempt(self, path):
        (event,) = self.receiver().parse(Webhook(payload("twilio_sent.form"), {}, path))
        assert isinstance(event, ProviderEvent)
        assert event.attempt_id is None

    @pytest.mark.parametrize("value", ["START", "HELP", "STOP", "MAYBE", ""])
    def test_a_wish_that_twilio_has_understood(self, value):
        body = payload("twilio_inbound_stop.form").replace(
            b"OptOutType=STOP", f"OptOutType={value}".encode()
        )
        (inbound,) = self._parsed(body)
        assert isinstance(inbound, Inbound)
        assert inbound.wish == ("" if value == "MAYBE" else value.lower())

    def test_what_is_posted_verifies(self, server):
        provider = provider_at(server.url)
        send(provider, PLAIN)
        message = server.messages.last
        callback = webhook(server.callback(message, "delivered"), message.fields)
        provider.verify(callback)
        close(provider)
        (event,) = provider.parse(callback)
        assert isinstance(event, ProviderEvent)
        assert (event.type, event.attempt_id) == (EventType.DELIVERED, PLAIN.attempt_id)

    def test_the_answer_is_an_empty_reply(self):
        kind, body = self.receiver().webhook_answer
        assert kind == "text/xml"
        assert re.search(rb"<Response\s*/>$", body)


class TestPublishedVectors:
    """What Twilio publishes for its own library, and the library itself."""

    @staticmethod
    def verify(url: str, body: bytes, signature: str, token: str = TWILIO_TOKEN) -> None:
        parts = urlsplit(url)
        provider = provider_at(auth_token=token)
        provider.verify(
            Webhook(body, {"x-twilio-signature": signature}, f"{parts.path}?{parts.query}")
        )

    @pytest.mark.parametrize("vector", TWILIO)
    def test_a_form(self, vector, settings):
        parts = urlsplit(vector.url)
        settings.PUBLIC_URL = f"{parts.scheme}://{parts.netloc}"
        self.verify(vector.url, urlencode(vector.form).encode(), vector.signature)
        with pytest.raises(BadSignature):
            self.verify(vector.url, urlencode(vector.form).encode(), vector.signature, "12346")

    @pytest.mark.parametrize("vector", TWILIO[:2])
    def test_with_and_without_its_port(self, vector, settings):
        for base in ("https://mycompany.com", "https://mycompany.com:443"):
            settings.PUBLIC_URL = base
            self.verify(vector.url, urlencode(vector.form).encode(), vector.signature)

    def test_json(self, settings):
        settings.PUBLIC_URL = "https://mycompany.com"
        self.verify(TWILIO_BODY.url, TWILIO_BODY.body, TWILIO_BODY.signature)
        for body in (b"", *flips(TWILIO_BODY.body)):
            with pytest.raises(BadSignature):
                self.verify(TWILIO_BODY.url, body, TWILIO_BODY.signature)

    def test_json_of_another_product_tells_us_nothing(self):
        parts = urlsplit(TWILIO_BODY.url)
        path = f"{parts.path}?{parts.query}"
        assert provider_at().parse(Webhook(TWILIO_BODY.body, {}, path)) == []
        with pytest.raises(ValueError):
            provider_at().parse(Webhook(b"{", {}, path))

    def test_an_address_of_version_6(self, settings):
        settings.PUBLIC_URL = "https://[::1]:8002"
        fields = {"AccountSid": ACCOUNT, "Body": "ü + %2B &="}
        call = post(TOKEN, "https://[::1]:8002/webhooks/twilio/inbound/?", fields)
        self.verify(
            "https://[::1]:8002/webhooks/twilio/inbound/",
            call.body,
            call.headers["X-Twilio-Signature"],
            TOKEN,
        )

    def test_it_agrees_with_the_library(self, settings):
        settings.PUBLIC_URL = "https://mycompany.com"
        forms = ({"A": ""}, {"b": "2", "a": "1", "B": "ä €"}, {"Body": " leading & trailing \r\n"})
        for fields in forms:
            signature = RequestValidator("12345").compute_signature(TWILIO_URL, fields)
            self.verify(TWILIO_URL, urlencode(fields).encode(), signature)


# The whole way


@pytest.fixture
def entry(server: TwilioServer, settings: Any) -> None:
    twilio = {
        **settings.PROVIDERS["twilio"],
        "ENABLED": True,
        "LIMIT": None,
        "OPTIONS": {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "from_number": FROM,
            "messaging_service_sid": "",
            "api_url": server.url,
        },
    }
    settings.PROVIDERS = {"twilio": twilio, "simulator": settings.PROVIDERS["simulator"]}


@pytest.mark.django_db
@pytest.mark.usefixtures("entry")
class TestTheWholeWay:
    @staticmethod
    def accepted(api: APIClient) -> str:
        message = {"to": {"phone": NUMBER}, "content": {"text": CONTENT}}
        answer = api.post("/api/v1/notifications", message, format="json")
        assert answer.status_code == 202, answer.content
        return str(answer.json()["id"])

    @staticmethod
    def delivery(api: APIClient, notification_id: str) -> dict[str, Any]:
        (found,) = api.get(f"/api/v1/notifications/{notification_id}").json()["deliveries"]
        return dict(found)

    @staticmethod
    def call_back(server: TwilioServer, status: str, **changes: str) -> Any:
        sent = server.callback(server.messages.last, status, **changes)
        url = server.messages.last.fields["StatusCallback"]
        answer = Client().post(
            url.removeprefix(PUBLIC),
            sent.body,
            content_type=sent.headers["Content-Type"],
            headers={"X-Twilio-Signature": sent.headers["X-Twilio-Signature"]},
        )
        ingest.run()
        return answer

    def test_a_message_is_sent_and_reported(self, api, server):
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "sent"
        for status in ("delivered", "sent", "queued", "delivered"):
            answer = self.call_back(server, status)
            assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml")
        found = self.delivery(api, notification)
        assert found["status"] == "delivered"
        assert [event["type"] for event in found["events"]].count("delivered") == 1

    def test_a_forged_report_is_refused(self, api, server):
        notification = self.accepted(api)
        drain()
        server.auth_token = "guessed"
        assert self.call_back(server, "delivered").status_code == 400
        assert self.delivery(api, notification)["status"] == "sent"

    def test_a_report_settles_a_call_that_was_not_answered(self, api, server):
        server.script.next(Reset())
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "unknown"
        self.call_back(server, "sent")
        found = self.delivery(api, notification)
        assert (found["status"], len(found["attempts"])) == ("sent", 1)
        assert len(server.messages) == 1

    def test_a_look_up_does_not_take_an_earlier_message_for_the_lost_one(self, api, server):
        """Twice the same text within seconds, and the second call comes to nothing."""
        first = self.accepted(api)
        drain()
        server.script.next(Status(500))
        second = self.accepted(api)
        drain()
        assert self.delivery(api, second)["status"] == "unknown"
        make_everything_due()
        drain()
        assert len(server.messages) == 2
        for notification in (first, second):
            assert self.delivery(api, notification)["status"] == "sent"

    def test_an_opt_out_is_not_sent_by_anybody(self, api, server):
        server.script.next(twilio_error(21610))
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "failed"
        assert Suppression.objects.get().reason == "unsubscribe"
        assert self.delivery(api, self.accepted(api))["status"] == "suppressed"
