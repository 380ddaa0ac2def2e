"""Conversations on the socket."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import ModuleType
from typing import Any
from uuid import UUID

from typing_extensions import override

from commsproject.common.live.frames import (
    MOMENT,
    REF,
    SEQ,
    USER_ID,
    ClientFrame,
    Schema,
    ServerFrame,
)
from commsproject.common.live.frames import UUID as UUID_SCHEMA
from commsproject.common.live.people import Kind, Person, Session
from commsproject.common.live.presence import typing
from commsproject.common.live.registry import Command, Feed, OwnFeed, Wish
from conversations import access, examples, selectors
from conversations.errors import NotAllowed
from conversations.markup import MAX_LENGTH
from conversations.models import Conversation
from conversations.services import attachments, entries, marks, own, team
from conversations.services.sequence import FEED
from conversations.types import Actor, EntryKind, Medium, Who

_MAYBE: Schema = {"type": ["string", "null"], "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_SOMEBODY: Schema = {
    "type": "object",
    "properties": {"kind": {"enum": Who.values}, "id": _TEXT},
    "required": ["kind", "id"],
    "additionalProperties": False,
}
ENTRY: Schema = {
    "type": "object",
    "description": "As `GET conversations/{id}/entries` gives it.",
    "properties": {
        "id": UUID_SCHEMA,
        "conversation": UUID_SCHEMA,
        "seq": SEQ,
        "changed_seq": SEQ,
        "kind": {"enum": EntryKind.values},
        "author": _SOMEBODY,
        "medium": {"enum": Medium.values},
        **dict.fromkeys(("client_id", "body", "html"), _TEXT),
        "event": {"type": ["object", "null"]},
        "reply_to": {"type": ["object", "null"]},
        "mentions": {"type": "array", "items": _TEXT},
        "reactions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "emoji": _TEXT,
                    "by": {"type": "array", "items": _SOMEBODY},
                },
                "required": ["emoji", "by"],
                "additionalProperties": False,
            },
        },
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": UUID_SCHEMA,
                    **dict.fromkeys(("name", "media_type"), _TEXT),
                    "size": {"type": "integer"},
                    **{name: {"type": ["integer", "null"]} for name in ("width", "height")},
                    "has_thumbnail": {"type": "boolean"},
                },
                "required": ["id", "name", "media_type", "size"],
                "additionalProperties": False,
            },
        },
        "created_at": MOMENT,
        **dict.fromkeys(("pinned_at", "edited_at", "deleted_at"), _MAYBE),
    },
    "required": ["id", "conversation", "seq", "changed_seq", "kind", "author", "body"],
    "additionalProperties": False,
}
_ID = examples.ENTRY["conversation"]
_SEQ_OF = {"conversation": UUID_SCHEMA, "seq": SEQ}

NEW = ServerFrame(
    "entry",
    "Something was written.",
    {**_SEQ_OF, "entry": ENTRY},
    {"type": "entry", "conversation": _ID, "seq": 42, "entry": examples.ENTRY},
)
CHANGED = ServerFrame(
    "entry.changed",
    "An entry was edited or deleted, has other reactions or pins, or quotes one that was edited or "
    "deleted: it is like this now.",
    {**_SEQ_OF, "entry": ENTRY},
    {
        "type": "entry.changed",
        "conversation": _ID,
        "seq": 43,
        "entry": {
            **examples.ENTRY,
            "changed_seq": 43,
            "reactions": [{"emoji": "👍", "by": [{"kind": "user", "id": "u-43"}]}],
        },
    },
)
SKIP = ServerFrame(
    "skip",
    "This number went to something of the team's own: keep it as your last one, and show nothing. "
    "Never to staff.",
    _SEQ_OF,
    {"type": "skip", "conversation": _ID, "seq": 44},
)
READ = ServerFrame(
    "read",
    "Somebody has read everything up to there.",
    {**_SEQ_OF, "person": _SOMEBODY},
    {"type": "read", "conversation": _ID, "seq": 42, "person": {"kind": "user", "id": "u-43"}},
)
DELIVERED = ServerFrame(
    "delivered",
    "Somebody's client has everything up to there.",
    {**_SEQ_OF, "person": _SOMEBODY},
    {"type": "delivered", "conversation": _ID, "seq": 42, "person": {"kind": "user", "id": "u-43"}},
)

JOINED = ServerFrame(
    "joined",
    "This conversation is in your list from now on: somebody began it, brought you in, or wrote into "
    "it while you had it archived. Or it is up in your list again: something was written after ten "
    "minutes of silence. Fetch it, and subscribe to it, unless you have. It may be lost: fetch your "
    "list with each connection.",
    _SEQ_OF,
    {"type": "joined", "conversation": _ID, "seq": 42},
)

SUPPORT = ServerFrame(
    team.FEED,
    "Something is new about a support conversation, be it a note: fetch it. Staff only; it has no seq.",
    {"conversation": UUID_SCHEMA},
    {"type": team.FEED, "conversation": _ID},
)


def actor_of(person: Person) -> Actor:
    return Actor(Who(person.kind.value), person.id)


class ConversationFeed(Feed):
    name = FEED
    frames = (NEW, CHANGED, SKIP)
    passing = (READ, DELIVERED)

    @override
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        named = {
            (actor_of(person), id_): (person, key)
            for person, key in wishes
            if (id_ := _id(key)) is not None
        }
        return {named[wish]: 0 for wish in access.may_read(named.keys())}

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        ids = [id_ for key in keys if (id_ := _id(key))]
        rows = Conversation.objects.filter(id__in=ids).values_list("id", "last_seq")
        return {str(id_): seq for id_, seq in rows}

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        wanted = {UUID(key): seq for key, seq in after.items()}
        for one in selectors.told(wanted, limit):
            frame = NEW if one.is_new else CHANGED
            content = {"conversation": one.key, "seq": one.seq, "entry": one.entry}
            yield one.key, one.seq, {"type": frame.type, **content}

    @override
    def for_people(self, frame: Mapping[str, Any]) -> Mapping[str, Any]:
        entry = selectors.for_people(frame["entry"])
        if entry is frame["entry"]:
            return frame
        if entry is None:
            return {"type": SKIP.type, "conversation": frame["conversation"], "seq": frame["seq"]}
        return {**frame, "entry": entry}


class _Unkept(Feed):
    """Nothing of it is kept: who comes back fetches the list anew."""

    frames = ()

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        return {}

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        return ()


class OwnConversationsFeed(_Unkept, OwnFeed):
    """Which conversations are a person's own: frames of any other come to its followers alone."""

    name = own.FEED
    passing = (JOINED,)

    @override
    def key(self, person: Person) -> str | None:
        return person.id if person.kind is Kind.USER else None


class SupportFeed(_Unkept):
    """One key, `team`."""

    name = team.FEED
    passing = (SUPPORT,)

    @override
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        people = {actor_of(person): (person, key) for person, key in wishes if key == team.KEY}
        return {people[one]: 0 for one in access.who_see_support(people.keys())}


def _id(key: str) -> UUID | None:
    """As clients get ids; no other way of writing one names a key."""
    try:
        found = UUID(key)
    except ValueError:
        return None
    return found if str(found) == key else None


def _send(session: Session, frame: Mapping[str, Any]) -> Mapping[str, Any]:
    actor, reply_to = actor_of(session.person), frame.get("reply_to")
    if actor.who is Who.STAFF:
        access.fetch(actor, UUID(frame["conversation"]))
        raise NotAllowed("Staff write on the console's pages, which keep the trail.")
    entry, _ = entries.post(
        actor,
        UUID(frame["conversation"]),
        frame["body"],
        client_id=frame["client_id"],
        reply_to=UUID(reply_to) if reply_to else None,
        mentions=frame.get("mentions", ()),
        attachments=[UUID(one) for one in frame.get("attachments", ())],
    )
    return {"conversation": frame["conversation"], "seq": entry.seq, "entry": str(entry.id)}


def _read(session: Session, frame: Mapping[str, Any]) -> None:
    actor, conversation = actor_of(session.person), UUID(frame["conversation"])
    read = team.read if actor.who is Who.STAFF else marks.read
    read(actor, conversation, frame["seq"], skip=session)


def _delivered(session: Session, frame: Mapping[str, Any]) -> None:
    conversation = UUID(frame["conversation"])
    marks.delivered(actor_of(session.person), conversation, frame["seq"], skip=session)


SEND = Command(
    ClientFrame(
        "send",
        "Write into a conversation. Repeat it with the same `client_id` until it is acknowledged: "
        "it is written once.",
        {
            "conversation": UUID_SCHEMA,
            "client_id": REF,
            "body": {"type": "string", "maxLength": MAX_LENGTH},
            "reply_to": UUID_SCHEMA,
            "mentions": {"type": "array", "items": USER_ID, "maxItems": entries.MOST_MENTIONS},
            "attachments": {"type": "array", "items": UUID_SCHEMA, "maxItems": attachments.MOST},
        },
        {"type": "send", "id": "7", "conversation": _ID, "client_id": "c-1", "body": "At nine?"},
        optional=("reply_to", "mentions", "attachments"),
    ),
    handle=_send,
    answers={"conversation": UUID_SCHEMA, "seq": SEQ, "entry": UUID_SCHEMA},
)
MARK_READ = Command(
    ClientFrame(
        "read",
        "Everything up to this seq is read.",
        _SEQ_OF,
        {"type": "read", "conversation": _ID, "seq": 42},
    ),
    handle=_read,
)
MARK_DELIVERED = Command(
    ClientFrame(
        "delivered",
        "This client has everything up to this seq.",
        _SEQ_OF,
        {"type": "delivered", "conversation": _ID, "seq": 42},
    ),
    handle=_delivered,
)


def _may_watch(person: Person, user_ids: Collection[str]) -> Collection[str]:
    return access.share_one(actor_of(person), user_ids)


def register(registry: ModuleType) -> None:
    registry.add_feed(ConversationFeed())
    registry.add_feed(OwnConversationsFeed())
    registry.add_feed(SupportFeed())
    for command in (SEND, MARK_READ, MARK_DELIVERED):
        registry.add_command(command)
    registry.add_relay(typing.relay(FEED, "conversation"))
    registry.add_watch_policy(_may_watch)
