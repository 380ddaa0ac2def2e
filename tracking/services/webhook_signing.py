"""Signatures of outgoing webhooks, as Standard Webhooks has them (github.com/standard-webhooks).

An endpoint's secrets are derived from SECRET_KEY, the endpoint and a number that a rotation raises:
a copy of the database holds none of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

MARK = "whsec_"
OVERLAP = timedelta(hours=24)
"""How long the secret before a rotation goes on to sign too."""


def secret(endpoint_id: UUID, number: int, key: str | None = None) -> str:
    """`whsec_` and 32 bytes in base64; by SECRET_KEY unless another `key` is named."""
    text = f"webhook endpoint:{endpoint_id}:{number}".encode()
    made = hmac.new((key or settings.SECRET_KEY).encode(), text, hashlib.sha256).digest()
    return MARK + base64.b64encode(made).decode()


def valid(
    endpoint_id: UUID, number: int, previous_until: datetime | None, now: datetime
) -> list[str]:
    """The secrets that sign now, the newest first; also those of a SECRET_KEY that was replaced."""
    numbers = [number, number - 1] if previous_until and previous_until > now else [number]
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [secret(endpoint_id, each, key) for each in numbers for key in keys]


def headers(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Every secret signs, so that a receiver may know any one of them."""
    seconds = str(int(at.timestamp()))
    signed = f"{message_id}.{seconds}.".encode() + body
    made = (hmac.new(_bytes(one), signed, hashlib.sha256).digest() for one in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made),
    }


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(MARK))
