"""A conversation as a file, of any length, from its first entry to the one that is the last now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conversations import selectors
from conversations.models import Conversation, Entry

_PIECE = 500


def pieces(conversation: Conversation) -> Iterator[list[dict[str, Any]]]:
    """Its entries as clients get them, some hundred at a time."""
    after, last = 0, conversation.last_seq
    while True:
        rows = Entry.objects.filter(conversation=conversation, seq__gt=after, seq__lte=last)
        found = list(rows.order_by("seq")[:_PIECE])
        if not found:
            return
        yield selectors.as_json(found)
        after = found[-1].seq


def line(entry: dict[str, Any]) -> str:
    """For people: when, who and what; a line of its own for each line of it."""
    moment = entry["created_at"][:19].replace("T", " ")
    return f"[{moment}] {entry['author']['id']}: {_said(entry)}\n"


def _said(entry: dict[str, Any]) -> str:
    if entry["deleted_at"]:
        return "(deleted)"
    if entry["event"]:
        people = ", ".join(entry["event"].get("people", []))
        return f"({entry['event']['type']} {people})".replace(" )", ")")
    names = [f"[{one['name']}]" for one in entry["attachments"]]
    return "\n    ".join([*entry["body"].splitlines(), *names])
