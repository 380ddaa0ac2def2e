"""What the team says among themselves about a support conversation. No person ever gets a note."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction

from conversations import access, markup, selectors
from conversations.models import Note
from conversations.services import entries, support
from conversations.services.team import tell_team
from conversations.types import Actor

MOST = 200
"""Of one answer, the latest."""


@transaction.atomic
def add(
    actor: Actor, conversation_id: UUID, body: str, *, client_id: str = ""
) -> tuple[Note, bool]:
    """Write a note; it, and whether it is new: with a `client_id` that its author has used here
    before it is the note of then.

    Raises `NotFound`, `NotAllowed`, `Conflict`, `InvalidInput`.
    """
    conversation = support.held_by_team(actor, conversation_id).conversation
    entries.check_body(body)
    note = Note(
        conversation=conversation,
        after_seq=conversation.last_seq,
        who=actor.who,
        person_id=actor.id,
        client_id=client_id,
        body=body,
    )
    mine = Note.objects.filter(
        conversation=conversation, who=actor.who, person_id=actor.id, client_id=client_id
    )
    known = mine.first() if client_id else None
    if known is not None:
        return known, False
    note.save(force_insert=True)
    tell_team(conversation)
    return note, True


def of(
    actor: Actor, conversation_id: UUID, *, since: int = 0, before: int | None = None
) -> list[Note]:
    """Those that stand at `since` or after it, and before `before`; the latest 200 of them, the
    oldest of these first. Raises `NotFound`, `NotAllowed`, `Conflict`.
    """
    conversation = support.of_team(access.fetch(actor, conversation_id)).conversation
    rows = Note.objects.filter(conversation=conversation, after_seq__gte=since)
    if before is not None:
        rows = rows.filter(after_seq__lt=before)
    return list(rows.order_by("-after_seq", "-id")[:MOST])[::-1]


def as_json(notes: Iterable[Note]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(one.id),
            "conversation": str(one.conversation_id),
            "after_seq": one.after_seq,
            "author": {"kind": one.who, "id": one.person_id},
            "client_id": one.client_id,
            "body": one.body,
            "html": markup.html(one.body),
            "created_at": selectors.moment(one.created_at),
        }
        for one in notes
    ]
