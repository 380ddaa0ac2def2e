from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from botocore.session import get_session
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.settings import comms
from notifications.models import Suppression
from notifications.providers.aws_sms import EVENTS, STOP_WORDS, AwsSms
from notifications.providers.aws_sms_api import (
    EUM_CODES,
    EUM_REASONS,
    SNS_CODES,
    SNS_TEXTS,
    Refused,
)
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.common import aws, sns
from notifications.types import (
    Attachment,
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
from tests.engine import drain
from tests.fakes.aws_sms import (
    AwsSmsServer,
    eum_error,
    event,
    reply,
    sns_error,
)
from tests.fakes.behaviours import Close, Garbage, HalfBody, Reset, Status
from tests.fakes.sns import SnsTopic
from tests.fakes.webhooks import WebhookPost
from tests.providers.contract import (
    CONTENT,
    SECRET,
    HttpContract,
    LoopContract,
    Refusal,
    close,
    failure,
    payload,
    send,
)
from tracking.models import WebhookReceipt
from tracking.services import ingest

ACCESS_KEY = "AKIAEXAMPLEEXAMPLE"
NUMBER = "+4915112345678"
TELLING = f"{NUMBER}: {CONTENT}"

RICH = Outbound(
    attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
    delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
    notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
    channel=Channel.SMS,
    to=NUMBER,
    parts={"text": f"Grüße aus 世界 ✓\n{CONTENT}"},
    agent_id=" agent-1 ",
    template_id="welcome.v3",
    tags=("welcome",),
    metadata={"order": "A17"},
)


def provider_at(url: str = "http://127.0.0.1:1", **options: Any) -> AwsSms:
    defaults = {
        "region": "eu-central-1",
        "origination_identity": "",
        "configuration_set": "",
        "sender_id": "",
        "topic_arns": [],
    }
    return AwsSms(
        "aws_sms",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET,
        endpoint_url=url,
        **{**defaults, **options},
    )


@pytest.fixture
def server():
    with AwsSmsServer(ACCESS_KEY, SECRET) as server:
        yield server


class Both(LoopContract, HttpContract):  # both have the test of drips
    """What SNS and End User Messaging have in common."""

    __test__ = False

    message = rich = RICH
    private = (NUMBER,)
    lost = (Reset(), Close(), HalfBody(), Garbage())
    reads_answer = "receipt"
    unsupported = {
        "attachments": {"attachments": (Attachment("a", b"", "text/plain"),)},
        "template": {"hosted": {"sendgrid": "d-1"}},
    }

    @pytest.mark.parametrize("to", ["", "nobody", "4915112345678", "+49 151 12345678", "+0123456"])
    def test_what_is_no_number_never_leaves(self, provider, server, to):
        error = failure(provider, replace(RICH, to=to))
        assert (error.error_class, error.code) == (
            ErrorClass.PERMANENT_RECIPIENT,
            "invalid_number",
        )
        assert len(server.ledger) == 0

    @pytest.mark.parametrize("parts", [{}, {"text": ""}, {"text": " \n"}, {"subject": "x"}])
    def test_what_has_no_text_never_leaves(self, provider, server, parts):
        assert failure(provider, replace(RICH, parts=parts)).code == "no_content"
        assert len(server.ledger) == 0

    def test_the_text_arrives_as_it_is(self, provider, server):
        sent = send(provider, RICH)
        (text,) = server.messages
        assert (text.to, text.text) == (NUMBER, RICH.parts["text"])
        assert (sent.ref, sent.http_status) == (text.message_id, 200)

    def test_the_blocking_way_sends_the_same(self, provider, server):
        assert provider.send(RICH).ref == server.messages.last.message_id
        assert server.messages.last.text == RICH.parts["text"]

    @pytest.mark.parametrize(
        ("attribute", "value", "code"),
        [
            ("secret_key", "another", "SignatureDoesNotMatch"),
            ("access_key", "another", "InvalidClientTokenId"),
        ],
    )
    def test_wrong_credentials_are_our_fault(self, provider, server, attribute, value, code):
        setattr(server, attribute, value)
        error = failure(provider, RICH)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, code)

    def test_it_carries_no_files(self, provider):
        wanted = Wanted(Channel.SMS, NUMBER, "DE")
        assert provider.lacks(wanted) == ""
        assert provider.lacks(replace(wanted, has_attachments=True)) == "attachments"


def rows(table: Mapping[str, Refused], answer: Any) -> list[Refusal]:
    return [refusal(code, answer(code), known) for code, known in table.items()]


def refusal(code: str, answer: Any, known: Refused) -> Refusal:
    return Refusal(answer, known.error_class, code, known.is_opt_out, known.for_country)


class TestSns(Both):
    __test__ = True
    golden = "aws_sms_sns.txt"
    golden_headers = ("content-type",)
    fails = (
        sns_error("InvalidParameter", TELLING),
        sns_error("InternalError", TELLING),
        sns_error("NobodyKnows", TELLING),
        Status(500, TELLING.encode()),
    )
    refusals = (
        *rows(SNS_CODES, lambda code: sns_error(code, "A text of no meaning.")),
        *(
            refusal(code, sns_error(code, f"Invalid parameter: {part} Reason"), known)
            for code, part, known in SNS_TEXTS
        ),
        Refusal(sns_error("Brandnew"), ErrorClass.TEMPORARY, "unmapped:Brandnew"),
    )

    @override
    def make_at(self, url: str) -> AwsSms:
        return provider_at(url, sender_id="MyBrand")

    def test_the_sender_is_named_only_where_there_is_one(self, server):
        for sender_id in ("", "MyBrand"):
            provider = provider_at(server.url, sender_id=sender_id)
            send(provider, RICH)
            close(provider)
            assert server.messages.last.sender == sender_id


class TestEndUserMessaging(Both):
    __test__ = True
    golden = "aws_sms_eum.txt"
    golden_headers = ("content-type", "x-amz-target")
    fails = (
        eum_error("ValidationException", TELLING, reason="CANNOT_PARSE"),
        eum_error("InternalServerException", TELLING),
        eum_error("NobodyKnows", TELLING),
        Status(500, TELLING.encode()),
    )
    refusals = (
        *rows(EUM_CODES, eum_error),
        *rows(EUM_REASONS, lambda reason: eum_error("ConflictException", reason=reason)),
        Refusal(
            eum_error("ConflictException", reason="BRAND_NEW"),
            EUM_CODES["ConflictException"].error_class,
            "ConflictException",
        ),
        Refusal(eum_error("Brandnew"), ErrorClass.TEMPORARY, "unmapped:Brandnew"),
    )

    @override
    def make_at(self, url: str) -> AwsSms:
        return provider_at(
            url, origination_identity="pool-a1b2c3", configuration_set="comms-events"
        )

    @pytest.mark.parametrize(
        ("left", "expected"),
        [
            (timedelta(seconds=-5), 5),
            (timedelta(seconds=1), 5),
            (timedelta(minutes=5), 300),
            (timedelta(days=9), 259_200),
        ],
    )
    def test_it_is_tried_until_it_expires(self, provider, server, left, expected):
        send(provider, replace(RICH, expires_at=timezone.now() + left))
        lives = server.messages.last.time_to_live
        assert expected - 2 <= lives <= expected or lives == 5 == expected

    def test_a_used_up_day_waits_for_an_hour(self, provider, server):
        server.script.next(
            eum_error("ServiceQuotaExceededException", reason="DAILY_DESTINATION_CALL_LIMIT")
        )
        assert failure(provider, RICH).retry_after == 3600

    def test_the_code_may_come_in_a_header(self, provider, server):
        headers = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/"}
        server.script.next(Status(400, b"{}", headers))
        assert failure(provider, RICH).code == "ThrottlingException"

    def test_ids_that_cannot_be_told_are_left_out(self, provider, server):
        send(provider, replace(RICH, agent_id=" ", template_id=""))
        assert server.messages.last.context == {
            "attempt_id": str(RICH.attempt_id),
            "message_id": str(RICH.notification_id),
        }


REFUSED_KEYS = """
AccessDeniedException ExpiredToken ExpiredTokenException IncompleteSignature InvalidClientTokenId
InvalidSignatureException MissingAuthenticationToken MissingAuthenticationTokenException
NotAuthorized OptInRequired RequestExpired SignatureDoesNotMatch UnrecognizedClientException
"""
"""Those of the page "Common Errors" that are about the key or the signature, as the query, the REST
and the JSON APIs name them. JSON APIs answer them with 400.
"""


def test_every_refusal_of_a_key_is_ours_to_mend_whatever_its_status(server):
    assert set(aws.CREDENTIALS) == set(REFUSED_KEYS.split())
    provider = provider_at(server.url, origination_identity="pool-a1b2c3")
    for code in aws.CREDENTIALS:
        server.script.next(eum_error(code))
        error = failure(provider, RICH)
        assert (error.error_class, error.code) == (ErrorClass.AUTH_CONFIG, code)
    close(provider)


def documented(service: str, shape: str) -> set[str]:
    return set(get_session().get_service_model(service).shape_for(shape).enum)


def test_every_reason_is_one_of_amazons():
    kinds = ("AccessDenied", "Conflict", "Validation", "ServiceQuotaExceeded")
    known = [documented("pinpoint-sms-voice-v2", f"{kind}ExceptionReason") for kind in kinds]
    assert set(EUM_REASONS) <= set().union(*known)


@pytest.mark.parametrize(
    ("service", "operation", "table"),
    [("sns", "Publish", SNS_CODES), ("pinpoint-sms-voice-v2", "SendTextMessage", EUM_CODES)],
)
def test_every_documented_error_is_mapped(service, operation, table):
    model = get_session().get_service_model(service).operation_model(operation)
    codes = {
        shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes
    }
    other_uses = {"EndpointDisabled", "PlatformApplicationDisabled"}  # of apps' push endpoints
    kms = {code for code in codes if code.startswith("KMS")}  # of encrypted topics
    assert codes - other_uses - kms <= set(table)


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1"])
@pytest.mark.parametrize("service", ["sns", "pinpoint-sms-voice-v2"])
def test_the_endpoints_are_amazons(service, region):
    account = aws.Account(ACCESS_KEY, SECRET, "")
    client = account.client(service, region)
    ours = account.endpoint({"sns": "sns"}.get(service, "sms-voice"), region)
    assert ours == client.meta.endpoint_url
    client.close()


def test_the_entry_in_the_settings_makes_one():
    entry = comms.PROVIDERS["aws_sms"]
    assert entry["CLASS"] == f"{AwsSms.__module__}.{AwsSms.__qualname__}"
    assert not entry["ENABLED"]
    assert entry["LIMIT"] == {"COUNT": 20, "SECONDS": 1.0, "UNIT": "recipients"}
    assert isinstance(AwsSms("aws_sms", **entry["OPTIONS"]), AwsSms)


def test_options_that_cannot_be_are_told_at_start():
    assert provider_at().problems() == []
    assert provider_at(sender_id="MyBrand").problems() == []
    (wrong,) = provider_at(region="Frankfurt").problems()
    assert "AWS_SNS_REGION" in wrong
    for sender_id in ("TwelveLetter", "12345", "a b"):
        (wrong,) = provider_at(sender_id=sender_id).problems()
        assert "AWS_SMS_SENDER_ID" in wrong


def test_calls_share_a_provider_among_threads(server):
    provider = provider_at(server.url)
    threads = [threading.Thread(target=provider.send, args=(RICH,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(server.messages) == 4


# What comes back


@pytest.fixture(scope="module")
def topic() -> SnsTopic:
    return SnsTopic("arn:aws:sns:eu-central-1:123456789012:sms-events")


def webhook(post: WebhookPost) -> Webhook:
    return Webhook(post.body, {name.lower(): value for name, value in post.headers.items()})


def told(topic: SnsTopic, message: dict[str, Any] | str) -> list[Report]:
    return provider_at().parse(webhook(topic.notification(message)))


def believing(topic: SnsTopic) -> AwsSms:
    provider = provider_at(topic_arns=[topic.arn])
    provider.fetch_certificate = topic.fetch  # type: ignore[method-assign]
    return provider


def test_a_message_of_the_topic_is_believed_and_no_other(topic):
    provider = believing(topic)
    provider.verify(webhook(topic.notification("x")))
    for options in ({"broken": True}, {"topic": f"{topic.arn}2"}, {"age": 4000}):
        with pytest.raises(BadSignature):
            provider.verify(webhook(topic.notification("x", **options)))
    assert provider.receipts_need == ""


def test_without_topics_nothing_is_believed(topic):
    provider = provider_at(origination_identity="pool-1", configuration_set="events")
    assert provider.receipts_need == "SNS_TOPIC_ARNS"
    assert provider_at().receipts_need == ""  # SNS tells nobody
    with pytest.raises(BadSignature):
        provider.verify(webhook(topic.notification("x")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "aws_sms_delivered.json",
            ProviderEvent(
                type=EventType.DELIVERED,
                at=datetime(2026, 1, 1, tzinfo=UTC),
                dedupe="862a8790-f71b-4a5d-a0a6-41c4e5b1e0c1:DELIVERED:delivered",
                attempt_id=RICH.attempt_id,
                provider_ref="862a8790-f71b-4a5d-a0a6-41c4e5b1e0c1",
                address="+12125550101",
                detail="Message has been accepted by phone",
                data={
                    "segments": 1,
                    "price_usd": 0.00581,
                    "carrier_fee_usd": 0.006,
                    "carrier": "Bell",
                },
            ),
        ),
        (
            "aws_sms_carrier_unreachable.json",
            ProviderEvent(
                type=EventType.BOUNCED,
                at=datetime(2026, 1, 1, tzinfo=UTC),
                dedupe="862a8790-f71b-4a5d-a0a6-41c4e5b1e0c1:CARRIER_UNREACHABLE:bounced",
                attempt_id=None,
                provider_ref="862a8790-f71b-4a5d-a0a6-41c4e5b1e0c1",
                address="+12125550101",
                code="CARRIER_UNREACHABLE",
                detail="Phone carrier is currently unreachable/unavailable",
                data={"segments": 2, "price_usd": 0.01162, "carrier_fee_usd": 0.0},
            ),
        ),
    ],
)
def test_each_captured_event(topic, name, expected):
    assert told(topic, payload(name).decode()) == [expected]


def test_the_captured_message_of_a_person(topic):
    (found,) = told(topic, payload("aws_sms_inbound.json").decode())
    assert isinstance(found, Inbound)
    assert (found.channel, found.sender, found.to) == (Channel.SMS, "+12125550101", "+14255550182")
    assert (found.text, found.wish) == ("EXAMPLE", "")
    assert found.dedupe == "cae173d2-66b9-564c-8309-21f858e9fb84"
    assert found.data == {"answers": "862a8790-f71b-4a5d-a0a6-41c4e5b1e0c1"}
    assert abs(found.at - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("keyword", "wish"),
    [
        *((word, Inbound.Wish.STOP) for word in sorted(STOP_WORDS)),
        ("stop", Inbound.Wish.STOP),
        ("HELP", Inbound.Wish.HELP),
        ("JOIN", ""),
        ("", ""),
    ],
)
def test_a_keyword_that_amazon_has_understood(topic, keyword, wish):
    post = reply(topic, NUMBER, "+14255550182", "whatever", keyword)
    (found,) = provider_at().parse(webhook(post))
    assert isinstance(found, Inbound)
    assert found.wish == wish


@pytest.fixture
def sent(server):
    provider = provider_at(server.url, origination_identity="+14255550182")
    send(provider, RICH)
    close(provider)
    return server.messages.last


@pytest.mark.parametrize("status", EVENTS)
def test_each_status(topic, sent, status):
    (found,) = told(topic, event(sent, status))
    assert isinstance(found, ProviderEvent)
    assert (found.type, found.permanent) == EVENTS[status]
    assert found.attempt_id == RICH.attempt_id
    assert (found.provider_ref, found.address) == (sent.message_id, NUMBER)


def test_every_documented_status_is_known():
    documented_types = documented("pinpoint-sms-voice-v2", "EventType")
    texts = {kind.removeprefix("TEXT_") for kind in documented_types if kind.startswith("TEXT_")}
    assert texts - {"ALL"} == set(EVENTS)


def test_where_phones_say_nothing_the_carriers_word_is_the_last(topic, sent):
    between, last = event(sent, "SUCCESSFUL"), event(sent, "SUCCESSFUL", isFinal=True)
    (first,), (second,) = told(topic, between), told(topic, last)
    assert isinstance(first, ProviderEvent)
    assert isinstance(second, ProviderEvent)
    assert (first.type, second.type) == (EventType.SENT, EventType.DELIVERED)
    assert first.dedupe != second.dedupe


def test_a_repeated_event_is_the_same(topic, sent):
    (first,), (again,) = [told(topic, event(sent, "DELIVERED")) for _ in range(2)]
    assert isinstance(first, ProviderEvent)
    assert isinstance(again, ProviderEvent)
    assert first.dedupe == again.dedupe


def test_the_description_is_kept_without_the_number(topic, sent):
    (found,) = told(topic, event(sent, "INVALID", messageStatusDescription=f"{NUMBER} is none"))
    assert isinstance(found, ProviderEvent)
    assert found.detail == "[number] is none"


@pytest.mark.parametrize(
    "message",
    [
        {"eventType": "VOICE_ANSWERED", "messageStatus": "ANSWERED"},
        {"eventType": "TEXT_BRANDNEW", "messageStatus": "BRANDNEW"},
        {"eventType": "Send", "mail": {}},
        {},
        "Successfully validated SNS topic for events.",
    ],
    ids=str,
)
def test_unknown_kinds_are_left_out(topic, message):
    assert told(topic, message) == []


def test_the_end_of_a_subscription_is_no_event(topic):
    assert provider_at().parse(webhook(topic.unsubscribe_confirmation())) == []


def test_a_subscription_is_confirmed(topic):
    with AwsSmsServer(ACCESS_KEY, SECRET) as server:
        with pytest.raises(ProviderError):  # the fake does not know this call
            provider_at(server.url).parse(webhook(topic.subscription_confirmation()))
        (request,) = server.ledger
    assert request.form["Action"] == ["ConfirmSubscription"]
    assert request.form["TopicArn"] == [topic.arn]


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        json.dumps({"eventType": "TEXT_SENT"}),
        json.dumps({"eventType": "TEXT_SENT", "messageStatus": "SENT", "messageId": "1"}),
        json.dumps({"inboundMessageId": "1"}),
    ],
)
def test_an_event_nobody_documents_is_an_error(topic, message):
    with pytest.raises(ValueError):
        told(topic, message)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b"[]", b"1"])
def test_a_body_nobody_documents_is_an_error(body):
    with pytest.raises(ValueError):
        provider_at().parse(Webhook(body, {}))


@pytest.mark.parametrize(
    ("service", "operation", "options", "params"),
    [
        (
            "sns",
            "Publish",
            {"sender_id": "MyBrand"},
            {
                "PhoneNumber": NUMBER,
                "Message": RICH.parts["text"],
                "MessageAttributes": {
                    "AWS.SNS.SMS.SMSType": {
                        "DataType": "String",
                        "StringValue": "Transactional",
                    },
                    "AWS.SNS.SMS.SenderID": {"DataType": "String", "StringValue": "MyBrand"},
                },
            },
        ),
        (
            "pinpoint-sms-voice-v2",
            "SendTextMessage",
            {"origination_identity": "pool-1"},
            {
                "DestinationPhoneNumber": NUMBER,
                "OriginationIdentity": "pool-1",
                "MessageBody": RICH.parts["text"],
                "MessageType": "TRANSACTIONAL",
                "Context": {
                    "attempt_id": str(RICH.attempt_id),
                    "message_id": str(RICH.notification_id),
                    "agent_id": "agent-1",
                    "template_id": "welcome.v3",
                },
            },
        ),
    ],
)
def test_the_request_is_as_boto3_writes_it(server, service, operation, options, params):
    provider = provider_at(server.url, **options)
    send(provider, RICH)
    close(provider)
    client = aws.Account(ACCESS_KEY, SECRET, server.url).client(service, "eu-central-1")
    getattr(client, {"Publish": "publish"}.get(operation, "send_text_message"))(**params)
    client.close()
    ours, botos = server.ledger
    assert ours.headers.get("x-amz-target") == botos.headers.get("x-amz-target")
    assert ours.headers["content-type"] == botos.headers["content-type"]
    assert (ours.json or ours.form) == (botos.json or botos.form)


# The whole way


@pytest.fixture
def entry(
    server: AwsSmsServer, topic: SnsTopic, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sns, "fetch_certificate", topic.fetch)
    options = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET,
        "region": "eu-central-1",
        "endpoint_url": server.url,
        "origination_identity": "pool-1",
        "configuration_set": "events",
        "sender_id": "",
        "topic_arns": [topic.arn],
    }
    changed = {"ENABLED": True, "LIMIT": None, "OPTIONS": options}
    settings.PROVIDERS = {
        "aws_sms": {**settings.PROVIDERS["aws_sms"], **changed},
        "simulator": settings.PROVIDERS["simulator"],
    }


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
    def posted(post: WebhookPost) -> int:
        headers = {name: value for name, value in post.headers.items() if name != "Content-Type"}
        answer = Client().post(
            "/webhooks/aws_sms/", post.body, content_type="text/plain", headers=headers
        )
        ingest.run()
        return answer.status_code

    def test_a_message_is_sent_and_reported(self, api, server, topic):
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "sent"
        for status in ("DELIVERED", "SENT", "QUEUED", "DELIVERED"):
            event_ = event(server.messages.last, status)
            assert self.posted(topic.notification(event_)) == 200
        found = self.delivery(api, notification)
        assert found["status"] == "delivered"
        assert [each["type"] for each in found["events"]].count("delivered") == 1

    def test_a_forged_report_is_refused(self, api, server, topic):
        notification = self.accepted(api)
        drain()
        forged = topic.notification(event(server.messages.last, "DELIVERED"), broken=True)
        assert self.posted(forged) == 400
        assert self.delivery(api, notification)["status"] == "sent"

    def test_a_report_settles_a_call_that_was_not_answered(self, api, server, topic):
        server.script.next(Reset())
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "unknown"
        self.posted(topic.notification(event(server.messages.last, "PENDING")))
        found = self.delivery(api, notification)
        assert (found["status"], len(found["attempts"])) == ("sent", 1)
        assert len(server.messages) == 1

    def test_a_number_that_is_none_is_suppressed(self, api, server, topic):
        notification = self.accepted(api)
        drain()
        self.posted(topic.notification(event(server.messages.last, "INVALID")))
        assert self.delivery(api, notification)["status"] == "bounced"
        assert self.delivery(api, self.accepted(api))["status"] == "suppressed"

    def test_an_opt_out_is_not_sent_by_anybody(self, api, server):
        server.script.next(
            eum_error("ConflictException", reason="DESTINATION_PHONE_NUMBER_OPTED_OUT")
        )
        notification = self.accepted(api)
        drain()
        assert self.delivery(api, notification)["status"] == "failed"
        assert Suppression.objects.get().reason == "unsubscribe"
        assert self.delivery(api, self.accepted(api))["status"] == "suppressed"

    def test_what_a_person_writes_is_kept(self, topic):
        assert self.posted(reply(topic, NUMBER, "+14255550182", "Hello you")) == 200
        assert WebhookReceipt.objects.get().error == ""
