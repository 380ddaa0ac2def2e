"""A client of the socket over TCP, so light that a process can have thousands. It knows no Django."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from typing import Any

from typing_extensions import override


class Wire(asyncio.Protocol):
    """One socket with as little work as possible for each frame. Masked, text only, no extensions."""

    def __init__(self) -> None:
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self.transport: asyncio.Transport
        self.code = 1006

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def shake_hands(self, host: str, port: int, *subprotocols: str) -> None:
        offered = ", ".join(subprotocols)
        self.transport.write(
            f"GET /ws/ HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Protocol: {offered}\r\n\r\n".encode()
        )

    def send(self, **frame: Any) -> None:
        data = json.dumps(frame).encode()
        size = len(data)
        length = (
            bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
        )
        self.transport.write(b"\x81" + length + b"\0\0\0\0" + data)

    def frame_received(self, data: bytes) -> None:
        """Called with the text of each frame."""

    @override
    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at = 0 if self.opened.done() else self._open(data)
        while size := _frame_size(data, at):
            start, end = size
            self._take(data[at] & 15, data[start:end])
            at = end
        self._rest = data[at:]

    def _open(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101"):
            self.opened.set_exception(ConnectionError(data[:40]))
            return len(data)
        self.opened.set_result(None)
        return end + 4

    def _take(self, kind: int, data: bytes) -> None:
        if kind == 1:
            self.frame_received(data)
        elif kind == 8:
            self.code = int.from_bytes(data[:2]) if data else 1005
            self.transport.close()
        elif kind == 9:
            self.transport.write(bytes([0x8A, 0x80 | len(data)]) + b"\0\0\0\0" + data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed"))
            self.opened.exception()
        if not self.ended.done():
            self.ended.set_result(self.code)


def _frame_size(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins and ends; None where it is not there yet."""
    if len(data) < at + 2 or data[at] & 128 == 0:
        return None
    length, start = data[at + 1] & 127, at + 2
    if length > 125:
        start += 2 if length == 126 else 8
        length = int.from_bytes(data[at + 2 : start])
    return (start, start + length) if len(data) >= start + length else None
