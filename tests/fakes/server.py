from __future__ import annotations

import asyncio
import socket
import ssl
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from tests.fakes.net import LOOPBACK, LoopThread, ReservedPort, let_callbacks_run, send_rst


class FakeServer(ABC):
    """A loopback server on a thread of its own that can go away and come back on its port."""

    host = LOOPBACK

    def __init__(self) -> None:
        self._reserved = ReservedPort(self.host)
        self._runner: LoopThread | None = None
        self._listener: socket.socket | None = None
        self._arriving: set[asyncio.Task[Any]] = set()
        self._transports: set[asyncio.BaseTransport] = set()
        self.tls: ssl.SSLContext | None = None
        """Set before `start`: every connection begins with TLS."""
        self.port = self._reserved.number

    @abstractmethod
    def _protocol(self) -> asyncio.BaseProtocol:
        """The protocol of one connection; it reports itself with `_opened` and `_closed`."""

    def start(self) -> Self:
        self._runner = LoopThread(type(self).__name__)
        self.accept()
        return self

    def stop(self) -> None:
        """End every connection, hanging ones too, and free the port. May be called twice."""
        if self._runner is not None:
            self.refuse()
            self._runner.stop()
            self._runner = None
        self._reserved.close()

    def refuse(self) -> None:
        """Close the port and drop what is open: from here on, connection refused."""
        self._thread.call(self._close())

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._thread.call(self._listen())

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._transports)

    @property
    def _thread(self) -> LoopThread:
        if self._runner is None:
            raise RuntimeError(f"{type(self).__name__} is not running")
        return self._runner

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = self._reserved.listener()
            asyncio.get_running_loop().add_reader(self._listener, self._arrive)

    async def _close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for transport in list(self._transports):
            send_rst(transport)
        await let_callbacks_run()

    def _arrive(self) -> None:
        """Take a connection ourselves: asyncio.Server leaks one that comes while it closes."""
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, sock, ssl=self.tls))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _opened(self, transport: asyncio.BaseTransport) -> None:
        self._transports.add(transport)
        if self._listener is None:
            send_rst(transport)

    def _closed(self, transport: asyncio.BaseTransport) -> None:
        self._transports.discard(transport)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class StreamServer(FakeServer):
    """A server whose connections are served by a coroutine each."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: set[asyncio.Task[None]] = set()
        self._crashes: list[BaseException] = []

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""

    @override
    def stop(self) -> None:
        super().stop()
        if self._crashes:
            raise RuntimeError("the fake itself failed") from self._crashes.pop()

    @override
    def _protocol(self) -> asyncio.BaseProtocol:
        return _Stream(self)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve_and_close(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    async def _serve_and_close(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the peer went away, as peers do
        finally:
            writer.close()

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (crash := task.exception()) is not None:
            self._crashes.append(crash)


class _Stream(asyncio.StreamReaderProtocol):
    """Tells the server which transports are open."""

    def __init__(self, server: StreamServer) -> None:
        super().__init__(asyncio.StreamReader(limit=2**20), server._connected)
        self._server = server
        self._mine: asyncio.BaseTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._mine = transport
        super().connection_made(transport)
        self._server._opened(transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._mine is not None:
            self._server._closed(self._mine)
