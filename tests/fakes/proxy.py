"""A TCP proxy to put between the app and PostgreSQL, Valkey or a provider."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from enum import StrEnum

from typing_extensions import override

from tests.fakes.net import send_rst
from tests.fakes.server import StreamServer

BLOCK = 65536


class Mode(StrEnum):
    PASS = "pass"
    REFUSE = "refuse"
    BLACKHOLE = "blackhole"
    RESET = "reset"


class TcpProxy(StreamServer):
    """Forwards, until told otherwise. A switch also hits the connections that are open.

    - `refuse`: the port is closed, open connections are reset.
    - `blackhole`: connections are accepted, nothing is forwarded. As after a network partition,
      what was held back goes on its way when the mode is `pass` again.
    - `reset`: connections are accepted and reset, open ones too.
    """

    def __init__(self, upstream_port: int, upstream_host: str = "127.0.0.1") -> None:
        super().__init__()
        self.upstream = (upstream_host, upstream_port)
        self.mode = Mode.PASS
        #: Seconds to wait before each block is forwarded, either way.
        self.latency: float = 0
        self._answer_bytes_left: int | None = None
        self._gate = asyncio.Event()
        self._gate.set()

    @override
    def refuse(self) -> None:
        self.switch(Mode.REFUSE)

    @override
    def accept(self) -> None:
        self.switch(Mode.PASS)

    def switch(self, mode: Mode | str) -> None:
        """Change the mode now."""
        self._thread.call(self._switch(Mode(mode)))

    @contextlib.contextmanager
    def fault(self, mode: Mode | str) -> Iterator[None]:
        """A mode for the length of a block, then `pass`."""
        self.switch(mode)
        try:
            yield
        finally:
            self.switch(Mode.PASS)

    def reset_after(self, answer_bytes: int) -> None:
        """Once: forward so many bytes of upstream's answers, then reset that connection."""
        self._answer_bytes_left = answer_bytes

    async def _switch(self, mode: Mode) -> None:
        self.mode = mode
        if mode is Mode.BLACKHOLE:
            self._gate.clear()
        else:
            self._gate.set()
        if mode in {Mode.REFUSE, Mode.RESET}:
            await self._close()
        if mode is not Mode.REFUSE:
            await self._listen()

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._gate.wait()
        if self.mode is not Mode.PASS:
            send_rst(writer.transport)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            send_rst(writer.transport)
            return
        self._opened(up_writer.transport)
        try:
            async with asyncio.TaskGroup() as group:
                _asked = group.create_task(self._pump(reader, up_writer))
                _answered = group.create_task(self._pump(up_reader, writer, answers=True))
        except* OSError:
            send_rst(up_writer.transport)
            send_rst(writer.transport)
        finally:
            up_writer.close()
            self._closed(up_writer.transport)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        while data := await source.read(BLOCK):
            if self.latency:
                await asyncio.sleep(self.latency)
            await self._held()
            if answers and self._answer_bytes_left is not None:
                data = await self._spend(data, sink)
            sink.write(data)
            await sink.drain()
        await self._held()
        if sink.can_write_eof() and not sink.is_closing():
            with contextlib.suppress(OSError):
                sink.write_eof()

    async def _held(self) -> None:
        """Wait while the network is a black hole; what it held is lost if the hole became a fault."""
        await self._gate.wait()
        if self.mode is not Mode.PASS:
            raise ConnectionResetError(self.mode)

    async def _spend(self, data: bytes, sink: asyncio.StreamWriter) -> bytes:
        left = self._answer_bytes_left or 0
        if len(data) < left:
            self._answer_bytes_left = left - len(data)
            return data
        self._answer_bytes_left = None
        sink.write(data[:left])
        await sink.drain()
        raise ConnectionResetError("as ordered")
