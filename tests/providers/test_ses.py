from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
import time_machine
from botocore.session import get_session
from django.core.mail import EmailMessage
from typing_extensions import override

from notifications.providers.base import BadSignature, CannotVerify, Webhook
from notifications.providers.common import sns
from notifications.providers.common.email import EmailProvider
from notifications.providers.ses import CODES, EVENTS, SES
from notifications.types import ErrorClass, EventType, ProviderError
from tests.fakes import ses_events
from tests.fakes.aws_signature import denied
from tests.fakes.behaviours import (
    Answer,
    Close,
    Garbage,
    HalfBody,
    Hang,
    MalformedJson,
    Redirect,
    Reset,
    Status,
)
from tests.fakes.http import FakeHttpServer
from tests.fakes.ses import SentMail, SesServer, ses_error
from tests.fakes.sns import SnsTopic
from tests.fakes.webhooks import WebhookPost
from tests.fakes.wire import Request, Response
from tests.providers.contract import CONTENT, SECRET, SLOW, close, flips
from tests.providers.email_contract import (
    ADDRESS,
    FROM,
    PLAIN,
    RICH,
    Arrived,
    EmailContract,
    EmailVendor,
    LoopContract,
    ThreadContract,
    failure,
    from_mime,
    send,
)
from tests.providers.sns_vectors import CERTIFICATES, MESSAGES

ACCESS_KEY = "AKIAEXAMPLEEXAMPLE"
PAGES = {
    302: ErrorClass.AUTH_CONFIG,
    403: ErrorClass.AUTH_CONFIG,
    418: ErrorClass.PERMANENT_MESSAGE,
    429: ErrorClass.THROTTLED,
    500: ErrorClass.AMBIGUOUS,
    502: ErrorClass.AMBIGUOUS,
    503: ErrorClass.TEMPORARY,
    504: ErrorClass.AMBIGUOUS,
}
"""Status of a page in place of an answer, to its class."""
TELLING = f"Email address is not verified: {ADDRESS}, {CONTENT}"


@pytest.fixture
def server():
    with SesServer(access_key=ACCESS_KEY) as server:
        yield server


def provider_at(url: str = "http://127.0.0.1:1", **options: Any) -> SES:
    defaults = {"region": "eu-central-1", "configuration_set": "", "topic_arns": []}
    return SES(
        "ses",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET,
        endpoint_url=url,
        **{**defaults, **options},
    )


class _Ses(EmailVendor):
    silent = Hang()
    slow = Answer(delay=SLOW)
    lost = (Reset(), Close(), HalfBody(), MalformedJson(), Garbage())
    fails = (
        ses_error("MessageRejected", TELLING),
        ses_error("InternalServiceError", TELLING),
        ses_error("NobodyKnows", TELLING),
        Status(500, TELLING.encode()),
    )
    refusal = ses_error("BadRequestException")

    @override
    def make(self, port: int) -> EmailProvider:
        return provider_at(f"http://127.0.0.1:{port}")

    @override
    def make_encrypted(self, port: int) -> EmailProvider:
        return provider_at(f"https://localhost:{port}")

    @override
    def arrived(self, server: SesServer) -> list[Arrived]:
        return [from_mime(mail.message, [mail.recipient]) for mail in server.messages]

    @override
    def calls(self, server: SesServer) -> int:
        return len(server.ledger)


class _Answers(_Ses):
    """What SES answers means the same whichever way a mail went."""

    def test_the_receipt(self, provider, server):
        sent = send(provider, PLAIN)
        assert (sent.ref, sent.http_status) == (server.messages.last.message_id, 200)

    def test_each_code_of_the_table(self, provider, server):
        for code, error_class in CODES.items():
            server.script.next(ses_error(code, "A text of no meaning."))
            error = failure(provider)
            assert (error.error_class, error.code) == (error_class, code)
        assert len(server.ledger) == len(CODES)

    @pytest.mark.parametrize(
        ("code", "text", "error_class", "wait"),
        [
            ("MessageRejected", "Email address is not verified.", ErrorClass.AUTH_CONFIG, None),
            ("ThrottlingException", "Maximum sending rate exceeded.", ErrorClass.THROTTLED, None),
            ("ThrottlingException", "Daily message quota exceeded.", ErrorClass.THROTTLED, 600),
            ("Throttling", "Daily message quota exceeded.", ErrorClass.THROTTLED, 600),
        ],
    )
    def test_a_text_that_changes_a_code(self, provider, server, code, text, error_class, wait):
        server.script.next(ses_error(code, text))
        error = failure(provider)
        assert (error.error_class, error.retry_after) == (error_class, wait)

    @pytest.mark.parametrize("body", [b"<html>A page.</html>", b""])
    def test_a_page_in_place_of_an_answer(self, provider, server, body):
        for status, error_class in PAGES.items():
            server.script.next(Status(status, body))
            error = failure(provider)
            assert (error.error_class, error.code) == (error_class, str(status))
        assert len(server.ledger) == len(PAGES)

    def test_a_code_that_nobody_knows_is_tried_again(self, provider, server):
        server.script.next(ses_error("Brandnew"))
        error = failure(provider)
        assert (error.error_class, error.code) == (ErrorClass.TEMPORARY, "unmapped:Brandnew")

    def test_an_answer_without_an_id_is_ambiguous(self, provider, server):
        server.script.next(Status(200, {}))
        error = failure(provider, PLAIN)
        assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "malformed_answer")

    def test_a_redirect_is_not_followed(self, provider, server):
        server.script.next(Redirect(f"{server.url}/elsewhere"))
        assert failure(provider).error_class is ErrorClass.AUTH_CONFIG
        assert len(server.ledger) == 1

    def test_wrong_credentials_are_our_fault(self, server):
        server.access_key = "another"
        provider = provider_at(server.url)
        assert failure(provider).error_class is ErrorClass.AUTH_CONFIG
        close(provider)


class TestSesInThreads(_Answers, ThreadContract):
    pass


class TestSesOnLoops(_Ses, LoopContract):
    pass


class TestSes(_Answers, EmailContract):
    def test_the_request(self, server):
        provider = provider_at(server.url, configuration_set="main")
        send(provider, replace(RICH, agent_id="agent one/ä"))
        close(provider)
        (request,) = server.ledger
        assert (request.method, request.path) == ("POST", "/v2/email/outbound-emails")
        content = request.json.pop("Content")
        assert list(content) == ["Raw"]
        assert request.json == {
            "ConfigurationSetName": "main",
            "Destination": {"ToAddresses": [ADDRESS]},
            "EmailTags": [
                {"Name": "attempt_id", "Value": str(RICH.attempt_id)},
                {"Name": "message_id", "Value": str(RICH.notification_id)},
                {"Name": "agent_id", "Value": "agent_one__"},
                {"Name": "template_id", "Value": "welcome_v3"},
                {"Name": "tag_1", "Value": "welcome"},
                {"Name": "tag_2", "Value": "first_mail"},
            ],
        }
        assert max(base64.b64decode(content["Raw"]["Data"])) < 128

    def test_the_request_is_as_boto3_writes_it(self, server, settings):
        settings.REPLY_DOMAIN = "reply.example.com"
        provider = provider_at(server.url, configuration_set="main")
        for message in WRITTEN:
            send(provider, message)
            provider.deliver(provider.build(message))
            ours, botos = server.ledger[-2:]
            assert denied(ours, ACCESS_KEY, SECRET) == denied(botos, ACCESS_KEY, SECRET) == ""
            for told in (ours, botos):
                assert (told.method, told.target) == ("POST", "/v2/email/outbound-emails")
                assert told.headers["content-type"] == "application/json"
            assert scope(ours) == scope(botos)
            raws = [told.json.pop("Content")["Raw"]["Data"] for told in (ours, botos)]
            assert ours.json == botos.json
            mails = [opened_mail(base64.b64decode(raw)) for raw in raws]
            assert mails[0] == mails[1]
        close(provider)

    def test_a_region_that_is_none_is_told_at_start(self):
        assert provider_at().problems() == []
        for region in ("", "no region", "eu-central", "x.evil.example/"):
            (problem,) = provider_at(region=region).problems()
            assert problem.startswith("AWS_SES_REGION ")


WRITTEN = [
    replace(RICH, attachments=()),
    replace(RICH, attachments=(), reply_to="", parts={"subject": "Hi", "text": CONTENT}),
    replace(PLAIN, parts={"subject": "Grüße ✓", "html": "<p>Ü = =C3 .\n.\r\nx</p>"}),
    replace(PLAIN, parts={"text": "x" * 2000 + "\nEnde\u2028ü"}),
    replace(PLAIN, to="ada@bücher.example"),
    RICH,
]
"""Messages of every way to write them."""


def scope(request: Request) -> str:
    """For whom a request is signed, without its day: key, region, service."""
    credential = request.headers["authorization"].partition("Credential=")[2].partition(",")[0]
    key, _, region, service, _ = credential.split("/")
    return f"{key} {region} {service}"


def opened_mail(raw: bytes) -> tuple[Any, ...]:
    """What a mail says, however it is encoded: headers but for the date, then each part."""
    assert raw.isascii()
    mail = message_from_bytes(raw, policy=policy.default)
    headers = {
        name: " ".join(str(value).split())
        for name, value in mail.items()
        if name.lower() not in {"date", "content-type", "content-transfer-encoding"}
    }
    parts = [
        (part.get_content_type(), part.get_filename(), lines_of(part.get_content()))
        for part in mail.walk()
        if not part.is_multipart()
    ]
    return headers, parts


def lines_of(content: Any) -> Any:
    return content.rstrip("\r\n").splitlines() if isinstance(content, str) else content


def test_every_code_that_amazon_documents_is_in_the_table():
    model = get_session().get_service_model("sesv2").operation_model("SendEmail")
    assert {shape.name for shape in model.error_shapes} <= set(CODES)


# SNS: is it from there?


def webhook(post: WebhookPost) -> Webhook:
    return Webhook(post.body, {name.lower(): value for name, value in post.headers.items()})


def published(message: dict[str, str]) -> Webhook:
    headers = {"x-amz-sns-message-type": message["Type"]}
    return Webhook(json.dumps(message).encode(), headers)


def believing(topic: str, fetch: Callable[[str], bytes]) -> SES:
    provider = provider_at(topic_arns=[topic])
    provider.fetch_certificate = fetch  # type: ignore[method-assign,assignment]
    return provider


@pytest.fixture(scope="module")
def topic() -> SnsTopic:
    return SnsTopic()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["MessageId"])
class TestPublishedVectors:
    def test_it_verifies(self, message):
        with at(message):
            self.provider(message).verify(published(message))

    def test_each_flipped_bit_of_the_signature_counts(self, message):
        provider = self.provider(message)
        with at(message):
            for flipped in flips(base64.b64decode(message["Signature"])):
                changed = message | {"Signature": base64.b64encode(flipped).decode()}
                with pytest.raises(BadSignature):
                    provider.verify(published(changed))

    def test_each_changed_character_of_a_signed_field_counts(self, message):
        provider = self.provider(message)
        with at(message):
            for name in message.keys() & {"Message", "MessageId", "Subject", "Token"}:
                text = message[name]
                for place in range(len(text)):
                    changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
                    with pytest.raises(BadSignature):
                        provider.verify(published(message | {name: changed}))

    def test_a_field_left_out_counts(self, message):
        with at(message):
            for name in message.keys() - {"UnsubscribeURL"}:
                left = {key: value for key, value in message.items() if key != name}
                headers = {"x-amz-sns-message-type": message["Type"]}
                with pytest.raises(BadSignature):
                    self.provider(message).verify(Webhook(json.dumps(left).encode(), headers))

    def test_it_is_refused_today(self, message):
        with pytest.raises(BadSignature):
            self.provider(message).verify(published(message))

    def provider(self, message: dict[str, str]) -> SES:
        return believing(message["TopicArn"], lambda url: CERTIFICATES[url].encode())


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature(topic, version):
    believing(topic.arn, topic.fetch).verify(webhook(topic.notification("x", version=version)))


@pytest.mark.parametrize("kind", ["subscription_confirmation", "unsubscribe_confirmation"])
def test_confirmations_are_signed_too(topic, kind):
    provider = believing(topic.arn, topic.fetch)
    provider.verify(webhook(getattr(topic, kind)()))
    with pytest.raises(BadSignature):
        provider.verify(webhook(getattr(topic, kind)(broken=True)))


def test_a_message_with_a_subject(topic):
    believing(topic.arn, topic.fetch).verify(webhook(topic.notification("x", subject="Hello")))


@pytest.mark.parametrize(
    "options",
    [
        {"broken": True},
        {"cert_url": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0.pem"},
        {"age": 3600 + 310},
        {"age": -310},
        {"topic": "arn:aws:sns:eu-central-1:999999999999:ses-events"},
    ],
    ids=str,
)
def test_a_message_that_is_not_to_be_believed(topic, options):
    with pytest.raises(BadSignature):
        believing(topic.arn, topic.fetch).verify(webhook(topic.notification("x", **options)))


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-central-1.amazonaws.com.evil.example/{}",
        "http://sns.eu-central-1.amazonaws.com/{}",
        "https://evil.example/sns.eu-central-1.amazonaws.com/{}",
        "https://sns.eu-central-1.amazonaws.com@evil.example/{}",
        "https://sns.eu-central-1.amazonaws.com:444/{}",
        "https://sns.eu-central-1.amazonaws.com/{}?x",
        "https://sns.eu-central-1.amazonaws.com/{}\n",
        "https://sns.eu-central-1.amazonaws.com/other.pem",
        "https://s3.eu-central-1.amazonaws.com/{}",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(url):
    topic = SnsTopic()
    url = url.format("SimpleNotificationService-1.pem")
    with pytest.raises(BadSignature):
        believing(topic.arn, topic.fetch).verify(webhook(topic.notification("x", cert_url=url)))
    assert topic.fetched == []


@pytest.mark.parametrize("age", [-200, 0, 3590])
def test_a_message_repeated_for_an_hour_is_believed(topic, age):
    believing(topic.arn, topic.fetch).verify(webhook(topic.notification("x", age=age)))


def test_without_topics_nothing_is_believed(topic):
    provider = provider_at()
    provider.fetch_certificate = topic.fetch  # type: ignore[method-assign]
    with pytest.raises(BadSignature):
        provider.verify(webhook(topic.notification("x")))


def test_the_headers_must_agree(topic):
    post = webhook(topic.notification("x"))
    for headers in ({}, {**post.headers, "x-amz-sns-message-type": "SubscriptionConfirmation"}):
        with pytest.raises(BadSignature):
            believing(topic.arn, topic.fetch).verify(Webhook(post.body, headers))


@pytest.mark.parametrize(
    "change",
    [
        {"SignatureVersion": "3"},
        {"SignatureVersion": 2},
        {"Signature": "no base64!"},
        {"Signature": "ü"},
        {"Message": "\ud800"},
        {"Timestamp": "yesterday"},
        {"Message": None},
        {"TopicArn": ["x"]},
    ],
    ids=str,
)
def test_a_message_with_a_field_that_is_none(topic, change):
    post = webhook(topic.notification("x"))
    body = json.dumps(json.loads(post.body) | change).encode()
    with pytest.raises(BadSignature):
        believing(topic.arn, topic.fetch).verify(Webhook(body, post.headers))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"1", b'{"a":' * 50_000], ids=len)
def test_a_body_that_is_no_message(topic, body):
    headers = {"x-amz-sns-message-type": "Notification"}
    with pytest.raises(BadSignature):
        believing(topic.arn, topic.fetch).verify(Webhook(body, headers))


def test_the_certificate_is_fetched_once():
    topic = SnsTopic()
    provider = believing(topic.arn, topic.fetch)
    for _ in range(3):
        provider.verify(webhook(topic.notification("x")))
    assert topic.fetched == [topic.cert_url]


def test_a_certificate_that_cannot_be_fetched_is_tried_again():
    topic = SnsTopic()
    provider = believing(topic.arn, topic.fetch)
    topic.unreachable = True
    with pytest.raises(CannotVerify):
        provider.verify(webhook(topic.notification("x")))
    topic.unreachable = False
    provider.verify(webhook(topic.notification("x")))


@pytest.mark.parametrize("pem", [b"", b"<html>"])
def test_a_certificate_that_is_none_is_tried_again(topic, pem):
    with pytest.raises(CannotVerify):
        believing(topic.arn, lambda _url: pem).verify(webhook(topic.notification("x")))


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (Status(200, b"the pem"), None),
        (Status(403, b""), LookupError),
        (Status(404, b""), LookupError),
        (Status(500, b""), ConnectionError),
        (Close(), ConnectionError),
        (Redirect("http://127.0.0.1:1/"), LookupError),
        (Hang(), ConnectionError),
    ],
    ids=str,
)
def test_fetching_over_the_wire(behaviour, outcome, monkeypatch):
    monkeypatch.setattr(sns, "FETCH_TIMEOUT", 0.3)
    with FakeHttpServer() as server:
        server.script.always(behaviour)
        if outcome is None:
            assert SES.fetch_certificate(provider_at(), f"{server.url}/a.pem") == b"the pem"
        else:
            with pytest.raises(outcome):
                sns.fetch_certificate(f"{server.url}/a.pem")
        assert len(server.ledger) == 1


def test_a_certificate_server_that_is_away():
    with pytest.raises(ConnectionError):
        sns.fetch_certificate("http://127.0.0.1:1/a.pem")


# Subscriptions


class SnsApi(FakeHttpServer):
    """The one call of the SNS API that is made."""

    @override
    def respond(self, request: Request) -> Response:
        xml = (
            "<ConfirmSubscriptionResponse><ConfirmSubscriptionResult>"
            "<SubscriptionArn>arn:aws:sns:x:1:t:1</SubscriptionArn>"
            "</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        )
        return Response(200, xml.encode(), {"Content-Type": "text/xml"})


def test_a_subscription_is_confirmed(topic):
    post = webhook(topic.subscription_confirmation())
    with SnsApi() as api:
        assert provider_at(api.url, region="us-east-1").parse(post) == []
        (request,) = api.ledger
    assert request.form == {
        "Action": ["ConfirmSubscription"],
        "Version": ["2010-03-31"],
        "TopicArn": [topic.arn],
        "Token": [json.loads(post.body)["Token"]],
        "AuthenticateOnUnsubscribe": ["true"],
    }
    scope = re.search(r"Credential=\w+/\d+/([\w-]+)/sns/", request.headers["authorization"])
    assert scope is not None
    assert scope[1] == topic.region


@pytest.mark.parametrize(
    ("behaviour", "error_class"),
    [
        (
            Status(403, b"<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>"),
            ErrorClass.AUTH_CONFIG,
        ),
        (Status(503, b""), ErrorClass.TEMPORARY),
        (Close(), ErrorClass.AMBIGUOUS),
    ],
    ids=str,
)
def test_a_confirmation_that_fails_is_told(topic, behaviour, error_class):
    with SnsApi() as api:
        api.script.always(behaviour)
        with pytest.raises(ProviderError) as caught:
            provider_at(api.url).parse(webhook(topic.subscription_confirmation()))
    assert caught.value.error_class is error_class


SES_GREETING = "Successfully validated SNS topic for Amazon SES event publishing."


@pytest.mark.parametrize("post", ["unsubscribe_confirmation", "greeting"])
def test_messages_without_events(topic, post):
    found = topic.notification(SES_GREETING) if post == "greeting" else getattr(topic, post)()
    assert provider_at().parse(webhook(found)) == []


# Events


@pytest.fixture
def mail(server: SesServer) -> SentMail:
    provider = provider_at(server.url, configuration_set="main")
    provider.send(RICH)
    provider.close()
    return server.messages.last


def told(topic: SnsTopic, event: dict[str, Any], message_id: str = "m1") -> Sequence[Any]:
    return provider_at().parse(webhook(topic.notification(event, message_id=message_id)))


@pytest.mark.parametrize(
    ("make", "expected", "code"),
    [
        (ses_events.send, EventType.SENT, ""),
        (ses_events.delivery, EventType.DELIVERED, ""),
        (ses_events.complaint, EventType.COMPLAINED, "abuse"),
        (ses_events.delivery_delay, EventType.DEFERRED, "MailboxFull"),
        (ses_events.reject, EventType.BOUNCED, ""),
        (ses_events.rendering_failure, EventType.BOUNCED, ""),
        (ses_events.opened, EventType.OPENED, ""),
        (ses_events.clicked, EventType.CLICKED, ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_kind_of_event(topic, mail, make, expected, code):
    (event,) = told(topic, make(mail))
    assert (event.type, event.permanent, event.code) == (expected, False, code)
    assert event.attempt_id == RICH.attempt_id
    assert event.provider_ref == mail.message_id
    assert event.address == ADDRESS
    assert event.dedupe == f"m1:0:{expected.value}"
    assert abs(event.at - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("bounce_type", "sub_type", "permanent"),
    [
        ("Permanent", "General", True),
        ("Permanent", "NoEmail", True),
        ("Permanent", "Suppressed", True),
        ("Permanent", "OnAccountSuppressionList", True),
        ("Transient", "MailboxFull", False),
        ("Transient", "MessageTooLarge", False),
        ("Transient", "ContentRejected", False),
        ("Transient", "AttachmentRejected", False),
    ],
)
def test_each_kind_of_bounce(topic, mail, bounce_type, sub_type, permanent):
    (event,) = told(topic, ses_events.bounce(mail, bounce_type, sub_type))
    assert (event.type, event.permanent) == (EventType.BOUNCED, permanent)
    assert event.code == f"{bounce_type}/{sub_type}"


@pytest.mark.parametrize(
    ("bounce_type", "sub_type"), [("Transient", "General"), ("Undetermined", "Undetermined")]
)
def test_what_may_be_an_out_of_office_answer_is_no_bounce(topic, mail, bounce_type, sub_type):
    (event,) = told(topic, ses_events.bounce(mail, bounce_type, sub_type))
    assert (event.type, event.permanent) == (EventType.DEFERRED, False)
    assert event.code == f"{bounce_type}/{sub_type}"


def test_a_bounce_for_an_opt_out_tells_both(topic, mail):
    bounce, opt_out = told(topic, ses_events.bounce(mail, "Permanent", "UnsubscribedRecipient"))
    assert (bounce.type, bounce.permanent) == (EventType.BOUNCED, False)
    assert opt_out.type is EventType.UNSUBSCRIBED
    assert bounce.dedupe != opt_out.dedupe


def test_every_kind_we_know_is_tested():
    assert set(EVENTS) == {
        *("Send", "Delivery", "Bounce", "Complaint", "DeliveryDelay", "Reject"),
        *("Rendering Failure", "Open", "Click"),
    }


def test_each_recipient_has_an_event(topic, mail):
    event = ses_events.bounce(mail)
    event["bounce"]["bouncedRecipients"].append({"emailAddress": "boss@kunde.example"})
    first, second = told(topic, event)
    assert [first.address, second.address] == [ADDRESS, "boss@kunde.example"]
    assert first.dedupe != second.dedupe


def test_a_recipient_that_is_none_does_not_lose_the_others(topic, mail, caplog):
    event = ses_events.bounce(mail)
    event["bounce"]["bouncedRecipients"][:0] = [{"action": "failed"}]
    (found,) = told(topic, event)
    assert (found.address, found.dedupe) == (ADDRESS, "m1:1:bounced")
    assert "1 of 2 events" in caplog.text


def test_a_complaint_of_nobody_is_about_all(topic, mail):
    event = ses_events.complaint(mail, "OnAccountSuppressionList")
    del event["complaint"]["complainedRecipients"]
    (told_of,) = told(topic, event)
    assert (told_of.address, told_of.code) == (ADDRESS, "OnAccountSuppressionList/abuse")


def test_a_repeated_message_is_the_same_event(topic, mail):
    event = ses_events.bounce(mail)
    assert told(topic, event)[0].dedupe == told(topic, event)[0].dedupe
    assert told(topic, event)[0].dedupe != told(topic, event, "m2")[0].dedupe


def test_notifications_of_an_identity_are_understood(topic, mail):
    event = ses_events.bounce(mail)
    event["notificationType"] = event.pop("eventType")
    del event["mail"]["tags"]
    (bounce,) = told(topic, event)
    assert (bounce.type, bounce.attempt_id) == (EventType.BOUNCED, None)


def test_a_plain_mail_is_found_by_its_metadata(topic, server):
    mail = EmailMessage("Hi", CONTENT, FROM, [ADDRESS])
    mail.metadata = {"attempt_id": str(RICH.attempt_id)}  # type: ignore[attr-defined]
    provider = provider_at(server.url)
    provider.deliver(mail)
    provider.close()
    (event,) = told(topic, ses_events.send(server.messages.last))
    assert event.attempt_id == RICH.attempt_id


def test_the_reason_of_a_bounce_is_kept_without_the_address(topic, mail):
    event = ses_events.bounce(mail)
    event["bounce"]["bouncedRecipients"][0]["diagnosticCode"] = f"smtp; 550 <{ADDRESS}> unknown"
    assert told(topic, event)[0].detail == "smtp; 550 <[address]> unknown"


def test_what_was_clicked_is_kept(topic, mail):
    (event,) = told(topic, ses_events.clicked(mail))
    assert event.data == {
        "ip": "198.51.100.1",
        "user_agent": "Mozilla/5.0",
        "url": "https://example.com/",
    }


@pytest.mark.parametrize("kind", ["Subscription", "Anything", None])
def test_unknown_events_are_left_out(topic, mail, kind):
    assert told(topic, ses_events.send(mail) | {"eventType": kind}) == []


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        '{"eventType": "Send"}',
        '{"eventType": "Send", "mail": []}',
    ],
)
def test_an_event_nobody_documents_is_an_error(topic, message):
    with pytest.raises(ValueError):
        provider_at().parse(webhook(topic.notification(message)))


@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b"[]", b"1"])
def test_a_body_nobody_documents_is_an_error(body):
    with pytest.raises(ValueError):
        provider_at().parse(Webhook(body, {}))


def at(message: dict[str, str]) -> Any:
    """The moment SNS sent a message."""
    return time_machine.travel(datetime.fromisoformat(message["Timestamp"]), tick=False)
