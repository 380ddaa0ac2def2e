"""What is written in a conversation: once, in order, and changed only by who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from commsproject.common import outbox
from commsproject.common.errors import Conflict, InvalidInput, NotFound
from conversations import access, emoji
from conversations.access import Membership
from conversations.errors import Gone, NotAllowed
from conversations.markup import MAX_LENGTH
from conversations.models import Entry, Mention, Participant, Reaction, Revision
from conversations.services import attachments as files
from conversations.services import reminders, sequence, writing
from conversations.types import Actor, EntryKind, Kind, Medium, Status, Who

MOST_MENTIONS = 50
MOST_EMOJI = 30
"""Different ones at one entry."""


@transaction.atomic
def post(
    actor: Actor,
    conversation_id: UUID,
    body: str,
    *,
    medium: Medium = Medium.CHAT,
    client_id: str = "",
    reply_to: UUID | None = None,
    mentions: Sequence[str] = (),
    attachments: Sequence[UUID] = (),
) -> tuple[Entry, bool]:
    """Write an entry; it, and whether it is new. With a `client_id` that its author has used here
    before, it is the entry of then, whatever it says now. Nobody is reminded of what goes to them by
    another `medium` than chat.

    Raises `NotFound`, `InvalidInput`; and what was written is rolled back then.
    """
    membership = _as_participant(access.fetch(actor, conversation_id, hold=True))
    check_body(body, may_be_blank=bool(attachments))
    entry = Entry(
        conversation=membership.conversation,
        who=actor.who,
        person_id=actor.id,
        medium=medium,
        client_id=client_id,
        body=body,
        reply_to_id=reply_to,
        mentions=list(dict.fromkeys(mentions)),
        created_at=timezone.now(),
    )
    status = _next_status(membership)
    is_brought = medium is not Medium.CHAT and actor.who is not Who.USER
    remind_at = None if is_brought else reminders.due(entry.created_at)
    if not writing.write(membership, entry, status=status, remind_at=remind_at):
        return _known(entry), False
    _check_answered(entry)
    _check_named(entry)
    files.attach(entry, actor, attachments)
    _forget_mentions(membership)
    _count_mentions(entry, [one for one in entry.mentions if one != actor.id])
    outbox.emit("conversation.message.sent", [_event(entry)])
    return entry, True


def note(membership: Membership, event: Mapping[str, Any]) -> Entry:
    """A system entry: what somebody did. The caller holds the conversation."""
    entry = Entry(
        conversation=membership.conversation,
        kind=EntryKind.SYSTEM,
        who=membership.actor.who,
        person_id=membership.actor.id,
        event=dict(event),
        created_at=timezone.now(),
    )
    writing.write(membership, entry, status=membership.conversation.status, remind_at=None)
    _forget_mentions(membership)
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


def _next_status(membership: Membership) -> str:
    """A support conversation waits for whoever did not write last."""
    if membership.conversation.kind != Kind.SUPPORT:
        return ""
    is_team = membership.actor.who is not Who.USER
    return Status.PENDING if is_team else Status.OPEN


def _known(entry: Entry) -> Entry:
    return Entry.objects.get(
        conversation=entry.conversation,
        who=entry.who,
        person_id=entry.person_id,
        client_id=entry.client_id,
    )


def check_body(body: str, *, may_be_blank: bool = False) -> None:
    """Raises `InvalidInput`."""
    if not (may_be_blank or body.strip()):
        raise InvalidInput.of("body", "blank", "Write something.")
    if len(body) > MAX_LENGTH:
        raise InvalidInput.of("body", "too_long", f"At most {MAX_LENGTH} characters.")
    if "\0" in body:
        raise InvalidInput.of("body", "control_character", "A text, without NUL.")


def _check_answered(entry: Entry) -> None:
    if entry.reply_to_id is None:
        return
    texts = Entry.objects.filter(conversation=entry.conversation, kind=EntryKind.TEXT)
    if not texts.filter(id=entry.reply_to_id).exists():
        raise InvalidInput.of("reply_to", "unknown_entry", "There is no such entry here.")


def _check_named(entry: Entry) -> None:
    if len(entry.mentions) > MOST_MENTIONS:
        raise InvalidInput.of("mentions", "too_many", f"At most {MOST_MENTIONS} people.")
    if not entry.mentions:
        return
    people = Participant.objects.filter(
        conversation=entry.conversation, who=Who.USER, person_id__in=entry.mentions, left_at=None
    )
    here = set(people.values_list("person_id", flat=True))
    for index, one in enumerate(entry.mentions):
        if one not in here:
            raise InvalidInput.of(
                f"mentions.{index}", "not_here", "Only people of this conversation are named."
            )


def _count_mentions(entry: Entry, user_ids: Sequence[str]) -> None:
    Mention.objects.bulk_create(
        Mention(conversation=entry.conversation, entry=entry, seq=entry.seq, person_id=one)
        for one in user_ids
    )
    if user_ids:
        Participant.objects.filter(
            conversation=entry.conversation, who=Who.USER, person_id__in=user_ids
        ).update(mentions=F("mentions") + 1)


def _forget_mentions(membership: Membership) -> None:
    """Of whoever writes, and so has read what was before."""
    me = membership.participant
    if me is not None and me.mentions:
        Mention.objects.filter(conversation=me.conversation_id, person_id=me.person_id).delete()


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
    """Only its author may; what it said before is kept. Raises `NotFound`, `NotAllowed`, `Gone`,
    `Conflict` for what went another way than the chat.
    """
    membership, entry = _held(actor, conversation_id, entry_id)
    if not _is_authors(membership, entry):
        raise NotAllowed("Only who wrote it may change it.")
    if entry.medium != Medium.CHAT:
        raise Conflict("What came or went by email or text message stays as it was.")
    check_body(body, may_be_blank=files.has_any(entry))
    if body != entry.body:
        Revision.objects.create(entry=entry, body=entry.body)
        entry.body, entry.edited_at = body, timezone.now()
        entry.save(update_fields=["body", "edited_at"])
        sequence.note_change(membership.conversation, entry, *_quoting(entry))
    return entry


def _quoting(entry: Entry) -> QuerySet[Entry]:
    """The replies to it: they say how it begins, and must not go on saying what is deleted."""
    return Entry.objects.filter(reply_to=entry).order_by("seq")


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
        sequence.note_change(membership.conversation, entry, *_quoting(entry))
    return entry


@transaction.atomic
def react(actor: Actor, conversation_id: UUID, entry_id: UUID, sign: str, *, on: bool) -> Entry:
    """Put an emoji at an entry, or take one's own away. Safe to repeat."""
    if on and not emoji.is_one(sign):
        raise InvalidInput.of("emoji", "not_an_emoji", "One emoji, and no text.")
    membership, entry = _held(actor, conversation_id, entry_id)
    mine = Reaction.objects.filter(entry=entry, who=actor.who, person_id=actor.id, emoji=sign)
    if mine.exists() == on:
        return entry
    if on:
        there = set(entry.reactions.values_list("emoji", flat=True))
        if len(there | {sign}) > MOST_EMOJI:
            raise InvalidInput.of("emoji", "too_many", f"At most {MOST_EMOJI} different ones.")
        Reaction.objects.create(entry=entry, who=actor.who, person_id=actor.id, emoji=sign)
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
    named = Mention.objects.filter(entry=entry)
    # People before their mentions, as `marks.read` holds them.
    held = Participant.objects.select_for_update(no_key=True).filter(
        conversation=entry.conversation, who=Who.USER, person_id__in=named.values("person_id")
    )
    ids = dict(held.order_by("id").values_list("person_id", "id"))
    unread = [ids[one] for one in named.values_list("person_id", flat=True) if one in ids]
    named.delete()
    Participant.objects.filter(id__in=unread).update(mentions=F("mentions") - 1)
