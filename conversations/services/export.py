"""A conversation as a file, of any length, from its first entry to the one that is the last now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from conversations import selectors
from conversations.models import Conversation
from conversations.types import Actor

_PIECE = 500


def pieces(conversation: Conversation, reader: Actor) -> Iterator[list[Mapping[str, Any]]]:
    """Its entries as `reader` gets them, some hundred at a time."""
    after, last = 0, conversation.last_seq
    while True:
        rows = selectors.entries_of(conversation, reader).filter(seq__gt=after, seq__lte=last)
        found = list(rows.order_by("seq")[:_PIECE])
        if not found:
            return
        yield selectors.as_seen(reader, found)
        after = found[-1].seq


def line(entry: Mapping[str, Any]) -> str:
    """For people: when, who and what; a line of its own for each line of it."""
    moment = entry["created_at"][:19].replace("T", " ")
    author = entry["author"]["id"] or entry["author"]["kind"]
    return f"[{moment}] {author}: {_said(entry)}\n"


def _said(entry: Mapping[str, Any]) -> str:
    if entry["deleted_at"]:
        return "(deleted)"
    if entry["event"]:
        event = entry["event"]
        about = [event["status"]] if event["type"] == "status" else event.get("people", [])
        return f"({event['type']} {', '.join(about)})".replace(" )", ")")
    names = [f"[{one['name']}]" for one in entry["attachments"]]
    return "\n    ".join([*entry["body"].splitlines(), *names])
