"""Postmark: mail by its API, and its webhooks.

Vendor's facts: postmarkapp.com/developer (API overview: error codes; email API; bounce API: types;
webhooks).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from anymail.backends.postmark import EmailBackend
from anymail.message import AnymailMessage
from typing_extensions import override

from notifications.providers.account import Check, Verdict
from notifications.providers.common.email import without_addresses
from notifications.providers.common.email_http import (
    Careful,
    Codes,
    HttpEmailProvider,
    Texts,
)
from notifications.providers.common.labels import attempt_id, ids, labels
from notifications.types import ErrorClass, EventType, Outbound, ProviderEvent

CODES: Codes = {
    (401, "10"): ErrorClass.AUTH_CONFIG,  # wrong or missing token
    (422, "300"): ErrorClass.PERMANENT_MESSAGE,
    (422, "400"): ErrorClass.AUTH_CONFIG,  # sender signature not found
    (422, "401"): ErrorClass.AUTH_CONFIG,  # sender signature not confirmed
    (422, "402"): ErrorClass.PERMANENT_MESSAGE,  # invalid JSON
    (422, "403"): ErrorClass.PERMANENT_MESSAGE,  # fields it does not know
    (422, "405"): ErrorClass.AUTH_CONFIG,  # out of credits
    (422, "406"): ErrorClass.PERMANENT_RECIPIENT,  # bounced or complained before
    (422, "409"): ErrorClass.PERMANENT_MESSAGE,  # JSON required
    (422, "410"): ErrorClass.PERMANENT_MESSAGE,  # too many in a batch
    (422, "411"): ErrorClass.PERMANENT_MESSAGE,  # forbidden kind of attachment
    (422, "412"): ErrorClass.AUTH_CONFIG,  # account pending: only to its own domain
    (422, "413"): ErrorClass.AUTH_CONFIG,  # account may not send
    (422, "1101"): ErrorClass.PERMANENT_MESSAGE,  # no such template
    (429, "429"): ErrorClass.THROTTLED,
    (503, "100"): ErrorClass.TEMPORARY,  # maintenance
}
"""HTTP status and `ErrorCode` of what sending answers."""

TEXTS: Texts = (
    ("300", "Invalid 'To' address", ErrorClass.PERMANENT_RECIPIENT),
    ("300", "Error parsing 'To'", ErrorClass.PERMANENT_RECIPIENT),
    ("300", "Invalid 'From' address", ErrorClass.AUTH_CONFIG),  # of no verified sender
)

MAX_METADATA, MAX_KEY, MAX_VALUE = 10, 20, 80
"""Fields of a message's metadata, and the characters of their names and values."""

RECORDS: Mapping[str, tuple[EventType, str, str]] = {
    "Delivery": (EventType.DELIVERED, "DeliveredAt", "Recipient"),
    "Bounce": (EventType.BOUNCED, "BouncedAt", "Email"),
    "SpamComplaint": (EventType.COMPLAINED, "BouncedAt", "Email"),
    "Open": (EventType.OPENED, "ReceivedAt", "Recipient"),
    "Click": (EventType.CLICKED, "ReceivedAt", "Recipient"),
    "SubscriptionChange": (EventType.UNSUBSCRIBED, "ChangedAt", "Recipient"),
}
"""Their `RecordType` to our event, and the fields with its time and its address."""

BOUNCES: Mapping[str, tuple[EventType, bool]] = {
    "HardBounce": (EventType.BOUNCED, True),
    "BadEmailAddress": (EventType.BOUNCED, True),
    "SoftBounce": (EventType.BOUNCED, False),
    "Blocked": (EventType.BOUNCED, False),
    "SpamNotification": (EventType.BOUNCED, False),
    "DMARCPolicy": (EventType.BOUNCED, False),
    "VirusNotification": (EventType.BOUNCED, False),
    "ManuallyDeactivated": (EventType.BOUNCED, False),
    "SMTPApiError": (EventType.BOUNCED, False),
    "TemplateRenderingFailed": (EventType.BOUNCED, False),
    "Unknown": (EventType.BOUNCED, False),
    "Transient": (EventType.DEFERRED, False),
    "DnsError": (EventType.DEFERRED, False),
    "SpamComplaint": (EventType.COMPLAINED, False),
    "Unsubscribe": (EventType.UNSUBSCRIBED, False),
}
"""The `Type` of a bounce to our event and whether the address is dead. Left out are answers of people
and machines, which Postmark counts among the bounces (AutoResponder, AddressChange ...)."""

_OUR_DATA = {"UserAgent": "user_agent", "OriginalLink": "url"}


class _Backend(Careful, EmailBackend):  # type: ignore[misc]
    pass


class Postmark(HttpEmailProvider):
    """Options: `server_token`, `api_url`, `message_stream` (`""` for the default one) and
    `webhook_secret`: what its webhooks bring as password, two with a comma while it is changed.
    """

    backend: ClassVar = _Backend
    hosts_templates: ClassVar = True
    key_variable: ClassVar = "POSTMARK_SERVER_TOKEN"
    url_variable: ClassVar = "POSTMARK_API_URL"
    receipts_variable: ClassVar = "POSTMARK_WEBHOOK_SECRET"
    ref_field: ClassVar = "MessageID"
    code_field: ClassVar = "ErrorCode"
    text_field: ClassVar = "Message"
    codes: ClassVar = CODES
    texts: ClassVar = TEXTS

    def __init__(
        self,
        name: str,
        *,
        server_token: str,
        api_url: str,
        message_stream: str,
        webhook_secret: str,
    ) -> None:
        super().__init__(name, api_url=api_url, api_key=server_token, webhook_secret=webhook_secret)
        self._message_stream = message_stream or None

    @override
    def check(self) -> Iterator[Check]:
        token = {"X-Postmark-Server-Token": self._api_key, "Accept": "application/json"}
        server = self.look_up("server", headers=token)
        yield Check("token", "accepted")
        if server["DeliveryType"] == "Sandbox":
            advice = "Use the token of a live server."
            yield Check("server", "a sandbox: delivers nothing", Verdict.WARNING, advice)

    @override
    def account(self) -> Mapping[str, Any]:
        return {
            "server_token": self._api_key,
            "message_stream": self._message_stream,
            "use_bulk_api": False,
        }

    @override
    def label(self, mail: AnymailMessage, message: Outbound) -> None:
        """All tags as one, as there can be only one; the caller's metadata as long as they fit."""
        found = labels(message)
        mail.metadata = (
            found if _fits(found) else {k: v[:MAX_VALUE] for k, v in ids(message).items()}
        )
        if message.tags:
            mail.tags = [",".join(dict.fromkeys(message.tags))]
        # Without this the Message-ID is replaced by one of Postmark's.
        mail.extra_headers["X-PM-KeepID"] = "true"

    @override
    def read(self, row: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        known = RECORDS.get(row.get("RecordType", ""))
        if known is None:
            return
        kind, time_field, address_field = known
        permanent = False
        if kind is EventType.BOUNCED:
            if row["Type"] not in BOUNCES:
                return
            kind, permanent = BOUNCES[row["Type"]]
        elif kind is EventType.UNSUBSCRIBED and not _is_opt_out(row):
            return
        yield ProviderEvent(
            type=kind,
            at=datetime.fromisoformat(row[time_field]),
            dedupe=":".join([row["RecordType"], row["MessageID"], row[time_field]]),
            attempt_id=attempt_id((row.get("Metadata") or {}).get("attempt_id")),
            provider_ref=row["MessageID"],
            address=str(row[address_field]),
            permanent=permanent,
            code=str(row.get("Type", "")),
            detail=without_addresses(str(row.get("Details") or row.get("Description") or "")),
            data={ours: row[theirs] for theirs, ours in _OUR_DATA.items() if row.get(theirs)},
        )


def _fits(metadata: Mapping[str, str]) -> bool:
    return len(metadata) <= MAX_METADATA and all(
        len(key) <= MAX_KEY and len(value) <= MAX_VALUE for key, value in metadata.items()
    )


def _is_opt_out(row: Mapping[str, Any]) -> bool:
    """Bounces and complaints end a subscription too, and are told by events of their own."""
    return bool(row["SuppressSending"]) and row.get("SuppressionReason") == "ManualSuppression"
