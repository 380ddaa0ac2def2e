from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOOPBACK = "127.0.0.1"


class ReservedPort:
    """An ephemeral port that stays ours while nobody listens on it."""

    def __init__(self, host: str = LOOPBACK) -> None:
        self._host = host
        self._holder = _bound(host, 0)
        self.number: int = self._holder.getsockname()[1]

    def listener(self) -> socket.socket:
        """A new listening socket. Close it and the port refuses again."""
        sock = _bound(self._host, self.number)
        sock.listen(1024)
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        self._holder.close()


class LoopThread:
    """An asyncio loop on a daemon thread; `stop` leaves no task and no socket behind."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, coro: Coroutine[Any, Any, T], timeout: float = 10) -> T:
        """Run a coroutine on the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(timeout)

    def stop(self) -> None:
        self.call(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _cancel_all(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await let_callbacks_run()


async def let_callbacks_run() -> None:
    """Give aborted transports the turns they need to close their sockets."""
    for _ in range(3):
        await asyncio.sleep(0)


def send_rst(transport: asyncio.BaseTransport) -> None:
    """Drop a connection so that the peer sees a reset, not an end of file."""
    try:
        sock = transport.get_extra_info("socket")
    except AttributeError:  # asyncio's TLS transport, once it has closed
        return
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock
