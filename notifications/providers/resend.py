"""Resend: mail by its API, and its webhooks, signed as Svix does.

Vendor's facts: resend.com/docs (API reference: errors, send email; idempotency keys; webhooks: event
types), docs.svix.com/receiving/verifying-payloads/how-manual.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parseaddr
from typing import Any, ClassVar

from anymail.backends.resend import EmailBackend
from anymail.message import AnymailMessage
from django.conf import settings
from typing_extensions import override

from notifications.providers.account import Check, MailDns, Verdict, sender_check
from notifications.providers.base import BadSignature, CannotVerify, Webhook
from notifications.providers.common import shared_secret, signed_at
from notifications.providers.common.email import without_addresses
from notifications.providers.common.email_http import (
    Careful,
    Codes,
    HttpEmailProvider,
    Texts,
)
from notifications.providers.common.labels import attempt_id, named_tags
from notifications.types import ErrorClass, EventType, Outbound, ProviderError, ProviderEvent

CODES: Codes = {
    (400, "invalid_idempotency_key"): ErrorClass.PERMANENT_MESSAGE,
    (400, "validation_error"): ErrorClass.PERMANENT_MESSAGE,
    (401, "missing_api_key"): ErrorClass.AUTH_CONFIG,
    (401, "restricted_api_key"): ErrorClass.AUTH_CONFIG,
    (403, "invalid_api_key"): ErrorClass.AUTH_CONFIG,
    (403, "validation_error"): ErrorClass.AUTH_CONFIG,  # the domain is not verified
    (404, "not_found"): ErrorClass.AUTH_CONFIG,
    (405, "method_not_allowed"): ErrorClass.AUTH_CONFIG,
    # The key is the delivery's: an earlier attempt has got through, or is about to.
    (409, "invalid_idempotent_request"): ErrorClass.AMBIGUOUS,
    (409, "concurrent_idempotent_requests"): ErrorClass.AMBIGUOUS,
    (422, "validation_error"): ErrorClass.PERMANENT_MESSAGE,
    (422, "invalid_attachment"): ErrorClass.PERMANENT_MESSAGE,
    (422, "invalid_from_address"): ErrorClass.AUTH_CONFIG,
    (422, "invalid_access"): ErrorClass.AUTH_CONFIG,
    (422, "invalid_parameter"): ErrorClass.PERMANENT_MESSAGE,
    (422, "invalid_region"): ErrorClass.AUTH_CONFIG,
    (422, "missing_required_field"): ErrorClass.PERMANENT_MESSAGE,
    (429, "rate_limit_exceeded"): ErrorClass.THROTTLED,
    (429, "daily_quota_exceeded"): ErrorClass.THROTTLED,
    (429, "monthly_quota_exceeded"): ErrorClass.AUTH_CONFIG,  # for days: as good as no account
    (451, "security_error"): ErrorClass.PERMANENT_MESSAGE,
    (500, "application_error"): ErrorClass.AMBIGUOUS,
    (500, "internal_server_error"): ErrorClass.AMBIGUOUS,
}
"""HTTP status and `name` of what sending answers."""

TEXTS: Texts = (("validation_error", "Invalid `to` field", ErrorClass.PERMANENT_RECIPIENT),)

EVENTS: Mapping[str, EventType] = {
    "email.sent": EventType.SENT,
    "email.delivered": EventType.DELIVERED,
    "email.delivery_delayed": EventType.DEFERRED,
    "email.bounced": EventType.BOUNCED,
    "email.suppressed": EventType.BOUNCED,
    "email.failed": EventType.BOUNCED,
    "email.complained": EventType.COMPLAINED,
    "email.opened": EventType.OPENED,
    "email.clicked": EventType.CLICKED,
}
"""Their word to ours."""

MAX_AGE = 300.0
"""Seconds a signature is taken: Svix signs each delivery anew."""


class _Backend(Careful, EmailBackend):  # type: ignore[misc]
    def build_message_payload(self, message: Any, defaults: Any) -> Any:
        payload = super().build_message_payload(message, defaults)
        if key := getattr(message, "idempotency_key", ""):
            payload.headers["Idempotency-Key"] = key
        return payload


class Resend(HttpEmailProvider):
    """Options: `api_key`, `api_url` and `webhook_secret` (`whsec_...`), two with a comma while it is
    changed.
    """

    backend: ClassVar = _Backend
    dns: ClassVar = MailDns(selectors=("resend",))
    keeps_message_id: ClassVar = False
    key_variable: ClassVar = "RESEND_API_KEY"
    url_variable: ClassVar = "RESEND_API_URL"
    receipts_variable: ClassVar = "RESEND_WEBHOOK_SECRET"
    ref_field: ClassVar = "id"
    code_field: ClassVar = "name"
    codes: ClassVar = CODES
    texts: ClassVar = TEXTS

    @override
    def check(self) -> Iterator[Check]:
        address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        try:
            domains = self.look_up("domains", headers={"Authorization": f"Bearer {self._api_key}"})
        except ProviderError as error:
            if error.http_status != 401:  # a key for sending alone; a wrong one is a 403
                raise
            yield Check("key", "it may do nothing but send", Verdict.WARNING, "Look yourself.")
            return
        yield Check("key", "accepted")
        verified = [d["name"] for d in domains["data"] if d["status"] == "verified"]
        yield sender_check(address, verified)

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """Our ids and the tags as Resend's tags, which recipients do not see.

        Anymail would write metadata and tags into headers. For the caller's metadata Resend has no
        place; they stay with us.
        """
        mail.esp_extra = {
            "tags": [{"name": name, "value": value} for name, value in named_tags(message).items()]
        }
        mail.idempotency_key = str(message.delivery_id)

    @override
    def verify(self, webhook: Webhook) -> None:
        message_id = webhook.headers.get("svix-id", "")
        timestamp = webhook.headers.get("svix-timestamp", "")
        signed_at.check(timestamp, MAX_AGE)
        signed = f"{message_id}.{timestamp}.".encode() + webhook.body
        given = webhook.headers.get("svix-signature", "").split(" ")
        if not any(_signed(secret, signed, given) for secret in self._keys()):
            raise BadSignature("signed with none of our secrets")

    @override
    def read(self, row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        kind, data = EVENTS.get(row["type"]), row["data"]
        if kind is None:
            return
        bounce, click = data.get("bounce") or {}, data.get("click") or {}
        seen = {
            "ip": click.get("ipAddress"),
            "user_agent": click.get("userAgent"),
            "url": click.get("link"),
        }
        yield ProviderEvent(
            type=kind,
            at=datetime.fromisoformat(row["created_at"]),
            dedupe=f"{row['type']}:{data['email_id']}:{row['created_at']}",
            attempt_id=attempt_id(_tags(data).get("attempt_id")),
            provider_ref=str(data["email_id"]),
            address=str(data["to"][0]),
            permanent=_permanent(row["type"], bounce),
            code="/".join(str(bounce[name]) for name in ("type", "subType") if bounce.get(name)),
            detail=without_addresses(str(bounce.get("message") or "")),
            data={name: value for name, value in seen.items() if value},
        )

    def _keys(self) -> list[bytes]:
        try:
            return [
                base64.b64decode(secret.removeprefix("whsec_"), validate=True)
                for secret in shared_secret.split(self._secrets)
            ]
        except (binascii.Error, ValueError):
            raise CannotVerify("a configured secret is none") from None


def _signed(key: bytes, signed: bytes, given: list[str]) -> bool:
    """Whether one of `v1,<base64>` is the signature: there are two while Resend changes its secret."""
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(hmac.compare_digest(expected, each.encode()) for each in given)


def _permanent(kind: str, bounce: Mapping[str, Any]) -> bool:
    """Older bounces have no type, but words; `suppressed` is for addresses that bounced before."""
    if kind == "email.suppressed":
        return True
    text = str(bounce.get("message") or "")
    if "type" in bounce:
        return bool(bounce["type"] == "Permanent")
    return kind == "email.bounced" and ("hard bounce" in text or "suppressed sending" in text)


def _tags(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Sent as a list of names and values, they come back as an object."""
    tags = data.get("tags") or {}
    return tags if isinstance(tags, dict) else {tag["name"]: tag["value"] for tag in tags}
