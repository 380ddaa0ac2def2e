"""Amazon SES v2, as far as sending mail goes: SendEmail, GetAccount and GetEmailIdentity."""

from __future__ import annotations

import base64
import binascii
import email.policy
import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from typing import Any
from urllib.parse import unquote

from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.wire import Request, Response

MAX_RECIPIENTS = 50
MAX_BYTES = 40 * 2**20
TAG = re.compile(r"[A-Za-z0-9_:.@-]{1,256}")
IDENTITIES = "/v2/email/identities/"
CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/")

#: code -> (HTTP status, the message the service sends)
ERRORS: dict[str, tuple[int, str]] = {
    "TooManyRequestsException": (429, "Too many requests."),
    "ThrottlingException": (400, "Maximum sending rate exceeded."),
    "Throttling": (400, "Maximum sending rate exceeded."),
    "LimitExceededException": (400, "The account has too many resources of this kind."),
    "AccountSuspendedException": (400, "The account's ability to send email is suspended."),
    "SendingPausedException": (400, "Email sending is paused for this account."),
    "MailFromDomainNotVerifiedException": (400, "The MAIL FROM domain is not verified."),
    "NotFoundException": (404, "Configuration set <main> does not exist."),
    "MessageRejected": (400, "Email address is not verified."),
    "BadRequestException": (400, "Illegal address"),
    "InvalidClientTokenId": (403, "The security token included in the request is invalid."),
    "UnrecognizedClientException": (403, "The security token included in the request is invalid."),
    "SignatureDoesNotMatch": (403, "The request signature we calculated does not match."),
    "AccessDeniedException": (403, "User is not authorized to perform: ses:SendRawEmail"),
    "ExpiredToken": (403, "The security token included in the request is expired"),
    "MissingAuthenticationToken": (403, "Missing Authentication Token"),
    "InternalServiceError": (500, "An internal error occurred."),
    "ServiceUnavailable": (503, "The service is unavailable."),
}

BY_STATUS = {
    400: "BadRequestException",
    403: "AccessDeniedException",
    404: "NotFoundException",
    429: "TooManyRequestsException",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True)
class SentMail:
    """One message to one address, accepted."""

    recipient: str
    message_id: str
    message: EmailMessage
    raw: bytes
    tags: dict[str, str]
    configuration_set: str | None
    source: str
    destination: list[str]
    at: float = field(default_factory=time.monotonic)


class SesServer(FakeHttpServer):
    """Point `AWS_ENDPOINT_URL` at its `url`. `messages` has one entry for each address."""

    def __init__(self, access_key: str | None = None, max_send_rate: float = 14) -> None:
        super().__init__()
        self.access_key = access_key
        self.max_send_rate = max_send_rate
        self.account: dict[str, Any] = {}
        """What of the account is not as usual."""
        self.identities: dict[str, dict[str, Any]] = {"example.com": identity()}
        self.messages: Ledger[SentMail] = Ledger()
        self.templates: dict[str, tuple[str, str]] = {}
        """Name to subject and text, in which `{{name}}` is replaced."""

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        data = request.json if isinstance(request.json, dict) else {}
        return tuple(parseaddr(entry)[1] for entry in _destinations(data))

    @override
    def respond(self, request: Request) -> Response:
        denied = self._denied(request)
        if denied:
            return answer(denied)
        routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("POST", "/v2/email/outbound-emails"): self._send_email,
            ("GET", "/v2/email/account"): self._get_account,
        }
        route = routes.get((request.method, request.path))
        if (request.method, request.path.startswith(IDENTITIES)) == ("GET", True):
            route = self._get_email_identity
        return route(request) if route else answer("UnknownOperationException", status=404)

    @override
    def error(self, status: int) -> Response:
        return answer(BY_STATUS.get(status, "InternalServiceError"), status=status)

    def _denied(self, request: Request) -> str:
        credential = CREDENTIAL.match(request.headers.get("authorization", ""))
        if credential is None:
            return "MissingAuthenticationToken"
        if self.access_key is not None and credential[1] != self.access_key:
            return "UnrecognizedClientException"
        return ""

    def _send_email(self, request: Request) -> Response:
        data = request.json
        problem = _problem(data)
        if problem:
            return answer("BadRequestException", problem)
        template = data["Content"].get("Template")
        if template and template.get("TemplateName") not in self.templates:
            text = f"Template {template.get('TemplateName')} does not exist"
            return answer("NotFoundException", text, status=404)
        try:
            raw, message = self._written(data) if template else _content(data["Content"])
        except (KeyError, ValueError):
            return answer("BadRequestException", "Missing or invalid content.")
        message_id = f"0107{uuid.uuid4()}-000000"
        mail = SentMail(
            recipient="",
            message_id=message_id,
            message=message,
            raw=raw,
            tags={tag["Name"]: tag["Value"] for tag in data.get("EmailTags") or []},
            configuration_set=data.get("ConfigurationSetName"),
            source=data.get("FromEmailAddress") or str(message["From"]),
            destination=_destinations(data) or _header_recipients(message),
        )
        for entry in mail.destination:
            self.messages.add(_for(mail, parseaddr(entry)[1]))
        return Response.of(200, {"MessageId": message_id}, _request_id())

    def _written(self, data: dict[str, Any]) -> tuple[bytes, EmailMessage]:
        template = data["Content"]["Template"]
        subject, text = self.templates[template["TemplateName"]]
        for name, value in json.loads(template["TemplateData"]).items():
            mark = f"{{{{{name}}}}}"
            subject, text = subject.replace(mark, value), text.replace(mark, value)
        message = EmailMessage()
        message["From"], message["Subject"] = data["FromEmailAddress"], subject
        message["To"] = ", ".join(data["Destination"]["ToAddresses"])
        if data.get("ReplyToAddresses"):
            message["Reply-To"] = ", ".join(data["ReplyToAddresses"])
        for header in template.get("Headers", []):
            message[header["Name"]] = header["Value"]
        message.set_content(text)
        return message.as_bytes(), message

    def _get_account(self, request: Request) -> Response:
        account = {
            "ProductionAccessEnabled": True,
            "SendingEnabled": True,
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "HEALTHY",
            "SendQuota": {
                "Max24HourSend": 50_000.0,
                "MaxSendRate": self.max_send_rate,
                "SentLast24Hours": float(len(self.messages)),
            },
            "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
            **self.account,
        }
        return Response.of(200, account, _request_id())

    def _get_email_identity(self, request: Request) -> Response:
        name = unquote(request.path.removeprefix(IDENTITIES))
        if name not in self.identities:
            return answer("NotFoundException", f"Email identity {name} does not exist.")
        return Response.of(200, self.identities[name], _request_id())


def identity(*, verified: bool = True, dkim: str = "SUCCESS") -> dict[str, Any]:
    """What GetEmailIdentity tells of a domain."""
    return {
        "IdentityType": "DOMAIN",
        "VerifiedForSendingStatus": verified,
        "DkimAttributes": {"SigningEnabled": True, "Status": dkim, "Tokens": ["a", "b", "c"]},
    }


def answer(code: str, message: str = "", status: int = 0) -> Response:
    """The service's shape of an error: the code in a header, the message in the body."""
    known, default = ERRORS.get(code, (400, code))
    headers = {"x-amzn-ErrorType": code, **_request_id()}
    return Response.of(status or known, {"message": message or default}, headers)


def ses_error(code: str, message: str = "", status: int = 0, *, accepted: bool = False) -> Status:
    """A behaviour: this error of the table, by its code."""
    plain = answer(code, message, status)
    return Status(plain.status, plain.body, plain.headers, accepts=accepted)


def _problem(data: Any) -> str:
    if not isinstance(data, dict) or not isinstance(data.get("Content"), dict):
        return "Missing content."
    addresses = _destinations(data)
    if len(addresses) > MAX_RECIPIENTS:
        return "Recipient count exceeds 50."
    for address in addresses:
        local, _, domain = parseaddr(address)[1].rpartition("@")
        if not local or not domain:
            return "Illegal address"
    for tag in data.get("EmailTags") or []:
        if not TAG.fullmatch(tag.get("Name", "")) or not TAG.fullmatch(tag.get("Value", "")):
            return f"Invalid tag <{tag.get('Name')}>."
    return ""


def _destinations(data: dict[str, Any]) -> list[str]:
    destination = data.get("Destination") or {}
    kinds = ("ToAddresses", "CcAddresses", "BccAddresses")
    return [entry for kind in kinds for entry in destination.get(kind) or []]


def _header_recipients(message: EmailMessage) -> list[str]:
    fields = [str(value) for name in ("To", "Cc", "Bcc") for value in message.get_all(name, [])]
    return [address for _, address in getaddresses(fields)]


def _content(content: dict[str, Any]) -> tuple[bytes, EmailMessage]:
    if "Raw" in content:
        try:
            raw = base64.b64decode(content["Raw"]["Data"], validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error
    else:
        raw = _simple(content["Simple"]).as_bytes()
    if not raw or len(raw) > MAX_BYTES:
        raise ValueError("no message, or too large")
    message = email.message_from_bytes(raw, _class=EmailMessage, policy=email.policy.default)
    return raw, message


def _simple(simple: dict[str, Any]) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = simple["Subject"]["Data"]
    for header in simple.get("Headers") or []:
        message[header["Name"]] = header["Value"]
    body = simple["Body"]
    if "Text" in body:
        message.set_content(body["Text"]["Data"])
    if "Html" in body:
        add = message.add_alternative if "Text" in body else message.set_content
        add(body["Html"]["Data"], subtype="html")
    return message


def _for(mail: SentMail, recipient: str) -> SentMail:
    return SentMail(**{**vars(mail), "recipient": recipient})


def _request_id() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}
