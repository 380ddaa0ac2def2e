"""A feed for tests: rooms in two tables of their own, which no migration knows.

Who may follow: everybody a room whose name begins with `open`; others who was invited.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from django.db import connection, transaction
from typing_extensions import override

from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.live import dialogue, publish, registry
from commsproject.common.live.api.asyncapi import written
from commsproject.common.live.frames import REF, SEQ, ClientFrame, ServerFrame
from commsproject.common.live.people import Person, Session
from commsproject.common.live.presence import typing
from commsproject.common.live.registry import Command, Feed, OwnFeed, Wish
from tests.live_feed.tables import TABLES

LINE = ServerFrame(
    "line",
    "Somebody said something.",
    {"room": REF, "seq": SEQ, "text": {"type": "string"}},
    {"type": "line", "room": "open", "seq": 1, "text": "hello"},
)
NOTE = ServerFrame(
    "note",
    "Something for one person.",
    {"seq": SEQ},
    {"type": "note", "seq": 1},
)
SAY = ClientFrame(
    "say",
    "Say something in a room.",
    {"room": REF, "client_id": REF, "text": {"type": "string", "maxLength": 60_000}},
    {"type": "say", "id": "4", "room": "open", "client_id": "a-1", "text": "hello"},
)


class Rooms(Feed):
    name: ClassVar[str] = "rooms"
    frames: ClassVar[tuple[ServerFrame, ...]] = (LINE,)

    @override
    def authorise(self, wishes: Collection[Wish]) -> Mapping[Wish, int]:
        found = {(person, key): 0 for person, key in wishes if key.startswith("open")}
        closed = [(person, key) for person, key in wishes if not key.startswith("open")]
        if closed:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT key, person, since FROM test_guest WHERE key = ANY(%s)",
                    [[key for _, key in closed]],
                )
                invited = {(key, person): since for key, person, since in cursor.fetchall()}
            for person, key in closed:
                if (key, named(person)) in invited:
                    found[person, key] = invited[key, named(person)]
        return found

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT key, last_seq FROM test_room WHERE key = ANY(%s)", [list(keys)])
            return dict(cursor.fetchall())

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT line.key, line.seq, line.text"
                " FROM unnest(%s::text[], %s::bigint[]) AS wanted (key, after),"
                " LATERAL (SELECT * FROM test_line WHERE key = wanted.key AND seq > wanted.after"
                " ORDER BY seq LIMIT %s) AS line ORDER BY line.key, line.seq",
                [list(after), list(after.values()), limit],
            )
            return [
                (key, seq, {"type": "line", "room": key, "seq": seq, "text": text})
                for key, seq, text in cursor.fetchall()
            ]


class Notes(OwnFeed):
    """One for each end user, kept in the room `notes-<user id>`."""

    name: ClassVar[str] = "notes"
    frames: ClassVar[tuple[ServerFrame, ...]] = (NOTE,)

    @override
    def key(self, person: Person) -> str | None:
        return f"notes-{person.id}" if person.kind == "user" else None

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        return Rooms().heads(keys)

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        for key, seq, _ in Rooms().read(after, limit):
            yield key, seq, {"type": "note", "seq": seq}


def say(room: str, *texts: str, tell: bool = True, feed: str = "rooms", client_id: str = "") -> int:
    """Write lines, as an app would: number, row and note in one transaction. The last seq."""
    seq = 0
    for text in texts:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO test_room (key, last_seq) VALUES (%s, 1)"
                " ON CONFLICT (key) DO UPDATE SET last_seq = test_room.last_seq + 1"
                " RETURNING last_seq",
                [room],
            )
            seq = cursor.fetchone()[0]
            cursor.execute(
                "INSERT INTO test_line VALUES (%s, %s, %s, %s)", [room, seq, text, client_id]
            )
            if tell:
                publish.advanced(feed, {room: seq})
    return seq


def invite(room: str, person: Person, since: int = 0) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO test_guest VALUES (%s, %s, %s)", [room, named(person), since])


def uninvite(room: str, person: Person) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM test_guest WHERE key = %s AND person = %s", [room, named(person)]
        )


def named(person: Person) -> str:
    return f"{person.kind}:{person.id}"


def create_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TABLES)


def drop_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS test_room, test_line, test_guest")


def register() -> None:
    registry.add_feed(Rooms())
    registry.add_feed(Notes())
    registry.add_command(Command(SAY, _handle_say, answers={"seq": SEQ}))
    registry.add_relay(typing.relay("rooms", "room", "room.typing"))
    registry.add_watch_policy(
        lambda person, user_ids: {one for one in user_ids if "private" not in one}
    )
    _forget_descriptions()


def unregister() -> None:
    for register_ in (registry.feeds, registry.commands, registry.relays):
        for name in ("rooms", "notes", "say", "room.typing"):
            register_.pop(name, None)
    registry.watch_policies.pop()
    _forget_descriptions()


def _forget_descriptions() -> None:
    dialogue.client_frames.cache_clear()
    written.cache_clear()


def _handle_say(session: Session, frame: Mapping[str, Any]) -> Mapping[str, Any]:
    room = frame["room"]
    if (session.person, room) not in Rooms().authorise([(session.person, room)]):
        raise NotFound("There is no such room.")
    if frame["text"] == "forbidden":
        raise InvalidInput.of("text", "forbidden", "This may not be said.")
    if frame["text"] == "defect":
        raise ZeroDivisionError("as ordered")
    return {"seq": say(room, frame["text"], client_id=frame["client_id"])}
