"""What is written in a conversation: once, in order, and changed only by who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from commsproject.common import outbox
from commsproject.common.errors import InvalidInput, NotFound
from conversations import access
from conversations.access import Membership
from conversations.errors import Gone, NotAllowed
from conversations.markup import MAX_LENGTH
from conversations.models import Conversation, Entry, Mention, Participant, Reaction, Revision
from conversations.services import attachments as files
from conversations.services import reminders, sequence
from conversations.types import Actor, EntryKind, Kind, Status, Who

MOST_MENTIONS = 50
MOST_EMOJI = 30
"""Different ones at one entry."""


@transaction.atomic
def post(
    actor: Actor,
    conversation_id: UUID,
    body: str,
    *,
    client_id: str = "",
    reply_to: UUID | None = None,
    mentions: Sequence[str] = (),
    attachments: Sequence[UUID] = (),
) -> tuple[Entry, bool]:
    """Write an entry; it, and whether it is new. With a `client_id` that its author has used here
    before, it is the entry of then, whatever it says now.

    Raises `NotFound`, `InvalidInput`.
    """
    membership = access.fetch(actor, conversation_id, hold=True)
    conversation = membership.conversation
    if client_id and (known := _known(membership, client_id)):
        return known, False
    _check_body(body, may_be_blank=bool(attachments))
    membership = _as_participant(membership)
    answered = _answered(conversation, reply_to)
    named = _named(conversation, mentions)
    now = timezone.now()
    seq, number = sequence.next_entry(conversation, now)
    entry = Entry.objects.create(
        conversation=conversation,
        seq=seq,
        changed_seq=seq,
        number=number,
        who=actor.who,
        person_id=actor.id,
        client_id=client_id,
        body=body,
        reply_to=answered,
        mentions=named,
        created_at=now,
    )
    files.attach(entry, actor, attachments)
    _count_mentions(entry, [one for one in named if one != actor.id])
    _read_own(membership, entry)
    _move_on(membership)
    _call_others(conversation, actor, now)
    outbox.emit("conversation.message.sent", [_event(entry)])
    return entry, True


def note(membership: Membership, event: Mapping[str, Any]) -> Entry:
    """A system entry: what somebody did. The caller holds the conversation."""
    conversation = membership.conversation
    now = timezone.now()
    seq, number = sequence.next_entry(conversation, now)
    entry = Entry.objects.create(
        conversation=conversation,
        seq=seq,
        changed_seq=seq,
        number=number,
        kind=EntryKind.SYSTEM,
        who=membership.actor.who,
        person_id=membership.actor.id,
        event=dict(event),
        created_at=now,
    )
    _read_own(membership, entry)
    return entry


def _as_participant(membership: Membership) -> Membership:
    """Staff who answer take part from then on, with marks of their own."""
    if membership.participant is not None:
        return membership
    actor = membership.actor
    me, _ = Participant.objects.update_or_create(
        conversation=membership.conversation,
        who=actor.who,
        person_id=actor.id,
        defaults={"left_at": None},
    )
    return replace(membership, participant=me)


def _known(membership: Membership, client_id: str) -> Entry | None:
    actor = membership.actor
    return Entry.objects.filter(
        conversation=membership.conversation,
        who=actor.who,
        person_id=actor.id,
        client_id=client_id,
    ).first()


def _check_body(body: str, *, may_be_blank: bool = False) -> None:
    if not (may_be_blank or body.strip()):
        raise InvalidInput.of("body", "blank", "Write something.")
    if len(body) > MAX_LENGTH:
        raise InvalidInput.of("body", "too_long", f"At most {MAX_LENGTH} characters.")
    if "\0" in body:
        raise InvalidInput.of("body", "control_character", "A text, without NUL.")


def _answered(conversation: Conversation, reply_to: UUID | None) -> Entry | None:
    if reply_to is None:
        return None
    found = Entry.objects.filter(conversation=conversation, id=reply_to, kind=EntryKind.TEXT)
    if (entry := found.first()) is None:
        raise InvalidInput.of("reply_to", "unknown_entry", "There is no such entry here.")
    return entry


def _named(conversation: Conversation, mentions: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(mentions))
    if len(wanted) > MOST_MENTIONS:
        raise InvalidInput.of("mentions", "too_many", f"At most {MOST_MENTIONS} people.")
    if not wanted:
        return []
    here = set(
        Participant.objects.filter(
            conversation=conversation, who=Who.USER, person_id__in=wanted, left_at=None
        ).values_list("person_id", flat=True)
    )
    for index, one in enumerate(wanted):
        if one not in here:
            raise InvalidInput.of(
                f"mentions.{index}", "not_here", "Only people of this conversation are named."
            )
    return wanted


def _count_mentions(entry: Entry, user_ids: Sequence[str]) -> None:
    Mention.objects.bulk_create(
        Mention(conversation=entry.conversation, entry=entry, seq=entry.seq, person_id=one)
        for one in user_ids
    )
    if user_ids:
        Participant.objects.filter(
            conversation=entry.conversation, who=Who.USER, person_id__in=user_ids
        ).update(mentions=F("mentions") + 1)


def _read_own(membership: Membership, entry: Entry) -> None:
    """Whoever writes has read what was before. Clients know: an entry moves its author's mark."""
    me = membership.participant
    if me is None:
        return
    if me.mentions:
        Mention.objects.filter(conversation=entry.conversation, person_id=me.person_id).delete()
    me.read_seq, me.read_entries, me.mentions = entry.seq, entry.number, 0
    me.delivered_seq, me.read_at = entry.seq, entry.created_at
    me.save(update_fields=["read_seq", "read_entries", "mentions", "delivered_seq", "read_at"])
    if hasattr(me, "reminder"):  # none is made while the conversation is held
        reminders.forget(me, has_read_all=True)


def _call_others(conversation: Conversation, author: Actor, now: datetime) -> None:
    """Out of the archive of everybody who has not muted it, and into the reminders of those who
    are not in them yet. In the middle of a talk there is nothing to be done.
    """
    is_archived = Q(archived_at__isnull=False, muted_until=None)
    found = list(
        Participant.objects.filter(
            is_archived | reminders.to_be_noted(author, now), conversation=conversation
        )
    )
    if not found:
        return
    archived = [one.id for one in found if one.archived_at and not one.muted_until]
    if archived:
        Participant.objects.filter(id__in=archived).update(archived_at=None)
    reminders.note(conversation, author, now)


def _move_on(membership: Membership) -> None:
    """A support conversation waits for whoever did not write last."""
    conversation = membership.conversation
    if conversation.kind != Kind.SUPPORT:
        return
    is_team = membership.actor.who is not Who.USER
    status = Status.PENDING if is_team else Status.OPEN
    if conversation.status != status:
        conversation.status = status
        conversation.save(update_fields=["status"])


def _event(entry: Entry) -> dict[str, Any]:
    return {
        "conversation_id": str(entry.conversation_id),
        "message_id": str(entry.id),
        "sender_id": entry.person_id,
        "seq": entry.seq,
    }


# --- Changes -------------------------------------------------------------------------------------


@transaction.atomic
def edit(actor: Actor, conversation_id: UUID, entry_id: UUID, body: str) -> Entry:
    """Only its author may; what it said before is kept. Raises `NotFound`, `NotAllowed`, `Gone`."""
    membership, entry = _held(actor, conversation_id, entry_id)
    if not _is_authors(membership, entry):
        raise NotAllowed("Only who wrote it may change it.")
    _check_body(body, may_be_blank=files.has_any(entry))
    if body != entry.body:
        Revision.objects.create(entry=entry, body=entry.body)
        entry.body, entry.edited_at = body, timezone.now()
        entry.save(update_fields=["body", "edited_at"])
        sequence.note_change(membership.conversation, entry)
    return entry


@transaction.atomic
def delete(actor: Actor, conversation_id: UUID, entry_id: UUID) -> Entry:
    """Leave a tombstone: nothing of what it said, not even in its history. Safe to repeat.

    Its author may, and who looks after the conversation.
    """
    membership, entry = _held(actor, conversation_id, entry_id, deleted_too=True)
    if not (_is_authors(membership, entry) or membership.is_moderator):
        raise NotAllowed("Only who wrote it, or an admin, may delete it.")
    if entry.deleted_at is None:
        entry.revisions.all().delete()
        entry.reactions.all().delete()
        files.discard(entry)
        _uncount_mentions(entry)
        entry.body, entry.mentions, entry.pinned_at = "", [], None
        entry.deleted_at = timezone.now()
        entry.save(update_fields=["body", "mentions", "pinned_at", "deleted_at"])
        sequence.note_change(membership.conversation, entry)
    return entry


@transaction.atomic
def react(actor: Actor, conversation_id: UUID, entry_id: UUID, emoji: str, *, on: bool) -> Entry:
    """Put an emoji at an entry, or take one's own away. Safe to repeat."""
    membership, entry = _held(actor, conversation_id, entry_id)
    mine = Reaction.objects.filter(entry=entry, who=actor.who, person_id=actor.id, emoji=emoji)
    if mine.exists() == on:
        return entry
    if on:
        there = set(entry.reactions.values_list("emoji", flat=True))
        if len(there | {emoji}) > MOST_EMOJI:
            raise InvalidInput.of("emoji", "too_many", f"At most {MOST_EMOJI} different ones.")
        Reaction.objects.create(entry=entry, who=actor.who, person_id=actor.id, emoji=emoji)
    else:
        mine.delete()
    sequence.note_change(membership.conversation, entry)
    return entry


@transaction.atomic
def pin(actor: Actor, conversation_id: UUID, entry_id: UUID, *, on: bool) -> Entry:
    """Anybody who belongs to it may. Safe to repeat."""
    membership, entry = _held(actor, conversation_id, entry_id)
    if (entry.pinned_at is not None) != on:
        entry.pinned_at = timezone.now() if on else None
        entry.save(update_fields=["pinned_at"])
        sequence.note_change(membership.conversation, entry)
    return entry


def _held(
    actor: Actor, conversation_id: UUID, entry_id: UUID, *, deleted_too: bool = False
) -> tuple[Membership, Entry]:
    membership = access.fetch(actor, conversation_id, hold=True)
    entry = Entry.objects.filter(
        conversation=membership.conversation, id=entry_id, kind=EntryKind.TEXT
    ).first()
    if entry is None:
        raise NotFound("There is no such entry in this conversation.")
    if entry.deleted_at is not None and not deleted_too:
        raise Gone("This entry was deleted.")
    return membership, entry


def _is_authors(membership: Membership, entry: Entry) -> bool:
    actor = membership.actor
    return (entry.who, entry.person_id) == (actor.who, actor.id)


def _uncount_mentions(entry: Entry) -> None:
    rows = Mention.objects.filter(conversation=entry.conversation, entry=entry)
    unread = list(rows.values_list("person_id", flat=True))
    rows.delete()
    Participant.objects.filter(
        conversation=entry.conversation, who=Who.USER, person_id__in=unread
    ).update(mentions=F("mentions") - 1)
