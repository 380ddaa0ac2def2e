"""Files: taken in by what they are, given out to who may read the entry, removed when nobody's."""

from __future__ import annotations

import io
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from commsproject.common.errors import InvalidInput, NotFound, ServiceUnavailable
from conversations import access, links
from conversations.errors import TypeNotAllowed
from conversations.files import antivirus, image_process, images, sniffing
from conversations.models import Attachment, Entry
from conversations.types import Actor, Who

MOST = 10
"""Files of one entry."""

MOST_DRAFTS = 20
"""Files of one person that belong to no entry yet."""

MOST_WITHOUT_ENTRY = 200
"""The same with those that the job has to remove."""

KEEP_DRAFTS = timedelta(days=1)
MAX_NAME = 150

_GONE = NotFound("There is no such file, or it is not yours to see.")


def storage() -> Storage:
    return storages["attachments"]


# --- In ------------------------------------------------------------------------------------------


def upload(actor: Actor, conversation_id: UUID, name: str, file: IO[bytes]) -> Attachment:
    """Take a file in as a draft of `actor`. Its type is that of its content.

    Raises `NotFound`, `InvalidInput`, `TypeNotAllowed`, `ServiceUnavailable` where the scanner is
    away, a picture's process cannot be had, or too much waits to be removed.
    """
    conversation = access.fetch(actor, conversation_id).conversation
    _make_room(actor)
    size = file.seek(0, io.SEEK_END)
    if not 0 < size <= settings.ATTACHMENT_MAX_SIZE:
        message = f"A file of 1 to {settings.ATTACHMENT_MAX_SIZE} bytes."
        raise InvalidInput.of("file", "bad_size", message)
    media_type = sniffing.media_type(file)
    if media_type is None:
        raise TypeNotAllowed
    _check_for_viruses(file)
    key = secrets.token_urlsafe(32)
    row = Attachment(
        conversation=conversation,
        who=actor.who,
        person_id=actor.id,
        media_type=media_type,
        size=size,
        key=f"{key[:2]}/{key}",
    )
    if media_type not in sniffing.IMAGES:
        return _keep(row, name, file)
    with TemporaryFile() as content:
        picture = _picture(file, content)
        row.media_type, row.width, row.height = picture.media_type, picture.width, picture.height
        row.size = content.seek(0, io.SEEK_END)
        row.thumbnail_key = f"{row.key}-small"
        return _keep(row, name, content, picture.thumbnail)


def _keep(
    row: Attachment, name: str, content: IO[bytes], thumbnail: bytes | None = None
) -> Attachment:
    row.name = _name(name, row.media_type)
    row.save()  # first: what is stored has a row, so that the job finds it
    content.seek(0)
    storage().save(row.key, File(content))
    if thumbnail is not None:
        storage().save(row.thumbnail_key, File(io.BytesIO(thumbnail)))
    return row


def _make_room(actor: Actor) -> None:
    """One's oldest drafts give way: a page that is closed leaves its own behind."""
    drafts = Attachment.objects.filter(entry=None, who=actor.who, person_id=actor.id)
    if drafts.count() >= MOST_WITHOUT_ENTRY:
        detail = "You have many files that belong to no entry. They are removed within minutes."
        raise ServiceUnavailable(detail, retry_after=600)
    kept = drafts.filter(conversation__isnull=False).order_by("-created_at", "-id")
    oldest = list(kept.values_list("id", flat=True)[MOST_DRAFTS - 1 :])
    drafts.filter(id__in=oldest).update(conversation=None)


def _check_for_viruses(file: IO[bytes]) -> None:
    try:
        is_clean = antivirus.is_clean(file)
    except antivirus.Unreachable:
        detail = "Files cannot be scanned just now; try again."
        raise ServiceUnavailable(detail, retry_after=30) from None
    if not is_clean:
        raise InvalidInput.of("file", "infected", "The scanner found something in this file.")


def _picture(file: IO[bytes], into: IO[bytes]) -> images.Picture:
    try:
        return image_process.remake(file, into)
    except images.NotAPicture:
        raise InvalidInput.of(
            "file", "not_a_picture", "It cannot be read as a picture, or is too large for one."
        ) from None
    except image_process.Unavailable:
        detail = "Pictures cannot be read just now; try again."
        raise ServiceUnavailable(detail, retry_after=30) from None


_ALSO = {"image/jpeg": {".jpeg"}, "text/plain": {".csv", ".md", ".log"}, "video/mp4": {".m4v"}}


def _name(given: str, media_type: str) -> str:
    """The last part of a name, without what could mislead; it ends as its type does."""
    last = given.replace("\\", "/").rpartition("/")[2]
    signs = (
        sign for sign in last if unicodedata.category(sign)[0] != "C" and sign not in '<>:"|?*'
    )
    name = "".join(signs).strip(". ") or "file"
    wanted = sniffing.SUFFIXES[media_type]
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in {wanted, *_ALSO.get(media_type, ())}:
        return name[: -len(suffix)][:MAX_NAME] + suffix
    if suffix in sniffing.SUFFIXES.values():
        name = name[: -len(suffix)]
    return name[:MAX_NAME] + wanted


def attach(entry: Entry, actor: Actor, ids: Sequence[UUID]) -> None:
    """Drafts of `actor` become the entry's, in this order and its own transaction. Raises
    `InvalidInput`.
    """
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MOST:
        raise InvalidInput.of("attachments", "too_many", f"At most {MOST} files.")
    if not wanted:
        return
    mine = Attachment.objects.select_for_update(no_key=True).filter(
        id__in=wanted,
        conversation=entry.conversation_id,
        entry=None,
        who=actor.who,
        person_id=actor.id,
    )
    found = {one.id: one for one in mine}
    for place, one in enumerate(wanted):
        if one not in found:
            raise InvalidInput.of(
                f"attachments.{place}", "unknown_attachment", "No file of yours without an entry."
            )
        found[one].entry, found[one].place = entry, place
    Attachment.objects.bulk_update(found.values(), ["entry", "place"])


def has_any(entry: Entry) -> bool:
    return Attachment.objects.filter(entry=entry).exists()


# --- Out -----------------------------------------------------------------------------------------


def get(actor: Actor, attachment_id: UUID, conversation_id: UUID | None = None) -> Attachment:
    """A file of an entry that `actor` may read, or a draft of theirs. Raises `NotFound`."""
    if conversation_id is not None:
        access.fetch(actor, conversation_id)
    found = Attachment.objects.select_related("entry").filter(id=attachment_id).first()
    if found is None or found.conversation_id is None:
        raise _GONE
    if conversation_id not in {None, found.conversation_id}:
        raise _GONE
    access.fetch(actor, found.conversation_id)
    if found.entry is None and (found.who, found.person_id) != (actor.who, actor.id):
        raise _GONE
    return found


def opened(token: str, staff_id: str | None) -> tuple[Attachment, IO[bytes], bool]:
    """The file a link leads to, open, and whether it is the thumbnail. Who it was given to must
    still belong to the conversation; of the staff, it must be the one who is signed in, `staff_id`.
    Raises `NotFound`.
    """
    try:
        link = links.read(token)
    except links.BadLink:
        raise _GONE from None
    if link.actor.who is Who.STAFF and link.actor.id != staff_id:
        raise _GONE
    attachment = get(link.actor, link.attachment_id)
    key = attachment.thumbnail_key if link.is_thumbnail else attachment.key
    try:
        return attachment, storage().open(key), link.is_thumbnail
    except (FileNotFoundError, ValueError):
        raise _GONE from None


# --- Away ----------------------------------------------------------------------------------------


def discard(entry: Entry) -> None:
    """Nobody sees them from now on; the job removes the files."""
    Attachment.objects.filter(entry=entry).update(entry=None, conversation=None)


def remove_nobodys(limit: int = 200) -> int:
    """Files of deleted entries, and drafts of yesterday. The files first: a row without its file
    is found again, a file without its row never.
    """
    yesterday = timezone.now() - KEEP_DRAFTS
    nobodys = Q(conversation=None) | Q(created_at__lt=yesterday)
    with transaction.atomic():
        rows = Attachment.objects.select_for_update(skip_locked=True).filter(nobodys, entry=None)
        found = list(rows.order_by("created_at")[:limit])
        for row in found:
            for key in filter(None, (row.key, row.thumbnail_key)):
                storage().delete(key)
        Attachment.objects.filter(id__in=[row.id for row in found]).delete()
    return len(found)
