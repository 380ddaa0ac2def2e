"""One conversation as the team sees it: what was written, their notes between it, and who is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from commsproject.common import valkey
from commsproject.common.live.people import Kind as PersonKind
from commsproject.common.live.people import Person
from commsproject.common.live.presence import store
from commsproject.console.inbox import people, queues
from conversations import access, selectors
from conversations.models import Conversation, Entry, Participant
from conversations.services import notes, replies, support
from conversations.services.sequence import FEED

SHOWN = 50
MORE = 100
"""Entries to begin with, and of what is on their either side."""


def fetch(user: User, conversation_id: UUID) -> Conversation:
    """Of the support team. Raises `NotFound`, `Conflict`."""
    return support.of_team(access.fetch(people.actor(user), conversation_id)).conversation


@dataclass(frozen=True)
class Piece:
    """What was written from a seq on (0: all from the beginning) until before another (None: to the
    end).
    """

    entries: list[Entry]
    since: int
    until: int | None


def latest(user: User, conversation: Conversation) -> Piece:
    found, has_older = selectors.history(conversation, people.actor(user), limit=SHOWN)
    return Piece(found, _first(found, has_older), until=None)


def before(user: User, conversation: Conversation, seq: int, limit: int = MORE) -> Piece:
    found, has_older = selectors.history(conversation, people.actor(user), before=seq, limit=limit)
    return Piece(found, _first(found, has_older), until=seq)


def onward(user: User, conversation: Conversation, seq: int, limit: int = MORE) -> Piece:
    found, has_newer = selectors.onward(conversation, people.actor(user), since=seq, limit=limit)
    return Piece(found, since=seq, until=found[-1].seq + 1 if has_newer else None)


def around(user: User, conversation: Conversation, seq: int) -> Piece:
    older = before(user, conversation, seq, SHOWN // 2)
    rest = onward(user, conversation, seq, SHOWN // 2)
    return Piece([*older.entries, *rest.entries], older.since, rest.until)


def _first(entries: Sequence[Entry], has_older: bool) -> int:
    return entries[0].seq if has_older else 0


def as_json(user: User, conversation: Conversation, piece: Piece) -> dict[str, Any]:
    """With the notes that stand in it."""
    found, actor = piece.entries, people.actor(user)
    told = notes.of(actor, conversation.id, since=piece.since, before=piece.until)
    writers = {(one.who, one.person_id) for one in found}
    writers |= {(one.who, one.person_id) for one in told}
    return {
        "entries": selectors.as_json(found),
        "notes": notes.as_json(told),
        "since": piece.since,
        "until": piece.until,
        "last_seq": conversation.last_seq,
        "names": _named(writers),
        "sent": people.sent(found, replies.carried(found)),
    }


def whole(user: User, conversation: Conversation, piece: Piece) -> dict[str, Any]:
    """What the page needs to begin with."""
    participants = _there(conversation)
    shown = as_json(user, conversation, piece)
    writers = {(one.who, one.person_id) for one in participants}
    return {
        **shown,
        "names": {**shown["names"], **_named(writers)},
        "conversation": queues.as_json(user, [conversation])[0],
        "participants": [selectors.participant_as_json(one) for one in participants],
        "ways": _ways(conversation),
        "viewers": viewers(user, conversation.id),
    }


def news(user: User, conversation: Conversation, since: int) -> dict[str, Any]:
    """What the socket does not carry, or not again after a break: the team's notes, who of them looks
    on, how far messages got that carried an entry; of entries from a seq on. And how far everybody has
    read, and how the person is answered.
    """
    told = notes.of(people.actor(user), conversation.id, since=since)
    rows = conversation.entries.filter(seq__gte=since).exclude(medium="chat").order_by("-seq")
    carried = list(rows[:SHOWN])
    return {
        "notes": notes.as_json(told),
        "names": _named({(one.who, one.person_id) for one in told}),
        "sent": people.sent(carried, replies.carried(carried)),
        "participants": [selectors.participant_as_json(one) for one in _there(conversation)],
        "ways": _ways(conversation),
        "viewers": viewers(user, conversation.id),
    }


def _there(conversation: Conversation) -> list[Participant]:
    there = Participant.objects.filter(conversation=conversation, left_at=None)
    return list(there.order_by("joined_at", "id"))


def _ways(conversation: Conversation) -> list[dict[str, str]]:
    """As the person came last comes first."""
    return [
        {"medium": one.medium, "label": one.medium.label, "address": one.address}
        for one in replies.ways(conversation.id)
    ]


def _named(writers: set[people.Writer]) -> dict[str, str]:
    return {f"{who}:{id_}": name for (who, id_), name in people.called(writers).items()}


def viewers(user: User, conversation_id: UUID) -> list[str]:
    """Who else of the team has it open. Nobody knows while Valkey is away."""
    team = access.team(access.MAY_SEE).exclude(pk=user.pk).order_by("pk")[: people.MOST_STAFF]
    others = {Person(PersonKind.STAFF, str(one.pk)): people.name_of(one) for one in team}
    try:
        does = store.read(others)
    except valkey.Away:
        return []
    place = (FEED, str(conversation_id))
    return sorted(
        others[one] for one, doing in does.items() if place in {(it.feed, it.key) for it in doing}
    )
