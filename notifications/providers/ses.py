"""Amazon SES: mail by the v2 API, its events and mail to us by way of SNS.

The engine's messages go over the event loop, signed by botocore (`carry`); plain Django mail goes
through Anymail and boto3 (`deliver`). What an answer means is the same for both.

Vendor's facts: docs.aws.amazon.com/ses/latest/dg (event-publishing-retrieving-sns-contents,
notification-contents, manage-sending-quotas-errors) and botocore's model of `sesv2`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parseaddr
from functools import cached_property, partial
from typing import Any, ClassVar
from uuid import UUID

from anymail.backends.amazon_ses import EmailBackend
from anymail.exceptions import AnymailAPIError
from anymail.message import AnymailMessage
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from typing_extensions import override

from notifications.providers import ses_inbound
from notifications.providers.account import Check, MailDns, Quota, Verdict
from notifications.providers.base import LoopProvider, Webhook
from notifications.providers.common import aws, events, http, mime, sns
from notifications.providers.common.defects import caught
from notifications.providers.common.email import (
    EmailProvider,
    Handover,
    check,
    without_addresses,
)
from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp
from notifications.providers.common.labels import named_tags
from notifications.providers.ses_template import TemplatePayload
from notifications.types import (
    ErrorClass,
    EventType,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Sent,
)

CODES: Mapping[str, ErrorClass] = {
    **aws.CREDENTIALS,
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
    "InternalServiceError": ErrorClass.AMBIGUOUS,
    "ServiceUnavailable": ErrorClass.TEMPORARY,
}
"""The codes SendEmail answers with. Another one counts by its HTTP status."""

TEXTS: Sequence[tuple[str, str, ErrorClass, float | None]] = (
    ("MessageRejected", "not verified", ErrorClass.AUTH_CONFIG, None),
    ("NotFoundException", "emplate", ErrorClass.PERMANENT_MESSAGE, None),  # not the account's fault
    # "An interval of up to 10 minutes", says AWS: the quota is that of a rolling day.
    ("Throttling", "Daily message quota exceeded", ErrorClass.THROTTLED, 600.0),
    ("ThrottlingException", "Daily message quota exceeded", ErrorClass.THROTTLED, 600.0),
)
"""Codes whose text changes what they mean: code, what the text contains, class, seconds to wait."""

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

QUOTA = ("MaxSendRate", "Max24HourSend", "SentLast24Hours")
"""Of the account: recipients. A negative day's quota is none."""

RECEIVED = "Received"
"""A mail to us."""

ANSWER_BYTES = 64 * 1024
"""As much of an answer is read. A usual one has less than 1 KB."""

_OUR_DATA = {"ipAddress": "ip", "userAgent": "user_agent", "link": "url"}


class SES(EmailProvider, LoopProvider):
    """Options: the key pair, `region`, `endpoint_url` (`""` for Amazon's own), `configuration_set`
    (`""` for none; without one that publishes to SNS there are no events) and `topic_arns`, the SNS
    topics whose messages are believed.
    """

    dns: ClassVar = MailDns(
        "amazonses.com",
        key="{selector}._domainkey.{domain}. CNAME {selector}.dkim.amazonses.com.",
        asks=True,
    )
    knows_quota: ClassVar = True
    keeps_message_id: ClassVar = False
    hosts_templates: ClassVar = True

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
        self._account = aws.Account(access_key_id, secret_access_key, endpoint_url)
        self._region = region
        self._configuration_set = configuration_set or None
        self._topic_arns = topic_arns
        self._sns = sns.Verifier(topic_arns, lambda url: self.fetch_certificate(url))
        host = self._account.endpoint("email", region).rstrip("/")
        self._http = LoopHttp(f"{host}/v2/email/outbound-emails", {})

    @property
    @override
    def receipts_need(self) -> str:
        return "" if self._topic_arns else "SNS_TOPIC_ARNS"

    @override
    def problems(self) -> list[str]:
        return aws.region_problems("AWS_SES_REGION", self._region) + self._account.problems()

    def fetch_certificate(self, url: str) -> bytes:
        """Amazon's certificate at `url`; raises as `sns.fetch_certificate` does."""
        return sns.fetch_certificate(url)

    @override
    def quota(self) -> Quota:
        return _quota(self._ask("get_account"))

    @override
    def check(self) -> Iterator[Check]:
        account = self._ask("get_account")
        yield Check("key", "accepted")
        quota = _quota(account)
        if quota.trouble:
            advice = "See the account dashboard of SES, and write to AWS support."
            yield Check("account", quota.trouble, Verdict.FAILED, advice)
        per_day = "unlimited" if quota.per_day is None else f"{quota.per_day:,.0f}"
        yield Check(
            "quota", f"{quota.sent:,.0f} of {per_day} sent in 24 h, {quota.per_second:g} a second"
        )
        if not account.get("ProductionAccessEnabled"):
            advice = "Ask for production access."
            yield Check("sandbox", "sends to verified addresses only", Verdict.WARNING, advice)
        yield self._check_sender()

    def _check_sender(self) -> Check:
        address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        what = f"sender {address}"
        for identity in _identities(address):
            try:
                found = self._ask("get_email_identity", EmailIdentity=identity)
            except ProviderError as error:
                if error.code != "NotFoundException":
                    raise
                continue
            return _sender(what, identity, found)
        advice = "Verify the domain of DEFAULT_FROM_EMAIL as an identity, in this region."
        return Check(what, "no identity", Verdict.FAILED, advice)

    @override
    def dkim_selectors(self, domain: str) -> Sequence[str]:
        """The tokens of Easy DKIM; none where the domain is no identity."""
        try:
            found = self._ask("get_email_identity", EmailIdentity=domain)
        except ProviderError as error:
            if error.code == "NotFoundException":
                return ()
            raise
        attributes = found.get("DkimAttributes")
        tokens = attributes.get("Tokens") if isinstance(attributes, dict) else None
        return [str(token) for token in tokens] if isinstance(tokens, list) else []

    def _ask(self, operation: str, **parameters: str) -> Mapping[str, Any]:
        return self._account.call(
            "sesv2", region=self._region, operation=operation, codes=CODES, **parameters
        )

    @override
    def connect(self) -> BaseEmailBackend:
        backend: BaseEmailBackend = _Backend(
            client=self._account.client("sesv2", self._region),
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
        mail.esp_extra = {"EmailTags": _tags(message)}

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        (message,) = messages
        with self.before_sending():
            body = json.dumps(self._parameters(message), default=_base64).encode()
            headers = self._account.signed(
                "ses", self._region, self._http.url, {"Content-Type": "application/json"}, body
            )
        answer = await self._http.post(body, headers=headers, read=ANSWER_BYTES)
        with caught(ErrorClass.AMBIGUOUS):
            return self.read(answer)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()

    def read(self, answer: Answer) -> Sent:
        """What SES said. Raises `ProviderError` where it did not take the message."""
        if answer.status == 200:
            given = answer.json
            ref = given.get("MessageId") if isinstance(given, dict) else None
            if isinstance(ref, str) and ref:
                return Sent(ref, answer.status)
            raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
        code, text = aws.told(answer)
        error = aws.classified(code, http.status_error(answer.status, answer.headers), CODES)
        raise _by_text(error, text)

    def _parameters(self, message: Outbound) -> dict[str, Any]:
        """Of SendEmail, as Anymail makes them, which takes twenty times as long; what is rare it
        still does.
        """
        if message.attachments or message.hosted or not message.to.isascii():
            payload = self._writer.build_message_payload(self.build(message), {})
            payload.finalize_payload()
            found: dict[str, Any] = payload.params
            return found
        check(message)
        addressed = replace(message, reply_to=self._reply_to(message))
        parameters = {
            "Destination": {"ToAddresses": [message.to]},
            "EmailTags": _tags(message),
            "Content": {"Raw": {"Data": mime.compose(addressed, is_ascii=True)}},
        }
        if self._configuration_set:
            parameters["ConfigurationSetName"] = self._configuration_set
        return parameters

    @cached_property
    def _writer(self) -> Any:
        return self.connect()

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        if isinstance(error, AnymailAPIError):
            if isinstance(error.response, dict) and "Error" in error.response:
                text = str(error.response["Error"].get("Message", ""))
                return _by_text(aws.answered(error.response, CODES), text)
            error = error.__cause__ if isinstance(error.__cause__, Exception) else error
        if found := aws.unanswered(error):
            return found
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
    def parse(self, webhook: Webhook) -> Sequence[Report]:
        """As documented there. A new subscription is confirmed on the way, which is a call to SNS:
        raises `ProviderError` where that fails.
        """
        try:
            envelope = sns.published(webhook, self._account)
            if envelope is None:
                return []
            event = json.loads(envelope["Message"])
            if event.get("notificationType") == RECEIVED:
                return [ses_inbound.received(event)]
            return list(_events(event, envelope["MessageId"]))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not an event of SES: {type(error).__name__}") from None


def _quota(account: Mapping[str, Any]) -> Quota:
    """Of an answer to `GetAccount`. Raises `ProviderError`."""
    try:
        per_second, per_day, sent = (float(account["SendQuota"][name]) for name in QUOTA)
    except (KeyError, TypeError, ValueError):
        raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer") from None
    if not all(math.isfinite(number) for number in (per_second, per_day, sent)):
        raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
    return Quota(per_second, None if per_day < 0 else per_day, sent, _trouble(account))


def _trouble(account: Mapping[str, Any]) -> str:
    standing = str(account.get("EnforcementStatus") or "unknown")
    found = [] if standing == "HEALTHY" else [f"the enforcement status is {standing}"]
    if not account.get("SendingEnabled"):
        found.append("sending is disabled")
    return ", ".join(found)


def _identities(address: str) -> Iterator[str]:
    """What may be verified for an address: itself, its domain, and those above it."""
    yield address
    labels = address.rpartition("@")[2].split(".")
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])


def _sender(what: str, identity: str, found: Mapping[str, Any]) -> Check:
    if not found.get("VerifiedForSendingStatus"):
        advice = "Publish the DNS records that SES shows for it."
        return Check(what, f"{identity} is not verified", Verdict.FAILED, advice)
    dkim = str(found.get("DkimAttributes", {}).get("Status") or "unknown")
    if dkim != "SUCCESS":
        advice = "Publish its DKIM records: mailbox providers ask for them."
        return Check(what, f"{identity}: DKIM is {dkim}", Verdict.WARNING, advice)
    return Check(what, f"{identity} is verified, with DKIM")


class _Backend(Handover, EmailBackend):  # type: ignore[misc]
    """Anymail's backend with a client made by us."""

    def __init__(self, *, client: Any, **options: Any) -> None:
        super().__init__(**options)
        self.client = client

    def build_message_payload(self, message: Any, defaults: Any) -> Any:
        if isinstance(getattr(message, "template_id", None), str):  # else Anymail's UNSET
            return TemplatePayload(message, defaults, self)
        return super().build_message_payload(message, defaults)


def _tags(message: Outbound) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in named_tags(message).items()]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _by_text(found: ProviderError, text: str) -> ProviderError:
    """The same error, or another class where the text says so."""
    for code, part, error_class, wait in TEXTS:
        if code == found.code and part in text:
            found.error_class, found.retry_after = error_class, wait
    return found


def _events(event: Mapping[str, Any], sns_id: str) -> Iterator[ProviderEvent]:
    """Our events for one of theirs: one for each recipient, none for kinds we do not know."""
    known = EVENTS.get(event.get("eventType") or event.get("notificationType") or "")
    if known is None:
        return
    kind, key, recipients = known
    mail, detail = event["mail"], event.get(key) or {}
    told = list(enumerate(detail.get(recipients) or mail["destination"]))
    yield from events.of_each(told, partial(_of_recipient, kind, mail, detail, sns_id))


def _of_recipient(
    kind: EventType,
    mail: Mapping[str, Any],
    detail: Mapping[str, Any],
    sns_id: str,
    told: tuple[int, Any],
) -> Iterator[ProviderEvent]:
    number, entry = told
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
            data={ours: detail[theirs] for theirs, ours in _OUR_DATA.items() if theirs in detail},
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
