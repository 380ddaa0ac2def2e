"""Amazon SES: mail by the v2 API through Anymail, and its events by way of SNS.

Vendor's facts: docs.aws.amazon.com/ses/latest/dg (event-publishing-retrieving-sns-contents,
notification-contents, manage-sending-quotas-errors) and botocore's model of `sesv2`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import boto3
from anymail.backends.amazon_ses import EmailBackend
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailMessage
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from typing_extensions import override

from notifications.providers import http, sns
from notifications.providers.base import Webhook
from notifications.providers.email import EmailProvider, Handover, ids, without_addresses
from notifications.types import ErrorClass, EventType, Outbound, ProviderError, ProviderEvent, Sent

CODES: Mapping[str, ErrorClass] = {
    "TooManyRequestsException": ErrorClass.THROTTLED,
    "Throttling": ErrorClass.THROTTLED,
    "ThrottlingException": ErrorClass.THROTTLED,
    "LimitExceededException": ErrorClass.AUTH_CONFIG,
    "AccountSuspendedException": ErrorClass.AUTH_CONFIG,
    "SendingPausedException": ErrorClass.AUTH_CONFIG,
    "MailFromDomainNotVerifiedException": ErrorClass.AUTH_CONFIG,
    "NotFoundException": ErrorClass.AUTH_CONFIG,
    "MessageRejected": ErrorClass.PERMANENT_MESSAGE,
    "BadRequestException": ErrorClass.PERMANENT_MESSAGE,
    "InvalidClientTokenId": ErrorClass.AUTH_CONFIG,
    "UnrecognizedClientException": ErrorClass.AUTH_CONFIG,
    "SignatureDoesNotMatch": ErrorClass.AUTH_CONFIG,
    "AccessDeniedException": ErrorClass.AUTH_CONFIG,
    "MissingAuthenticationToken": ErrorClass.AUTH_CONFIG,
    "ExpiredToken": ErrorClass.AUTH_CONFIG,
    "InternalServiceError": ErrorClass.AMBIGUOUS,
    "ServiceUnavailable": ErrorClass.TEMPORARY,
}
"""The codes SendEmail answers with. Another one counts by its HTTP status."""

TEXTS: Sequence[tuple[str, str, ErrorClass, float | None]] = (
    ("MessageRejected", "not verified", ErrorClass.AUTH_CONFIG, None),
    # "An interval of up to 10 minutes", says AWS: the quota is that of a rolling day.
    ("Throttling", "Daily message quota exceeded", ErrorClass.THROTTLED, 600.0),
    ("ThrottlingException", "Daily message quota exceeded", ErrorClass.THROTTLED, 600.0),
)
"""Codes whose text changes what they mean: code, what the text contains, class, seconds to wait."""

TRANSPORT: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (boto.ConnectTimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),
    (boto.EndpointConnectionError, ErrorClass.TEMPORARY, "connect_failed"),
    (boto.ProxyConnectionError, ErrorClass.AUTH_CONFIG, "proxy"),
    (boto.ReadTimeoutError, ErrorClass.AMBIGUOUS, "read_timeout"),
    (boto.ConnectionClosedError, ErrorClass.AMBIGUOUS, "connection_lost"),
    (boto.HTTPClientError, ErrorClass.AMBIGUOUS, "connection_lost"),
    (ResponseParserError, ErrorClass.AMBIGUOUS, "malformed_answer"),
    (boto.ParamValidationError, ErrorClass.PERMANENT_MESSAGE, "invalid_parameters"),
    (boto.NoCredentialsError, ErrorClass.AUTH_CONFIG, "credentials"),
)
"""What botocore raises where there is no answer, or none it understands."""

TAG_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
TAG_LENGTH = 256

EVENTS: Mapping[str, tuple[EventType, str, str]] = {
    "Send": (EventType.SENT, "send", ""),
    "Delivery": (EventType.DELIVERED, "delivery", "recipients"),
    "Bounce": (EventType.BOUNCED, "bounce", "bouncedRecipients"),
    "Complaint": (EventType.COMPLAINED, "complaint", "complainedRecipients"),
    "DeliveryDelay": (EventType.DEFERRED, "deliveryDelay", "delayedRecipients"),
    "Reject": (EventType.BOUNCED, "reject", ""),
    "Rendering Failure": (EventType.BOUNCED, "failure", ""),
    "Open": (EventType.OPENED, "open", ""),
    "Click": (EventType.CLICKED, "click", ""),
}
"""Their word to ours, the key of the detail, and in it that of the recipients it is about. Without
one it is about all of the message: SES does not say who opened."""

UNSUBSCRIBED = "UnsubscribedRecipient"
"""The sub-type of a `Permanent` bounce that is an opt-out; the others say the address is dead, or
that SES has it on a list of such."""

NO_BOUNCES = frozenset({("Transient", "General"), ("Undetermined", "Undetermined")})
"""Type and sub-type of what may as well be an out-of-office answer: a fact, no state."""

GREETING = "Successfully validated SNS topic for Amazon SES event publishing."
"""What SES posts, as plain text, when a topic is first connected."""

_OUR_DATA = {"ipAddress": "ip", "userAgent": "user_agent", "link": "url"}


class SES(EmailProvider):
    """Options: the key pair, `region`, `endpoint_url` (`""` for Amazon's own), `configuration_set`
    (`""` for none; without one that publishes to SNS there are no events) and `topic_arns`, the SNS
    topics whose messages are believed.
    """

    def __init__(
        self,
        name: str,
        *,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        endpoint_url: str,
        configuration_set: str,
        topic_arns: Sequence[str],
    ) -> None:
        super().__init__(name)
        self._credentials = {
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
        }
        self._region = region
        self._endpoint_url = endpoint_url or None
        self._configuration_set = configuration_set or None
        self._topic_arns = topic_arns
        self._sns = sns.Verifier(topic_arns, lambda url: self.fetch_certificate(url))

    @property
    @override
    def receipts_need(self) -> str:
        return "" if self._topic_arns else "SNS_TOPIC_ARNS"

    def fetch_certificate(self, url: str) -> bytes:
        """Amazon's certificate at `url`; raises as `sns.fetch_certificate` does."""
        return sns.fetch_certificate(url)

    @override
    def connect(self) -> BaseEmailBackend:
        backend: BaseEmailBackend = _Backend(
            client=self._client("sesv2", self._region),
            configuration_set_name=self._configuration_set,
            ignore_unsupported_features=False,
        )
        return backend

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Our ids and the tags as message tags, which only we get to see.

        Anymail would put metadata and tags into the headers `X-Metadata` and `X-Tag`, for the
        recipient to read. SES has no place for the caller's metadata; it stays with us.
        """
        tags = {f"tag_{n}": tag for n, tag in enumerate(dict.fromkeys(message.tags), start=1)}
        mail.esp_extra = {
            "EmailTags": [
                {"Name": name, "Value": TAG_UNSAFE.sub("_", value)[:TAG_LENGTH]}
                for name, value in {**ids(message), **tags}.items()
            ]
        }

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        if isinstance(error, AnymailAPIError):
            if isinstance(error.response, dict) and "Error" in error.response:
                return _answered(error.response)
            error = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if isinstance(error, boto.SSLError):  # keeps the cause neither in args nor in __cause__
            return http.transport_error(error.kwargs.get("error") or error)
        for kind, error_class, code in TRANSPORT:
            if isinstance(error, kind):
                return ProviderError(error_class, code, f"The call failed: {code}.")
        if isinstance(error, AnymailAPIError):
            return ProviderError(ErrorClass.AMBIGUOUS, "malformed_answer", "An answer without id.")
        return None

    @override
    def receipt(self, mail: EmailMessage) -> Sent:
        answer = mail.anymail_status.esp_response  # type: ignore[attr-defined]
        return Sent(answer["MessageId"], answer["ResponseMetadata"]["HTTPStatusCode"])

    @override
    def verify(self, webhook: Webhook) -> None:
        self._sns.verify(webhook)

    @override
    def parse(self, webhook: Webhook) -> list[ProviderEvent]:
        """As documented there. A new subscription is confirmed on the way, which is a call to SNS:
        raises `ProviderError` where that fails.
        """
        envelope = json.loads(webhook.body)
        try:
            if envelope["Type"] == "SubscriptionConfirmation":
                self._confirm(envelope["TopicArn"], envelope["Token"])
                return []
            if envelope["Type"] != "Notification" or envelope["Message"] == GREETING:
                return []
            return list(_events(json.loads(envelope["Message"]), envelope["MessageId"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an event of SES: {type(error).__name__}") from None

    def _confirm(self, topic: str, token: str) -> None:
        region = topic.split(":")[3]
        client = self._client("sns", region)
        try:
            # With authentication, nobody who gets hold of an old message can unsubscribe us.
            client.confirm_subscription(
                TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true"
            )
        except boto.ClientError as error:
            raise _answered(error.response) from None
        except boto.BotoCoreError as error:
            raise self.classify(error) or ProviderError(
                ErrorClass.TEMPORARY, type(error).__name__
            ) from None
        finally:
            client.close()

    def _client(self, service: str, region: str) -> Any:
        with _LOCK:
            return _session().client(
                service,
                region_name=region,
                endpoint_url=self._endpoint_url,
                config=Config(
                    connect_timeout=settings.PROVIDER_CONNECT_TIMEOUT,
                    read_timeout=settings.PROVIDER_READ_TIMEOUT,
                    # SendEmail has no idempotency token; botocore would send up to three times.
                    retries={"total_max_attempts": 1},
                ),
                **self._credentials,
            )


_LOCK = threading.Lock()
"""Neither making a session nor making a client is thread-safe; using a client is."""


@cache
def _session() -> Any:
    """The session of this process: a new one takes 40 ms of CPU, a client of this one 2."""
    return boto3.session.Session()


class _Backend(Handover, EmailBackend):  # type: ignore[misc]
    """Anymail's backend with a client made by us."""

    def __init__(self, *, client: Any, **options: Any) -> None:
        super().__init__(**options)
        self.client = client


def _answered(response: Mapping[str, Any]) -> ProviderError:
    """The error of an answer: `{"Error": {"Code", "Message"}, "ResponseMetadata": ...}`."""
    code = str(response["Error"].get("Code", ""))
    text = str(response["Error"].get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    error_class, wait = CODES.get(code) or http.status_class(status), None
    for known, part, its_class, its_wait in TEXTS:
        if code == known and part in text:
            error_class, wait = its_class, its_wait
    return ProviderError(
        error_class,
        code if code in CODES else str(status),
        f"The provider answered HTTP {status}.",
        http_status=status,
        retry_after=wait,
    )


def _events(event: Mapping[str, Any], sns_id: str) -> Iterator[ProviderEvent]:
    """Our events for one of theirs: one for each recipient, none for kinds we do not know."""
    known = EVENTS.get(event.get("eventType") or event.get("notificationType") or "")
    if known is None:
        return
    kind, key, recipients = known
    mail, detail = event["mail"], event.get(key) or {}
    for number, entry in enumerate(detail.get(recipients) or mail["destination"]):
        recipient = entry if isinstance(entry, Mapping) else {"emailAddress": entry}
        for each in _types(kind, detail):
            yield ProviderEvent(
                type=each,
                at=datetime.fromisoformat(detail.get("timestamp") or mail["timestamp"]),
                dedupe=f"{sns_id}:{number}:{each.value}",
                attempt_id=_attempt_id(mail),
                provider_ref=mail["messageId"],
                address=recipient["emailAddress"],
                permanent=each is EventType.BOUNCED and _permanent(detail),
                code=_code(detail),
                detail=without_addresses(_text(detail, recipient)),
                data={
                    ours: detail[theirs] for theirs, ours in _OUR_DATA.items() if theirs in detail
                },
            )


def _types(kind: EventType, detail: Mapping[str, Any]) -> list[EventType]:
    if detail.get("bounceSubType") == UNSUBSCRIBED:
        return [kind, EventType.UNSUBSCRIBED]
    if (detail.get("bounceType"), detail.get("bounceSubType")) in NO_BOUNCES:
        return [EventType.DEFERRED]
    return [kind]


def _permanent(detail: Mapping[str, Any]) -> bool:
    return detail.get("bounceType") == "Permanent" and detail.get("bounceSubType") != UNSUBSCRIBED


def _code(detail: Mapping[str, Any]) -> str:
    names = (
        "bounceType",
        "bounceSubType",
        "complaintSubType",
        "complaintFeedbackType",
        "delayType",
    )
    return "/".join(str(detail[name]) for name in names if detail.get(name))


def _text(detail: Mapping[str, Any], recipient: Mapping[str, Any]) -> str:
    found = recipient.get("diagnosticCode") or detail.get("smtpResponse") or detail.get("reason")
    return str(found or detail.get("errorMessage") or "")


def _attempt_id(mail: Mapping[str, Any]) -> UUID | None:
    """From our message tag, else from the metadata header Anymail makes of a plain mail's."""
    tag = next(iter(mail.get("tags", {}).get("attempt_id", [])), None)
    try:
        return UUID(tag or _metadata(mail)["attempt_id"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _metadata(mail: Mapping[str, Any]) -> Any:
    for header in mail.get("headers", []):
        if header["name"].lower() == "x-metadata":
            return json.loads(header["value"])
    return {}
