"""Conversations on real servers: killed, and with every note of the layer lost."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connections
from typing_extensions import override

from conversations.models import Conversation, Entry
from conversations.services import entries, start
from conversations.types import Actor, Kind, Who
from tests.faults.conftest import Size
from tests.faults.crowd import Address, Crowd, Follower
from tests.faults.test_live import app, flush, serving
from tests.faults.world import PATIENCE
from tests.live_wire import Wire
from tests.processes import free_port

ROOMS = 4


class Reader(Follower):
    """A person of one conversation: keeps its seq, and each entry as it is now."""

    feed = "conversations"

    def __init__(self, number: int, servers: list[Address], rooms: list[str]) -> None:
        super().__init__(number, servers, rooms)
        self.entries: dict[str, dict[str, Any]] = {}
        self.acknowledged: set[str] = set()

    @override
    def heard(self, frame: dict[str, Any]) -> None:
        if frame["type"] in ("entry", "entry.changed"):
            room = frame["conversation"]
            self.count(room, frame["seq"])
            is_new = frame["entry"]["id"] not in self.entries
            if is_new != (frame["type"] == "entry"):
                self.wrong.append(f"{frame['type']} of {frame['seq']} of {room}")
            self.entries[frame["entry"]["id"]] = frame["entry"]
        elif frame["type"] == "ack":
            self.acknowledged.add(frame.get("id", ""))
        else:
            super().heard(frame)


def person(number: int) -> Actor:
    return Actor(Who.USER, f"crowd-{number}")


def begin(count: int) -> list[str]:
    """Groups, each of every `ROOMS`th person."""
    made = []
    for room in range(ROOMS):
        people = [person(number) for number in range(room, count, ROOMS)]
        chat, _ = start.start(people[0], Kind.GROUP, [one.id for one in people])
        made.append(str(chat.id))
    return made


def heads() -> dict[str, int]:
    return {str(id_): seq for id_, seq in Conversation.objects.values_list("id", "last_seq")}


def bodies() -> dict[str, str]:
    return {str(id_): body for id_, body in Entry.objects.values_list("id", "body")}


class Talk(threading.Thread):
    """Everybody writes in turn, and each second thing is about what was written before."""

    def __init__(self, rooms: list[str], pause: float) -> None:
        super().__init__()
        self._rooms, self._pause = rooms, pause
        self._end = threading.Event()
        self._latest: dict[str, UUID] = {}

    @override
    def run(self) -> None:
        turn = 0
        while not self._end.wait(self._pause):
            room = turn % ROOMS
            self._say(self._rooms[room], person(room), turn)
            turn += 1
        connections.close_all()

    def _say(self, key: str, who: Actor, turn: int) -> None:
        id_ = UUID(key)
        if (latest := self._latest.pop(key, None)) is None:
            self._latest[key] = entries.post(who, id_, f"line {turn}")[0].id
        elif turn % 3:
            entries.react(who, id_, latest, "👍", on=True)
        else:
            entries.edit(who, id_, latest, f"edited {turn}")

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


def readers(count: int, servers: list[Address], rooms: list[str]) -> list[Reader]:
    return [Reader(number, servers, [rooms[number % ROOMS]]) for number in range(count)]


async def check(crowd: Crowd, found: list[Reader], seconds: float) -> None:
    """Everybody has every entry of their conversation as the database has it, and no other's."""
    await crowd.until_all_have(await app(heads), seconds)
    written = await app(bodies)
    for one in found:
        assert {id_: entry["body"] for id_, entry in one.entries.items()} == {
            id_: body for id_, body in written.items() if id_ in one.entries
        }
        (room,) = one.seqs
        assert len(one.entries) == await app(Entry.objects.filter(conversation=UUID(room)).count)


def test_conversations_lose_nothing(tmp_path: Path, size: Size, transactional_db: None) -> None:
    """G14: a server killed under them, Valkey flushed; what is sent again is written once."""
    count = int(size["people"])
    rooms = begin(count)

    async def story(servers: list[Any]) -> None:
        found = readers(count, [one.address for one in servers], rooms)
        async with Crowd(found) as crowd:
            await crowd.until(lambda: crowd.connected == count, PATIENCE)
            with Talk(rooms, 0.02):
                for _ in range(int(size["kills"])):
                    await asyncio.sleep(0.5)
                    await app(flush)
                    writing = asyncio.create_task(_insist(crowd, found[0], rooms[0]))
                    servers[0].process.kill()
                    await asyncio.sleep(0.3)
                    servers[0].start()
                    await writing
            await check(crowd, found, PATIENCE)
            sent = await app(Entry.objects.exclude(client_id="").count)
            assert sent == len(found[0].acknowledged - {""}) == 5 * int(size["kills"])

    with serving(tmp_path / "web.log", 2) as servers:
        asyncio.run(story(servers))


async def _insist(crowd: Crowd, me: Reader, room: str) -> None:
    """Five messages over the socket, each until it is acknowledged."""
    for _ in range(5):
        client_id = f"c-{len(me.acknowledged)}"
        async with asyncio.timeout(PATIENCE):
            while client_id not in me.acknowledged:
                socket: Wire | None = me.socket
                if socket is not None and me.is_in:
                    frame = {"type": "send", "id": client_id, "client_id": client_id}
                    socket.send(**frame, conversation=room, body="sent by socket")
                await asyncio.sleep(0.1)


def test_conversations_live_on_the_heartbeat_alone(tmp_path: Path, transactional_db: None) -> None:
    """G16: every note of the layer is lost; and who was taken out hears nothing more."""
    rooms = begin(12)

    async def story(servers: list[Any]) -> None:
        found = readers(12, [servers[0].address], rooms)
        async with Crowd(found) as crowd:
            await crowd.until(lambda: crowd.connected == 12, PATIENCE)
            with Talk(rooms, 0.02):
                await asyncio.sleep(1)
            await check(crowd, found, PATIENCE)
            gone = found[4]
            await app(start.leave, person(0), UUID(rooms[0]), gone.person.id)
            before = dict(gone.seqs)
            others = [one for one in found if one is not gone]
            await app(entries.post, person(0), UUID(rooms[0]), "not for all")
            crowd.followers = others
            await check(crowd, others, PATIENCE)
            assert "not for all" not in {entry["body"] for entry in gone.entries.values()}
            assert gone.seqs[rooms[0]] <= before[rooms[0]] + 1

    gone = f"redis://127.0.0.1:{free_port()}/0"
    with serving(tmp_path / "web.log", REDIS_URL=gone) as servers:
        asyncio.run(story(servers))
