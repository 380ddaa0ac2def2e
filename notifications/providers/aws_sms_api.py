"""The two ways of Amazon to send a text message, as requests and answers: SNS `Publish`, and
`SendTextMessage` of End User Messaging.

Vendor's facts: docs.aws.amazon.com/sns/latest/api (Publish, CommonErrors) and /dg/sms_publish-to-phone,
docs.aws.amazon.com/pinpoint/latest/apireference_smsvoicev2 (SendTextMessage), botocore's models of
`sns` and `pinpoint-sms-voice-v2`.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.utils import timezone
from typing_extensions import override

from notifications.providers.account import Check, Verdict
from notifications.providers.common import aws
from notifications.providers.common.http import Answer
from notifications.providers.common.labels import ids
from notifications.types import ErrorClass, Outbound


@dataclass(frozen=True)
class Refused:
    """What one of the vendor's words means."""

    error_class: ErrorClass
    is_opt_out: bool = False
    for_country: bool = False
    retry_after: float | None = None


THROTTLED = Refused(ErrorClass.THROTTLED)
FOR_TODAY = Refused(ErrorClass.THROTTLED, retry_after=3600.0)
OURS = Refused(ErrorClass.AUTH_CONFIG)
COUNTRY = Refused(ErrorClass.AUTH_CONFIG, for_country=True)
MESSAGE = Refused(ErrorClass.PERMANENT_MESSAGE)
RECIPIENT = Refused(ErrorClass.PERMANENT_RECIPIENT)
OPTED_OUT = Refused(ErrorClass.PERMANENT_RECIPIENT, is_opt_out=True)
OPEN = Refused(ErrorClass.AMBIGUOUS)
NOT_NOW = Refused(ErrorClass.TEMPORARY)

CREDENTIALS: Mapping[str, Refused] = dict.fromkeys(aws.CREDENTIALS, OURS)

SNS_CODES: Mapping[str, Refused] = {
    **CREDENTIALS,
    "InvalidParameter": MESSAGE,
    "ParameterValueInvalid": MESSAGE,
    "ValidationException": MESSAGE,
    "ValidationError": MESSAGE,
    "OptedOut": OPTED_OUT,
    "AuthorizationError": OURS,
    "InvalidSecurity": OURS,
    "NotFound": OURS,
    "UserError": OURS,
    "KMSOptInRequired": OURS,
    "Throttled": THROTTLED,
    "Throttling": THROTTLED,
    "ThrottlingException": THROTTLED,
    "InternalError": OPEN,
    "InternalFailure": OPEN,
    "ServiceUnavailable": NOT_NOW,
}
"""What `Publish` answers with."""

SNS_TEXTS: Sequence[tuple[str, str, Refused]] = (
    ("InvalidParameter", "opted out", OPTED_OUT),
    ("InvalidParameter", "PhoneNumber", RECIPIENT),
)
"""Codes of `Publish` whose text changes what they mean: code, what the text contains."""

EUM_CODES: Mapping[str, Refused] = {
    **CREDENTIALS,
    "AccessDeniedException": OURS,
    "ConflictException": OURS,
    "InternalServerException": OPEN,
    "ResourceNotFoundException": OURS,
    "ServiceQuotaExceededException": FOR_TODAY,
    "ThrottlingException": THROTTLED,
    "ValidationException": MESSAGE,
}
"""What `SendTextMessage` answers with, where its reason does not say more."""

EUM_REASONS: Mapping[str, Refused] = {
    # AccessDeniedException
    "INSUFFICIENT_ACCOUNT_REPUTATION": OURS,
    "ACCOUNT_DISABLED": OURS,
    # ConflictException
    "DESTINATION_PHONE_NUMBER_OPTED_OUT": OPTED_OUT,
    "DESTINATION_PHONE_NUMBER_NOT_VERIFIED": OURS,  # of an account in the sandbox
    "NO_ORIGINATION_IDENTITIES_FOUND": OURS,
    "REGISTRATION_NOT_COMPLETE": OURS,
    "NUMBER_CAPABILITIES_MISMATCH": OURS,
    "MESSAGE_TYPE_MISMATCH": OURS,
    "RESOURCE_NOT_ACTIVE": OURS,
    "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": RECIPIENT,
    "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": RECIPIENT,
    # ValidationException
    "DESTINATION_COUNTRY_BLOCKED": COUNTRY,
    "COUNTRY_NOT_ENABLED": COUNTRY,
    "INTERNATIONAL_SENDING_NOT_SUPPORTED": COUNTRY,
    "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY": COUNTRY,
    "SENDER_ID_NOT_REGISTERED": COUNTRY,
    "SENDER_ID_NOT_SUPPORTED": COUNTRY,
    "SENDER_ID_REQUIRES_REGISTRATION": COUNTRY,
    "PRICE_OVER_THRESHOLD": MESSAGE,
    "CANNOT_PARSE": MESSAGE,
    "INVALID_PARAMETER": MESSAGE,
    "FIELD_VALIDATION_FAILED": MESSAGE,
    "MAXIMUM_SIZE_EXCEEDED": MESSAGE,
    "MISSING_PARAMETER": MESSAGE,
    "CHANNEL_NOT_ENABLED": OURS,
    "RESOURCE_NOT_ACCESSIBLE": OURS,
    "INVALID_ARN": OURS,
    # ServiceQuotaExceededException
    "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT": OURS,
    "DAILY_DESTINATION_CALL_LIMIT": FOR_TODAY,
}
"""The `Reason` beside a code, which goes before it."""

MIN_TTL, MAX_TTL = 5, 259_200
"""Seconds that `TimeToLive` may be."""

Ask = Callable[..., Mapping[str, Any]]
"""`aws.Account.call` in our region."""


class Api(ABC):
    """One way to hand a text message over: its request, and what is in its answer."""

    service: ClassVar[str]
    """What requests are signed for, and how the endpoint's host begins."""

    tells = False
    """Whether events come back."""

    @abstractmethod
    def request(self, message: Outbound) -> tuple[dict[str, str], bytes]:
        """Headers and body."""

    @abstractmethod
    def ref(self, answer: Answer) -> str:
        """The message's id in an answer of 200; empty where it is not there."""

    @abstractmethod
    def error(self, answer: Answer) -> tuple[str, Refused | None]:
        """The vendor's word for what is wrong, empty where there is none, and what it means."""

    @abstractmethod
    def check(self, ask: Ask) -> Iterator[Check]:
        """As a provider's."""


class Publish(Api):
    """SNS: a form in, XML out."""

    service = "sns"

    def __init__(self, sender_id: str) -> None:
        self._sender_id = sender_id

    @override
    def request(self, message: Outbound) -> tuple[dict[str, str], bytes]:
        attributes = {"AWS.SNS.SMS.SMSType": "Transactional"}
        if self._sender_id:
            attributes["AWS.SNS.SMS.SenderID"] = self._sender_id
        form = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "PhoneNumber": message.to,
            "Message": message.parts["text"],
        }
        for place, (name, value) in enumerate(attributes.items(), start=1):
            entry = f"MessageAttributes.entry.{place}"
            form[f"{entry}.Name"] = name
            form[f"{entry}.Value.DataType"] = "String"
            form[f"{entry}.Value.StringValue"] = value
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return headers, urlencode(form).encode()

    @override
    def ref(self, answer: Answer) -> str:
        return _element("MessageId", answer.body)

    @override
    def error(self, answer: Answer) -> tuple[str, Refused | None]:
        code, text = _element("Code", answer.body), _element("Message", answer.body)
        for known, part, refused in SNS_TEXTS:
            if code == known and part in text:
                return code, refused
        return code, SNS_CODES.get(code)

    @override
    def check(self, ask: Ask) -> Iterator[Check]:
        codes = _classes(SNS_CODES)
        answer = ask("sns", operation="get_sms_sandbox_account_status", codes=codes)
        yield _account(is_sandbox=bool(answer.get("IsInSandbox", True)))
        answer = ask("sns", operation="get_sms_attributes", codes=codes)
        yield _spend(answer.get("attributes", {}).get("MonthlySpendLimit"))


class SendTextMessage(Api):
    """End User Messaging: JSON in, JSON out."""

    service = "sms-voice"

    def __init__(self, origination_identity: str, configuration_set: str) -> None:
        self._origination_identity = origination_identity
        self._configuration_set = configuration_set
        self.tells = bool(configuration_set)

    @override
    def request(self, message: Outbound) -> tuple[dict[str, str], bytes]:
        fields: dict[str, Any] = {
            "DestinationPhoneNumber": message.to,
            "OriginationIdentity": self._origination_identity,
            "MessageBody": message.parts["text"],
            "MessageType": "TRANSACTIONAL",
            "Context": _context(message),
        }
        if self._configuration_set:
            fields["ConfigurationSetName"] = self._configuration_set
        if message.expires_at:
            left = (message.expires_at - timezone.now()).total_seconds()
            fields["TimeToLive"] = min(max(math.ceil(left), MIN_TTL), MAX_TTL)
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "PinpointSMSVoiceV2.SendTextMessage",
        }
        return headers, json.dumps(fields).encode()

    @override
    def ref(self, answer: Answer) -> str:
        found = answer.json
        return str(found.get("MessageId") or "") if isinstance(found, dict) else ""

    @override
    def error(self, answer: Answer) -> tuple[str, Refused | None]:
        body = answer.json if isinstance(answer.json, dict) else {}
        code, reason = aws.told(answer)[0], str(body.get("Reason") or "")
        if reason in EUM_REASONS:
            return reason, EUM_REASONS[reason]
        return code, EUM_CODES.get(code)

    @override
    def check(self, ask: Ask) -> Iterator[Check]:
        service, codes = "pinpoint-sms-voice-v2", _classes(EUM_CODES)
        answer = ask(service, operation="describe_account_attributes", codes=codes)
        tiers = {entry["Name"]: entry["Value"] for entry in answer["AccountAttributes"]}
        yield _account(is_sandbox=tiers.get("ACCOUNT_TIER") != "PRODUCTION")
        answer = ask(service, operation="describe_spend_limits", codes=codes)
        limits = {entry["Name"]: entry["EnforcedLimit"] for entry in answer["SpendLimits"]}
        yield _spend(limits.get("TEXT_MESSAGE_MONTHLY_SPEND_LIMIT"))


def _classes(codes: Mapping[str, Refused]) -> dict[str, ErrorClass]:
    return {code: refused.error_class for code, refused in codes.items()}


def _account(*, is_sandbox: bool) -> Check:
    if not is_sandbox:
        return Check("account", "key accepted, out of the sandbox")
    found = "in the sandbox: sends to verified numbers only"
    return Check(
        "account", found, Verdict.WARNING, "Ask AWS support to move it out of the sandbox."
    )


def _spend(limit: object) -> Check:
    return Check("spend limit", f"{limit or 'unknown'} USD a month")


def _context(message: Outbound) -> dict[str, str]:
    """Our ids, which come back in events. Values begin and end with no blank, and are not empty."""
    stripped = {name: value.strip() for name, value in ids(message).items()}
    return {name: value for name, value in stripped.items() if value}


def _element(name: str, body: bytes) -> str:
    """The text of the first element of that name in XML without attributes, as SNS writes it."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", body.decode(errors="replace"))
    return found[1] if found else ""
