"""What a client is owed: every frame once, in order, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError, connection

from commsproject.common.live import publish
from commsproject.common.live.hub import hubs
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user
from tests.live_feed import rooms


async def lines(client: Client, count: int) -> list[int]:
    return [(await client.frame("line"))["seq"] for _ in range(count)]


def test_what_was_missed_comes_first_then_what_is_new(live: Run) -> None:
    async def story() -> None:
        await app(rooms.say, "open", "one", "two", "three")
        async with connected() as client:
            answer = await client.ask(
                type="subscribe", rooms={"open": 1, "closed": 0, "open-new": None}, notes=0
            )
            assert answer["heads"] == {"rooms": {"open": 3, "open-new": 0}, "notes": 0}
            assert answer["refused"] == [{"feed": "rooms", "key": "closed"}]
            assert await lines(client, 2) == [2, 3]
            await app(rooms.say, "open", "four")
            assert await client.frame() == {
                "type": "line",
                "room": "open",
                "seq": 4,
                "text": "four",
            }
            await app(rooms.say, "notes-u-1", "x", feed="notes")
            assert await client.frame() == {"type": "note", "seq": 1}
            heads = await client.frame("heads")
            assert heads == {"type": "heads", "rooms": {"open": 4, "open-new": 0}, "notes": 1}
            await client.ask(type="unsubscribe", rooms=["open"])
            await app(rooms.say, "open", "five")
            await app(rooms.say, "open-new", "one")
            assert (await client.frame())["room"] == "open-new"

    live(story())


def test_a_client_that_cannot_be_brought_up_to_date_is_told(live: Run) -> None:
    def prepare() -> None:
        rooms.say("open", "the first")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO test_line SELECT 'open', n, 'x' FROM generate_series(2, 601) n;"
                "UPDATE test_room SET last_seq = 601 WHERE key = 'open';"
                "INSERT INTO test_room VALUES ('open-holed', 9), ('open-empty', 5), ('late', 3);"
                "INSERT INTO test_line SELECT 'open-holed', n, 'x' FROM unnest(ARRAY[4,5,6,8,9]) n;"
                "INSERT INTO test_line SELECT 'late', n, 'x' FROM generate_series(1, 3) n;"
            )
        rooms.invite("late", user(), since=2)

    async def story() -> None:
        await app(prepare)
        async with connected() as client:

            async def told(room: str, seq: int) -> list[Any]:
                await client.ask(type="subscribe", rooms={room: seq})
                await app(rooms.say, room, "news")
                found: list[Any] = []
                while not found or found[-1] != "news":
                    frame = await client.frame("line", "resync")
                    if frame["type"] == "line":
                        found.append(frame["seq"])
                        found += ["news"] if frame["text"] == "news" else []
                    else:
                        assert frame["feed"] == "rooms"
                        assert frame["key"] == room
                        found.append(f"resync {frame['seq']}")
                return found

            assert await told("open", 0) == ["resync 601", 602, "news"]  # too far behind
            assert (await told("open", 102))[:2] == [103, 104]  # just not
            assert await told("open", 10_000) == ["resync 603", 604, "news"]  # what never was
            holed = ["resync 3", 4, 5, 6, "resync 7", 8, 9, 10, "news"]
            assert await told("open-holed", 0) == holed
            assert await told("open-empty", 2) == ["resync 5", 6, "news"]  # all erased
            assert await told("late", 0) == ["resync 2", 3, 4, "news"]  # joined later

    live(story())


def test_a_lost_note_is_healed_by_the_heartbeat(live: Run) -> None:
    async def story() -> None:
        async with connected() as client:
            await client.ask(type="subscribe", rooms={"open": 0})
            await app(rooms.say, "open", "one", "two", tell=False)
            assert await lines(client, 2) == [1, 2]
            # Somebody who tells of what is not there, or of what was, does no harm.
            publish.post([("head", "rooms", "open", 7), ("head", "rooms", "open", 1)])
            publish.post([("head", "nothing", "open", 7), ("head", "rooms", "nobody", 1)])
            assert await client.nothing()
            await app(rooms.say, "open", "three")
            assert await lines(client, 1) == [3]

    live(story())


def test_a_sequence_that_begins_anew_is_told(live: Run) -> None:
    """All of a person was erased while the person looked, and then there is something new."""

    def erase() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM test_line; DELETE FROM test_room")

    async def story() -> None:
        await app(rooms.say, "open", "one", "two", "three")
        async with connected() as client:
            await client.ask(type="subscribe", rooms={"open": 0})
            assert await lines(client, 3) == [1, 2, 3]
            await app(erase)
            frame = await client.frame()
            assert frame == {"type": "resync", "feed": "rooms", "key": "open", "seq": 0}
            await app(rooms.say, "open", "of another life")
            assert (await client.frame())["seq"] == 1

    live(story())


def test_each_delivery_asks_who_may_read(live: Run) -> None:
    async def story() -> None:
        for one in (user("u-1"), user("u-2")):
            await app(rooms.invite, "closed", one)
        async with connected(user("u-1")) as stays, connected(user("u-2")) as goes:
            for client in (stays, goes):
                await client.ask(type="subscribe", rooms={"closed": 0})
            await app(rooms.uninvite, "closed", user("u-2"))
            await app(rooms.say, "closed", "between us")
            assert (await stays.frame())["text"] == "between us"
            gone = await goes.frame()
            assert (gone["type"], gone["code"], gone["key"]) == ("error", "not_found", "closed")
            # And without any news it is found out by the minute's check.
            await app(rooms.uninvite, "closed", user("u-1"))
            await hubs.get().validate()
            assert (await stays.frame())["code"] == "not_found"
            assert await stays.frame("heads") == {"type": "heads"}

    live(story())


def test_what_cannot_be_read_holds_up_nothing_else(
    live: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that the code cannot show must not silence everybody of this process."""
    read, is_bad = rooms.Rooms.read, True

    def failing(self: rooms.Rooms, after: Any, limit: int) -> Any:
        if is_bad and "open-bad" in after:
            raise KeyError("label")
        return read(self, after, limit)

    monkeypatch.setattr(rooms.Rooms, "read", failing)

    async def story() -> None:
        nonlocal is_bad
        good = [f"open-{number}" for number in range(9)]
        async with connected() as client:
            await client.ask(type="subscribe", rooms=dict.fromkeys([*good, "open-bad"], 0))
            # Told of together, so that they are read together.
            await app(lambda: [rooms.say(room, "x", tell=False) for room in ["open-bad", *good]])
            publish.post([("head", "rooms", room, 1) for room in ["open-bad", *good]])
            assert {(await client.frame("line"))["room"] for _ in good} == set(good)
            is_bad = False
            assert (await client.frame("line"))["room"] == "open-bad"

    live(story())


NAMES, WRITERS, EACH = ("open-a", "open-b", "open-c"), 4, 15
EVERYTHING = {name: list(range(1, WRITERS * EACH + 1)) for name in NAMES}


async def follow(number: int) -> dict[str, list[int]]:
    """Until all is there, with a connection that breaks again and again."""
    got: dict[str, list[int]] = {name: [] for name in NAMES}
    while got != EVERYTHING:
        async with connected(user(f"u-{number}"), address=f"10.0.0.{number}") as client:
            await client.ask(type="subscribe", rooms={name: len(got[name]) for name in NAMES})
            for _ in range(40 + number):
                if got != EVERYTHING:
                    frame = await client.frame("line", seconds=20)
                    got[frame["room"]].append(frame["seq"])
    return got


async def write(number: int) -> None:
    for turn in range(EACH):
        for name in NAMES:
            await app(rooms.say, name, f"{number}-{turn}", tell=(turn + number) % 3 > 0)


def test_many_sockets_many_writers_and_a_database_that_fails(
    live: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every client gets 1..n of every room, though one in three notes and one in three reads fail."""
    reads = 0
    read = rooms.Rooms.read

    def failing(self: rooms.Rooms, after: Any, limit: int) -> Any:
        nonlocal reads
        reads += 1
        if reads % 3 == 1:
            raise OperationalError
        return read(self, after, 7)

    monkeypatch.setattr(rooms.Rooms, "read", failing)

    async def story() -> None:
        following = [asyncio.create_task(follow(number)) for number in range(8)]
        await asyncio.gather(*(write(number) for number in range(WRITERS)))
        for got in await asyncio.gather(*following):
            assert got == EVERYTHING

    live(story())
