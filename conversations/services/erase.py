"""A person is taken out of their conversations: what they wrote becomes tombstones of somebody
without a name. What others wrote stays theirs, but for support, which is all about the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from commsproject.common.live import publish
from commsproject.common.personal_data.registry import Erased, Name, Person, pseudonym
from conversations.models import (
    Attachment,
    Change,
    Conversation,
    Entry,
    Mention,
    Participant,
    Reaction,
    Revision,
)
from conversations.services import attachments
from conversations.services.sequence import FEED
from conversations.types import EntryKind, Kind, Who

AT_ONCE = 2000
"""Entries that a step looks at."""

_FILES = 50


def names(user_id: str) -> Iterable[Name]:
    """That there are rows of theirs, and so that there is somebody to erase."""
    if participations(Person(user_id)).exists():
        yield "participant", user_id


def participations(person: Person) -> QuerySet[Participant]:
    return Participant.objects.filter(who=Who.USER, person_id=person.user_id)


def written(person: Person) -> QuerySet[Entry]:
    ours = participations(person).values("conversation")
    return Entry.objects.filter(conversation__in=ours, who=Who.USER, person_id=person.user_id)


def entries(person: Person, after: str) -> Erased:
    """One conversation after the other, a piece of it in each step, under its lock."""
    done, _, seq = after.partition(" ")
    there = participations(person).order_by("conversation_id")
    if done:
        there = there.filter(conversation__gte=UUID(done))
    here = there.values_list("conversation_id", flat=True).first()
    if here is None:
        return Erased()
    start = int(seq) if str(here) == done else 0
    conversation = Conversation.objects.select_for_update().get(id=here)
    page = list(
        Entry.objects.filter(conversation=conversation, seq__gt=start).order_by("seq")[:AT_ONCE]
    )
    rows = _rewrite(conversation, person, page)
    if len(page) == AT_ONCE:
        return Erased(rows, f"{here} {page[-1].seq}")
    _leave(conversation, person)
    return Erased(rows, f"{here} 0")


def _rewrite(conversation: Conversation, person: Person, page: Sequence[Entry]) -> int:
    """What the page says without the person; every entry that changed takes a seq for it."""
    reacted = Reaction.objects.filter(entry__in=page, who=Who.USER, person_id=person.user_id)
    touched = set(reacted.values_list("entry_id", flat=True))
    reacted.delete()
    blank = [entry for entry in page if _is_about(conversation, person, entry)]
    _empty(blank)
    named = [entry for entry in page if _replace(conversation, entry, person)]
    changed = [entry for entry in page if entry.id in touched or entry in blank or entry in named]
    Entry.objects.bulk_update(
        changed,
        ["person_id", "client_id", "body", "event", "mentions", "pinned_at", "deleted_at"],
    )
    _tell(conversation, changed)
    return len(changed)


def _is_about(conversation: Conversation, person: Person, entry: Entry) -> bool:
    is_own = (entry.who, entry.person_id) == (Who.USER, person.user_id)
    return entry.kind == EntryKind.TEXT and (is_own or conversation.kind == Kind.SUPPORT)


def _empty(blank: Sequence[Entry]) -> None:
    """As when its author deletes it: nothing is left of what it said."""
    Revision.objects.filter(entry__in=blank).delete()
    Reaction.objects.filter(entry__in=blank).delete()
    files = Attachment.objects.filter(entry__in=blank)
    files.update(entry=None, conversation=None, name="")
    for entry in blank:
        entry.body, entry.mentions, entry.pinned_at = "", [], None
        entry.deleted_at = entry.deleted_at or timezone.now()


def _replace(conversation: Conversation, entry: Entry, person: Person) -> bool:
    """Whether the entry has named the person: by whom it is, whom it mentions, what happened."""
    other = pseudonym(person.user_id)
    before = (entry.person_id, entry.mentions, entry.event)
    if (entry.who, entry.person_id) == (Who.USER, person.user_id):
        entry.person_id, entry.client_id = other, ""
    entry.mentions = [_named(one, person, other) for one in entry.mentions]
    if entry.event:
        entry.event = _without(entry.event, person, other)
        if "title" in entry.event and conversation.kind != Kind.GROUP:
            entry.event["title"] = ""
    return before != (entry.person_id, entry.mentions, entry.event)


def _without(event: Mapping[str, Any], person: Person, other: str) -> dict[str, Any]:
    """What happened, and to whom. Staff and agents may have an id that is a user's too."""
    found = dict(event)
    if event["type"] != "assigned" and event.get("kind", Who.USER) == Who.USER:
        found["people"] = [_named(one, person, other) for one in event["people"]]
    if "roles" in event:
        found["roles"] = [
            {**one, "id": _named(one["id"], person, other)} if one["kind"] == Who.USER else one
            for one in event["roles"]
        ]
    return found


def _named(user_id: str, person: Person, other: str) -> str:
    return other if user_id == person.user_id else user_id


def _tell(conversation: Conversation, changed: Sequence[Entry]) -> None:
    """Clients that hold the entries get them anew. The caller holds the conversation."""
    if not changed:
        return
    first = conversation.last_seq + 1
    for seq, entry in enumerate(changed, first):
        entry.changed_seq = seq
    Entry.objects.bulk_update(changed, ["changed_seq"])
    Change.objects.bulk_create(
        Change(conversation=conversation, seq=entry.changed_seq, entry=entry) for entry in changed
    )
    conversation.last_seq += len(changed)
    conversation.save(update_fields=["last_seq"])
    publish.advanced(FEED, {str(conversation.id): conversation.last_seq})


def _leave(conversation: Conversation, person: Person) -> None:
    """The conversation knows of somebody who was there, and two people's own one of nobody."""
    other = pseudonym(person.user_id)
    mine = participations(person).filter(conversation=conversation)
    was_here = Participant.objects.filter(conversation=conversation, who=Who.USER, person_id=other)
    if was_here.exists():  # erased here before
        mine.delete()
    else:
        mine.update(person_id=other, left_at=timezone.now(), mentions=0)
    Mention.objects.filter(conversation=conversation, person_id=person.user_id).delete()
    if conversation.kind == Kind.SUPPORT:
        conversation.notes.all().delete()
    conversation.pair = ""
    if conversation.kind != Kind.GROUP:
        conversation.title = ""
    conversation.save(update_fields=["pair", "title"])


def uploaded(person: Person) -> QuerySet[Attachment]:
    return Attachment.objects.filter(who=Who.USER, person_id=person.user_id)


def drafts(person: Person, _after: str) -> Erased:
    """Files of theirs, of entries and of none, are nobody's."""
    return Erased(
        uploaded(person).update(
            entry=None, conversation=None, name="", person_id=pseudonym(person.user_id)
        )
    )


def files(_person: Person, _after: str) -> Erased:
    """What is nobody's leaves the storage now."""
    gone = attachments.remove_nobodys(_FILES)
    return Erased(gone, "more" if gone == _FILES else "")
