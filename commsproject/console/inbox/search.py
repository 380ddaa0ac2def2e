"""Looking for a conversation: by the person, and by what was written in it; a page at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet

from commsproject.common.errors import InvalidInput
from commsproject.console.inbox import people, queues
from commsproject.console.inbox.queues import PAGE, Place
from conversations.models import Conversation, Participant
from conversations.services import search
from conversations.services.search import Wanted
from conversations.types import Who
from notifications.models import Address, Recipient
from notifications.models.recipient import NAME_WORDS, plain

_PERSON, _WORDS = "person", "words"
"""The two parts of what is found, and how the place in one begins."""

Row = dict[str, Any]


def page(user: User, text: str, after: str = "") -> tuple[list[Row], str | None]:
    """Conversations of the person whose id, name or address it is, the latest first; then whatever
    was written with these words, the best first, each with its `hit`. Raises `InvalidInput`.
    """
    part, _, place = after.partition("~")
    if part == _WORDS:
        return _written(user, text, _place_of_words(place))
    if part not in {"", _PERSON}:
        raise queues.BAD_CURSOR
    found, following = queues.cut(_of_people(text), Place.read(place) if place else None)
    rows: list[Row] = queues.as_json(user, found)
    if following is not None:
        return rows, f"{_PERSON}~{following}"
    hits, further = _written(user, text, None)
    return [*rows, *hits], further


# --- The person ----------------------------------------------------------------------------------


def _of_people(text: str) -> QuerySet[Conversation]:
    theirs = Participant.objects.filter(who=Who.USER).values("conversation_id")
    by_address = Address.objects.filter(value__in=[text, text.casefold()])
    ids = [text, *by_address.values_list("recipient__user_id", flat=True)[:PAGE]]
    found = theirs.filter(person_id__in=ids)
    if (named := _called(text)) is not None:
        # Of each its own index; PostgreSQL would read all people for an "or" of the two.
        found = found.union(theirs.filter(person_id__in=named))
    return queues.written().filter(id__in=found)


def _called(text: str) -> QuerySet[Recipient, Any] | None:
    """The ids of the people who are called so; None where there is no word in it."""
    try:
        words = search.query(plain(text), shortest=1)
    except InvalidInput as error:
        if _has_no_words(error):
            return None
        raise
    return Recipient.objects.annotate(called=NAME_WORDS).filter(called=words).values("user_id")


def _has_no_words(error: InvalidInput) -> bool:
    """An address, for one, may be of signs alone."""
    return error.errors[0].code == "no_words"


# --- What was written ----------------------------------------------------------------------------


def _written(user: User, text: str, after: search.Place | None) -> tuple[list[Row], str | None]:
    wanted = Wanted(text=text)
    try:
        found, following = search.find(people.actor(user), wanted, after=after, limit=PAGE)
    except InvalidInput as error:
        if _has_no_words(error):
            return [], None
        raise
    further = f"{_WORDS}~{following.rank!r}~{following.entry_id}" if following else None
    return _hits(user, found), further


def _hits(user: User, found: Sequence[Row]) -> list[Row]:
    ids = [UUID(one["entry"]["conversation"]) for one in found]
    rows = {row["id"]: row for row in queues.as_json(user, queues.named(ids))}
    return [
        {**rows[entry["conversation"]], "hit": _hit(entry, one["snippet"])}
        for one in found
        if (entry := one["entry"])["conversation"] in rows
    ]


def _hit(entry: Row, snippet: str) -> dict[str, Any]:
    return {"seq": entry["seq"], "at": entry["created_at"], "snippet": snippet}


def _place_of_words(text: str) -> search.Place:
    rank, _, key = text.partition("~")
    try:
        place = search.Place(float(rank), UUID(key))
    except ValueError:
        raise queues.BAD_CURSOR from None
    if not math.isfinite(place.rank):
        raise queues.BAD_CURSOR
    return place
