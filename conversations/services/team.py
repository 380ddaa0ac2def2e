"""What the support team hears, and how far each of them has read."""

from __future__ import annotations

from uuid import UUID

from django.db import connection, transaction

from commsproject.common.errors import Conflict
from commsproject.common.live import publish
from commsproject.common.live.people import Session
from conversations import access
from conversations.models import Conversation, Entry
from conversations.services import marks
from conversations.types import Actor, EntryKind, Kind, Who

FEED = "support"
KEY = "team"


def tell_team(conversation: Conversation) -> None:
    """That there is something new about it, to whoever has the inbox open."""
    if conversation.kind == Kind.SUPPORT:
        publish.ephemeral(FEED, [KEY], {"type": FEED, "conversation": str(conversation.id)})


@transaction.atomic
def read(
    staff: Actor, conversation_id: UUID, seq: int | None = None, *, skip: Session | None = None
) -> None:
    """Everything up to `seq`; all there is without it. Who takes part has it read for the others to
    see, too. Raises `NotFound`.
    """
    membership = access.fetch(staff, conversation_id)
    conversation = membership.conversation
    if membership.participant is not None:
        marks.read(staff, conversation_id, seq, skip=skip)
    if conversation.kind == Kind.SUPPORT:
        last = conversation.last_seq
        _mark(staff, conversation_id, last if seq is None else min(seq, last), only_ahead=True)


def unread(staff: Actor, conversation_id: UUID) -> None:
    """To come back to it later: the person's last entry is new again. What others see stays."""
    conversation = access.fetch(staff, conversation_id).conversation
    if conversation.kind != Kind.SUPPORT:
        raise Conflict("Only support conversations are the team's.")
    texts = Entry.objects.filter(conversation=conversation, kind=EntryKind.TEXT)
    seqs = texts.exclude(who=Who.STAFF).order_by("-seq").values_list("seq", flat=True)
    _mark(staff, conversation_id, max(0, (seqs.first() or 0) - 1), only_ahead=False)


_MARK = """
INSERT INTO conversations_teammark AS known (id, conversation_id, user_id, read_seq)
VALUES (gen_random_uuid(), %s, %s, %s)
ON CONFLICT (conversation_id, user_id) DO UPDATE SET read_seq = excluded.read_seq
WHERE excluded.read_seq > known.read_seq OR NOT %s
"""


def _mark(staff: Actor, conversation_id: UUID, seq: int, *, only_ahead: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [conversation_id, int(staff.id), seq, only_ahead])
