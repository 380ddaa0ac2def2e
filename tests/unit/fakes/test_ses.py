"""SES through boto3, with the exceptions of the real thing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes import ses_events
from tests.fakes.behaviours import (
    Behaviour,
    Close,
    Garbage,
    HalfBody,
    Hang,
    MalformedJson,
    Reset,
    Status,
    failed_after_accept,
)
from tests.fakes.ses import ERRORS, SesServer, identity, ses_error
from tests.fakes.sns import SnsTopic, Version, canonical
from tests.fakes.webhooks import WebhookPost


@pytest.fixture(scope="module")
def session() -> boto3.session.Session:
    """It reads what Amazon's services are like once for all clients."""
    return boto3.session.Session()


@pytest.fixture
def client(session: boto3.session.Session, ses: SesServer) -> Iterator[Any]:
    with connected(session, ses, patience=30) as client:
        yield client


@pytest.fixture
def hasty(session: boto3.session.Session, ses: SesServer) -> Iterator[Any]:
    """One that waits no longer than it must, where no answer comes."""
    with connected(session, ses, patience=2) as client:
        yield client


@contextmanager
def connected(session: boto3.session.Session, ses: SesServer, *, patience: float) -> Iterator[Any]:
    """`patience`: seconds."""
    config = Config(
        connect_timeout=patience, read_timeout=patience, retries={"total_max_attempts": 1}
    )
    client = session.client(
        "sesv2",
        region_name="eu-central-1",
        endpoint_url=ses.url,
        aws_access_key_id="AKIAFAKE",
        aws_secret_access_key="fake",
        config=config,
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def topic() -> SnsTopic:
    return SnsTopic()


def send(client: Any, to: str = "alice@example.com", **options: Any) -> Any:
    message = EmailMessage()
    message["From"] = "Desk <desk@example.com>"
    message["To"] = to
    message["Subject"] = "Gr\u00fc\u00dfe"
    message["X-Metadata"] = json.dumps({"attempt": "at-1"})
    message.set_content("Hi")
    return client.send_email(
        FromEmailAddress="Desk <desk@example.com>",
        Destination={"ToAddresses": [to]},
        Content={"Raw": {"Data": message.as_bytes()}},
        EmailTags=[{"Name": "comms_attempt", "Value": "at-1"}],
        **options,
    )


def check_signature(post: WebhookPost, topic: SnsTopic) -> Any:
    envelope = json.loads(post.body)
    certificate = x509.load_pem_x509_certificate(topic.fetch(envelope["SigningCertURL"]))
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    algorithm = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()
    signature = base64.b64decode(envelope["Signature"])
    key.verify(signature, canonical(envelope), padding.PKCS1v15(), algorithm)
    return envelope


def test_a_raw_mail_is_taken_and_parsed(ses: SesServer, client: Any) -> None:
    answer = send(client, "Alice <alice@example.com>", ConfigurationSetName="main")

    sent = ses.messages.last
    assert answer["MessageId"] == sent.message_id
    assert sent.recipient == "alice@example.com"
    assert sent.message["Subject"] == "Gr\u00fc\u00dfe"
    assert sent.message.get_content().strip() == "Hi"
    assert sent.tags == {"comms_attempt": "at-1"}
    assert sent.configuration_set == "main"
    assert ses.ledger.last.path == "/v2/email/outbound-emails"


def test_a_simple_mail_is_taken_too(ses: SesServer, client: Any) -> None:
    body = {"Text": {"Data": "Hi"}, "Html": {"Data": "<b>Hi</b>"}}
    client.send_email(
        FromEmailAddress="desk@example.com",
        Destination={"ToAddresses": ["a@example.com"], "BccAddresses": ["b@example.com"]},
        Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": body}},
    )
    assert [sent.recipient for sent in ses.messages] == ["a@example.com", "b@example.com"]
    assert ses.messages.last.message.get_content_type() == "multipart/alternative"


def test_the_account_tells_its_quota(ses: SesServer, client: Any) -> None:
    ses.max_send_rate = 50
    send(client)
    quota = client.get_account()["SendQuota"]
    assert (quota["MaxSendRate"], quota["SentLast24Hours"]) == (50, 1)


def test_an_account_and_its_identities_are_as_the_test_says(ses: SesServer, client: Any) -> None:
    ses.account = {"EnforcementStatus": "PROBATION"}
    assert client.get_account()["EnforcementStatus"] == "PROBATION"
    ses.identities = {"a@example.com": identity(dkim="PENDING")}
    found = client.get_email_identity(EmailIdentity="a@example.com")
    assert (found["VerifiedForSendingStatus"], found["DkimAttributes"]["Status"]) == (
        True,
        "PENDING",
    )
    with pytest.raises(ClientError) as caught:
        client.get_email_identity(EmailIdentity="example.com")
    assert caught.value.response["Error"]["Code"] == "NotFoundException"


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_of_the_table_arrives_with_its_code_and_status(
    ses: SesServer, client: Any, code: str
) -> None:
    ses.script.next(ses_error(code))
    with pytest.raises(ClientError) as caught:
        send(client)
    status, message = ERRORS[code]
    assert caught.value.response["Error"] == {"Code": code, "Message": message}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert len(ses.ledger) == 1
    assert not ses.messages.all()


def test_the_daily_quota_has_a_text_of_its_own(ses: SesServer, client: Any) -> None:
    ses.script.next(ses_error("Throttling", "Daily message quota exceeded"))
    with pytest.raises(ClientError, match="Daily message quota exceeded"):
        send(client)


def test_500_after_accept_has_sent(ses: SesServer, client: Any) -> None:
    ses.script.next(failed_after_accept())
    with pytest.raises(client.exceptions.ClientError) as caught:
        send(client)
    assert caught.value.response["Error"]["Code"] == "InternalServiceError"
    assert len(ses.messages) == 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Hang(), ReadTimeoutError),
        (Reset(), ConnectionClosedError),
        (Close(), ConnectionClosedError),
        (Garbage(), ConnectionClosedError),
    ],
)
def test_a_lost_answer_still_leaves_the_mail_sent(
    ses: SesServer, hasty: Any, behaviour: Behaviour, error: type[Exception]
) -> None:
    ses.script.when("alice@example.com", behaviour)
    with pytest.raises(error):
        send(hasty)
    assert len(ses.ledger) == len(ses.messages) == 1


@pytest.mark.parametrize("behaviour", [HalfBody(), MalformedJson(), Status(200, b"<html>")])
def test_an_unreadable_answer_is_no_error_to_botocore_but_has_no_message_id(
    ses: SesServer, client: Any, behaviour: Behaviour
) -> None:
    ses.script.next(behaviour)
    answer = send(client)
    assert "MessageId" not in answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_refused_connection_was_never_sent(ses: SesServer, client: Any) -> None:
    ses.refuse()
    with pytest.raises(EndpointConnectionError):
        send(client)
    ses.accept()
    send(client)
    assert len(ses.messages) == 1


def test_a_page_that_is_not_json_has_the_status_as_code(ses: SesServer, client: Any) -> None:
    ses.script.next(Status(500, b"<html>oops</html>"))
    with pytest.raises(ClientError) as caught:
        send(client)
    assert caught.value.response["Error"]["Code"] == "500"


@pytest.mark.parametrize(
    "destination",
    [{"ToAddresses": ["nobody"]}, {"ToAddresses": [f"u{n}@example.com" for n in range(51)]}],
)
def test_a_bad_destination_is_a_bad_request(
    ses: SesServer, client: Any, destination: dict[str, list[str]]
) -> None:
    with pytest.raises(client.exceptions.BadRequestException):
        client.send_email(Destination=destination, Content={"Raw": {"Data": b"To: x\r\n\r\nHi"}})


def test_another_access_key_is_refused(client: Any, ses: SesServer) -> None:
    ses.access_key = "AKIAOTHER"
    with pytest.raises(ClientError, match="security token"):
        send(client)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_signed_for_real(
    ses: SesServer, client: Any, topic: SnsTopic, version: Version
) -> None:
    send(client)
    post = topic.notification(ses_events.delivery(ses.messages.last), version=version)

    envelope = check_signature(post, topic)

    assert envelope["SignatureVersion"] == version
    assert post.headers["x-amz-sns-message-type"] == "Notification"
    assert post.headers["x-amz-sns-message-id"] == envelope["MessageId"]
    inner = json.loads(envelope["Message"])
    assert inner["eventType"] == "Delivery"
    assert inner["mail"]["messageId"] == ses.messages.last.message_id
    assert inner["mail"]["tags"]["comms_attempt"] == ["at-1"]
    names = {header["name"]: header["value"] for header in inner["mail"]["headers"]}
    assert json.loads(names["X-Metadata"]) == {"attempt": "at-1"}


def test_a_confirmation_is_signed_over_its_own_fields(topic: SnsTopic) -> None:
    post = topic.subscription_confirmation()
    envelope = check_signature(post, topic)
    assert envelope["SubscribeURL"].startswith("https://sns.eu-central-1.amazonaws.com/?Action=")
    assert post.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"


def test_forgeries_and_trouble_with_the_certificate(topic: SnsTopic) -> None:
    with pytest.raises(InvalidSignature):
        check_signature(topic.notification("hi", broken=True), topic)
    with pytest.raises(InvalidSignature):
        check_signature(
            SnsTopic(topic.arn).notification("hi", subject="s", cert_url=topic.cert_url), topic
        )
    with pytest.raises(LookupError):
        topic.fetch("https://sns.eu-central-1.amazonaws.com.evil.example/x.pem")
    topic.unreachable = True
    with pytest.raises(ConnectionError):
        topic.fetch(topic.cert_url)
    topic.unreachable = False


def test_a_redelivery_has_the_same_id(topic: SnsTopic) -> None:
    posts = [topic.notification("hi", message_id="m-1") for _ in range(2)]
    assert [json.loads(post.body)["MessageId"] for post in posts] == ["m-1", "m-1"]


def test_every_event_is_about_the_message(ses: SesServer, client: Any) -> None:
    send(client)
    sent = ses.messages.last
    events = {
        "Send": ses_events.send(sent),
        "Bounce": ses_events.bounce(sent, "Transient", "MailboxFull"),
        "Complaint": ses_events.complaint(sent),
        "Reject": ses_events.reject(sent),
        "DeliveryDelay": ses_events.delivery_delay(sent),
        "Rendering Failure": ses_events.rendering_failure(sent),
        "Open": ses_events.opened(sent),
        "Click": ses_events.clicked(sent),
    }
    assert [event["eventType"] for event in events.values()] == list(events)
    assert {event["mail"]["messageId"] for event in events.values()} == {sent.message_id}
    assert events["Bounce"]["bounce"]["bouncedRecipients"][0]["status"] == "5.2.2"
