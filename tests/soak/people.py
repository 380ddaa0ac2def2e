"""People with a socket: they follow their inbox and a conversation, write into it, come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp

from tests.soak.caller import PATIENCE, Caller

STAY = (20.0, 180.0)
"""Seconds after which somebody leaves, to come back."""

WRITES_EVERY = 8.0
"""Seconds between what one person writes, on average."""

EDITED = 0.15
"""The share of what is written that is changed afterwards."""


class Follower:
    """Keeps the last number of its conversation and of its inbox, and what it should never have
    seen.
    """

    def __init__(self, caller: Caller, token: str, room: str, random: Random) -> None:
        self.wrong: list[str] = []
        self.codes: Counter[int] = Counter()
        self.written: set[str] = set()
        """Client ids of what was acknowledged."""
        self.seq, self.inbox, self.frames = 0, 0, 0
        self.room, self.token = room, token
        self._caller, self._random = caller, random
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._acks: dict[str, asyncio.Event] = {}
        self._pause = 0.0

    async def stay(self) -> None:
        """Be connected, again and again, until cancelled."""
        while True:
            status, told, _ = await self._caller.api(
                "POST", "ws-ticket", token=self.token, wanted=(201,)
            )
            if status == 201:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await self._once(told["ticket"])
            self._socket = None
            await asyncio.sleep(self._pause or 0.2)

    async def _once(self, ticket: str) -> None:
        protocols = ("comms.v1", f"ticket.{ticket}")
        async with self._caller.session.ws_connect("/ws/", protocols=protocols) as socket:
            keys = {"conversations": {self.room: self.seq}, "inbox": self.inbox}
            await socket.send_json({"type": "subscribe", "id": "subscribe", **keys})
            self._socket = socket
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(*STAY)):
                    async for message in socket:
                        frame = json.loads(message.data)
                        if frame["type"] == "error" and frame.get("id") == "subscribe":
                            return  # to try again
                        self._heard(frame)
                    self.codes[socket.close_code or 0] += 1

    def _heard(self, frame: dict[str, Any]) -> None:
        self.frames += 1
        match frame["type"]:
            case "entry" | "entry.changed":
                self._check("the conversation", self.seq, frame["seq"])
                self.seq = frame["seq"]
            case "notification":
                self._check("the inbox", self.inbox, frame["seq"])
                self.inbox = frame["seq"]
            case "hello":
                self._pause = frame["reconnect_after_ms"] / 1000
            case "ack":
                if waiting := self._acks.pop(frame.get("id", ""), None):
                    waiting.set()
            case "error" if frame["code"] == "unavailable":
                pass  # the database is away: sent again
            case "error" | "resync":
                self.wrong.append(json.dumps(frame))

    def _check(self, what: str, last: int, seq: int) -> None:
        if seq != last + 1:
            self.wrong.append(f"{seq} of {what} after {last}")

    async def write(self, name: str) -> None:
        """Messages, each sent until it is acknowledged, until cancelled."""
        for number in range(10**9):
            await asyncio.sleep(self._random.expovariate(1 / WRITES_EVERY))
            client_id = f"{name}-{number}"
            await asyncio.shield(self._insist(client_id))
            if self._random.random() < EDITED:
                await asyncio.shield(self._edit(client_id))

    async def _insist(self, client_id: str) -> None:
        frame = {"id": client_id, "client_id": client_id, "body": f"I say {client_id}."}
        ended = self._acks[client_id] = asyncio.Event()
        until = time.monotonic() + PATIENCE
        while not ended.is_set() and time.monotonic() < until:
            await self._send(type="typing", conversation=self.room)
            await self._send(type="send", conversation=self.room, **frame)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 3)
        if self._acks.pop(client_id, None):
            self.wrong.append(f"{client_id} was not acknowledged in {PATIENCE:.0f} s")
        else:
            self.written.add(client_id)

    async def _send(self, **frame: Any) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_json(frame)

    async def _edit(self, client_id: str) -> None:
        path = f"conversations/{self.room}/entries"
        status, page, _ = await self._caller.api("GET", path, token=self.token)
        for entry in page["results"] if status == 200 else ():
            if entry["client_id"] == client_id:
                body = {"body": f"I meant {client_id}."}
                await self._caller.api(
                    "PATCH", f"{path}/{entry['id']}", json=body, token=self.token
                )


class Crowd:
    """All of them."""

    def __init__(self, followers: list[Follower]) -> None:
        self.followers = followers

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """They come, and are gone after the block."""
        tasks = [asyncio.ensure_future(one.stay()) for one in self.followers]
        try:
            yield
        finally:
            await _cancel(tasks)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """What was being written at the end of the block is acknowledged after it."""
        tasks = [
            asyncio.ensure_future(one.write(f"line-{number}"))
            for number, one in enumerate(self.followers)
        ]
        try:
            yield
        finally:
            await _cancel(tasks)
        while any(one._acks for one in self.followers):  # noqa: ASYNC110 - of sockets that come and go
            await asyncio.sleep(0.1)

    async def caught_up(self, heads: dict[str, int], inboxes: dict[str, int]) -> None:
        """Wait until everybody has what there is: `heads` by conversation, `inboxes` by token."""

        def behind() -> list[Follower]:
            return [
                one
                for one in self.followers
                if (one.seq, one.inbox) != (heads[one.room], inboxes[one.token])
            ]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                while behind():  # noqa: ASYNC110 - of sockets that come and go
                    await asyncio.sleep(0.2)
        for one in behind():
            wanted = heads[one.room], inboxes[one.token]
            one.wrong.append(f"has {one.seq}, {one.inbox} of {wanted}")

    @property
    def wrong(self) -> list[str]:
        return [
            f"socket {number}: {wrong}"
            for number, one in enumerate(self.followers)
            for wrong in one.wrong
        ]


async def _cancel(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
