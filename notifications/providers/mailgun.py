"""Mailgun: mail by its API, its signed webhooks, and mail to us by its routes.

Vendor's facts: documentation.mailgun.com (messages API, API response codes, webhooks, securing
webhooks, receiving: routes and the parameters of a forward).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any, ClassVar
from urllib.parse import quote

from anymail.backends.mailgun import EmailBackend
from anymail.message import AnymailMessage
from django.conf import settings
from typing_extensions import override

from notifications.providers.account import Check, MailDns, Verdict
from notifications.providers.base import BadSignature, Webhook
from notifications.providers.common import inbound_mail, mail_origin, shared_secret, signed_at
from notifications.providers.common.email import without_addresses
from notifications.providers.common.email_http import (
    Careful,
    Codes,
    HttpEmailProvider,
    Texts,
)
from notifications.providers.common.labels import attempt_id
from notifications.providers.common.webhook_form import Form, read_form
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

CODES: Codes = {
    (400, ""): ErrorClass.PERMANENT_MESSAGE,
    (401, ""): ErrorClass.AUTH_CONFIG,
    (402, ""): ErrorClass.AUTH_CONFIG,
    (403, ""): ErrorClass.AUTH_CONFIG,  # also a sandbox domain to an address not authorised
    (404, ""): ErrorClass.AUTH_CONFIG,  # no such domain, or that of another region
    (413, ""): ErrorClass.PERMANENT_MESSAGE,
    (429, ""): ErrorClass.THROTTLED,
    (500, ""): ErrorClass.AMBIGUOUS,
    (502, ""): ErrorClass.AMBIGUOUS,
    (503, ""): ErrorClass.TEMPORARY,
    (504, ""): ErrorClass.AMBIGUOUS,
}
"""HTTP statuses: it has no codes, only a `message`."""

TEXTS: Texts = (
    ("400", "to parameter is not a valid address", ErrorClass.PERMANENT_RECIPIENT),
    ("400", "'to' parameter is not a valid address", ErrorClass.PERMANENT_RECIPIENT),
)

GREETING = "Mailgun Magnificent API"
"""What a wrong URL answers, with 200."""

MAX_AGE = 9 * 3600.0
"""Seconds a signature is taken. Mailgun repeats a webhook for eight hours and does not say whether it
signs it anew; by Hookdeck's reference (github.com/hookdeck/webhook-skills) it does not."""

MAX_INBOUND = 30 * 1024 * 1024
"""Bytes: mail has up to 25 MB, with a part of it twice in the form."""

TAG_UNSAFE = re.compile(r"[^ -~]")

EVENTS: Mapping[str, EventType] = {
    "accepted": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "failed": EventType.BOUNCED,
    "rejected": EventType.BOUNCED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
    "complained": EventType.COMPLAINED,
    "unsubscribed": EventType.UNSUBSCRIBED,
}
"""Their word to ours."""

SUPPRESSED: Mapping[str, tuple[tuple[EventType, bool], ...]] = {
    "suppress-bounce": ((EventType.BOUNCED, True),),
    "suppress-complaint": ((EventType.COMPLAINED, False),),
    "suppress-unsubscribe": ((EventType.BOUNCED, False), (EventType.UNSUBSCRIBED, False)),
}
"""`reason` of a failure that Mailgun foresaw, to our events and whether the address is dead."""

_ENHANCED = re.compile(r"(?<![\w.])5\.(\d{1,3})\.\d{1,3}(?![\w.])")


class _Backend(Careful, EmailBackend):  # type: ignore[misc]
    pass


class Mailgun(HttpEmailProvider):
    """Options: `api_key`, `sender_domain` (`""` for that of the From address), `api_url` (the EU has
    its own) and `signing_key`: that of webhooks, two with a comma while it is changed.
    """

    backend: ClassVar = _Backend
    dns: ClassVar = MailDns("mailgun.org", ("mx", "k1", "pic", "smtp", "mailo", "krs", "email"))
    webhook_limits: ClassVar = {"inbound": MAX_INBOUND}
    hosts_templates: ClassVar = True
    key_variable: ClassVar = "MAILGUN_API_KEY"
    url_variable: ClassVar = "MAILGUN_API_URL"
    receipts_variable: ClassVar = "MAILGUN_WEBHOOK_SIGNING_KEY"
    ref_field: ClassVar = "id"
    codes: ClassVar = CODES
    texts: ClassVar = TEXTS

    def __init__(
        self, name: str, *, api_key: str, sender_domain: str, api_url: str, signing_key: str
    ) -> None:
        super().__init__(name, api_url=api_url, api_key=api_key, webhook_secret=signing_key)
        self._sender_domain = sender_domain or None

    @override
    def check(self) -> Iterator[Check]:
        name = self._sender_domain or parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
        try:
            found = self.look_up(f"domains/{quote(name)}", auth=("api", self._api_key))
        except ProviderError as error:
            if error.http_status != 404:
                raise
            advice = "Check MAILGUN_SENDER_DOMAIN, and the region in MAILGUN_API_URL."
            yield Check(f"domain {name}", "no such domain", Verdict.FAILED, advice)
            return
        yield Check("key", "accepted")
        state = str(found["domain"]["state"])
        if state == "active":
            yield Check(f"domain {name}", "verified")
        else:
            advice = "Publish the DNS records that Mailgun shows for it."
            yield Check(f"domain {name}", f"it is {state}", Verdict.FAILED, advice)

    @override
    def account(self) -> Mapping[str, Any]:
        return {"api_key": self._api_key, "sender_domain": self._sender_domain}

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Of our ids the attempt's alone: what Mailgun gives back in webhooks is in a header
        (X-Mailgun-Variables) that recipients can read. Tags are not.
        """
        mail.metadata = {"attempt_id": str(message.attempt_id)}
        if message.tags:
            mail.tags = list(dict.fromkeys(TAG_UNSAFE.sub("_", tag) for tag in message.tags))

    @override
    def answer(self, status: int, headers: Mapping[str, str], data: Any) -> Sent:
        if isinstance(data, dict) and data.get("message") == GREETING:
            raise ProviderError(
                ErrorClass.AUTH_CONFIG,
                "wrong_url",
                "Not the address of the API.",
                http_status=status,
            )
        return super().answer(status, headers, data)

    @override
    def verify(self, webhook: Webhook) -> None:
        timestamp, signed, signature = _signature(webhook)
        signed_at.check(timestamp, MAX_AGE)
        keys = shared_secret.split(self._secrets)
        if not any(_fits(key, signed, signature) for key in keys):
            raise BadSignature("signed with none of our keys")

    @override
    def replay_key(self, webhook: Webhook) -> str:
        """Of its advice: a token is honoured once. With the timestamp, as nothing between the two says
        where a token begins.
        """
        _, signed, _ = _signature(webhook)
        return signed.decode()

    @override
    def parse(self, webhook: Webhook) -> Sequence[Report]:
        if webhook.kind != "inbound":
            return super().parse(webhook)
        try:
            return [_inbound(read_form(webhook.body))]
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not of Mailgun: {type(error).__name__}") from None

    @override
    def read(self, row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        yield from _events(row["event-data"])


def _signature(webhook: Webhook) -> tuple[str, bytes, bytes]:
    """Timestamp, what is signed and the signature, of the form of a route or the JSON of events."""
    try:
        if webhook.kind == "inbound":
            form = read_form(webhook.body)
            found = (form.text("timestamp"), form.text("token"), form.text("signature"))
        else:
            given = json.loads(webhook.body)["signature"]
            found = (given["timestamp"], given["token"], given["signature"])
        timestamp, token, signature = map(str, found)
        return timestamp, f"{timestamp}{token}".encode(), signature.encode()
    except (ValueError, KeyError, TypeError, RecursionError):  # half a surrogate pair, among others
        raise BadSignature("no signature") from None


def _fits(key: str, signed: bytes, signature: bytes) -> bool:
    expected = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature)


def _events(row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
    kind = EVENTS.get(row["event"])
    if kind is None:
        return
    status = row.get("delivery-status") or {}
    client = row.get("client-info") or {}
    data = {"ip": row.get("ip"), "url": row.get("url"), "user_agent": client.get("user-agent")}
    for number, (event, permanent) in enumerate(_types(row, kind, status)):
        yield ProviderEvent(
            type=event,
            at=datetime.fromtimestamp(float(row["timestamp"]), UTC),
            # Its ids are unique for a day.
            dedupe=f"{row['id']}:{row['timestamp']}:{number}",
            attempt_id=attempt_id((row.get("user-variables") or {}).get("attempt_id")),
            provider_ref=_ref(row),
            address=str(row.get("recipient") or ""),
            permanent=permanent,
            code="/".join(filter(None, [row.get("reason", ""), str(status.get("code", ""))])),
            detail=without_addresses(str(status.get("message") or status.get("description") or "")),
            data={name: value for name, value in data.items() if value},
        )


def _types(
    row: Mapping[str, Any], kind: EventType, status: Mapping[str, Any]
) -> tuple[tuple[EventType, bool], ...]:
    if row["event"] != "failed":
        return ((kind, False),)
    if row.get("severity") == "temporary":
        return ((EventType.DEFERRED, False),)
    found = SUPPRESSED.get(row.get("reason", ""))
    return found or ((EventType.BOUNCED, row.get("reason") == "bounce" and _is_dead(status)),)


def _is_dead(status: Mapping[str, Any]) -> bool:
    """Whether a bounce is about the address: not where its enhanced code says something else, as
    5.7.1 and 5.2.2 do (RFC 3463).
    """
    code = _ENHANCED.search(str(status.get("message") or ""))
    return status.get("bounce-type") != "soft" and (code is None or code[1] == "1")


def _ref(row: Mapping[str, Any]) -> str:
    """As sending answered it: in angle brackets, which events leave out."""
    ref = str(row["message"]["headers"]["message-id"])
    return ref if ref.startswith("<") else f"<{ref}>"


def _inbound(form: Form) -> Inbound:
    """What a route forwarded: parsed, or whole where its URL ends in `mime`."""
    if "attachments" in form:
        raise ValueError("stored at Mailgun: the route must forward")
    if "body-mime" in form:
        mail = inbound_mail.Mail.of_bytes(form["body-mime"])
    else:
        mail = inbound_mail.Mail.of_parts(
            json.loads(form["message-headers"]),
            form.text("body-plain"),
            form.text("body-html"),
            form.files,
        )
    dkim = mail_origin.told(mail.headers, "X-Mailgun-Dkim-Check-Result")
    return inbound_mail.inbound(
        mail,
        sender=form.text("sender"),
        to=form.text("recipient"),
        checks=mail_origin.Checks(
            spf=mail_origin.told(mail.headers, "X-Mailgun-Spf"),
            dkim=mail_origin.signers(mail.headers, dkim) if dkim else {},
        ),
        at=datetime.fromtimestamp(int(form.text("timestamp")), UTC),
    )
