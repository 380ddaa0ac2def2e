"""How far people have come, and what a conversation is to them: read, delivered, muted, archived."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from commsproject.common import outbox
from commsproject.common.errors import Conflict
from commsproject.common.live import publish
from commsproject.common.live.people import Session
from conversations import access
from conversations.models import Entry, Mention, Participant
from conversations.services import reminders
from conversations.services.sequence import FEED
from conversations.types import Actor


@transaction.atomic
def read(
    actor: Actor, conversation_id: UUID, seq: int | None = None, *, skip: Session | None = None
) -> Participant:
    """Everything up to `seq` is read; all there is without it. A mark never goes back."""
    me = _me(actor, conversation_id)
    conversation = me.conversation
    seq = conversation.last_seq if seq is None else min(seq, conversation.last_seq)
    if seq <= me.read_seq:
        return me
    me.read_seq = seq
    me.delivered_seq = max(me.delivered_seq, seq)
    me.read_entries = (
        conversation.entries_made
        if seq == conversation.last_seq
        else _entries_up_to(conversation.id, seq)
    )
    if me.mentions:
        Mention.objects.filter(conversation=conversation, person_id=actor.id, seq__lte=seq).delete()
        me.mentions = Mention.objects.filter(conversation=conversation, person_id=actor.id).count()
    me.read_at = timezone.now()
    me.save(update_fields=["read_seq", "read_entries", "delivered_seq", "mentions", "read_at"])
    reminders.forget(me, has_read_all=me.read_entries == conversation.entries_made)
    publish.ephemeral(FEED, [str(conversation.id)], _frame("read", me, seq), skip=skip)
    outbox.emit(
        "conversation.message.read",
        [{"conversation_id": str(conversation.id), "sender_id": actor.id, "seq": seq}],
    )
    return me


def _entries_up_to(conversation_id: UUID, seq: int) -> int:
    found = Entry.objects.filter(conversation=conversation_id, seq__lte=seq).order_by("-seq")
    return found.values_list("number", flat=True).first() or 0


@transaction.atomic
def delivered(
    actor: Actor, conversation_id: UUID, seq: int, *, skip: Session | None = None
) -> Participant:
    """The person's client has what is up to `seq`."""
    me = _me(actor, conversation_id)
    seq = min(seq, me.conversation.last_seq)
    if seq > me.delivered_seq:
        me.delivered_seq = seq
        me.save(update_fields=["delivered_seq"])
        publish.ephemeral(FEED, [str(conversation_id)], _frame("delivered", me, seq), skip=skip)
    return me


def _frame(kind: str, me: Participant, seq: int) -> dict[str, object]:
    return {
        "type": kind,
        "conversation": str(me.conversation_id),
        "person": {"kind": me.who, "id": me.person_id},
        "seq": seq,
    }


@transaction.atomic
def mute(actor: Actor, conversation_id: UUID, until: datetime | None) -> Participant:
    """Nobody is called back to it until then; None: as before."""
    me = _me(actor, conversation_id)
    me.muted_until = until
    me.save(update_fields=["muted_until"])
    return me


@transaction.atomic
def archive(actor: Actor, conversation_id: UUID, *, on: bool) -> Participant:
    """Out of one's own list, until something new is written. Safe to repeat."""
    me = _me(actor, conversation_id)
    if (me.archived_at is not None) != on:
        me.archived_at = timezone.now() if on else None
        me.save(update_fields=["archived_at"])
        if on:
            outbox.emit(
                "conversation.archived",
                [{"conversation_id": str(conversation_id), "sender_id": actor.id}],
            )
    return me


def _me(actor: Actor, conversation_id: UUID) -> Participant:
    """Held, so that marks of several devices go one after the other. Raises `NotFound`."""
    membership = access.fetch(actor, conversation_id)
    if membership.participant is None:
        raise Conflict("You are of the team, but have no part in this conversation yet.")
    me = Participant.objects.select_for_update(no_key=True).get(id=membership.participant.id)
    me.conversation.refresh_from_db()
    return me
