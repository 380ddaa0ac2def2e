"""What conversations know of people: told, erased, and let go in time."""

from __future__ import annotations

from commsproject.common.personal_data.registry import Holder, register
from commsproject.common.personal_data.rows import fields, told
from conversations.models import Reaction
from conversations.services import erase, retention
from conversations.types import Who

HOLDER = Holder(
    name="conversations",
    names=erase.names,
    exports={
        "conversation": told(
            lambda person: erase.participations(person).select_related("conversation"),
            lambda row: {
                **fields(row, "id", "person_id"),
                "kind_of_conversation": row.conversation.kind,
                "title": row.conversation.title,
            },
        ),
        "entry": told(
            lambda person: erase.written(person).prefetch_related("revisions"),
            lambda row: {
                **fields(row, "person_id"),
                "before": [fields(one, "id", "entry_id") for one in row.revisions.all()],
            },
        ),
        "reaction": told(
            lambda person: Reaction.objects.filter(
                entry__conversation__in=erase.participations(person).values("conversation"),
                who=Who.USER,
                person_id=person.user_id,
            ),
            lambda row: fields(row, "id", "person_id"),
        ),
        "file": told(erase.uploaded, lambda row: fields(row, "person_id", "key", "thumbnail_key")),
    },
    erasures={"entries": erase.entries, "uploads": erase.drafts, "files": erase.files},
    purges=tuple(retention.purges()),
)


def registered() -> None:
    register(HOLDER)
