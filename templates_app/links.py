"""Signed links in messages: rendering writes them, the pages behind them read them."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.utils.encoding import force_bytes

MARK = "links.invalid"
UNSUBSCRIBE_MARK, PREFERENCES_MARK = f"https://{MARK}/unsubscribe", f"https://{MARK}/preferences"
_MARKS = {"unsubscribe_url": UNSUBSCRIBE_MARK, "preferences_url": PREFERENCES_MARK}
PERSONAL = frozenset(_MARKS)
"""Variables that every message has with a value of its own. What renders puts a mark there, which
nobody is ever sent: it is replaced when the message goes out."""

_DIGEST = 32
_UNSUBSCRIBE, _PREFERENCES = b"comms.unsubscribe", b"comms.preferences"
_CONFIRM = b"comms.confirm"
CONFIRMED_WITHIN = timedelta(days=7)


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
    body = f"{channel}:{address_hash}:{delivery_id.hex}:{scope}"
    return _sign(_UNSUBSCRIBE, body.encode())


def read_unsubscribe(token: str) -> Unsubscribe:
    """Raises `BadLink`."""
    try:
        channel, address_hash, delivery_id, scope = _read(_UNSUBSCRIBE, token).split(":", 3)
        return Unsubscribe(channel, address_hash, scope, UUID(delivery_id))
    except ValueError:
        raise BadLink from None


def ours() -> dict[str, str]:
    """The variables that every template has, for data that does not name them."""
    return {**_MARKS, "postal_address": settings.POSTAL_ADDRESS}


# --- Preferences ---------------------------------------------------------------------------------


def preferences_token(recipient_id: UUID) -> str:
    """For the page on which one person says what they want to get; without an end, likewise."""
    return _sign(_PREFERENCES, recipient_id.hex.encode())


def read_preferences(token: str) -> UUID:
    """The id of the recipient. Raises `BadLink`."""
    try:
        return UUID(_read(_PREFERENCES, token))
    except ValueError:
        raise BadLink from None


@dataclass(frozen=True)
class Confirmation:
    """That a person asked for a category on a channel, `""` for all, and may say so until then."""

    recipient_id: UUID
    category_id: UUID
    channel: str
    until: datetime


def confirmation_token(recipient_id: UUID, category_id: UUID, channel: str, now: datetime) -> str:
    """Good for seven days from `now`."""
    until = int((now + CONFIRMED_WITHIN).timestamp())
    body = f"{recipient_id.hex}:{category_id.hex}:{until}:{channel}"
    return _sign(_CONFIRM, body.encode())


def read_confirmation(token: str) -> Confirmation:
    """Also one whose time is over. Raises `BadLink`."""
    try:
        recipient_id, category_id, until, channel = _read(_CONFIRM, token).split(":", 3)
        ends = datetime.fromtimestamp(int(until), UTC)
        return Confirmation(UUID(recipient_id), UUID(category_id), channel, ends)
    except ValueError:
        raise BadLink from None


# --- Opens and clicks ----------------------------------------------------------------------------

_CLICK, _OPEN = b"comms.click", b"comms.open"


@dataclass(frozen=True)
class Click:
    """Where a followed link leads, and the attempt whose message it was in."""

    attempt_id: UUID
    url: str


def click_token(attempt_id: UUID, url: str) -> str:
    """The target is inside: whoever follows it gets there as long as the key is known, and nowhere
    that we did not sign.
    """
    return _sign(_CLICK, f"{attempt_id.hex}{url}".encode())


def read_click(token: str) -> Click:
    """Raises `BadLink`."""
    try:
        body = _read(_CLICK, token)
        return Click(UUID(body[:32]), body[32:])
    except ValueError:
        raise BadLink from None


def open_token(attempt_id: UUID) -> str:
    return _sign(_OPEN, attempt_id.hex.encode())


def read_open(token: str) -> UUID:
    """The id of the attempt. Raises `BadLink`."""
    try:
        return UUID(_read(_OPEN, token))
    except ValueError:
        raise BadLink from None


# --- Signing -------------------------------------------------------------------------------------


def _sign(purpose: bytes, body: bytes) -> str:
    signed = _signature(purpose, settings.SECRET_KEY, body) + body
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def _read(purpose: bytes, token: str) -> str:
    """What was signed for this purpose. Raises `BadLink`."""
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        signature, body = raw[:_DIGEST], raw[_DIGEST:]
        ours = (_signature(purpose, key, body) for key in _keys())
        if not any(hmac.compare_digest(signature, one) for one in ours):
            raise BadLink
        return body.decode()
    except (binascii.Error, ValueError):
        raise BadLink from None


def _keys() -> Iterator[str | bytes]:
    """The key that signs, and those that once did."""
    yield settings.SECRET_KEY
    yield from settings.SECRET_KEY_FALLBACKS


def _signature(purpose: bytes, key: str | bytes, body: bytes) -> bytes:
    return hmac.digest(_derived(purpose, key), body, "sha256")


@lru_cache(maxsize=16)
def _derived(purpose: bytes, key: str | bytes) -> bytes:
    return sha256(purpose + force_bytes(key)).digest()
