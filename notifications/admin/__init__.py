"""Staff pages of the engine. One file per thing; each registers itself."""

from __future__ import annotations

from notifications.admin import (
    announcements,
    batches,
    categories,
    dead_letters,
    devices,
    inbox,
    mailbox,
    messages,
    people,
    proofs,
    providers,
    queue,
    schedules,
    simulator,
    suppressions,
    topics,
)

__all__ = [
    "announcements",
    "batches",
    "categories",
    "dead_letters",
    "devices",
    "inbox",
    "mailbox",
    "messages",
    "people",
    "proofs",
    "providers",
    "queue",
    "schedules",
    "simulator",
    "suppressions",
    "topics",
]
