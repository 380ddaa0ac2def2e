"""What the socket does with uvicorn's own connections."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
import uvloop
from typing_extensions import override

from commsproject.common.live import server


class Connection(asyncio.Protocol):
    """As uvicorn's protocols are: `send` is a method, and the transport beside it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.why: Exception | None = None

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.why = exc
        self.lost.set()

    async def send(self, message: Mapping[str, Any]) -> None:
        pass


BOTH = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


async def pair() -> tuple[asyncio.Server, Connection, Connection]:
    """What listens, our end of a connection, and the client's."""
    ours: asyncio.Queue[Connection] = asyncio.Queue()

    def accepted() -> Connection:
        ours.put_nowait(one := Connection())
        return one

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(accepted, "127.0.0.1")
    where = listening.sockets[0].getsockname()
    _, client = await loop.create_connection(Connection, *where)
    return listening, await ours.get(), client


def run(story: Coroutine[Any, Any, None], new_loop: Any) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(story, 60))


@BOTH
def test_a_client_that_has_gone_already_is_no_error(new_loop: Any) -> None:
    async def story() -> None:
        listening, our, client = await pair()
        client.transport.abort()
        while not our.lost.is_set():  # at each step of its end
            server.bound_buffer(our.send)
            await asyncio.sleep(0.001)
        server.bound_buffer(our.send)
        server.abort(our.send)
        listening.close()

    run(story(), new_loop)


@BOTH
def test_an_aborted_connection_leaves_nothing_to_wait_for(new_loop: Any) -> None:
    """The client reads nothing, and what was written to it is dropped."""

    async def story() -> None:
        listening, our, client = await pair()
        client.transport.pause_reading()
        server.bound_buffer(our.send)
        our.transport.write(b"x" * 10_000_000)
        assert our.transport.get_write_buffer_size() > 5_000_000  # and not in the kernel
        server.abort(our.send)
        await our.lost.wait()
        client.transport.resume_reading()
        await client.lost.wait()
        assert isinstance(client.why, ConnectionResetError)
        listening.close()

    run(story(), new_loop)
