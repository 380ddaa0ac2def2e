"""Webhooks of vendors that sign nothing: they bring a secret that we have given them.

Never in the query: the path of a webhook is stored, and proxies log it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from notifications.providers.base import BadSignature, Webhook

_BETWEEN = re.compile(r"[,\r\n]")


def check(webhook: Webhook, secrets: str) -> None:
    """Raise `BadSignature` unless the call has one of `secrets` (see `split`: two while one
    is changed) as the password of HTTP Basic, whoever the user, or as a bearer token.
    """
    given = _given(webhook.headers.get("authorization", "")).encode()
    known = [secret.encode() for secret in split(secrets)]
    if not given or not any(hmac.compare_digest(given, secret) for secret in known):
        raise BadSignature("not with one of our secrets")


def split(secrets: str) -> list[str]:
    """One secret, or several: separated by commas or by line ends."""
    return [secret for each in _BETWEEN.split(secrets) if (secret := each.strip())]


def _given(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
