"""Amazon's two ways to send a text message, at one address: SNS and End User Messaging."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from typing_extensions import override

from tests.fakes.aws_signature import denied
from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.sns import SnsTopic
from tests.fakes.webhooks import WebhookPost
from tests.fakes.wire import Request, Response

TARGET = "PinpointSMSVoiceV2."
NUMBER = re.compile(r"\+?[1-9][0-9]{1,18}")

#: code -> HTTP status, of SNS
SNS_STATUSES = {
    "Throttled": 429,
    "AuthorizationError": 403,
    "InvalidSecurity": 403,
    "InvalidClientTokenId": 403,
    "SignatureDoesNotMatch": 403,
    "MissingAuthenticationToken": 403,
    "AccessDeniedException": 403,
    "UnrecognizedClientException": 403,
    "ExpiredToken": 403,
    "OptInRequired": 403,
    "KMSOptInRequired": 403,
    "NotFound": 404,
    "InternalError": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}
#: code -> HTTP status, of End User Messaging: whatever is the client's is a 400
EUM_STATUSES = {"InternalServerException": 500, "ServiceUnavailable": 503}


@dataclass(frozen=True)
class SentText:
    """One text message, accepted."""

    to: str
    text: str
    message_id: str
    api: str
    sender: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    configuration_set: str = ""
    time_to_live: int | None = None
    at: float = field(default_factory=time.monotonic)


class AwsSmsServer(FakeHttpServer):
    """Point `AWS_ENDPOINT_URL` at its `url`. `messages` has what was taken."""

    def __init__(self, access_key: str = "AKIAFAKE", secret_key: str = "secret") -> None:
        super().__init__()
        self.access_key = access_key
        self.secret_key = secret_key
        self.is_sandbox = False
        self.tier = "PRODUCTION"
        self.messages: Ledger[SentText] = Ledger()

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        if _is_eum(request):
            data = request.json if isinstance(request.json, dict) else {}
            return tuple(filter(None, [data.get("DestinationPhoneNumber")]))
        return tuple(request.form.get("PhoneNumber", []))

    @override
    def respond(self, request: Request) -> Response:
        error = eum_answer if _is_eum(request) else sns_answer
        if code := denied(request, self.access_key, self.secret_key):
            return error(code)
        operations: Mapping[str, Callable[[Request], Response]] = {
            "SendTextMessage": self._send_text_message,
            "DescribeAccountAttributes": self._account_attributes,
            "DescribeSpendLimits": self._spend_limits,
            "Publish": self._publish,
            "GetSMSSandboxAccountStatus": self._sandbox_status,
            "GetSMSAttributes": self._sms_attributes,
        }
        if _is_eum(request):
            name = request.headers["x-amz-target"].removeprefix(TARGET)
        else:
            name = next(iter(request.form.get("Action", [])), "")
        operation = operations.get(name)
        return operation(request) if operation else error("InvalidAction")

    @override
    def error(self, status: int) -> Response:
        return Response(status, b"", {})

    def _publish(self, request: Request) -> Response:
        form = {name: values[0] for name, values in request.form.items()}
        if not NUMBER.fullmatch(form.get("PhoneNumber", "")):
            text = "Invalid parameter: PhoneNumber Reason: is not valid to publish to"
            return sns_answer("InvalidParameter", text)
        if not form.get("Message", "").strip():
            return sns_answer("InvalidParameter", "Invalid parameter: Empty message")
        attributes = _attributes(form)
        sent = SentText(
            to=form["PhoneNumber"],
            text=form["Message"],
            message_id=str(uuid.uuid4()),
            api="sns",
            sender=attributes.get("AWS.SNS.SMS.SenderID", ""),
        )
        self.messages.add(sent)
        return _xml("Publish", f"<MessageId>{sent.message_id}</MessageId>")

    def _send_text_message(self, request: Request) -> Response:
        data = request.json
        if not isinstance(data, dict) or not data.get("MessageBody", "").strip():
            return eum_answer("ValidationException", reason="MISSING_PARAMETER")
        if not NUMBER.fullmatch(data.get("DestinationPhoneNumber", "")):
            return eum_answer("ValidationException", reason="INVALID_PARAMETER")
        lives = data.get("TimeToLive")
        if (lives is not None and not 5 <= lives <= 259_200) or not _is_context(data):
            return eum_answer("ValidationException", reason="FIELD_VALIDATION_FAILED")
        sent = SentText(
            to=data["DestinationPhoneNumber"],
            text=data["MessageBody"],
            message_id=str(uuid.uuid4()),
            api="eum",
            sender=data.get("OriginationIdentity", ""),
            context=data.get("Context", {}),
            configuration_set=data.get("ConfigurationSetName", ""),
            time_to_live=lives,
        )
        self.messages.add(sent)
        return _json({"MessageId": sent.message_id})

    def _account_attributes(self, request: Request) -> Response:
        return _json({"AccountAttributes": [{"Name": "ACCOUNT_TIER", "Value": self.tier}]})

    def _spend_limits(self, request: Request) -> Response:
        limit = {"Name": "TEXT_MESSAGE_MONTHLY_SPEND_LIMIT", "EnforcedLimit": 100}
        return _json({"SpendLimits": [{**limit, "MaxLimit": 100, "Overridden": False}]})

    def _sandbox_status(self, request: Request) -> Response:
        text = str(self.is_sandbox).lower()
        return _xml("GetSMSSandboxAccountStatus", f"<IsInSandbox>{text}</IsInSandbox>")

    def _sms_attributes(self, request: Request) -> Response:
        entry = "<entry><key>MonthlySpendLimit</key><value>100</value></entry>"
        return _xml("GetSMSAttributes", f"<attributes>{entry}</attributes>")


def sns_answer(code: str, message: str = "") -> Response:
    """The shape of SNS's errors."""
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>'
        f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message or code)}</Message>"
        f"</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Response(SNS_STATUSES.get(code, 400), body.encode(), {"Content-Type": "text/xml"})


def sns_error(code: str, message: str = "", *, accepted: bool = False) -> Status:
    """A behaviour: this error of SNS."""
    plain = sns_answer(code, message)
    return Status(plain.status, plain.body, plain.headers, accepts=accepted)


def eum_answer(code: str, message: str = "", *, reason: str = "") -> Response:
    """The shape of End User Messaging's errors."""
    body = {
        "__type": f"com.amazonaws.pinpointsmsvoicev2#{code}",
        "Message": message or code,
        **({"Reason": reason} if reason else {}),
    }
    return _json(body, EUM_STATUSES.get(code, 400))


def eum_error(code: str, message: str = "", *, reason: str = "", accepted: bool = False) -> Status:
    """A behaviour: this error of End User Messaging."""
    plain = eum_answer(code, message, reason=reason)
    return Status(plain.status, plain.body, plain.headers, accepts=accepted)


def event(sent: SentText, status: str, **changes: Any) -> dict[str, Any]:
    """An event of End User Messaging about a message, as its topic publishes it."""
    now = round(time.time() * 1000)
    return {
        "eventType": f"TEXT_{status}",
        "eventVersion": "1.0",
        "eventTimestamp": now,
        "isFinal": status not in {"PENDING", "QUEUED", "SENT", "SUCCESSFUL"},
        "originationPhoneNumber": "+14255550182",
        "destinationPhoneNumber": sent.to,
        "isoCountryCode": "DE",
        "mcc": "262",
        "mnc": "01",
        "carrierName": "Telekom",
        "messageId": sent.message_id,
        "messageRequestTimestamp": now - 1000,
        "messageEncoding": "GSM",
        "messageType": "TRANSACTIONAL",
        "messageStatus": status,
        "messageStatusDescription": f"Message is {status.lower()}",
        "context": dict(sent.context),
        "totalMessageParts": 1,
        "totalMessagePrice": 0.00581,
        "totalCarrierFee": 0.006,
        **changes,
    }


def reply(topic: SnsTopic, sender: str, to: str, text: str, keyword: str = "") -> WebhookPost:
    """A text message of a person to one of our numbers, as its two-way topic publishes it."""
    told = {
        "originationNumber": sender,
        "destinationNumber": to,
        "messageKeyword": keyword or "KEYWORD_123456789012_ALL",
        "messageBody": text,
        "inboundMessageId": str(uuid.uuid4()),
        "previousPublishedMessageId": str(uuid.uuid4()),
    }
    return topic.notification(told)


def _is_eum(request: Request) -> bool:
    return request.headers.get("x-amz-target", "").startswith(TARGET)


def _is_context(data: Mapping[str, Any]) -> bool:
    context = data.get("Context", {})
    return len(context) <= 5 and all(value.strip() == value != "" for value in context.values())


def _attributes(form: Mapping[str, str]) -> dict[str, str]:
    found, place = {}, 1
    while name := form.get(f"MessageAttributes.entry.{place}.Name"):
        found[name] = form[f"MessageAttributes.entry.{place}.Value.StringValue"]
        place += 1
    return found


def _xml(action: str, result: str) -> Response:
    body = (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<{action}Result>{result}</{action}Result><ResponseMetadata>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(200, body.encode(), {"Content-Type": "text/xml"})


def _json(data: Any, status: int = 200) -> Response:
    return Response.of(status, data, {"Content-Type": "application/x-amz-json-1.0"})
