"""Support: a person and the staff team."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from commsproject.common.errors import Conflict, InvalidInput
from conversations import access
from conversations.access import Membership
from conversations.errors import NotAllowed
from conversations.models import Conversation, Participant
from conversations.services import entries
from conversations.types import Actor, Kind, Status, Who


@transaction.atomic
def assign(actor: Actor, conversation_id: UUID, staff_id: str | None) -> Conversation:
    """Give it to somebody of the team, or back to all. Safe to repeat.

    Raises `NotFound`, `NotAllowed`, `Conflict`, `InvalidInput`.
    """
    membership = held_by_team(actor, conversation_id)
    conversation = membership.conversation
    assignee = None
    if staff_id is not None:
        assignee = access.team().filter(pk=staff_id).first() if _is_key(staff_id) else None
        if assignee is None:
            message = "There is no such member of staff who may answer."
            raise InvalidInput.of("assignee", "unknown_staff", message)
    if conversation.assignee_id != (assignee.pk if assignee else None):
        conversation.assignee = assignee
        conversation.save(update_fields=["assignee"])
        if assignee is not None:
            _take_part(conversation, Actor(Who.STAFF, str(assignee.pk)))
        entries.note(membership, {"type": "assigned", "people": [staff_id] if staff_id else []})
    return conversation


@transaction.atomic
def set_status(actor: Actor, conversation_id: UUID, status: Status) -> Conversation:
    """Open, waiting or closed. Safe to repeat."""
    membership = held_by_team(actor, conversation_id)
    conversation = membership.conversation
    was = conversation.status
    if was != status:
        conversation.status = status
        conversation.save(update_fields=["status"])
        event = {"type": "status", "people": [], "status": status.value, "was": was}
        entries.note(membership, event)
    return conversation


def _take_part(conversation: Conversation, staff: Actor) -> None:
    row = Participant(
        conversation=conversation,
        who=staff.who,
        person_id=staff.id,
        read_seq=0,
    )
    Participant.objects.bulk_create([row], ignore_conflicts=True)
    Participant.objects.filter(conversation=conversation, who=staff.who, person_id=staff.id).update(
        left_at=None
    )


def _is_key(staff_id: str) -> bool:
    return staff_id.isdecimal() and len(staff_id) < 10


def held_by_team(actor: Actor, conversation_id: UUID) -> Membership:
    """Raises `NotFound`, `NotAllowed`, `Conflict`."""
    return of_team(access.fetch(actor, conversation_id, hold=True))


def of_team(membership: Membership) -> Membership:
    """Of the staff, or an agent who takes part. Raises `NotAllowed`, `Conflict`."""
    if membership.conversation.kind != Kind.SUPPORT:
        raise Conflict("Only support conversations are assigned and closed.")
    if membership.actor.who is Who.USER:
        raise NotAllowed("This is for the team.")
    return membership
