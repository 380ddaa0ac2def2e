"""Conversations that nobody wants to look at any more go, with all that was written in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from commsproject.common.personal_data.registry import PAGE_ROWS, Gone, Purge
from commsproject.common.personal_data.rows import STEP_SECONDS, limited
from conversations.models import Attachment, Conversation, Entry, Participant
from conversations.types import Kind, Status

AT_ONCE = 100
"""Conversations in a step, with up to `PAGE_ROWS` entries of theirs."""

Due = Callable[[datetime], QuerySet[Conversation]]


def _quiet_since(now: datetime) -> datetime:
    return now - timedelta(days=settings.CONVERSATION_DAYS)


def closed(now: datetime) -> QuerySet[Conversation]:
    """A case that is open, or waits for the person, is kept however old it is."""
    return Conversation.objects.filter(
        kind=Kind.SUPPORT, status=Status.CLOSED, active_at__lt=_quiet_since(now)
    )


def put_away(now: datetime) -> QuerySet[Conversation]:
    """Everybody who belongs to it has archived it, or nobody does any longer."""
    since = _quiet_since(now)
    gone_from = Participant.objects.filter(Q(archived_at__lt=since) | Q(left_at__lt=since))
    in_use = Participant.objects.filter(conversation=OuterRef("pk"), left_at=None).exclude(
        archived_at__isnull=False, archived_at__lt=since
    )
    return (
        Conversation.objects.filter(id__in=gone_from.values("conversation"), active_at__lt=since)
        .exclude(kind=Kind.SUPPORT)
        .exclude(Exists(in_use))
    )


def _step(due: Due) -> Callable[[datetime], Gone]:
    """The oldest entries first, then the conversations that have none left. Whoever is writing in
    one holds it, and it is no longer due.
    """

    def step(now: datetime) -> Gone:
        with transaction.atomic():
            limited(STEP_SECONDS)
            held = due(now).order_by("id").select_for_update(of=("self",), skip_locked=True)
            found = list(held.values_list("id", flat=True)[:AT_ONCE])
            rows = Entry.objects.filter(conversation__in=found).order_by("conversation_id", "seq")
            page = list(rows.values_list("id", flat=True)[:PAGE_ROWS])
            Attachment.objects.filter(entry__in=page).update(entry=None, conversation=None, name="")
            Entry.objects.filter(id__in=page).delete()
            empty = Conversation.objects.filter(id__in=found, entries=None)
            gone = list(empty.values_list("id", flat=True))
            Conversation.objects.filter(id__in=gone).delete()
        return Gone(len(gone), is_more=len(gone) < len(found) or len(found) == AT_ONCE)

    return step


def purges() -> Iterator[Purge]:
    for why, due in {
        "closed, and nothing written for CONVERSATION_DAYS": closed,
        "archived by everybody for CONVERSATION_DAYS": put_away,
    }.items():
        yield Purge("conversations_conversation", why, _counted(due), _step(due))


def _counted(due: Due) -> Callable[[datetime], int]:
    return lambda now: due(now).count()
