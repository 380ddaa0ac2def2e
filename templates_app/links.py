"""Signed links in messages: rendering writes them, the pages behind them read them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.core import signing

_SALT = "comms.unsubscribe"


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
    """A token without an end: the law asks that such links work long after the message."""
    return signing.dumps([channel, address_hash, scope, delivery_id.hex], salt=_SALT)


def read_unsubscribe(token: str) -> Unsubscribe:
    """Raises `BadLink`."""
    try:
        channel, address_hash, scope, delivery_id = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise BadLink from None
    return Unsubscribe(channel, address_hash, scope, UUID(delivery_id))
