"""What a vendor keeps of a message for us and gives back in its webhooks: our ids, and what the caller
wrote on it.
"""

from __future__ import annotations

import re
from uuid import UUID

from notifications.types import Outbound

TAG_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
TAG_LENGTH = 256


def ids(message: Outbound) -> dict[str, str]:
    """Our ids of a message by the names every provider's webhook gives back, empty ones left out."""
    found = {"attempt_id": str(message.attempt_id), "message_id": str(message.notification_id)}
    if message.agent_id:
        found["agent_id"] = message.agent_id
    if message.template_id:
        found["template_id"] = message.template_id
    return found


def labels(message: Outbound) -> dict[str, str]:
    """The caller's metadata as far as they are text, and our ids."""
    ours = ids(message)
    if not message.metadata:
        return ours
    return {k: value for k, value in message.metadata.items() if isinstance(value, str)} | ours


def named_tags(message: Outbound) -> dict[str, str]:
    """Our ids and the caller's tags, for vendors whose tags are pairs of letters, digits, _ and -."""
    tags = {f"tag_{n}": tag for n, tag in enumerate(dict.fromkeys(message.tags), start=1)}
    return {
        name: TAG_UNSAFE.sub("_", value)[:TAG_LENGTH]
        for name, value in {**ids(message), **tags}.items()
    }


def attempt_id(value: object) -> UUID | None:
    """Our id as a webhook gives it back; None where it is none of ours."""
    try:
        return UUID(str(value))
    except ValueError:
        return None
