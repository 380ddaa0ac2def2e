"""Conversations begin, and people come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from commsproject.common import outbox
from commsproject.common.errors import Conflict, InvalidInput
from conversations import access
from conversations.access import Membership
from conversations.errors import NotAllowed
from conversations.models import Conversation, Participant
from conversations.services import entries, invites, own
from conversations.types import Actor, Kind, Role, Status, Who

MOST_PARTICIPANTS = 500


@transaction.atomic
def start(
    actor: Actor, kind: Kind, user_ids: Sequence[str], *, title: str = ""
) -> tuple[Conversation, bool]:
    """A conversation of `actor` and the people, and whether it is new: two have one direct one.

    Raises `InvalidInput`, `RateLimited`.
    """
    people = _people(actor, user_ids)
    _check_size(kind, people)
    pair = _pair(people) if kind is Kind.DIRECT else ""
    status = Status.OPEN.value if kind is Kind.SUPPORT else ""
    conversation = Conversation(kind=kind, title=title, pair=pair, status=status)
    if pair:
        Conversation.objects.bulk_create([conversation], ignore_conflicts=True)
        found = Conversation.objects.get(pair=pair)
        if found.id != conversation.id:
            return found, False
    else:
        conversation.save()
    invites.take(actor, len(people) - 1)
    Participant.objects.bulk_create(
        Participant(
            conversation=conversation,
            who=one.who,
            person_id=one.id,
            role=Role.OWNER if one == actor and kind is Kind.GROUP else Role.MEMBER,
        )
        for one in people
    )
    outbox.emit(
        "conversation.created",
        [{"conversation_id": str(conversation.id), "kind": kind.value, "sender_id": actor.id}],
    )
    _tell_new(conversation, people)
    return conversation, True


def _people(actor: Actor, user_ids: Collection[str]) -> list[Actor]:
    """The one who starts it first. Staff are not listed in what they start for somebody else."""
    others = [Actor(Who.USER, user_id) for user_id in dict.fromkeys(user_ids)]
    return [actor, *(one for one in others if one != actor)]


def _check_size(kind: Kind, people: Sequence[Actor]) -> None:
    if kind is Kind.DIRECT and len(people) != 2:
        raise InvalidInput.of(
            "participants", "not_two", "A direct conversation is between you and one other."
        )
    if len(people) > MOST_PARTICIPANTS:
        raise InvalidInput.of(
            "participants", "too_many", f"At most {MOST_PARTICIPANTS} people take part."
        )


def _pair(people: Sequence[Actor]) -> str:
    return hashlib.sha256("\0".join(sorted(str(one) for one in people)).encode()).hexdigest()


# --- Who belongs to it ---------------------------------------------------------------------------


@transaction.atomic
def add(actor: Actor, conversation_id: UUID, user_ids: Sequence[str]) -> Membership:
    """Bring people into a group or support conversation. Who was in it comes back with their marks.

    Raises `NotFound`, `NotAllowed`, `Conflict`, `InvalidInput`, `RateLimited`.
    """
    membership = _changeable(actor, conversation_id)
    conversation = membership.conversation
    wanted = {Actor(Who.USER, user_id) for user_id in user_ids}
    known = {
        Actor(Who(row.who), row.person_id): row
        for row in Participant.objects.filter(conversation=conversation)
    }
    present = {one for one, row in known.items() if row.left_at is None}
    new = sorted(wanted - present, key=str)
    if len(present) + len(new) > MOST_PARTICIPANTS:
        raise InvalidInput.of(
            "user_ids", "too_many", f"At most {MOST_PARTICIPANTS} people take part."
        )
    invites.take(actor, len(new))
    now = timezone.now()
    for one in new:
        if one in known:
            row = known[one]
            row.left_at, row.joined_at = None, now
            row.read_seq, row.read_entries = conversation.last_seq, conversation.entries_made
            row.save(update_fields=["left_at", "joined_at", "read_seq", "read_entries"])
        else:
            Participant.objects.create(
                conversation=conversation,
                who=one.who,
                person_id=one.id,
                read_seq=conversation.last_seq,
                read_entries=conversation.entries_made,
            )
    if new:
        _tell(membership, "joined", [one.id for one in new])
        _tell_new(conversation, new)
    return membership


@transaction.atomic
def leave(actor: Actor, conversation_id: UUID, user_id: str | None = None) -> None:
    """Leave, or take somebody else out: `user_id`. An owner who leaves hands the group on.

    Raises `NotFound`, `NotAllowed`, `Conflict`.
    """
    leaver = actor if user_id is None else Actor(Who.USER, user_id)
    if leaver == actor:
        membership = access.fetch(actor, conversation_id, hold=True)
        _check_not_direct(membership)
    else:
        membership = _changeable(actor, conversation_id)
    row = Participant.objects.filter(
        conversation=membership.conversation, who=leaver.who, person_id=leaver.id, left_at=None
    ).first()
    if row is None:
        raise access.NOBODYS
    if row.role == Role.OWNER and leaver != actor:
        raise NotAllowed("The owner of a group leaves it by themselves.")
    row.left_at = timezone.now()
    was_owner, row.role = row.role == Role.OWNER, Role.MEMBER
    row.save(update_fields=["left_at", "role"])
    heirs = _hand_on(membership.conversation) if was_owner else []
    roles = [_role(one) for one in heirs]
    _tell(membership, "left", [leaver.id], kind=leaver.who.value, roles=roles)


def _hand_on(conversation: Conversation) -> list[Participant]:
    """To an admin, else to who has been there for longest; whom, if anybody is left."""
    left = Participant.objects.filter(conversation=conversation, left_at=None)
    heir = left.filter(role=Role.ADMIN).order_by("joined_at").first()
    heir = heir or left.order_by("joined_at", "id").first()
    if heir is None:
        return []
    heir.role = Role.OWNER
    heir.save(update_fields=["role"])
    return [heir]


def _role(one: Participant) -> dict[str, str]:
    return {"kind": one.who, "id": one.person_id, "role": one.role}


@transaction.atomic
def set_role(actor: Actor, conversation_id: UUID, user_id: str, role: Role) -> None:
    """Only the owner makes admins, or hands the group to somebody else."""
    membership = _changeable(actor, conversation_id)
    me = membership.participant
    if me is None or me.role != Role.OWNER or user_id == actor.id:
        raise NotAllowed("Only the owner changes the roles of others.")
    changed = Participant.objects.filter(
        conversation=membership.conversation, who=Who.USER, person_id=user_id, left_at=None
    ).first()
    if changed is None:
        raise access.NOBODYS
    changed.role = role
    me.role = Role.ADMIN if role is Role.OWNER else me.role
    for one in (me, changed):
        one.save(update_fields=["role"])
    _tell(membership, "role", [user_id], roles=[_role(changed), _role(me)])


@transaction.atomic
def rename(actor: Actor, conversation_id: UUID, title: str) -> None:
    membership = _changeable(actor, conversation_id)
    conversation = membership.conversation
    if conversation.title != title:
        conversation.title = title
        conversation.save(update_fields=["title"])
        _tell(membership, "renamed", [], title=title)


def _changeable(actor: Actor, conversation_id: UUID) -> Membership:
    membership = access.fetch(actor, conversation_id, hold=True)
    _check_not_direct(membership)
    if not membership.is_moderator:
        raise NotAllowed("Only owners and admins of a group may do this.")
    return membership


def _check_not_direct(membership: Membership) -> None:
    if membership.conversation.kind == Kind.DIRECT:
        raise Conflict("A direct conversation stays between the two; archive or mute it.")


def _tell_new(conversation: Conversation, people: Collection[Actor]) -> None:
    own.tell_listed(conversation, [one.id for one in people if one.who is Who.USER])


def _tell(membership: Membership, what: str, people: Sequence[str], **more: Any) -> None:
    """A note in the history, which everybody gets."""
    entries.note(membership, {"type": what, "people": list(people), **more})
