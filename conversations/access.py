"""The only way to a conversation: whoever does not belong to it is told that there is none."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from commsproject.common.errors import NotFound
from conversations.models import Conversation, Participant
from conversations.types import Actor, Kind, Role, Who

NOBODYS = NotFound("There is no such conversation, or you do not belong to it.")


@dataclass(frozen=True)
class Membership:
    """Somebody in a conversation. Staff belong to each of the support team's, also where they have
    written nothing yet: `participant` is None then.
    """

    actor: Actor
    conversation: Conversation
    participant: Participant | None

    @property
    def is_moderator(self) -> bool:
        """Whether they may change what others wrote, and who belongs to it."""
        if self.actor.who is Who.STAFF and self.conversation.kind == Kind.SUPPORT:
            return True
        return self.participant is not None and self.participant.role in {Role.OWNER, Role.ADMIN}


def visible(actor: Actor) -> QuerySet[Conversation]:
    """Those that `actor` belongs to now. Every list starts here."""
    theirs = Participant.objects.filter(who=actor.who, person_id=actor.id, left_at=None)
    belongs = Q(id__in=theirs.values("conversation_id"))
    if actor.who is Who.STAFF:
        belongs |= Q(kind=Kind.SUPPORT)
    return Conversation.objects.filter(belongs)


def fetch(actor: Actor, conversation_id: UUID, *, hold: bool = False) -> Membership:
    """Raises `NotFound`. `hold`: nobody else changes it before this transaction ends."""
    rows = Conversation.objects.all()
    if hold:
        rows = rows.select_for_update(no_key=True)
    conversation = rows.filter(id=conversation_id).first()
    if conversation is None:
        raise NOBODYS
    # In a statement of its own, after the lock: who was removed meanwhile is seen to be.
    participant = (
        Participant.objects.select_related("reminder")
        .filter(conversation=conversation, who=actor.who, person_id=actor.id, left_at=None)
        .first()
    )
    is_team = actor.who is Who.STAFF and conversation.kind == Kind.SUPPORT
    if participant is None and not is_team:
        raise NOBODYS
    return Membership(actor, conversation, participant)


def may_read(wishes: Collection[tuple[Actor, UUID]]) -> set[tuple[Actor, UUID]]:
    """Of pairs of somebody and a conversation, those who belong to it; by two queries at most."""
    ids = {id_ for _, id_ in wishes}
    people = {actor.id for actor, _ in wishes}
    rows = Participant.objects.filter(
        conversation__in=ids, person_id__in=people, left_at=None
    ).values_list("who", "person_id", "conversation_id")
    allowed = {(Actor(Who(who), person_id), id_) for who, person_id, id_ in rows}
    team = {id_ for actor, id_ in wishes if actor.who is Who.STAFF}
    if team:
        support = set(
            Conversation.objects.filter(id__in=team, kind=Kind.SUPPORT).values_list("id", flat=True)
        )
        allowed |= {wish for wish in wishes if wish[0].who is Who.STAFF and wish[1] in support}
    return allowed & set(wishes)


def share_one(actor: Actor, user_ids: Collection[str]) -> set[str]:
    """Of the people, those who are in a conversation with `actor`: their presence may be watched."""
    theirs = Participant.objects.filter(
        who=Who.USER, person_id__in=user_ids, left_at=None, conversation__in=visible(actor)
    )
    return set(theirs.values_list("person_id", flat=True))
