"""The only way to a conversation: whoever does not belong to it is told that there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from commsproject.common.errors import NotFound
from commsproject.common.outbox import Event
from conversations.errors import NotAllowed
from conversations.models import Conversation, Participant
from conversations.types import Actor, Kind, Role, Who

MAY_SEE = "conversations.view_conversation"
"""Without this permission a member of staff belongs to none, be it one that was theirs."""

MAY_ANSWER = "conversations.change_conversation"
"""Without this one they look on."""

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


def team(permission: str = MAY_ANSWER) -> QuerySet[User]:
    """Of the staff, those with the permission."""
    backend = "django.contrib.auth.backends.ModelBackend"
    return User.objects.with_perm(permission, backend=backend).filter(is_staff=True)


def _of_the_team(actors: Collection[Actor], permission: str = MAY_SEE) -> set[Actor]:
    """Of the members of staff among them, those with the permission."""
    staff = {actor.id for actor in actors if actor.who is Who.STAFF and actor.id.isdecimal()}
    if not staff:
        return set()
    rows = team(permission).filter(pk__in=staff)
    return {Actor(Who.STAFF, str(pk)) for pk in rows.values_list("pk", flat=True)}


def visible(actor: Actor) -> QuerySet[Conversation]:
    """Those that `actor` belongs to now. Every list starts here."""
    if actor.who is Who.STAFF and not _of_the_team([actor]):
        return Conversation.objects.none()
    theirs = Participant.objects.filter(who=actor.who, person_id=actor.id, left_at=None)
    belongs = Q(id__in=theirs.values("conversation_id"))
    if actor.who is Who.STAFF:
        belongs |= Q(kind=Kind.SUPPORT)
    return Conversation.objects.filter(belongs)


def fetch(actor: Actor, conversation_id: UUID, *, hold: bool = False) -> Membership:
    """Raises `NotFound`. `hold`, for who changes it: nobody else does before this transaction ends.
    Raises `NotAllowed` for staff who only look on.
    """
    if actor.who is Who.STAFF and not _of_the_team([actor]):
        raise NOBODYS
    if hold:
        if actor.who is Who.STAFF and not _of_the_team([actor], MAY_ANSWER):
            raise NotAllowed("You may look on here, and not answer.")
        # In a statement of its own: who was removed while we waited for the lock is seen to be.
        locked = Conversation.objects.select_for_update(no_key=True).filter(id=conversation_id)
        list(locked.order_by().values_list("id"))
    participant = (
        Participant.objects.select_related("conversation")
        .filter(conversation=conversation_id, who=actor.who, person_id=actor.id, left_at=None)
        .first()
    )
    if participant is not None:
        return Membership(actor, participant.conversation, participant)
    if actor.who is Who.STAFF:
        teams = Conversation.objects.filter(id=conversation_id, kind=Kind.SUPPORT).first()
        if teams is not None:
            return Membership(actor, teams, None)
    raise NOBODYS


def who_see_support(actors: Collection[Actor]) -> set[Actor]:
    """Of them, the staff to whom every support conversation belongs."""
    return _of_the_team(actors)


def may_read(wishes: Collection[tuple[Actor, UUID]]) -> set[tuple[Actor, UUID]]:
    """Of pairs of somebody and a conversation, those who belong to it; by three queries at most."""
    ids = {id_ for _, id_ in wishes}
    people = {actor.id for actor, _ in wishes}
    rows = Participant.objects.filter(
        conversation__in=ids, person_id__in=people, left_at=None
    ).values_list("who", "person_id", "conversation_id")
    allowed = {(Actor(Who(who), person_id), id_) for who, person_id, id_ in rows}
    team = _of_the_team({actor for actor, _ in wishes})
    allowed = {wish for wish in allowed if wish[0].who is not Who.STAFF or wish[0] in team}
    if team:
        theirs = {id_ for actor, id_ in wishes if actor in team}
        support = set(
            Conversation.objects.filter(id__in=theirs, kind=Kind.SUPPORT).values_list(
                "id", flat=True
            )
        )
        allowed |= {wish for wish in wishes if wish[0] in team and wish[1] in support}
    return allowed & set(wishes)


def share_one(actor: Actor, user_ids: Collection[str]) -> set[str]:
    """Of the people, those who are in a conversation with `actor`: their presence may be watched."""
    theirs = Participant.objects.filter(
        who=Who.USER, person_id__in=user_ids, left_at=None, conversation__in=visible(actor)
    )
    return set(theirs.values_list("person_id", flat=True))


def may_hear(wishes: Sequence[tuple[UUID, Event]]) -> set[tuple[UUID, str]]:
    """Of agents and events, those of conversations that the agent takes part in now. That somebody
    has put one out of their list is their own business.
    """
    asked = {
        (agent, event.id): (Actor(Who.AGENT, str(agent)), UUID(event.data["conversation_id"]))
        for agent, event in wishes
        if event.type != "conversation.archived" or event.data["sender_id"] == str(agent)
    }
    granted = may_read(set(asked.values()))
    return {wish for wish, pair in asked.items() if pair in granted}
