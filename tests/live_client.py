"""A client of the socket for tests in one process, over the communicator that Channels' own (which
imports daphne) is made of. Over TCP: `live_wire`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.testing import ApplicationCommunicator

from commsproject.common.live import tickets
from commsproject.common.live.hub import hubs
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.sessions import Login


def user(user_id: str = "u-1") -> Person:
    return Person(Kind.USER, user_id)


def ticket(person: Person, **login: Any) -> str:
    """A new one, from anywhere."""
    return tickets.issue(Login(person, **login), "")


class Client:
    """One socket of a person, in this process."""

    def __init__(self, communicator: ApplicationCommunicator) -> None:
        self._communicator = communicator
        self.hello: dict[str, Any] = {}
        self.closed: int | None = None

    async def send(self, **frame: Any) -> None:
        await self.send_text(json.dumps(frame))

    async def send_text(self, text: str) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._communicator.send_input({"type": "websocket.receive", "bytes": data})

    async def frame(self, *types: str, seconds: float = 30) -> dict[str, Any]:
        """The next frame of one of the types; of any but heartbeats where none is named."""
        async with asyncio.timeout(seconds):
            while True:
                # Not its `receive_output`, which ends the application when nothing comes.
                message = await self._communicator.output_queue.get()
                if message["type"] == "websocket.close":
                    self.closed = message["code"]
                    raise ConnectionError(f"closed with {self.closed}")
                frame: dict[str, Any] = json.loads(message["text"])
                if frame["type"] in types or (not types and frame["type"] != "heads"):
                    return frame

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame with an id; its `ack` or `error`."""
        await self.send(id="ask", **frame)
        while True:
            answer = await self.frame("ack", "error", "pong")
            if answer.get("id") == "ask":
                return answer

    async def close_code(self, seconds: float = 30) -> int | None:
        """Read until it is closed; with which code."""
        with contextlib.suppress(ConnectionError):
            while True:
                await self.frame(seconds=seconds)
        return self.closed

    async def nothing(self, seconds: float = 0.3) -> bool:
        """Whether no frame but heartbeats comes for so long."""
        try:
            await self.frame(seconds=seconds)
        except TimeoutError:
            return True
        return False


def _communicator(
    subprotocols: list[str], origin: str | None, address: str
) -> ApplicationCommunicator:
    from commsproject.asgi import application

    return ApplicationCommunicator(
        application,
        {
            "type": "websocket",
            "path": "/ws/",
            "query_string": b"",
            "headers": [] if origin is None else [(b"origin", origin.encode())],
            "subprotocols": subprotocols,
            "client": (address, 5000),
        },
    )


@contextlib.asynccontextmanager
async def connected(
    person: Person | None = None,
    *,
    subprotocols: list[str] | None = None,
    origin: str | None = None,
    address: str = "127.0.0.1",
    **login: Any,
) -> AsyncIterator[Client]:
    """An open socket, after its hello; or whatever `subprotocols` get."""
    if subprotocols is None:
        given = await asyncio.to_thread(_ticket, person or user(), login)
        subprotocols = ["comms.v1", f"ticket.{given}"]
    communicator = _communicator(subprotocols, origin, address)
    await communicator.send_input({"type": "websocket.connect"})
    answer = await communicator.receive_output(30)
    if answer["type"] == "websocket.close":
        raise PermissionError("HTTP 403")
    assert answer == {"type": "websocket.accept", "subprotocol": "comms.v1"}
    client = Client(communicator)
    try:
        client.hello = await client.frame("hello")
        yield client
    finally:
        await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await communicator.wait(30)


def _ticket(person: Person, login: dict[str, Any]) -> str:
    from django.db import connections

    try:
        return ticket(person, **login)
    finally:
        connections.close_all()


async def stop_hub() -> None:
    """What a loop of a test leaves behind."""
    if hub := hubs.pop():
        await hub.stop()
