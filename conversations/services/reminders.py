"""People who are away are told of what they have not read, once, by a message of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from commsproject.common.errors import CommsError
from commsproject.common.live.presence import selectors as presence
from commsproject.common.models import ApiClient
from conversations import markup, reply_to
from conversations.models import Entry, Notice, Participant, Reminder
from conversations.services import notices
from conversations.services.sequence import FEED
from conversations.types import EntryKind, Who
from notifications.models import Category, Recipient
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel

log = structlog.get_logger(__name__)

SYSTEM = "system"
"""The agent in whose name they are told. Nobody has a key of it."""

CATEGORY = "conversation"
MOST_SHOWN = 5
"""Of what was written, the latest."""

KEEP_NOTICES = timedelta(days=30)
"""For so long an answer by text message finds its way."""


Missed = dict[str, Any]
"""The data of `notices.TEMPLATE`."""


def _wait() -> timedelta:
    return timedelta(minutes=settings.CONVERSATION_AWAY_MINUTES)


# --- Noted and forgotten -------------------------------------------------------------------------


def due(now: datetime) -> datetime | None:
    """When those are told who do not read what is written now; None: never."""
    return now + _wait() if _wait() else None


def forget(me: Participant, *, has_read_all: bool) -> None:
    """They were there. Who has been told and reads on is told again of what comes after."""
    rows = Reminder.objects.filter(participant=me)
    (rows if has_read_all else rows.filter(due_at=None)).delete()


# --- Told ----------------------------------------------------------------------------------------


@transaction.atomic
def tell(limit: int = 100) -> int:
    """Tell those whose time has come; how many rows were due. The messages are in the transaction
    that says that they are told.
    """
    now = timezone.now()
    due = Reminder.objects.select_for_update(skip_locked=True, of=("self",)).filter(due_at__lte=now)
    found = list(due.select_related("participant__conversation").order_by("due_at")[:limit])
    away: list[tuple[Participant, Missed]] = []
    for one in found:
        me = one.participant
        missed = _missed(me) if _is_wanted(me, now) else None
        if missed is None:
            one.delete()
            continue
        is_looking = bool(presence.looking_at(FEED, str(me.conversation_id), [me.person_id]))
        one.due_at = now + _wait() if is_looking else None
        one.save(update_fields=["due_at"])
        if not is_looking:
            away.append((me, missed))
    if away:
        _send(away)
    return len(found)


def _is_wanted(me: Participant, now: datetime) -> bool:
    is_muted = me.muted_until is not None and me.muted_until > now
    return me.left_at is None and not is_muted and _unread(me) > 0


def _unread(me: Participant) -> int:
    return me.conversation.entries_made - me.read_entries


def _send(away: Sequence[tuple[Participant, Missed]]) -> None:
    notices.make_template()
    agent, _ = ApiClient.objects.get_or_create(name=SYSTEM, defaults={"is_active": False})
    category = _category().key
    results = submit.accept(
        agent,
        [
            Submission(
                to=Target(user_id=one.person_id),
                template=notices.TEMPLATE,
                data=missed,
                category=category,
                reply_to=reply_to.address(one.id),
                metadata={"conversation": str(one.conversation_id)},
            )
            for one, missed in away
        ],
    )
    for (one, _), result in zip(away, results, strict=True):
        if isinstance(result, CommsError):  # nobody we know, or nowhere to be reached
            log.info("away person not told", participant=str(one.id), error=result.code)
        else:
            Notice.objects.create(notification_id=result.response["id"], participant=one)


def _category() -> Category:
    defaults = {
        "name": "Conversations",
        "channels": [Channel.PUSH, Channel.EMAIL],
        "long_text": Category.LongText.TRUNCATE,
    }
    category, _ = Category.objects.get_or_create(key=CATEGORY, defaults=defaults)
    return category


def _missed(me: Participant) -> Missed | None:
    """None where all of it was deleted, or only says who came and went."""
    missed = Entry.objects.filter(
        conversation=me.conversation_id,
        seq__gt=me.read_seq,
        kind=EntryKind.TEXT,
        deleted_at=None,
    ).exclude(who=me.who, person_id=me.person_id)
    latest = list(missed.order_by("-seq")[:MOST_SHOWN])[::-1]
    if not latest:
        return None
    called = _names(latest)
    names = [called[one.who, one.person_id] for one in latest]
    return {
        "author": names[-1],
        "title": me.conversation.title,
        "entries": [
            {"author": name, "text": markup.excerpt(one.body, 500)}
            for name, one in zip(names, latest, strict=True)
        ],
        "more": max(0, _unread(me) - len(latest)),
        "can_reply": bool(settings.REPLY_DOMAIN),
    }


def _names(entries: Sequence[Entry]) -> dict[tuple[str, str], str]:
    """People as they are called, where that is known; all of the staff are one team."""
    users = {one.person_id for one in entries if one.who == Who.USER}
    called = dict(Recipient.objects.filter(user_id__in=users).values_list("user_id", "data__name"))
    agents = {one.person_id for one in entries if one.who == Who.AGENT}
    called |= {
        str(id_): name
        for id_, name in ApiClient.objects.filter(id__in=agents).values_list("id", "name")
    }
    return {
        (one.who, one.person_id): "Support"
        if one.who == Who.STAFF
        else _line(called.get(one.person_id) or one.person_id)
        for one in entries
    }


def _line(name: object) -> str:
    return " ".join(str(name).split())[:100]


def forget_old_notices() -> None:
    Notice.objects.filter(created_at__lt=timezone.now() - KEEP_NOTICES).delete()
