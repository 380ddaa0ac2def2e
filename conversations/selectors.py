"""Conversations and entries as clients get them: JSON values, many at once, a few queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from conversations import access, markup, policy
from conversations.models import Attachment, Conversation, Entry, Participant, Reaction
from conversations.types import Actor, EntryKind, Who

MOST = 200
"""Entries of one page."""


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


# --- Entries -------------------------------------------------------------------------------------


def as_json(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """As the team gets them. What was written is the same for everybody who may read it."""
    reactions = _reactions(entries)
    files = _files(entries)
    answered = _answered(entries)
    return [
        _entry(entry, reactions.get(entry.id, []), files.get(entry.id, []), answered)
        for entry in entries
    ]


def for_people(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An entry as people get it, of `as_json`; None: it is the team's own."""
    if entry["event"] is None:
        return entry
    event = policy.for_people(entry["event"])
    if event is None:
        return None
    author = entry["author"]
    if author["kind"] == Who.STAFF:
        author = {**author, "id": ""}
    return {**entry, "event": event, "author": author}


def as_seen(actor: Actor, entries: Sequence[Entry]) -> list[Mapping[str, Any]]:
    """Those of them that `actor` is shown, as `actor` gets them."""
    found = as_json(entries)
    if actor.who is not Who.USER:
        return list(found)
    return [shown for one in found if (shown := for_people(one)) is not None]


def entries_of(conversation: Conversation, reader: Actor) -> QuerySet[Entry]:
    """Those that `reader` is shown."""
    rows = Entry.objects.filter(conversation=conversation)
    return rows.filter(policy.FOR_PEOPLE) if reader.who is Who.USER else rows


def _entry(
    entry: Entry,
    reactions: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
    answered: Mapping[UUID, Entry],
) -> dict[str, Any]:
    quoted = answered.get(entry.reply_to_id) if entry.reply_to_id else None
    return {
        "id": str(entry.id),
        "conversation": str(entry.conversation_id),
        "seq": entry.seq,
        "changed_seq": entry.changed_seq,
        "kind": entry.kind,
        "author": {"kind": entry.who, "id": entry.person_id},
        "medium": entry.medium,
        "client_id": entry.client_id,
        "body": entry.body,
        "html": markup.html(entry.body) if entry.body else "",
        "event": entry.event,
        "reply_to": _quote(quoted) if quoted else None,
        "mentions": entry.mentions,
        "reactions": list(reactions),
        "attachments": list(files),
        "pinned_at": moment(entry.pinned_at),
        "created_at": moment(entry.created_at),
        "edited_at": moment(entry.edited_at),
        "deleted_at": moment(entry.deleted_at),
    }


def _quote(entry: Entry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "seq": entry.seq,
        "author": {"kind": entry.who, "id": entry.person_id},
        "excerpt": markup.excerpt(entry.body),
        "deleted": entry.deleted_at is not None,
    }


def _reactions(entries: Sequence[Entry]) -> dict[UUID, list[dict[str, Any]]]:
    """Each emoji with who put it there, in the order of the first of them. A reaction is a change."""
    found: dict[UUID, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    changed = [entry.id for entry in entries if entry.changed_seq != entry.seq]
    rows = Reaction.objects.filter(entry__in=changed).order_by("id")
    for entry_id, emoji, who, person in rows.values_list("entry", "emoji", "who", "person_id"):
        found[entry_id][emoji].append({"kind": who, "id": person})
    return {
        entry_id: [{"emoji": emoji, "by": by} for emoji, by in by_emoji.items()]
        for entry_id, by_emoji in found.items()
    }


def attachment_as_json(one: Attachment) -> dict[str, Any]:
    """Without its links, which are one person's."""
    return {
        "id": str(one.id),
        "name": one.name,
        "media_type": one.media_type,
        "size": one.size,
        "width": one.width,
        "height": one.height,
        "has_thumbnail": bool(one.thumbnail_key),
    }


def _files(entries: Sequence[Entry]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in Attachment.objects.filter(entry__in=[entry.id for entry in entries]):
        if row.entry_id is not None:
            found[row.entry_id].append(attachment_as_json(row))
    return found


def _answered(entries: Sequence[Entry]) -> dict[UUID, Entry]:
    return Entry.objects.in_bulk({e.reply_to_id for e in entries if e.reply_to_id})


def history(
    conversation: Conversation, reader: Actor, *, before: int | None = None, limit: int
) -> tuple[list[Entry], bool]:
    """The latest entries before a seq, the oldest of them first; whether there are older ones."""
    rows = entries_of(conversation, reader)
    if before is not None:
        rows = rows.filter(seq__lt=before)
    found = list(rows.order_by("-seq")[: limit + 1])
    return found[:limit][::-1], len(found) > limit


def onward(
    conversation: Conversation, reader: Actor, *, since: int, limit: int
) -> tuple[list[Entry], bool]:
    """The entries from a seq on, in their order; whether there are more."""
    rows = entries_of(conversation, reader).filter(seq__gte=since)
    found = list(rows.order_by("seq")[: limit + 1])
    return found[:limit], len(found) > limit


def news(
    conversation: Conversation, reader: Actor, *, after: int, limit: int
) -> tuple[list[Entry], bool]:
    """What was written or has changed after a seq, in that order; whether there is more."""
    rows = entries_of(conversation, reader).filter(changed_seq__gt=after)
    found = list(rows.order_by("changed_seq")[: limit + 1])
    return found[:limit], len(found) > limit


def at(conversation: Conversation, moment: datetime) -> int:
    """The seq of the first entry at that time or later; the one after the last where none is."""
    rows = Entry.objects.filter(conversation=conversation, created_at__gte=moment)
    found = rows.order_by("created_at", "seq").values_list("seq", flat=True).first()
    return conversation.last_seq + 1 if found is None else found


MOST_PINS = 100


def pinned(conversation: Conversation) -> list[Entry]:
    """The latest first."""
    rows = Entry.objects.filter(conversation=conversation, pinned_at__isnull=False)
    return list(rows.order_by("-pinned_at")[:MOST_PINS])


# --- Frames --------------------------------------------------------------------------------------

_TOLD = """
SELECT found.key, found.told_seq, found.is_new, {columns}
FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (key, after)
CROSS JOIN LATERAL (
    (SELECT wanted.key, seq AS told_seq, id AS entry_id, true AS is_new FROM conversations_entry
     WHERE conversation_id = wanted.key AND seq > wanted.after ORDER BY seq LIMIT %s)
    UNION ALL
    (SELECT wanted.key, seq, entry_id, false FROM conversations_change
     WHERE conversation_id = wanted.key AND seq > wanted.after ORDER BY seq LIMIT %s)
    ORDER BY told_seq LIMIT %s
) AS found
JOIN conversations_entry AS entry ON entry.id = found.entry_id
ORDER BY found.key, found.told_seq
"""


@dataclass(frozen=True)
class Told:
    """One seq of a conversation: an entry that is new, or one that has changed."""

    key: str
    seq: int
    is_new: bool
    entry: Mapping[str, Any]


def told(after: Mapping[UUID, int], limit: int) -> list[Told]:
    """What follows each seq, `limit` of each conversation. An entry is as it is now: who gets its
    first frame late gets its changes with it, and once more in their own.
    """
    columns = [f"entry.{one.column}" for one in Entry._meta.concrete_fields if not one.generated]  # noqa: SLF001 - documented API
    query = _TOLD.format(columns=", ".join(columns))
    rows: list[Any] = list(
        Entry.objects.raw(query, [list(after), list(after.values()), limit, limit, limit])
    )
    entries = {row.id: row for row in rows}
    known = dict(zip(entries, as_json(list(entries.values())), strict=True))
    return [Told(str(row.key), row.told_seq, row.is_new, known[row.id]) for row in rows]


# --- Conversations -------------------------------------------------------------------------------


def of_person(
    actor: Actor, *, archived: bool | None = False, kind: str = "", status: str = ""
) -> QuerySet[Conversation]:
    rows = access.visible(actor).order_by("-active_at", "-id")
    if kind:
        rows = rows.filter(kind=kind)
    if status:
        rows = rows.filter(status=status)
    if archived is not None:
        theirs = Participant.objects.filter(
            who=actor.who, person_id=actor.id, archived_at__isnull=False
        ).values("conversation_id")
        rows = rows.filter(id__in=theirs) if archived else rows.exclude(id__in=theirs)
    return rows


def conversations_as_json(
    actor: Actor, conversations: Iterable[Conversation]
) -> list[dict[str, Any]]:
    """As `actor` sees them."""
    found = list(conversations)
    people: dict[UUID, list[Participant]] = defaultdict(list)
    rows = Participant.objects.filter(conversation__in=[one.id for one in found], left_at=None)
    for row in rows.order_by("joined_at", "id"):
        people[row.conversation_id].append(row)
    last = latest([one.id for one in found])
    shown = dict(zip(last, as_json(list(last.values())), strict=True))
    return [_conversation(actor, one, people.get(one.id, []), shown.get(one.id)) for one in found]


def latest(ids: Iterable[UUID]) -> dict[UUID, Entry]:
    """By conversation: what somebody wrote last."""
    texts = Entry.objects.filter(conversation=OuterRef("id"), kind=EntryKind.TEXT)
    last = Subquery(texts.order_by("-seq").values("id")[:1])
    keys = Conversation.objects.filter(id__in=ids).values_list(last, flat=True)
    return {one.conversation_id: one for one in Entry.objects.filter(id__in=list(keys))}


def about(ids: Iterable[UUID]) -> dict[UUID, Participant]:
    """By support conversation: whom it is about, who has been in it for longest, also where they have
    left.
    """
    people = Participant.objects.filter(conversation__in=ids, who=Who.USER)
    first = people.order_by("conversation_id", "joined_at", "id").distinct("conversation_id")
    return {one.conversation_id: one for one in first.select_related("conversation")}


def _conversation(
    actor: Actor,
    conversation: Conversation,
    people: Sequence[Participant],
    latest: Mapping[str, Any] | None,
) -> dict[str, Any]:
    me = next((p for p in people if (p.who, p.person_id) == (actor.who, actor.id)), None)
    is_person = actor.who is Who.USER
    assignee = None if is_person else conversation.assignee_id
    return {
        "id": str(conversation.id),
        "kind": conversation.kind,
        "title": conversation.title,
        "status": conversation.status,
        "assignee": str(assignee) if assignee else None,
        "last_seq": conversation.last_seq,
        "latest": latest,
        "participants": [
            participant_as_json(one) for one in people if not (is_person and _only_assigned(one))
        ],
        "me": _marks(conversation, me) if me else None,
        "active_at": moment(conversation.active_at),
        "created_at": moment(conversation.created_at),
    }


def _only_assigned(one: Participant) -> bool:
    """Of the team, and neither written nor read anything."""
    return one.who == Who.STAFF and one.read_seq == 0


def participant_as_json(person: Participant) -> dict[str, Any]:
    """What all others may see of somebody."""
    return {
        "kind": person.who,
        "id": person.person_id,
        "role": person.role,
        "read_seq": person.read_seq,
        "delivered_seq": person.delivered_seq,
        "joined_at": moment(person.joined_at),
    }


def _marks(conversation: Conversation, me: Participant) -> dict[str, Any]:
    return {
        "read_seq": me.read_seq,
        "unread": conversation.entries_made - me.read_entries,
        "mentions": me.mentions,
        "muted_until": moment(me.muted_until),
        "archived_at": moment(me.archived_at),
    }
