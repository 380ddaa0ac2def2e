"""The sink of `http_sink.c` for a machine without a C compiler: an eighth as fast, the same answers.

python -m tests.performance.plain_sink DELAY_MS
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import cast

import uvloop
from typing_extensions import override

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_PROBE = re.compile(rb'"probe-(\d+)')


class Counts:
    def __init__(self) -> None:
        self.requests = self.messages = 0
        self.probes: list[tuple[int, int]] = []

    def note(self, body: bytes) -> None:
        self.requests += 1
        self.messages += body.count(b'"to":') or 1
        if found := _PROBE.search(body):
            self.probes.append((int(found[1]), time.monotonic_ns()))

    def show(self, path: bytes) -> bytes:
        if path.startswith(b"/probes"):
            return "".join(f"{number} {at}\n" for number, at in self.probes).encode()
        return f"{self.requests} {self.messages}\n".encode()


class Connection(asyncio.Protocol):
    def __init__(self, counts: Counts, delay: float) -> None:
        self._counts = counts
        self._delay = delay
        self._data = bytearray()
        self._length = 0  # of the request being read; 0 while its header is incomplete
        self._header = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    @override
    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._complete():
            request = bytes(self._data[: self._length])
            del self._data[: self._length]
            self._length = 0
            self._answer(request)

    def _complete(self) -> bool:
        if not self._length:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._header = end + 4
            found = _LENGTH.search(self._data, 0, end)
            self._length = self._header + (int(found[1]) if found else 0)
        return len(self._data) >= self._length

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET "):
            body = self._counts.show(request[4:12])
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)
            return
        self._counts.note(request[self._header :])
        answer = (
            "HTTP/1.1 202 Accepted\r\nServer: sink\r\nContent-Type: text/plain\r\n"
            f"Content-Length: 0\r\nX-Message-Id: m{self._counts.requests:016x}\r\n\r\n"
        ).encode()
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def main(delay: float) -> None:
    loop, counts = asyncio.get_running_loop(), Counts()
    server = await loop.create_server(lambda: Connection(counts, delay), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) / 1000))
