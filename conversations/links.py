"""Links to files: for one person, for five minutes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core import signing

from conversations.types import Actor, Who

LIFETIME = timedelta(minutes=5)
_SALT = "conversations.file"


class BadLink(Exception):
    """Not one of ours, or too old."""


@dataclass(frozen=True)
class FileLink:
    """Whom it was given to, and which file it leads to."""

    actor: Actor
    attachment_id: UUID
    is_thumbnail: bool = False


def token(link: FileLink) -> str:
    who, id_ = link.actor.who.value, link.actor.id
    return signing.dumps([link.attachment_id.hex, int(link.is_thumbnail), who, id_], salt=_SALT)


def read(token: str) -> FileLink:
    """Raises `BadLink`."""
    try:
        attachment, is_thumbnail, who, id_ = signing.loads(token, salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise BadLink from None
    return FileLink(Actor(Who(who), id_), UUID(attachment), bool(is_thumbnail))
