from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from typing_extensions import override

from notifications.providers.base import BadSignature, CannotVerify, Webhook
from notifications.providers.common.email import EmailProvider
from notifications.providers.sendgrid import EVENTS, STATUSES, SendGrid
from notifications.types import ErrorClass, EventType, ProviderEvent
from tests.fakes import sendgrid_events
from tests.fakes.behaviours import (
    Answer,
    Close,
    Drip,
    Garbage,
    HalfBody,
    HugeBody,
    MalformedJson,
    Redirect,
    Reset,
    Status,
)
from tests.fakes.behaviours import Hang as Silent
from tests.fakes.sendgrid import SendGridServer, SentMail
from tests.fakes.sendgrid_events import SendGridWebhook
from tests.fakes.webhooks import WebhookPost
from tests.providers.contract import CONTENT, SECRET, SLOW, close, flips
from tests.providers.email_contract import (
    ADDRESS,
    CSV,
    MESSAGE_ID,
    PLAIN,
    PNG,
    RICH,
    Arrived,
    EmailContract,
    EmailVendor,
    LoopContract,
    ThreadContract,
    failure,
    send,
)
from tests.providers.vectors import SENDGRID

KEY = f"SG.{SECRET}.key"
TELLING = {"errors": [{"message": f"{ADDRESS}: {CONTENT}", "field": None, "help": None}]}


@pytest.fixture
def server():
    with SendGridServer(api_key=KEY) as server:
        yield server


def provider_at(url: str, keys: str = "") -> SendGrid:
    return SendGrid("sendgrid", api_key=KEY, api_url=f"{url}/v3/", webhook_public_key=keys)


class _SendGrid(EmailVendor):
    silent = Silent()
    slow = Answer(delay=SLOW)
    lost: Sequence[Any] = (Reset(), Close(), Garbage())
    fails = (Status(400, TELLING), Status(500, TELLING), Status(401, f"<p>{ADDRESS}".encode()))
    refusal = Status(400)

    @override
    def make(self, port: int) -> EmailProvider:
        return provider_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> EmailProvider:
        return provider_at(f"https://localhost:{port}")

    @override
    def arrived(self, server: SendGridServer) -> list[Arrived]:
        return [_arrived(mail) for mail in server.messages]

    @override
    def calls(self, server: SendGridServer) -> int:
        return len(server.ledger)


class TestSendGridInThreads(_SendGrid, ThreadContract):
    lost = (Reset(), Close(), HalfBody(), Garbage())

    def test_an_answer_without_an_id_is_ambiguous(self, provider, server):
        """Of another host's page, say, where the URL of the API is wrong."""
        server.script.next(Status(200, "<html>"))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "malformed_answer")

    def test_a_redirect_is_not_followed(self, provider, server):
        server.script.next(Redirect(f"{server.url}/elsewhere"))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "redirect")
        assert len(server.ledger) == 1

    @pytest.mark.parametrize(("status", "error_class"), STATUSES.items())
    def test_each_status_of_the_table(self, provider, server, status, error_class):
        server.script.next(Status(status))
        error = failure(provider)
        assert (error.error_class, error.http_status) == (error_class, status)


class TestSendGridOnLoops(_SendGrid, LoopContract):
    drips = Drip()

    @override
    def wait_for_a_call(self, server: SendGridServer) -> None:
        server.ledger.wait_for(1)


class TestSendGrid(_SendGrid, EmailContract):
    def test_the_request(self, provider, server):
        send(provider, RICH)
        (request,) = server.ledger
        assert (request.method, request.path) == ("POST", "/v3/mail/send")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.json == {
            "personalizations": [{"to": [{"email": ADDRESS}]}],
            "from": {"email": "notifications@example.com", "name": "Comms Team"},
            "reply_to_list": [{"email": "help@example.com", "name": "Hilfe"}],
            "subject": RICH.parts["subject"],
            "content": [
                {"type": "text/plain", "value": RICH.parts["text"]},
                {"type": "text/html", "value": RICH.parts["html"]},
            ],
            "headers": {"Message-ID": MESSAGE_ID, **RICH.headers},
            "attachments": [
                {
                    "content": base64.b64encode(CSV).decode(),
                    "type": 'text/csv; charset="utf-8"',
                    "filename": "größe.csv",
                },
                {
                    "content": base64.b64encode(PNG).decode(),
                    "type": "image/png",
                    "filename": "pixel.png",
                },
            ],
            "categories": ["welcome", "first mail"],
            "custom_args": {
                "attempt_id": str(RICH.attempt_id),
                "message_id": str(RICH.notification_id),
                "agent_id": "agent-1",
                "template_id": "welcome.v3",
                "order": "A17",
            },
            "tracking_settings": {"subscription_tracking": {"enable": False}},
        }

    def test_the_receipt(self, provider, server):
        sent = send(provider, PLAIN)
        assert (sent.ref, sent.http_status) == (server.messages.last.message_id, 202)

    @pytest.mark.parametrize(("status", "error_class"), STATUSES.items())
    def test_each_status_of_the_table(self, provider, server, status, error_class):
        server.script.next(Status(status))
        error = failure(provider)
        assert (error.error_class, error.code, error.http_status) == (
            error_class,
            str(status),
            status,
        )
        assert len(server.ledger) == 1

    @pytest.mark.parametrize(
        ("status", "error_class"),
        [
            (302, ErrorClass.AUTH_CONFIG),
            (408, ErrorClass.AMBIGUOUS),
            (418, ErrorClass.PERMANENT_MESSAGE),
            (599, ErrorClass.AMBIGUOUS),
        ],
    )
    def test_a_status_nobody_documents(self, provider, server, status, error_class):
        server.script.next(Status(status))
        assert failure(provider).error_class is error_class

    def test_an_answer_without_an_id_is_ambiguous(self, provider, server):
        """Of another host's page, say, where the URL of the API is wrong."""
        server.script.next(Status(200, "<html>"))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "malformed_answer")

    def test_a_redirect_is_not_followed(self, provider, server):
        server.script.next(Redirect(f"{server.url}/elsewhere"))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, "redirect")
        assert len(server.ledger) == 1

    def test_an_answer_of_202_counts_whatever_its_body(self, provider, server):
        server.script.next(MalformedJson())
        assert send(provider, PLAIN).http_status == 202

    @pytest.mark.parametrize("cut", [HalfBody(), HugeBody()])
    def test_an_answer_of_202_counts_whatever_becomes_of_its_body(self, provider, server, cut):
        server.script.next(cut)
        assert send(provider, PLAIN).ref == server.messages.last.message_id

    def test_throttling_says_until_when(self, provider, server):
        server.script.next(server.throttled(reset_in=30))
        error = failure(provider)
        assert error.error_class is ErrorClass.THROTTLED
        assert 28 <= (error.retry_after or 0) <= 31

    @pytest.mark.parametrize(
        ("value", "low", "high"),
        [
            ("7", 7, 7),
            ("0", 1, 1),
            ("999999", 3600, 3600),
            ("Mon, 01 Jan 2001 00:00:00 GMT", 1, 1),
        ],
    )
    def test_retry_after(self, provider, server, value, low, high):
        server.script.next(Status(503, headers={"Retry-After": value}))
        assert low <= (failure(provider).retry_after or 0) <= high

    def test_retry_after_a_date(self, provider, server):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
        server.script.next(Status(503, headers={"Retry-After": date}))
        assert 30 <= (failure(provider).retry_after or 0) <= 40

    def test_when_the_limit_is_reset_says_nothing_of_a_failure(self, provider, server):
        """It comes with every answer."""
        reset = str(int(time.time()) + 45)
        server.script.next(Status(503, headers={"X-RateLimit-Reset": reset}))
        assert failure(provider).retry_after is None

    @pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset"])
    @pytest.mark.parametrize("value", ["", "soon", "nan", "1e999x", "Mon, 01 Foo 2001 00:00:00"])
    def test_a_hint_that_says_nothing(self, provider, server, name, value):
        server.script.next(Status(429, headers={name: value}))
        assert failure(provider).retry_after is None

    @pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://"])
    def test_a_url_that_is_none_is_our_fault(self, url):
        provider = provider_at(url)
        assert failure(provider).error_class is ErrorClass.AUTH_CONFIG
        close(provider)

    def test_an_unknown_host_is_temporary(self):
        provider = provider_at("http://no-such-host.invalid")
        error = failure(provider)
        close(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "connect_failed")


# Webhooks


def webhook(post: WebhookPost) -> Webhook:
    return Webhook(post.body, {name.lower(): value for name, value in post.headers.items()})


def signed(payload: bytes, signature: str, timestamp: str) -> Webhook:
    headers = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }
    return Webhook(payload, headers)


@pytest.fixture
def then(monkeypatch):
    """The moment of the published vector."""
    monkeypatch.setattr(time, "time", lambda: float(SENDGRID.timestamp) + 10)


@pytest.fixture(scope="module")
def signer() -> SendGridWebhook:
    return SendGridWebhook()


PUBLISHED = signed(SENDGRID.payload, SENDGRID.signature, SENDGRID.timestamp)


@pytest.mark.usefixtures("then")
class TestPublishedVector:
    def test_it_verifies(self):
        provider_at("", SENDGRID.public_key).verify(PUBLISHED)

    def test_a_second_key_does_for_a_rotation(self):
        provider_at("", f"{SENDGRID.wrong_key}, {SENDGRID.public_key}").verify(PUBLISHED)

    @pytest.mark.parametrize(
        ("key", "changed"),
        [
            (SENDGRID.wrong_key, PUBLISHED),
            ("", PUBLISHED),
            (
                SENDGRID.public_key,
                signed(SENDGRID.payload, SENDGRID.wrong_signature, SENDGRID.timestamp),
            ),
            (
                SENDGRID.public_key,
                signed(SENDGRID.payload, SENDGRID.signature, SENDGRID.wrong_timestamp),
            ),
            (SENDGRID.public_key, signed(SENDGRID.payload, SENDGRID.signature, "1600112503")),
            (SENDGRID.public_key, signed(b"payload", SENDGRID.signature, SENDGRID.timestamp)),
            (SENDGRID.public_key, signed(SENDGRID.payload, "", SENDGRID.timestamp)),
            (SENDGRID.public_key, signed(SENDGRID.payload, "no base64!", SENDGRID.timestamp)),
            (SENDGRID.public_key, Webhook(SENDGRID.payload, {})),
        ],
    )
    def test_anything_else_does_not(self, key, changed):
        with pytest.raises(BadSignature):
            provider_at("", key).verify(changed)

    def test_each_flipped_bit_of_the_signature_counts(self):
        provider = provider_at("", SENDGRID.public_key)
        for flipped in flips(base64.b64decode(SENDGRID.signature)):
            text = base64.b64encode(flipped).decode()
            with pytest.raises(BadSignature):
                provider.verify(signed(SENDGRID.payload, text, SENDGRID.timestamp))

    def test_each_flipped_bit_of_the_body_counts(self):
        provider = provider_at("", SENDGRID.public_key)
        for flipped in flips(SENDGRID.payload):
            with pytest.raises(BadSignature):
                provider.verify(signed(flipped, SENDGRID.signature, SENDGRID.timestamp))

    def test_its_event(self):
        (event,) = provider_at("").parse(PUBLISHED)
        assert isinstance(event, ProviderEvent)
        assert (event.type, event.permanent) == (EventType.BOUNCED, True)
        assert event.provider_ref == "LRzXl_NHStOGhQ4kofSm_A"
        assert event.dedupe == "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA"
        assert event.attempt_id is None


@pytest.mark.parametrize("age", [-310, 310, 86_400])
def test_a_stale_signature_is_refused(signer, age):
    with pytest.raises(BadSignature):
        provider_at("", signer.public_key).verify(webhook(signer.post(age=age)))


@pytest.mark.parametrize("age", [-280, 0, 280])
def test_a_fresh_signature_is_taken(signer, age):
    provider_at("", signer.public_key).verify(webhook(signer.post(age=age)))


ED25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="  # RFC 8410, section 10.1


@pytest.mark.parametrize("key", ["nonsense", base64.b64encode(b"no key").decode(), "%%%", ED25519])
def test_a_key_that_is_none_keeps_the_events_for_later(signer, key):
    with pytest.raises(CannotVerify):
        provider_at("", key).verify(webhook(signer.post()))


@pytest.fixture
def mail(server: SendGridServer) -> SentMail:
    provider = provider_at(server.url)
    send(provider, RICH)
    close(provider)
    return server.messages.last


def told(mail: SentMail, kind: str, **changes: Any) -> Sequence[Any]:
    event = sendgrid_events.event(mail, kind, **changes)  # type: ignore[arg-type]
    body = json.dumps([event]).encode()
    return provider_at("").parse(Webhook(body, {}))


@pytest.mark.parametrize(
    ("kind", "changes", "expected", "permanent"),
    [
        ("processed", {}, EventType.SENT, False),
        ("deferred", {}, EventType.DEFERRED, False),
        ("delivered", {}, EventType.DELIVERED, False),
        ("bounce", {}, EventType.BOUNCED, True),
        ("bounce", {"bounce_classification": "Unclassified"}, EventType.BOUNCED, True),
        ("bounce", {"bounce_classification": "Mailbox Unavailable"}, EventType.BOUNCED, False),
        ("bounce", {"bounce_classification": "Content"}, EventType.BOUNCED, False),
        ("blocked", {}, EventType.BOUNCED, False),
        ("dropped", {}, EventType.BOUNCED, True),
        ("dropped", {"reason": "Invalid"}, EventType.BOUNCED, True),
        ("dropped", {"reason": "Spam Content"}, EventType.BOUNCED, False),
        ("dropped", {"reason": "Recipient List over Package Quota"}, EventType.BOUNCED, False),
        ("dropped", {"reason": "Spam Reporting Address"}, EventType.COMPLAINED, False),
        ("open", {}, EventType.OPENED, False),
        ("click", {}, EventType.CLICKED, False),
        ("spamreport", {}, EventType.COMPLAINED, False),
        ("unsubscribe", {}, EventType.UNSUBSCRIBED, False),
        ("group_unsubscribe", {}, EventType.UNSUBSCRIBED, False),
    ],
)
def test_each_kind_of_event(mail, kind, changes, expected, permanent):
    (event,) = told(mail, kind, **changes)
    assert (event.type, event.permanent) == (expected, permanent)
    assert event.attempt_id == RICH.attempt_id
    assert event.provider_ref == mail.message_id
    assert event.address == ADDRESS
    assert abs(event.at.timestamp() - time.time()) < 5


def test_every_kind_we_know_is_tested():
    assert set(EVENTS) == {
        *("processed", "deferred", "delivered", "bounce", "dropped", "open", "click"),
        *("spamreport", "unsubscribe", "group_unsubscribe"),
    }


def test_a_drop_for_an_opt_out_tells_both(mail):
    bounce, opt_out = told(mail, "dropped", reason="Unsubscribed Address")
    assert (bounce.type, bounce.permanent) == (EventType.BOUNCED, False)
    assert opt_out.type is EventType.UNSUBSCRIBED
    assert bounce.dedupe != opt_out.dedupe


def test_the_reason_of_a_bounce_is_kept_without_the_address(mail):
    (event,) = told(mail, "bounce", reason=f"550 5.1.1 <{ADDRESS}>: user unknown")
    assert event.detail == "550 5.1.1 <[address]>: user unknown"
    assert event.code == "Invalid Address"


def test_who_opened_is_kept(mail):
    (event,) = told(mail, "open", sg_machine_open=True)
    assert event.data == {"ip": "198.51.100.1", "user_agent": "Mozilla/5.0", "machine": True}


@pytest.mark.parametrize("kind", ["group_resubscribe", "account_status_change", None, ["open"]])
def test_unknown_events_are_left_out(mail, kind):
    assert told(mail, "open", event=kind) == []


def test_a_message_id_of_the_newer_kind(mail):
    (event,) = told(mail, "open", sg_message_id="abc.recvd-5f54b5d587-sczjm-1-637B7F4F-9.0")
    assert event.provider_ref == "abc"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{}",
        b"[1]",
        b'[{"event": "open", "timestamp": 1}]',
    ],
)
def test_a_body_nobody_documents_is_an_error(body):
    with pytest.raises(ValueError):
        provider_at("").parse(Webhook(body, {}))


def test_events_that_are_none_do_not_lose_the_others(caplog):
    good: dict[str, object] = {
        "event": "open",
        "timestamp": 1,
        "sg_event_id": "1",
        "email": ADDRESS,
    }
    changes: list[dict[str, object]] = [
        {"timestamp": None},
        {"timestamp": "x"},
        {"timestamp": 1e30},
        {"timestamp": -(10**14)},
        {"sg_event_id": None},
        {"event": "bounce", "bounce_classification": ["Content"]},
    ]
    bad = [*({**good, **each} for each in changes), 1, None, ["open"], "open"]
    rows = [good, *bad, {**good, "sg_event_id": "2"}]
    events = provider_at("").parse(Webhook(json.dumps(rows).encode(), {}))
    assert [event.dedupe for event in events] == ["1", "2"]
    assert "10 of 12 events" in caplog.text
    assert ADDRESS not in caplog.text


def _arrived(mail: SentMail) -> Arrived:
    payload = mail.payload
    content = {part["type"]: part["value"] for part in payload["content"]}
    reply_to = [
        f"{each.get('name', '')} <{each['email']}>" for each in payload.get("reply_to_list", [])
    ]
    headers = payload.get("headers", {})
    visible = {key: payload.get(key) for key in ("subject", "content", "headers", "from")}
    return Arrived(
        to=[mail.recipient],
        sender=f"{payload['from']['name']} <{payload['from']['email']}>",
        subject=mail.subject,
        text=content.get("text/plain", ""),
        html=content.get("text/html", ""),
        reply_to=", ".join(reply_to),
        headers={name: headers[name] for name in RICH.headers if name in headers},
        attachments=[
            (each["filename"], each["type"].partition(";")[0], base64.b64decode(each["content"]))
            for each in payload.get("attachments", [])
        ],
        everything=json.dumps(visible),
    )
