"""SendGrid: mail by the v3 API, its signed event webhook, and mail to us by Inbound Parse.

The engine's messages go over the event loop, up to 1000 a request (`carry`); plain Django mail goes
through Anymail (`deliver`).

Vendor's facts: twilio.com/docs/sendgrid (api-reference/mail-send, tracking-events/event), the
repositories sendgrid/docs and twilio/sendgrid-oai.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar

import requests
from anymail.backends.sendgrid import EmailBackend
from anymail.exceptions import AnymailRequestsAPIError
from anymail.message import AnymailMessage
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from typing_extensions import override

from notifications.providers.account import Check, MailDns, Verdict, is_of
from notifications.providers.base import BadSignature, CannotVerify, LoopProvider, Webhook
from notifications.providers.common import (
    events,
    http,
    http_thread,
    inbound_mail,
    shared_secret,
    signed_at,
)
from notifications.providers.common.email import EmailProvider, Handover, without_addresses
from notifications.providers.common.http_loop import LoopHttp
from notifications.providers.common.labels import attempt_id
from notifications.providers.common.mail_origin import Checks
from notifications.providers.common.webhook_form import Form, read_form
from notifications.providers.sendgrid_payload import MAX_MESSAGES, UNTRACKED, Payloads
from notifications.types import (
    ErrorClass,
    EventType,
    Inbound,
    Outbound,
    ProviderError,
    ProviderEvent,
    Report,
    Sent,
)

# Anymail warns on every connection that nobody tests its SendGrid backend against the live
# service any more. We know, and keep contract tests of our own: tests/providers/test_sendgrid.py.
warnings.filterwarnings(
    "ignore", message="django-anymail has dropped official support for SendGrid"
)

STATUSES: Mapping[int, ErrorClass] = {
    400: ErrorClass.PERMANENT_MESSAGE,
    401: ErrorClass.AUTH_CONFIG,  # a wrong key, and also "Maximum credits exceeded"
    403: ErrorClass.AUTH_CONFIG,  # sender not verified, scope missing, "Too many bad requests"
    404: ErrorClass.AUTH_CONFIG,
    405: ErrorClass.AUTH_CONFIG,
    406: ErrorClass.AUTH_CONFIG,
    413: ErrorClass.PERMANENT_MESSAGE,
    429: ErrorClass.THROTTLED,  # says until when in X-RateLimit-Reset
    451: ErrorClass.AUTH_CONFIG,  # the account's data lives in another region
    500: ErrorClass.AMBIGUOUS,
    502: ErrorClass.AMBIGUOUS,
    503: ErrorClass.TEMPORARY,
    504: ErrorClass.AMBIGUOUS,
}
"""mail/send answers 202; its error bodies are free text without codes."""

DOMAINS = 200
"""Authenticated domains, and verified senders, that are looked through."""

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

MAX_AGE = 300.0
"""Seconds a signature is taken. We assume that SendGrid stamps and signs
each delivery attempt anew: it repeats a failed one for 24 hours, with the same events."""

EVENTS: Mapping[str, EventType] = {
    "processed": EventType.SENT,
    "deferred": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "bounce": EventType.BOUNCED,
    "dropped": EventType.BOUNCED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
}
"""Their word to ours. `group_resubscribe` is left out: consent is given to us, not to them."""

PASSING = frozenset(
    {
        "Content",
        "Frequency or Volume Too High",
        "Mailbox Unavailable",
        "Reputation",
        "Technical Failure",
    }
)
"""The `bounce_classification`s that say nothing against the address, even on type `bounce`."""

DROPS: Mapping[str, tuple[tuple[EventType, bool], ...]] = {
    "Bounced Address": ((EventType.BOUNCED, True),),
    "Invalid": ((EventType.BOUNCED, True),),
    "Invalid Address": ((EventType.BOUNCED, True),),
    "Spam Reporting Address": ((EventType.COMPLAINED, False),),
    "Unsubscribed Address": ((EventType.BOUNCED, False), (EventType.UNSUBSCRIBED, False)),
}
"""`dropped`: why SendGrid did not even try, to our events and whether the address is dead. Every
other reason (content, quota, a wrong SMTPAPI header) is the message's or ours."""

MAX_INBOUND = 32 * 1024 * 1024
"""Bytes: mail has up to 30 MB with its attachments."""

_OUR_DATA = {"ip": "ip", "useragent": "user_agent", "url": "url", "sg_machine_open": "machine"}


class SendGrid(EmailProvider, LoopProvider):
    """Options: `api_key`, `api_url` (with the version, `https://api.sendgrid.com/v3/`; the EU has
    its own), `webhook_public_key`: the console's base64 keys, two of them during a rotation (see
    `shared_secret.split`), and `inbound_secret`: what Inbound Parse brings as password, in the same
    way.
    """

    dns: ClassVar = MailDns(selectors=("s1", "s2"))
    batch_limit: ClassVar[int] = MAX_MESSAGES
    webhook_limits: ClassVar = {"inbound": MAX_INBOUND}
    hosts_templates: ClassVar = True

    def __init__(
        self,
        name: str,
        *,
        api_key: str,
        api_url: str,
        webhook_public_key: str,
        inbound_secret: str = "",
    ) -> None:
        super().__init__(name)
        self._api_key = api_key
        self._api_url = api_url
        self._public_keys = webhook_public_key
        self._inbound_secrets = inbound_secret
        self._http = LoopHttp(
            f"{api_url.rstrip('/')}/mail/send",
            {
                "Authorization": f"Bearer {api_key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
        )

    @property
    @override
    def receipts_need(self) -> str:
        return "" if self._public_keys else "SENDGRID_WEBHOOK_PUBLIC_KEY"

    @override
    def problems(self) -> list[str]:
        return [
            *http.key_problems("SENDGRID_API_KEY", self._api_key),
            *http.url_problems("SENDGRID_API_URL", self._api_url),
        ]

    @override
    def check(self) -> Iterator[Check]:
        scopes = self._ask("scopes")["scopes"]
        if "mail.send" not in scopes:
            advice = "Give the key the permission Mail Send."
            yield Check("key", "it may not send mail", Verdict.FAILED, advice)
        else:
            yield Check("key", "accepted, may send mail")
        yield self._check_sender()

    def _check_sender(self) -> Check:
        address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        what = f"sender {address}"
        try:
            domains = self._ask("whitelabel/domains", limit=DOMAINS)
            senders = self._ask("verified_senders", limit=DOMAINS)["results"]
        except ProviderError as error:
            if error.error_class is not ErrorClass.AUTH_CONFIG:
                raise
            advice = "Give the key the permission to read Sender Authentication, or look yourself."
            return Check(what, "this key may not ask", Verdict.WARNING, advice)
        return _sender(what, address, domains, senders)

    def _ask(self, path: str, **parameters: int) -> Any:
        url = f"{self._api_url.rstrip('/')}/{path}"
        key = {"Authorization": f"Bearer {self._api_key}"}
        return http_thread.look_up(url, headers=key, params=parameters)

    @override
    def connect(self) -> BaseEmailBackend:
        backend: BaseEmailBackend = _Backend(
            api_key=self._api_key,
            api_url=self._api_url,
            timeout=(settings.PROVIDER_CONNECT_TIMEOUT, settings.PROVIDER_READ_TIMEOUT),
            ignore_unsupported_features=False,
            generate_message_id=False,  # the attempt id does this work, and is ours
        )
        return backend

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        super().label(mail, message)
        if any(name.lower() == "list-unsubscribe" for name in message.headers):
            mail.esp_extra = {"tracking_settings": UNTRACKED}

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        with self.before_sending():
            body = self._payloads.write(messages)
        answer = await self._http.post(body)
        if 200 <= answer.status < 300:
            return _taken(answer.status, answer.headers)
        raise http.status_error(answer.status, answer.headers, STATUSES)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        await self._http.aclose()

    @cached_property
    def _payloads(self) -> Payloads:
        return Payloads(self.connect(), self.name)

    @override
    def classify(self, error: Exception) -> ProviderError | None:
        if not isinstance(error, AnymailRequestsAPIError):
            return None
        if error.response is not None:
            return http.response_error(error.response, STATUSES)
        return http.transport_error(error.__cause__ or error)

    @override
    def receipt(self, mail: EmailMessage) -> Sent:
        response: requests.Response = mail.anymail_status.esp_response  # type: ignore[attr-defined]
        return _taken(response.status_code, response.headers)

    @override
    def verify(self, webhook: Webhook) -> None:
        """Events are signed. Inbound Parse is where that is chosen; else it brings a secret."""
        if webhook.kind == "inbound" and SIGNATURE not in webhook.headers:
            shared_secret.check(webhook, self._inbound_secrets)
        else:
            self._verify_signature(webhook)

    def _verify_signature(self, webhook: Webhook) -> None:
        timestamp = webhook.headers.get(TIMESTAMP, "")
        signed_at.check(timestamp, MAX_AGE)
        try:
            signature = base64.b64decode(webhook.headers.get(SIGNATURE, ""), validate=True)
        except (binascii.Error, ValueError):
            raise BadSignature("the signature is no base64") from None
        if not any(_signed(key, signature, timestamp, webhook.body) for key in self._keys):
            raise BadSignature("signed by none of our keys")

    @override
    def parse(self, webhook: Webhook) -> Sequence[Report]:
        if webhook.kind == "inbound":
            return [_inbound(read_form(webhook.body))]
        return events.of_each(json.loads(webhook.body), _events)

    @cached_property
    def _keys(self) -> list[ec.EllipticCurvePublicKey]:
        keys = []
        for text in shared_secret.split(self._public_keys):
            try:
                key = load_der_public_key(base64.b64decode(text, validate=True))
            except (binascii.Error, ValueError):
                raise CannotVerify("a configured public key is none") from None
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise CannotVerify("a configured public key is not an ECDSA key")
            keys.append(key)
        return keys


def _taken(status: int, headers: Mapping[str, str]) -> Sent:
    """Raises `ProviderError`: a page is not SendGrid's, and what became of the message is not known.
    In sandbox mode its answer is an empty 200 without an id.
    """
    ref = headers.get("X-Message-Id", "")
    if ref or (status == HTTPStatus.OK and headers.get("Content-Length") == "0"):
        return Sent(ref, status)
    raise ProviderError(ErrorClass.AMBIGUOUS, "malformed_answer", "No id.", http_status=status)


def _sender(
    what: str,
    address: str,
    domains: Sequence[Mapping[str, Any]],
    senders: Sequence[Mapping[str, Any]],
) -> Check:
    """What the authenticated domains and the verified single senders say of an address."""
    for domain in domains:
        if domain["valid"] and is_of(str(domain["domain"]), address):
            return Check(what, f"{domain['domain']} is authenticated")
    for sender in senders:
        if sender["verified"] and str(sender["from_email"]).lower() == address.lower():
            advice = (
                "Authenticate the domain: without DKIM of its own much of it is taken for spam."
            )
            return Check(what, "verified as a single sender", Verdict.WARNING, advice)
    advice = "Authenticate the domain of DEFAULT_FROM_EMAIL at SendGrid."
    return Check(what, "not verified", Verdict.FAILED, advice)


class _Backend(Handover, EmailBackend):  # type: ignore[misc]
    """Anymail's backend, but a redirect is an error: following it would hand over the API key."""

    def create_session(self) -> requests.Session:
        session: requests.Session = super().create_session()
        session.max_redirects = 0
        return session


# `{@example.com : pass}`, of several separated by commas; `none`.
_SIGNERS = re.compile(r"@([^\s:,{}]+)\s*:\s*(\w+)")


def _inbound(form: Form) -> Inbound:
    """What Inbound Parse posted: parsed, or whole where "send raw" is chosen."""
    try:
        envelope = json.loads(form["envelope"])
        sender, to = str(envelope["from"]), str(envelope["to"][0])
    except (KeyError, TypeError, IndexError):
        raise ValueError("a mail without its envelope") from None
    if "email" in form:
        mail = inbound_mail.Mail.of_bytes(form["email"])
    else:
        mail = inbound_mail.Mail.of_parts(
            form.text("headers"), _field(form, "text"), _field(form, "html"), form.files
        )
    score = form.text("spam_score")
    return inbound_mail.inbound(
        mail,
        sender=sender,
        to=to,
        checks=Checks(spf=form.text("SPF"), dkim=dict(_SIGNERS.findall(form.text("dkim")))),
        data={"spam_score": score} if score else {},
    )


def _field(form: Form, name: str) -> str:
    """Each field is in the charset it had in the mail; `charsets` says in which."""
    try:
        charset = json.loads(form["charsets"])[name]
    except (ValueError, KeyError, TypeError):
        charset = "utf-8"
    return inbound_mail.decoded(form.get(name, b""), str(charset))


def _signed(key: ec.EllipticCurvePublicKey, signature: bytes, timestamp: str, body: bytes) -> bool:
    try:
        key.verify(signature, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _events(row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
    """Our events for one of theirs: usually one, none for kinds we do not know."""
    kind = row.get("event")
    known = EVENTS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return
    at, dedupe = datetime.fromtimestamp(row["timestamp"], UTC), row["sg_event_id"]
    if not isinstance(dedupe, str):
        raise TypeError("an event without its id")
    found = DROPS.get(str(row.get("reason"))) if kind == "dropped" else None
    for number, (event, permanent) in enumerate(found or ((known, _permanent(row)),)):
        yield ProviderEvent(
            type=event,
            at=at,
            dedupe=f"{dedupe}:{number}" if number else dedupe,
            attempt_id=attempt_id(row.get("attempt_id")),
            provider_ref=_message_id(str(row.get("sg_message_id", ""))),
            address=str(row.get("email", "")),
            permanent=permanent,
            code=_code(row),
            detail=without_addresses(str(row.get("reason") or row.get("response") or "")),
            data={ours: row[theirs] for theirs, ours in _OUR_DATA.items() if theirs in row},
        )


def _permanent(row: Mapping[str, Any]) -> bool:
    """Type `bounce` is a final refusal and `blocked` a passing one, unless it says what it met."""
    if row["event"] != "bounce" or row.get("type") == "blocked":
        return False
    return row.get("bounce_classification") not in PASSING


def _code(row: Mapping[str, Any]) -> str:
    if row["event"] == "dropped":
        return str(row.get("reason", ""))
    return str(row.get("bounce_classification") or row.get("status") or "")


def _message_id(text: str) -> str:
    """The X-Message-Id of the call: their message id without the names of the hosts it passed."""
    return re.split(r"\.(?:filter|recvd)", text, maxsplit=1)[0]
