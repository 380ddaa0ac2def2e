"""Staff pages of the engine. One file per thing; each registers itself."""

from __future__ import annotations

from notifications.admin import (
    categories,
    dead_letters,
    mailbox,
    messages,
    people,
    providers,
    queue,
    suppressions,
)

__all__ = [
    "categories",
    "dead_letters",
    "mailbox",
    "messages",
    "people",
    "providers",
    "queue",
    "suppressions",
]
