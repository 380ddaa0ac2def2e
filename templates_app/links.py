"""Signed links in messages: rendering writes them, the pages behind them read them."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.utils.encoding import force_bytes

_SALT = b"comms.unsubscribe"
_DIGEST = 32


@dataclass(frozen=True)
class Unsubscribe:
    """What an unsubscribe link stands for. Self-contained: it works after the message is purged."""

    channel: str
    address_hash: str
    scope: str
    delivery_id: UUID


class BadLink(ValueError):
    """Not a link we signed."""


def unsubscribe_token(*, channel: str, address_hash: str, scope: str, delivery_id: UUID) -> str:
    """A token without an end: the law asks that such links work long after the message.

    Every email has one: Django's own signing costs more than rendering the message (measured).
    """
    body = f"{channel}:{address_hash}:{delivery_id.hex}:{scope}".encode()
    signed = _signature(settings.SECRET_KEY, body) + body
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def read_unsubscribe(token: str) -> Unsubscribe:
    """Raises `BadLink`."""
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        signature, body = raw[:_DIGEST], raw[_DIGEST:]
        if not any(hmac.compare_digest(signature, _signature(key, body)) for key in _keys()):
            raise BadLink
        channel, address_hash, delivery_id, scope = body.decode().split(":", 3)
        return Unsubscribe(channel, address_hash, scope, UUID(delivery_id))
    except (binascii.Error, ValueError):
        raise BadLink from None


def _keys() -> Iterator[str | bytes]:
    """The key that signs, and those that once did."""
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS


def _signature(key: str | bytes, body: bytes) -> bytes:
    return hmac.digest(_derived(key), body, "sha256")


@lru_cache(maxsize=8)
def _derived(key: str | bytes) -> bytes:
    return sha256(_SALT + force_bytes(key)).digest()
