"""Addresses that answers go to: each says whose answer it is, and nobody can make one up."""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

_SALT = "conversations.reply"
_SIGNATURE = 10
"""Bytes. A local part has at most 64 signs, and mail systems may write them in lower case."""

_TOKEN = re.compile(r"reply\+([a-z2-7]{42})@", re.IGNORECASE)


def address(participant_id: UUID) -> str:
    """Of a participant; empty where no mail comes in."""
    if not settings.REPLY_DOMAIN:
        return ""
    signed = participant_id.bytes + _signature(participant_id, settings.SECRET_KEY)
    token = base64.b32encode(signed).decode().rstrip("=").lower()
    return f"reply+{token}@{settings.REPLY_DOMAIN}"


def participant(address: str) -> UUID | None:
    """Whose answers go to this address, if it is one of ours."""
    found = _TOKEN.match(address.strip())
    if found is None:
        return None
    try:
        signed = base64.b32decode(found[1].upper() + "=" * (-len(found[1]) % 8))
    except binascii.Error:
        return None
    id_ = UUID(bytes=signed[:16])
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    is_ours = any(constant_time_compare(signed[16:], _signature(id_, one)) for one in secrets)
    return id_ if is_ours else None


def _signature(participant_id: UUID, secret: str | bytes) -> bytes:
    made = salted_hmac(_SALT, participant_id.bytes, secret=secret, algorithm="sha256")
    return made.digest()[:_SIGNATURE]
