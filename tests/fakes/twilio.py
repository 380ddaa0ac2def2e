"""Twilio's Messages API, with the checks the real one makes at once and its magic numbers."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from twilio.request_validator import RequestValidator
from typing_extensions import override

from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.fakes.ledger import Ledger
from tests.fakes.webhooks import WebhookPost
from tests.fakes.wire import Request, Response

FROM_NUMBERS = {
    "+15005550001": 21212,
    "+15005550007": 21606,
    "+15005550008": 21611,
}
TO_NUMBERS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
"""Numbers that are refused, to the code (twilio.com/docs/iam/test-credentials)."""

HTTP_STATUSES = {20003: 401, 20404: 404, 20429: 429}
MAX_BODY = 1600


@dataclass
class SentSms:
    """One message, accepted. `status` and `error_code` are what a look-up finds."""

    sid: str
    fields: dict[str, str]
    status: str
    error_code: int | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    taken_at: float = field(default_factory=time.monotonic)

    @property
    def to(self) -> str:
        return self.fields["To"]

    @property
    def body(self) -> str:
        return self.fields["Body"]

    @property
    def ids(self) -> dict[str, str]:
        """Ours, as its status callback has them."""
        asked = parse_qs(urlsplit(self.fields["StatusCallback"]).query)
        return {"attempt_id": asked["attempt"][0], "message_id": asked["message"][0]}


class TwilioServer(FakeHttpServer):
    """`messages` holds what would be delivered."""

    def __init__(self, account_sid: str = "ACfake", auth_token: str = "fake") -> None:
        super().__init__()
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.account = {"status": "active", "type": "Full"}
        self.numbers = {"+15005550006"}
        self.messages: Ledger[SentSms] = Ledger()

    @property
    def env(self) -> dict[str, str]:
        """What has the service send by it, as fast as it can."""
        return {
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_FROM_NUMBER": "+15005550006",
            "TWILIO_API_URL": self.url,
            "TWILIO_LIMIT": "none",
            "SMS_PER_PREFIX": "none",
        }

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        return tuple(request.form.get("To", ()))

    @override
    def respond(self, request: Request) -> Response:
        login = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return error(20003)
        account = f"/2010-04-01/Accounts/{self.account_sid}"
        if request.path == f"{account}.json":
            return Response.of(200, {"sid": self.account_sid, **self.account})
        if request.path == f"{account}/IncomingPhoneNumbers.json":
            asked = request.query.get("PhoneNumber", [""])[0]
            owned = [{"sid": "PN00", "phone_number": asked}] if asked in self.numbers else []
            return Response.of(200, {"incoming_phone_numbers": owned, "next_page_uri": None})
        if request.path == f"{account}/Messages.json":
            return self._list(request) if request.method == "GET" else self._create(request)
        if request.path.startswith(f"{account}/Messages/"):
            return self._fetch(request.path.rpartition("/")[2].removesuffix(".json"))
        return error(20404)

    @override
    def error(self, status: int) -> Response:
        return Response.of(status, {"code": None, "message": f"scripted {status}"})

    def _create(self, request: Request) -> Response:
        fields = {name: values[0] for name, values in request.form.items()}
        if code := refused(fields):
            return error(code)
        service = "MessagingServiceSid" in fields
        message = SentSms(f"SM{secrets.token_hex(16)}", fields, "accepted" if service else "queued")
        self.messages.add(message)
        return Response.of(201, self._shown(message))

    def _list(self, request: Request) -> Response:
        to = request.query.get("To", [""])[0]
        size = int(request.query.get("PageSize", ["50"])[0])
        found = [message for message in reversed(self.messages.all()) if message.to == to]
        page = [self._shown(message) for message in found[:size]]
        return Response.of(200, {"messages": page, "next_page_uri": None, "page_size": size})

    def _fetch(self, sid: str) -> Response:
        for message in self.messages:
            if message.sid == sid:
                return Response.of(200, self._shown(message))
        return error(20404)

    def _shown(self, message: SentSms) -> dict[str, Any]:
        date = format_datetime(message.at)
        return {
            "sid": message.sid,
            "account_sid": self.account_sid,
            "to": message.to,
            "from": message.fields.get("From"),
            "messaging_service_sid": message.fields.get("MessagingServiceSid"),
            "body": message.body,
            "status": message.status,
            "error_code": message.error_code,
            "error_message": None,
            "num_segments": "0" if message.status == "accepted" else "1",
            "direction": "outbound-api",
            "date_created": date,
            "date_updated": date,
            "date_sent": None if message.status in ("accepted", "queued") else date,
            "price": None,
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{message.sid}.json",
        }

    def callback(self, message: SentSms, status: str, **changes: str) -> WebhookPost:
        """What is posted to the status callback of `message`."""
        fields = {
            "SmsSid": message.sid,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": message.to,
            "MessageSid": message.sid,
            "AccountSid": self.account_sid,
            "From": message.fields.get("From", "+15005550006"),
            "ApiVersion": "2010-04-01",
            **changes,
        }
        return post(self.auth_token, message.fields["StatusCallback"], fields)


def post(token: str, url: str, fields: dict[str, str]) -> WebhookPost:
    """A call of `url`, signed as Twilio's own library would have it."""
    return WebhookPost(
        urlencode(fields).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": RequestValidator(token).compute_signature(url, fields),
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        },
    )


def refused(fields: dict[str, str]) -> int | None:
    """The code the real one answers with, if any."""
    to, sender = fields.get("To", ""), fields.get("From", "")
    if not to.startswith("+") or not to[1:].isdecimal():
        return 21211
    if not sender and not fields.get("MessagingServiceSid"):
        return 21603
    if len(fields.get("Body", "")) > MAX_BODY:
        return 21617
    if not fields.get("StatusCallback", "https://").startswith("https://"):
        return 21609
    return FROM_NUMBERS.get(sender) or TO_NUMBERS.get(to)


def error(code: int, status: int = 0) -> Response:
    status = status or HTTP_STATUSES.get(code, 400)
    return Response.of(status, _error(code, status, "A text that changes."))


def twilio_error(
    code: int, text: str = "A text that changes.", status: int = 0, **headers: str
) -> Status:
    """Twilio's error `code`, as a behaviour."""
    status = status or HTTP_STATUSES.get(code, 400)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Status(status, _error(code, status, text), given)


def _error(code: int, status: int, text: str) -> dict[str, Any]:
    return {
        "code": code,
        "message": text,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
