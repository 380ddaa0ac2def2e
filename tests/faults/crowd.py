"""Many sockets of real servers, which come back whenever they are lost, and watch over every seq."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import connections
from typing_extensions import override

from tests.live_client import ticket, user
from tests.live_wire import Wire

Address = tuple[str, int]

PER_ROUND = 40
"""Tickets that are got together."""


class Member(Wire):
    """One connection of a `Follower`."""

    def __init__(self, follower: Follower) -> None:
        super().__init__()
        self._follower = follower

    @override
    def frame_received(self, data: bytes) -> None:
        self._follower.listen(json.loads(data))


class Follower:
    """A client that keeps the last seq of its rooms, and what it should never have seen."""

    feed = "rooms"
    patience: float | None = None
    """Seconds without a word after which its server counts as gone, though nothing says so."""

    def __init__(self, number: int, servers: Sequence[Address], rooms: Sequence[str]) -> None:
        self.person = user(f"crowd-{number}")
        self.seqs = dict.fromkeys(rooms, 0)
        self.wrong: list[str] = []
        self.codes: Counter[int] = Counter()
        self.told_to_wait = 0.0
        self.is_in = False
        self.socket: Member | None = None
        self.server: Address | None = None
        self._servers = itertools.cycle(random.sample(list(servers), len(servers)))
        self._heard_at = 0.0

    def listen(self, frame: dict[str, Any]) -> None:
        self._heard_at = time.monotonic()
        self.heard(frame)

    def heard(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "line":
                self.count(frame["room"], frame["seq"])
            case "hello":
                self.told_to_wait = frame["reconnect_after_ms"] / 1000
                self.is_in = True
            case "error" | "resync":
                self.wrong.append(json.dumps(frame))

    def count(self, room: str, seq: int) -> None:
        if seq != self.seqs[room] + 1:
            self.wrong.append(f"{seq} of {room} after {self.seqs[room]}")
        self.seqs[room] = seq

    async def stay(self, crowd: Crowd) -> None:
        """Be connected, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            given = await crowd.ticket(self)
            self.server = server = next(self._servers)
            try:
                async with asyncio.timeout(self.patience):
                    _, one = await loop.create_connection(lambda: Member(self), *server)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            try:
                async with asyncio.timeout(self.patience):
                    one.shake_hands(*server, "comms.v1", f"ticket.{given}")
                    await one.opened
                self.socket = one
                one.send(type="subscribe", **{self.feed: self.seqs})
                self.codes[await self._end_of(one)] += 1
            except OSError:
                await asyncio.sleep(0.2)
            finally:
                self.socket, self.is_in = None, False
                one.transport.abort()
            await asyncio.sleep(self.told_to_wait)

    async def _end_of(self, one: Member) -> int:
        self._heard_at = time.monotonic()
        while not one.ended.done():
            await asyncio.wait([one.ended], timeout=self.patience)
            if self.patience is not None and time.monotonic() > self._heard_at + self.patience:
                return SILENT
        return one.ended.result()


SILENT = 0
"""Instead of the code of a close: nothing was heard for too long."""


class Crowd:
    """All of them, on one loop. Tickets come from the database, as many together as wait for one."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        self.followers = followers
        self._wanted: asyncio.Queue[tuple[Follower, asyncio.Future[str]]] = asyncio.Queue()

    async def __aenter__(self) -> Crowd:
        self._tasks = [asyncio.create_task(self._issue())]
        self._tasks += [asyncio.create_task(one.stay(self)) for one in self.followers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close a turn later

    async def ticket(self, follower: Follower) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await self._wanted.put((follower, future))
        return await future

    async def _issue(self) -> None:
        while True:
            waiting = [await self._wanted.get()]
            with contextlib.suppress(asyncio.QueueEmpty):
                while len(waiting) < PER_ROUND:
                    waiting.append(self._wanted.get_nowait())
            given = await asyncio.to_thread(tickets, [one for one, _ in waiting])
            for (_, future), one in zip(waiting, given, strict=True):
                if not future.done():
                    future.set_result(one)

    @property
    def connected(self) -> int:
        return sum(one.is_in for one in self.followers)

    async def until(self, condition: Any, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - of sockets that come and go
                await asyncio.sleep(0.05)

    async def until_all_have(self, heads: dict[str, int], seconds: float) -> None:
        """Every follower has each of its rooms up to its head, and nothing wrong on the way."""

        def behind() -> list[Follower]:
            return [
                one
                for one in self.followers
                if any(seq != heads.get(room, 0) for room, seq in one.seqs.items())
            ]

        try:
            await self.until(lambda: not behind(), seconds)
        except TimeoutError:
            raise AssertionError(
                f"{len(behind())} are behind: {behind()[0].seqs} {heads}"
            ) from None
        assert [one.wrong for one in self.followers if one.wrong] == []


def tickets(followers: Sequence[Follower]) -> list[str]:
    try:
        return [ticket(one.person) for one in followers]
    finally:
        connections.close_all()
