"""Pairs of people with a socket each, in one process: one of each pair writes, the other reads.

Told to go, they write; the answer is what each message took from its writer's socket to the reader's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import django
import uvloop
from typing_extensions import override

from tests.live_wire import Wire

PATIENCE = 10.0
WARM_UP = 2.0
MARK = b"sent@"


def begin(pairs: int) -> list[tuple[str, str, str]]:
    """A conversation of each pair, and a ticket of each of the two."""
    from commsproject.common.live import tickets
    from commsproject.common.live.people import Kind, Person
    from commsproject.common.live.sessions import Login
    from conversations.services import start
    from conversations.types import Actor, Who
    from conversations.types import Kind as ConversationKind

    made = []
    for number in range(pairs):
        names = [f"{side}-{number}" for side in ("writer", "reader")]
        writer = Actor(Who.USER, names[0])
        chat, _ = start.start(writer, ConversationKind.DIRECT, [names[1]])
        first, second = (tickets.issue(Login(Person(Kind.USER, name)), "") for name in names)
        made.append((str(chat.id), first, second))
    return made


class Member(Wire):
    """One of a pair; `took` and `acks` are of all of them."""

    took: ClassVar[list[float]] = []
    acks: ClassVar[list[bytes]] = []

    @override
    def frame_received(self, data: bytes) -> None:
        if b'"ack"' in data:
            self.acks.append(data)


class Reader(Member):
    @override
    def frame_received(self, data: bytes) -> None:
        super().frame_received(data)
        at = data.find(MARK)
        if at >= 0:
            self.took.append(time.time() - float(data[at + len(MARK) : at + len(MARK) + 17]))


async def connect(port: int, pairs: int) -> list[tuple[Member, str]]:
    """The writers, each with the pair's conversation, when all have subscribed."""
    loop = asyncio.get_running_loop()
    writers: list[tuple[Member, str]] = []
    for key, *given in await asyncio.to_thread(begin, pairs):
        for kind, ticket in zip((Member, Reader), given, strict=True):
            _, one = await loop.create_connection(kind, "127.0.0.1", port)
            one.shake_hands("127.0.0.1", port, "comms.v1", f"ticket.{ticket}")
            await one.opened
            one.send(type="subscribe", id="s", conversations={key: 0})
            if kind is Member:
                writers.append((one, key))
    while len(Member.acks) < 2 * pairs:  # noqa: ASYNC110 - the sockets tell nobody
        await asyncio.sleep(0.05)
    return writers


async def say(writers: Sequence[tuple[Member, str]], rate: float, seconds: float) -> list[float]:
    """What each message took, until all have come or none comes for long."""
    Member.took.clear()
    count, started = int(rate * seconds), time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        one, key = writers[number % len(writers)]
        body = f"{MARK.decode()}{time.time():017.6f} and some words beside"
        one.send(type="send", conversation=key, client_id=f"{started}-{number}", body=body)
    until = time.monotonic() + PATIENCE
    while len(Member.took) < count and time.monotonic() < until:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.05)
    return sorted(Member.took)


async def main(spec: dict[str, Any]) -> None:
    writers = await connect(spec["port"], spec["pairs"])
    _answer({"ready": len(writers)})
    await asyncio.to_thread(sys.stdin.readline)
    await say(writers, spec["rate"], WARM_UP)
    _answer({"took": await say(writers, spec["rate"], spec["seconds"])})


def _answer(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    django.setup()
    uvloop.run(main(json.loads(sys.argv[1])))
