"""What people are shown of what happens to a conversation: how the team shares its work is its own.

No queries, no effects. What is not known to be for people is not shown to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from conversations.types import EntryKind, Status, Who

_EVERYBODYS = ("joined", "role", "renamed")
_LEAVERS = (Who.USER, Who.AGENT)

FOR_PEOPLE = (
    Q(kind=EntryKind.TEXT)
    | Q(event__type__in=_EVERYBODYS)
    | Q(event__type="left", event__kind__in=_LEAVERS)
    | Q(event__type="status", event__status=Status.CLOSED)
    | Q(event__type="status", event__was=Status.CLOSED)
)
"""Entries that are shown: the same as by `for_people`, for PostgreSQL."""


def for_people(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What happened, as people are told of it: that it was closed, or opened again, and not that it
    waits. None: they are told nothing.
    """
    match event["type"]:
        case "status" if Status.CLOSED in (event["status"], event.get("was")):
            is_closed = event["status"] == Status.CLOSED
            now = Status.CLOSED if is_closed else Status.OPEN
            return {"type": "status", "people": [], "status": now.value}
        case "left" if event.get("kind") in _LEAVERS:
            return event
        case kind if kind in _EVERYBODYS:
            return event
    return None
