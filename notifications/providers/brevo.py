"""Brevo: mail by its transactional API, and its webhooks.

Vendor's facts: developers.brevo.com (send a transactional email, errors of the API, idempotency for
batch emails, transactional webhooks, secure webhook calls, rate limits) and django-anymail's notes
on Brevo's quirks.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any, ClassVar

from anymail.backends.brevo import EmailBackend
from anymail.message import AnymailMessage
from django.conf import settings
from typing_extensions import override

from notifications.providers.account import Check, MailDns, sender_check
from notifications.providers.common import http
from notifications.providers.common.email import without_addresses
from notifications.providers.common.email_http import (
    Careful,
    Codes,
    HttpEmailProvider,
    Texts,
)
from notifications.providers.common.labels import attempt_id
from notifications.types import ErrorClass, EventType, Outbound, ProviderEvent

CODES: Codes = {
    (400, "invalid_parameter"): ErrorClass.PERMANENT_MESSAGE,
    (400, "missing_parameter"): ErrorClass.PERMANENT_MESSAGE,
    (400, "out_of_range"): ErrorClass.PERMANENT_MESSAGE,
    (400, "bad_request"): ErrorClass.PERMANENT_MESSAGE,
    (400, "not_enough_credits"): ErrorClass.AUTH_CONFIG,
    # The key is the delivery's: an earlier attempt, less than half an hour ago, has got through.
    (400, "duplicate_parameter"): ErrorClass.AMBIGUOUS,
    (400, "duplicate_request"): ErrorClass.AMBIGUOUS,
    (401, "unauthorized"): ErrorClass.AUTH_CONFIG,
    (402, "not_enough_credits"): ErrorClass.AUTH_CONFIG,
    (403, "permission_denied"): ErrorClass.AUTH_CONFIG,
    (403, "reseller_permission_denied"): ErrorClass.AUTH_CONFIG,
    (403, "account_under_validation"): ErrorClass.AUTH_CONFIG,
    (404, "document_not_found"): ErrorClass.PERMANENT_MESSAGE,  # no such template
    (405, "method_not_allowed"): ErrorClass.AUTH_CONFIG,
    (406, "not_acceptable"): ErrorClass.AUTH_CONFIG,
    (422, "unprocessable_entity"): ErrorClass.PERMANENT_MESSAGE,
    (429, "too_many_requests"): ErrorClass.THROTTLED,
}
"""HTTP status and `code` of what sending answers."""

TEXTS: Texts = (
    ("invalid_parameter", "not valid in to", ErrorClass.PERMANENT_RECIPIENT),
    ("invalid_parameter", "sender", ErrorClass.AUTH_CONFIG),
)

RESET = "x-sib-ratelimit-reset"
"""Seconds until the rate limit is over."""

EVENTS: Mapping[str, tuple[EventType, bool]] = {
    "request": (EventType.SENT, False),
    "delivered": (EventType.DELIVERED, False),
    "deferred": (EventType.DEFERRED, False),
    "hard_bounce": (EventType.BOUNCED, True),
    "invalid_email": (EventType.BOUNCED, True),
    "soft_bounce": (EventType.BOUNCED, False),
    "blocked": (EventType.BOUNCED, False),
    "error": (EventType.BOUNCED, False),
    "spam": (EventType.COMPLAINED, False),
    "complaint": (EventType.COMPLAINED, False),
    "unsubscribe": (EventType.UNSUBSCRIBED, False),
    "unsubscribed": (EventType.UNSUBSCRIBED, False),
    "opened": (EventType.OPENED, False),
    "unique_opened": (EventType.OPENED, False),
    "proxy_open": (EventType.OPENED, False),
    "unique_proxy_open": (EventType.OPENED, False),
    "click": (EventType.CLICKED, False),
}
"""Their word to ours, and whether the address is dead."""

MILLISECONDS = 10**11
"""From here on `ts_epoch` is in milliseconds, as documented; some events have it in seconds."""


class _Backend(Careful, EmailBackend):  # type: ignore[misc]
    """A text gets an HTML form as well: Brevo takes no mail without one."""

    def build_message_payload(self, message: Any, defaults: Any) -> Any:
        payload = super().build_message_payload(message, defaults)
        if "htmlContent" not in payload.data and (text := payload.data.get("textContent")):
            lines = html.escape(text).replace("\n", "<br>\n")
            payload.data["htmlContent"] = f"<p>{lines}</p>"
        return payload


class Brevo(HttpEmailProvider):
    """Options: `api_key`, `api_url` and `webhook_secret`: what its webhooks bring as password or as
    token, two with a comma while it is changed.
    """

    backend: ClassVar = _Backend
    dns: ClassVar = MailDns("spf.brevo.com", ("brevo1", "brevo2", "mail"))
    keeps_message_id: ClassVar = False
    hosts_templates: ClassVar = True
    key_variable: ClassVar = "BREVO_API_KEY"
    url_variable: ClassVar = "BREVO_API_URL"
    receipts_variable: ClassVar = "BREVO_WEBHOOK_SECRET"
    ref_field: ClassVar = "messageId"
    code_field: ClassVar = "code"
    codes: ClassVar = CODES
    texts: ClassVar = TEXTS

    @override
    def check(self) -> Iterator[Check]:
        key = {"api-key": self._api_key, "Accept": "application/json"}
        self.look_up("account", headers=key)
        yield Check("key", "accepted")
        domains = self.look_up("senders/domains", headers=key)["domains"]
        authenticated = [each["domain_name"] for each in domains if each["authenticated"]]
        yield sender_check(parseaddr(settings.DEFAULT_FROM_EMAIL)[1], authenticated)

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Of our ids the attempt's alone: what Brevo gives back in webhooks is in a header
        (X-Mailin-custom) that recipients can read. Tags are not.
        """
        mail.metadata = {"attempt_id": str(message.attempt_id)}
        mail.extra_headers["idempotencyKey"] = str(message.delivery_id)
        if message.tags:
            mail.tags = list(dict.fromkeys(message.tags))

    @override
    def template(self, message: Outbound) -> Any:
        found = super().template(message)
        return int(found) if found.isdigit() else found

    @override
    def wait(self, headers: Mapping[str, str], status: int) -> float | None:
        reset = headers.get(RESET, "") if status == 429 else ""
        return http.retry_after(headers, status) or http.retry_after({"Retry-After": reset}, status)

    @override
    def read(self, row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        known = EVENTS.get(row["event"])
        if known is None:
            return
        kind, permanent = known
        yield ProviderEvent(
            type=kind,
            at=_at(row),
            dedupe=_dedupe(row),
            attempt_id=attempt_id(_custom(row).get("attempt_id")),
            provider_ref=str(row["message-id"]),
            address=str(row["email"]),
            permanent=permanent,
            code=row["event"],
            detail=without_addresses(str(row.get("reason") or "").strip()),
            data={"url": row["link"]} if row.get("link") else {},
        )


def _at(row: Mapping[str, Any]) -> datetime:
    """`ts_epoch` alone is in UTC; the other times are in the zone of the account."""
    stamp = row.get("ts_epoch") or row.get("ts_event") or row["ts"]
    return datetime.fromtimestamp(stamp / 1000 if stamp >= MILLISECONDS else stamp, UTC)


def _dedupe(row: Mapping[str, Any]) -> str:
    """Its events have no id: what happened to which message, and when."""
    names = ("event", "message-id", "email", "ts_epoch", "ts_event", "link")
    told = json.dumps([row.get(name) for name in names])
    return hashlib.sha256(told.encode()).hexdigest()


def _custom(row: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(row.get("X-Mailin-custom") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
