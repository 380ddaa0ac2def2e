"""Staff pages of the engine. One file per thing; each registers itself."""

from __future__ import annotations

from notifications.admin import (
    batches,
    categories,
    dead_letters,
    devices,
    mailbox,
    messages,
    people,
    providers,
    queue,
    schedules,
    simulator,
    suppressions,
)

__all__ = [
    "batches",
    "categories",
    "dead_letters",
    "devices",
    "mailbox",
    "messages",
    "people",
    "providers",
    "queue",
    "schedules",
    "simulator",
    "suppressions",
]
