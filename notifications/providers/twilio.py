"""Twilio: SMS by the Messages API, its status callbacks, and what people write back.

The vendor's own client makes and reads the calls, over an HTTP client of ours: it knows no
deadline, keeps the headers to itself, and its errors carry the vendor's text.

Vendor's facts: twilio.com/docs/messaging/api/message-resource, docs/api/errors, docs/usage/security,
docs/messaging/guides/webhook-request; the repository twilio/twilio-python.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from twilio.base import values
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance
from typing_extensions import override

from notifications.providers.account import Check, Verdict
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.common import http, shared_secret, sms
from notifications.providers.common.defects import caught
from notifications.providers.common.http import Answer
from notifications.providers.common.http_thread import ThreadHttp
from notifications.providers.common.labels import attempt_id
from notifications.providers.common.sms import SmsProvider
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Inbound,
    Inquiry,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Sent,
)

logger = logging.getLogger(__name__)

ERRORS: Mapping[int, ErrorClass] = {
    14107: ErrorClass.PERMANENT_MESSAGE,  # guard against loops of automatic replies
    20003: ErrorClass.AUTH_CONFIG,  # wrong credentials
    20404: ErrorClass.AUTH_CONFIG,  # no such account or messaging service
    20429: ErrorClass.THROTTLED,
    21211: ErrorClass.PERMANENT_RECIPIENT,  # To is no number
    21212: ErrorClass.AUTH_CONFIG,  # From is no number
    21265: ErrorClass.PERMANENT_RECIPIENT,  # To is a short code
    21266: ErrorClass.PERMANENT_RECIPIENT,  # To is the sender itself
    21408: ErrorClass.AUTH_CONFIG,  # country not enabled in the geo permissions
    21601: ErrorClass.AUTH_CONFIG,  # From is no number of the account
    21602: ErrorClass.PERMANENT_MESSAGE,  # no text
    21606: ErrorClass.AUTH_CONFIG,  # From is not ours, or cannot send SMS
    21608: ErrorClass.AUTH_CONFIG,  # trial account: To is not verified
    21609: ErrorClass.AUTH_CONFIG,  # PUBLIC_URL is none that Twilio can reach
    21610: ErrorClass.PERMANENT_RECIPIENT,  # opted out
    21611: ErrorClass.THROTTLED,  # the sender's queue is full, ten hours of it
    21612: ErrorClass.AUTH_CONFIG,  # no route from this From to this To
    21614: ErrorClass.PERMANENT_RECIPIENT,  # no mobile number
    21617: ErrorClass.PERMANENT_MESSAGE,  # longer than 1600 characters
    21619: ErrorClass.PERMANENT_MESSAGE,  # no text, by a messaging service
    21635: ErrorClass.PERMANENT_RECIPIENT,  # landline
    21658: ErrorClass.PERMANENT_MESSAGE,  # a field is too long
    21659: ErrorClass.AUTH_CONFIG,  # From is not ours, or a short code of another country
    21660: ErrorClass.AUTH_CONFIG,  # From is another account's
    21661: ErrorClass.AUTH_CONFIG,  # From cannot send SMS
    21703: ErrorClass.AUTH_CONFIG,  # the messaging service has no sender
    21704: ErrorClass.AUTH_CONFIG,  # the messaging service has no sender for this
    21705: ErrorClass.AUTH_CONFIG,  # no such messaging service
    21730: ErrorClass.TEMPORARY,  # maintenance
    30001: ErrorClass.TEMPORARY,  # queue overflow
    30002: ErrorClass.AUTH_CONFIG,  # account suspended
    30003: ErrorClass.TEMPORARY,  # handset off or out of reach
    30004: ErrorClass.PERMANENT_RECIPIENT,  # blocked by recipient or carrier
    30005: ErrorClass.PERMANENT_RECIPIENT,  # unknown or inactive number
    30006: ErrorClass.PERMANENT_RECIPIENT,  # landline, or a carrier out of reach
    30007: ErrorClass.PERMANENT_MESSAGE,  # filtered by the carrier
    30008: ErrorClass.TEMPORARY,  # unknown
    30010: ErrorClass.PERMANENT_MESSAGE,  # dearer than the highest price set
    30022: ErrorClass.THROTTLED,  # A2P 10DLC rate
    30023: ErrorClass.THROTTLED,  # A2P 10DLC daily cap
    30024: ErrorClass.AUTH_CONFIG,  # the sender is not provisioned at the carrier
    30027: ErrorClass.THROTTLED,  # T-Mobile's daily cap
    30032: ErrorClass.AUTH_CONFIG,  # toll-free number not verified
    30034: ErrorClass.AUTH_CONFIG,  # number not registered for A2P 10DLC
    30036: ErrorClass.TEMPORARY,  # the validity period was over first
    30127: ErrorClass.AUTH_CONFIG,  # no such messaging service
    30410: ErrorClass.AMBIGUOUS,  # timeout behind Twilio, not tried again to avoid duplicates
    30450: ErrorClass.PERMANENT_RECIPIENT,  # blocked: fraud
    30453: ErrorClass.PERMANENT_RECIPIENT,  # blocked: fraud
    60728: ErrorClass.THROTTLED,  # hourly limit
    63003: ErrorClass.PERMANENT_RECIPIENT,  # the channel knows no such address
    63014: ErrorClass.PERMANENT_RECIPIENT,  # blocked by the user
    63016: ErrorClass.PERMANENT_MESSAGE,  # outside the window that allows free text
    63017: ErrorClass.THROTTLED,  # account's messages a second
    63018: ErrorClass.THROTTLED,  # channel's rate
    63038: ErrorClass.THROTTLED,  # account's messages a day
}
"""Twilio's codes, at once and in callbacks (twilio.com/docs/api/errors). The texts change."""

OPT_OUT = 21610
OF_COUNTRY = frozenset({21408, 21612, 21659})
"""Refusals of a country or route, which say nothing against the account."""

STATUSES: Mapping[str, Sequence[EventType]] = {
    "accepted": (EventType.SENT,),
    "scheduled": (EventType.SENT,),
    "queued": (EventType.SENT,),
    "sending": (EventType.SENT,),
    "sent": (EventType.SENT,),
    "delivered": (EventType.DELIVERED,),
    "partially_delivered": (EventType.DELIVERED,),
    "read": (EventType.DELIVERED, EventType.OPENED),
    "undelivered": (EventType.BOUNCED,),
    "failed": (EventType.BOUNCED,),
    "canceled": (EventType.BOUNCED,),
}
"""Their statuses to our events. Callbacks come in any order; ours only ever rise."""

SENDER = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 &+_-]{0,10}"
)
"""A number, a short code, or an alphanumeric sender."""

SIGNATURE = "x-twilio-signature"
VALIDITY = range(1, 36_001)
"""Seconds a message may wait in Twilio's queue."""

LOOK_BACK = 20
"""Messages to one number that a look-up reads, the newest first."""
TRIAL = "Sent from your Twilio trial account - "
"""What Twilio puts before every text of a trial account."""
SKEW = timedelta(seconds=5)
"""Between Twilio's clock, which tells whole seconds, and ours."""


class Twilio(SmsProvider):
    """Options: `account_sid`; `auth_token`, of which there may be two while it is changed, separated
    by a comma: calls are made with the first, webhooks may be signed with either;
    `messaging_service_sid` or `from_number`, of which the service is preferred; `api_url`.
    """

    looks_up = True
    confirms_opt_outs = True
    webhook_answer = ("text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response/>')

    def __init__(
        self,
        name: str,
        *,
        account_sid: str,
        auth_token: str,
        from_number: str,
        messaging_service_sid: str,
        api_url: str,
    ) -> None:
        super().__init__(name)
        self._tokens = shared_secret.split(auth_token)
        self._sender = (
            {"messaging_service_sid": messaging_service_sid}
            if messaging_service_sid
            else {"from_": from_number}
        )
        self._http = ThreadHttp()
        # An environment of its own: in the process's it looks for a region, and changes the host.
        self._client = Client(
            account_sid,
            next(iter(self._tokens), ""),
            http_client=_Http(self._http),
            environment={"TWILIO_REGION": ""},
        )
        self._client.api.base_url = api_url.rstrip("/")

    @override
    def problems(self) -> list[str]:
        found = http.url_problems("TWILIO_API_URL", self._client.api.base_url)
        if not any(self._sender.values()):
            found.append("Set TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM_NUMBER.")
        elif not SENDER.fullmatch(self._sender.get("from_", "+15005550006")):
            found.append(
                "TWILIO_FROM_NUMBER is a number such as +15005550006, a short code, or a name of 1 to "
                "11 letters and digits."
            )
        return found

    @override
    def send(self, message: Outbound) -> Sent:
        with caught(ErrorClass.PERMANENT_MESSAGE):
            sms.check(message)
            fields = {
                **self._sender,
                "to": message.to,
                "body": message.parts["text"],
                "status_callback": self._callback(message),
                "validity_period": validity(message.expires_at) or values.unset,
            }
        with caught(ErrorClass.AMBIGUOUS):
            return self._sent(self._client.messages.create(**fields))

    @override
    def check(self) -> Iterator[Check]:
        with caught(ErrorClass.AMBIGUOUS):
            account = self._client.api.accounts(self._client.account_sid).fetch()
        yield Check("token", "accepted")
        if account.status != "active":
            advice = "See Twilio's console."
            yield Check("account", str(account.status), Verdict.FAILED, advice)
        if account.type == "Trial":
            advice = "Upgrade the account."
            yield Check("trial", "sends to verified numbers only", Verdict.WARNING, advice)
        with caught(ErrorClass.AMBIGUOUS):
            yield self._check_sender()

    def _check_sender(self) -> Check:
        number = self._sender.get("from_")
        if not number:
            return Check("sender", "a messaging service")
        if self._client.incoming_phone_numbers.list(phone_number=number, limit=1):
            return Check("sender", "a number of this account")
        advice = "TWILIO_FROM_NUMBER must be a number of the account, unless it is a sender name."
        return Check("sender", "no number of this account", Verdict.WARNING, advice)

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    def _callback(self, message: Outbound) -> str:
        """Where Twilio reports on this attempt: a receipt finds it though our answer was lost."""
        ids = {"attempt": message.attempt_id, "message": message.notification_id}
        return f"{settings.PUBLIC_URL}/webhooks/{self.name}/status/?{urlencode(ids)}"

    def _sent(self, message: MessageInstance) -> Sent:
        if not isinstance(message.sid, str):
            raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
        return Sent(message.sid, 201)

    # --- Look-up -----------------------------------------------------------------------------

    @override
    def status(self, inquiry: Inquiry) -> list[ProviderEvent]:
        """By id where there is one. Otherwise by address, text and time, among those that are not
        known to be others.
        """
        with caught(ErrorClass.AMBIGUOUS):
            found = self._fetch(inquiry.ref) if inquiry.ref else self._look_for(inquiry)
        if found is None or found.sid is None:
            return []
        return list(
            _events(
                inquiry.attempt_id,
                found.sid,
                str(found.status),
                code=str(found.error_code or ""),
                at=found.date_updated or timezone.now(),
                address=inquiry.to,
            )
        )

    def _fetch(self, sid: str) -> MessageInstance | None:
        try:
            return self._client.messages(sid).fetch()
        except ProviderError as error:
            if error.http_status == 404:
                return None
            raise

    def _look_for(self, inquiry: Inquiry) -> MessageInstance | None:
        """No filter by date: Twilio's is for the date of sending, which queued ones may not have."""
        text = inquiry.parts["text"].strip()
        late = timedelta(seconds=settings.PROVIDER_CONNECT_TIMEOUT + settings.PROVIDER_READ_TIMEOUT)
        for message in self._client.messages.list(to=inquiry.to, limit=LOOK_BACK):
            made = message.date_created
            in_time = (
                isinstance(made, datetime)
                and inquiry.started_at - SKEW <= made <= inquiry.started_at + late + SKEW
            )
            is_other = message.sid in inquiry.others
            if in_time and not is_other and _text(message) == text:
                return message
        return None

    # --- Webhooks ----------------------------------------------------------------------------

    @property
    @override
    def receipts_need(self) -> str:
        return "" if self._tokens else "TWILIO_AUTH_TOKEN"

    @override
    def verify(self, webhook: Webhook) -> None:
        """Twilio signs no time: a call that comes again is known by what it says."""
        url = f"{settings.PUBLIC_URL}{webhook.path}"
        given = webhook.headers.get(SIGNATURE, "")
        if not any(signed(token, url, webhook.body, given) for token in self._tokens):
            raise BadSignature("signed with none of our tokens")

    @override
    def parse(self, webhook: Webhook) -> Sequence[Report]:
        query = parse_qs(urlsplit(webhook.path).query)
        if "bodySHA256" in query:  # JSON: another product's
            json.loads(webhook.body)
            return []
        fields = dict(form(webhook.body))
        if not fields.get("AccountSid"):
            raise ValueError("not a webhook of Twilio's")
        sid = fields.get("MessageSid", "")
        status = fields.get("MessageStatus") or fields.get("SmsStatus", "")
        if not sid:
            return []
        if status == "received":
            return [_inbound(sid, fields)]
        return list(
            _events(
                attempt_id(query.get("attempt", [""])[0]),
                sid,
                status,
                code=fields.get("ErrorCode", ""),
                at=timezone.now(),
                address=fields.get("To", ""),
            )
        )


def _text(message: MessageInstance) -> str:
    return (message.body or "").strip().removeprefix(TRIAL)


class _Http(HttpClient):  # type: ignore[misc]  # the library has no types
    """What the vendor's client calls by: with our deadlines, and with our errors for all answers
    that are none of success.
    """

    def __init__(self, calls: ThreadHttp) -> None:
        super().__init__(logger, is_async=False)
        self._calls = calls

    @override
    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        answer = self._calls.call(
            method, uri, params=params, data=data, headers=headers or {}, auth=auth
        )
        if not 200 <= answer.status < 300:
            raise refusal(answer)
        if not isinstance(answer.json, dict):
            raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
        return Response(answer.status, answer.body.decode(), answer.headers)


def refusal(answer: Answer) -> ProviderError:
    """The error that an answer other than 2xx stands for. Nothing of its text is kept."""
    plain = http.status_error(answer.status, answer.headers)
    code = answer.json.get("code") if isinstance(answer.json, dict) else None
    if not isinstance(code, int) or answer.status >= 500:  # theirs may have been taken
        return plain
    known = ERRORS.get(code)
    if known is None and answer.status in http.STATUSES:
        return plain
    return ProviderError(
        known or ErrorClass.TEMPORARY,
        str(code) if known else f"unmapped:{code}",
        f"Twilio refused it: error {code}.",
        http_status=answer.status,
        retry_after=plain.retry_after,
        is_opt_out=code == OPT_OUT,
        for_country=code in OF_COUNTRY,
    )


def validity(expires_at: datetime | None) -> int | None:
    """The seconds left until then, as far as Twilio lets us say; None: as long as it may."""
    if expires_at is None:
        return None
    left = int((expires_at - timezone.now()).total_seconds())
    return min(max(left, VALIDITY[0]), VALIDITY[-1])


def form(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, empty ones too. Raises `ValueError` where it is none."""
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")


def signed(token: str, url: str, body: bytes, given: str) -> bool:
    """Whether `given` is Twilio's signature of a call of `url`.

    Of a form the fields are signed, sorted by name, each value once. Of JSON only the URL, which
    then has the hash of the body. Twilio is not consistent in whether the URL has its port.
    """
    hashes = parse_qs(urlsplit(url).query).get("bodySHA256", [])
    fields: dict[str, set[str]] = {}
    if not hashes:
        try:
            pairs = form(body)
        except ValueError:
            return False
        for name, value in pairs:
            fields.setdefault(name, set()).add(value)
    elif not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), hashes[0].encode()):
        return False
    tail = "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))
    valid = False
    for variant in _variants(url):
        mac = hmac.digest(token.encode(), (variant + tail).encode(), "sha1")
        valid |= hmac.compare_digest(base64.b64encode(mac), given.encode())
    return valid


def _variants(url: str) -> set[str]:
    """As it is, with its port, and without."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {url, *(parts._replace(netloc=place).geturl() for place in (host, f"{host}:{port}"))}


def _events(
    attempt_id: UUID | None, sid: str, status: str, *, code: str, at: datetime, address: str
) -> Iterator[ProviderEvent]:
    """Our events for a status of theirs; none for those we do not know."""
    types = list(STATUSES.get(status, ()))
    number = int(code) if code.isdecimal() else 0
    if types and number == OPT_OUT:
        types.append(EventType.UNSUBSCRIBED)
    is_gone = ERRORS.get(number) is ErrorClass.PERMANENT_RECIPIENT and number != OPT_OUT
    for place, kind in enumerate(types):
        yield ProviderEvent(
            type=kind,
            at=at,
            dedupe=f"{sid}:{status}:{place}" if place else f"{sid}:{status}",
            attempt_id=attempt_id,
            provider_ref=sid,
            address=address,
            permanent=kind is EventType.BOUNCED and is_gone,
            code=code or (status if kind is EventType.BOUNCED else ""),
        )


def _inbound(sid: str, fields: Mapping[str, str]) -> Inbound:
    wish = fields.get("OptOutType", "").lower()
    return Inbound(
        channel=Channel.SMS,
        sender=fields.get("From", ""),
        to=fields.get("To", ""),
        text=fields.get("Body", ""),
        at=timezone.now(),
        dedupe=sid,
        wish=wish if wish in Inbound.Wish.values else "",
        has_attachments=fields.get("NumMedia", "0") != "0",
    )
