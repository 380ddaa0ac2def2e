"""What the providers of text messages have in common."""

from __future__ import annotations

import re
from typing import ClassVar

from typing_extensions import override

from notifications.providers.base import Provider
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Wanted

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class SmsProvider(Provider):
    """Carries text messages, which have one part, `text`, and no files."""

    channels: ClassVar = frozenset({Channel.SMS})

    @override
    def lacks(self, wanted: Wanted) -> str:
        return "attachments" if wanted.has_attachments else super().lacks(wanted)


def check(message: Outbound) -> None:
    """Refuse what no text message can be."""
    if not NUMBER.fullmatch(message.to):
        raise ProviderError(ErrorClass.PERMANENT_RECIPIENT, "invalid_number", "Not in E.164 form.")
    if not message.parts.get("text", "").strip():
        raise ProviderError(ErrorClass.PERMANENT_MESSAGE, "no_content", "No text.")
    named = {
        "headers": message.headers,
        "reply_to": message.reply_to,
        "attachments": message.attachments,
        "values": message.values,
        "hosted": message.hosted,
    }
    if unsupported := [name for name, value in named.items() if value]:
        raise ProviderError(
            ErrorClass.PERMANENT_MESSAGE,
            "unsupported_field",
            f"A text message has no {', '.join(unsupported)}.",
        )
