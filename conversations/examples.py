"""For those who read the API's and the socket's descriptions."""

from __future__ import annotations

from typing import Any

ENTRY: dict[str, Any] = {
    "id": "019a0000-0000-7000-8000-000000000022",
    "conversation": "019a0000-0000-7000-8000-000000000021",
    "seq": 42,
    "changed_seq": 42,
    "kind": "text",
    "author": {"kind": "user", "id": "u-42"},
    "medium": "chat",
    "client_id": "c-1",
    "body": "See you at **nine**.",
    "html": "<p>See you at <strong>nine</strong>.</p>",
    "event": None,
    "reply_to": None,
    "mentions": [],
    "reactions": [],
    "attachments": [],
    "pinned_at": None,
    "created_at": "2026-11-22T09:00:00Z",
    "edited_at": None,
    "deleted_at": None,
}
