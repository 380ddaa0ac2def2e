"""The queues of the staff inbox: support conversations, the latest active first, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import OuterRef, Q, QuerySet, Subquery
from typing_extensions import override

from commsproject.common.errors import InvalidInput
from commsproject.console.inbox import people
from conversations import markup, selectors
from conversations.models import Conversation, Entry, TeamMark
from conversations.types import EntryKind, Kind, Status, Who

PAGE = 30
MOST_COUNTED = 100
_EXCERPT = 120

BAD_CURSOR = InvalidInput.of("after", "bad_cursor", "Not a place in this list.")


class Queue(StrEnum):
    MINE = "mine"
    UNASSIGNED = "unassigned"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class Place:
    """Where a page ended."""

    active_at: datetime
    id: UUID

    @override
    def __str__(self) -> str:
        return f"{self.active_at.isoformat()}~{self.id}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Raises `InvalidInput`."""
        at, _, key = text.partition("~")
        try:
            active_at = datetime.fromisoformat(at)
            if active_at.tzinfo is None:
                raise ValueError
            return cls(active_at.astimezone(UTC), UUID(key))
        except (ValueError, OverflowError):
            raise BAD_CURSOR from None


def written() -> QuerySet[Conversation]:
    """The team's, in which something was written."""
    return Conversation.objects.filter(kind=Kind.SUPPORT, entries_made__gt=0)


def of(user: User, queue: Queue) -> QuerySet[Conversation]:
    rows = written()
    if queue is Queue.CLOSED:
        return rows.filter(status=Status.CLOSED)
    rows = rows.exclude(status=Status.CLOSED)
    match queue:
        case Queue.MINE:
            return rows.filter(assignee=user)
        case Queue.UNASSIGNED:
            return rows.filter(assignee=None)
    return rows


def page(user: User, queue: Queue, after: Place | None) -> tuple[list[Conversation], Place | None]:
    """A page, and where the next begins, if there is one."""
    return cut(of(user, queue), after)


def cut(
    rows: QuerySet[Conversation], after: Place | None
) -> tuple[list[Conversation], Place | None]:
    """The same of any of them."""
    rows = _latest_first(rows)
    if after is not None:
        later = Q(active_at__lt=after.active_at) | Q(active_at=after.active_at, id__lt=after.id)
        rows = rows.filter(later, active_at__lte=after.active_at)
    found = list(rows[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    return found[:PAGE], Place(last.active_at, last.id) if last else None


def _latest_first(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    return rows.select_related("assignee").order_by("-active_at", "-id")


def counts(user: User) -> dict[str, int]:
    """Of the queues that are to be emptied; at 100 they stop."""
    return {
        queue.value: of(user, queue).order_by()[:MOST_COUNTED].count()
        for queue in (Queue.MINE, Queue.UNASSIGNED, Queue.OPEN)
    }


def named(ids: Sequence[UUID]) -> list[Conversation]:
    return list(_latest_first(written().filter(id__in=ids)))


# --- As the page gets them -----------------------------------------------------------------------


def as_json(user: User, rows: Sequence[Conversation]) -> list[dict[str, Any]]:
    """By the same few queries however many they are."""
    ids = [row.id for row in rows]
    about = {key: one.person_id for key, one in selectors.about(ids).items()}
    latest = selectors.latest(ids)
    read = dict(
        TeamMark.objects.filter(user=user, conversation__in=ids).values_list(
            "conversation_id", "read_seq"
        )
    )
    asked = _asked(ids)
    names = people.names(about.values())
    writers = people.authors(latest.values())
    return [
        {
            "id": str(row.id),
            "person": {"id": about.get(row.id, ""), "name": names.get(about.get(row.id, ""), "")},
            "title": row.title,
            "status": row.status,
            "assignee": people.staff_as_json(row.assignee),
            "active_at": selectors.moment(row.active_at),
            "last_seq": row.last_seq,
            "latest": _line(latest[row.id], writers) if row.id in latest else None,
            "is_unread": _is_unread(row, asked.get(row.id, 0), read.get(row.id)),
        }
        for row in rows
    ]


def _is_unread(row: Conversation, asked: int, read: int | None) -> bool:
    """What nobody of us has answered is new to who has not looked at it."""
    return row.status == Status.OPEN if read is None else asked > read


def _asked(ids: Iterable[UUID]) -> dict[UUID, int]:
    """The seq of what somebody else than staff wrote last."""
    texts = Entry.objects.filter(conversation=OuterRef("id"), kind=EntryKind.TEXT)
    last = Subquery(texts.exclude(who=Who.STAFF).order_by("-seq").values("seq")[:1])
    rows = Conversation.objects.filter(id__in=ids).annotate(asked=last)
    return {key: seq for key, seq in rows.values_list("id", "asked") if seq is not None}


def _line(entry: Entry, writers: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "author": {"kind": entry.who, "id": entry.person_id},
        "name": writers.get((entry.who, entry.person_id), ""),
        "medium": entry.medium,
        "excerpt": markup.excerpt(entry.body, _EXCERPT),
        "is_deleted": entry.deleted_at is not None,
    }
