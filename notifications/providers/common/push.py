"""What the providers of push have in common, whatever the platform."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import ClassVar, NoReturn

from django.utils import timezone
from typing_extensions import override

from notifications.providers.base import LoopProvider
from notifications.types import (
    Channel,
    ErrorClass,
    Lane,
    Outbound,
    Platform,
    ProviderError,
    Wanted,
)

URGENCY: Mapping[Lane, str] = {Lane.URGENT: "high", Lane.NORMAL: "normal", Lane.BULK: "low"}
"""How much of a sleeping device's battery a message is worth, in Web Push's words (RFC 8030, 5.3)."""

_HEADER = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")


class PushProvider(LoopProvider):
    """Reaches the devices of one platform."""

    channels = frozenset({Channel.PUSH})
    platform: ClassVar[Platform]

    @override
    def lacks(self, wanted: Wanted) -> str:
        if not wanted.address.startswith(f"{self.platform.value}:"):
            return "platform"
        return "attachments" if wanted.has_attachments else super().lacks(wanted)


def content(message: Outbound) -> Mapping[str, str]:
    """The parts that are not empty. Raises `ProviderError` where there is nothing to show, or what no
    push message carries.
    """
    if message.attachments:
        refuse("attachments", "A push message carries no files.")
    parts = {name: text for name, text in message.parts.items() if text}
    if not parts.keys() & {"title", "body"}:
        refuse("no_content", "Neither title nor body.")
    return parts


def alert(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: parts[name] for name in ("title", "body") if name in parts}


def badge(parts: Mapping[str, str]) -> int | None:
    """The number on the app's icon; None: leave it as it is. Raises `ProviderError`."""
    text = parts.get("badge", "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        refuse("bad_badge", "The badge is a number from 0 to 999999.")
    return int(text)


def data(message: Outbound, parts: Mapping[str, str]) -> dict[str, str]:
    """What the app gets beside what it shows."""
    found = {
        "notification_id": str(message.notification_id),
        "delivery_id": str(message.delivery_id),
    }
    return {**found, **({"link": parts["link"]} if "link" in parts else {})}


def seconds_left(message: Outbound, longest: int) -> int | None:
    """For how long the message is worth keeping for a device that is away; None: no limit of ours."""
    if message.expires_at is None:
        return None
    left = (message.expires_at - timezone.now()).total_seconds()
    return min(max(int(left), 0), longest)


def apple_priority(message: Outbound) -> str:
    """5: when it suits the device's battery."""
    return "5" if message.lane is Lane.BULK else "10"


def apple_collapse_id(message: Outbound, parts: Mapping[str, str]) -> str:
    """Of two notifications with the same the later replaces the earlier, so that another attempt
    shows nothing twice. At most 64 bytes, says Apple; a longer one is hashed.
    """
    given = parts.get("collapse_id") or str(message.delivery_id)
    if _HEADER.fullmatch(given):
        return given
    return hashlib.sha256(given.encode(errors="replace")).hexdigest()


def apple_expiration(message: Outbound) -> dict[str, str]:
    """The header with the moment until which Apple keeps it, in epoch seconds; none: its longest."""
    if message.expires_at is None:
        return {}
    return {"apns-expiration": str(max(int(message.expires_at.timestamp()), 0))}


def refuse(code: str, detail: str) -> NoReturn:
    raise ProviderError(ErrorClass.PERMANENT_MESSAGE, code, detail)
