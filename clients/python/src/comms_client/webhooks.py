"""Webhooks of the service: whether one is really from it (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from comms_client.errors import CommsError

TOLERANCE = 300
"""Seconds that the sender's clock may be off; older ones are recordings."""


class InvalidSignature(CommsError):
    """Not from the service, or a recording: answer 401 and do nothing."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """The event (CloudEvents 1.0) in `body`, which has to be as it came, before any parsing.

    `secrets` are those of the endpoint: two while one is replaced. The same event may come twice: keep
    its `id` where its work is kept. Raises InvalidSignature.
    """
    found = {name.lower(): value for name, value in headers.items()}
    message, at = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,15}", at) or abs(time.time() - int(at)) > tolerance:
        raise InvalidSignature("There is no timestamp, or it is not of these minutes.")
    signed = f"{message}.{at}.".encode() + body
    given = [one.encode() for one in found.get("webhook-signature", "").split()]
    known = [secrets] if isinstance(secrets, str) else list(secrets)
    wanted = [_signature(secret, signed) for secret in known]
    if not any(hmac.compare_digest(one, other) for one in given for other in wanted):
        raise InvalidSignature("No signature is by a secret of this endpoint.")
    event: dict[str, Any] = json.loads(body)
    return event


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("A secret looks like `whsec_` and base64.") from None
    return b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
