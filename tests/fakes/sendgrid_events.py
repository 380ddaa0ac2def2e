"""SendGrid's event webhook: payloads for a sent message, signed as the real one signs."""

from __future__ import annotations

import base64
import itertools
import json
import time
from typing import Any, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.sendgrid import SentMail
from tests.fakes.webhooks import WebhookPost

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"

Kind = Literal[
    "processed",
    "deferred",
    "delivered",
    "bounce",
    "blocked",
    "dropped",
    "spamreport",
    "open",
    "click",
    "unsubscribe",
    "group_unsubscribe",
    "group_resubscribe",
]

_DETAILS: dict[str, dict[str, Any]] = {
    "deferred": {"response": "400 try again later", "attempt": "1"},
    "delivered": {"response": "250 OK"},
    "bounce": {
        "type": "bounce",
        "status": "5.1.1",
        "reason": "550 5.1.1 user unknown",
        "bounce_classification": "Invalid Address",
    },
    "blocked": {
        "event": "bounce",
        "type": "blocked",
        "status": "4.7.1",
        "reason": "450 4.7.1 blocked by policy",
        "bounce_classification": "Reputation",
    },
    "dropped": {"reason": "Bounced Address", "status": "5.0.0"},
    "open": {"useragent": "Mozilla/5.0", "ip": "198.51.100.1", "sg_machine_open": False},
    "click": {
        "url": "https://example.com/",
        "url_offset": {"index": 0, "type": "html"},
        "useragent": "Mozilla/5.0",
        "ip": "198.51.100.1",
    },
    "group_unsubscribe": {"asm_group_id": 10},
    "group_resubscribe": {"asm_group_id": 10},
}

_ids = itertools.count(1)


def event(mail: SentMail, kind: Kind, **changes: Any) -> dict[str, Any]:
    """One event of a message, with its custom_args at top level as SendGrid sends them back."""
    return {
        **mail.custom_args,
        "email": mail.recipient,
        "timestamp": int(time.time()),
        "event": kind,
        "smtp-id": f"<{mail.message_id}@geopod-ismtpd-1>",
        "sg_event_id": f"ev{next(_ids):08d}{mail.message_id}",
        "sg_message_id": f"{mail.message_id}.recvd-5f54b5d587-sczjm-1-637B7F4F-9.0",
        **({"category": mail.categories} if mail.categories else {}),
        **_DETAILS.get(kind, {}),
        **changes,
    }


class SendGridWebhook:
    """Owns the signing key. `public_key` is what the console shows and the settings take."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = base64.b64encode(der).decode()

    def sign(self, body: bytes, timestamp: str) -> str:
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signature).decode()

    def post(
        self, *events: dict[str, Any], age: float = 0, broken: bool = False, signed: bool = True
    ) -> WebhookPost:
        """A batch of events. `age` makes the timestamp stale, `broken` the signature wrong."""
        body = json.dumps(events, separators=(",", ":")).encode() + b"\r\n"
        headers = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API"}
        if signed:
            timestamp = str(int(time.time() - age))
            signature = self.sign(body + b" " if broken else body, timestamp)
            headers |= {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp}
        return WebhookPost(body, headers)
