"""An agent's HTTP client: raw, on kept connections, so that it costs little of what it measures."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, Self

from tests.performance.world import Failed


class Connection:
    """One kept connection to the web process."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\n"
        )

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def notify(self, body: bytes, key: str) -> float:
        """`POST notifications`; the seconds until the answer. Raises `Failed` unless it is 202."""
        return await self.post("/api/v1/notifications", body, {"Idempotency-Key": key}, "202")

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str], wanted: str = "200"
    ) -> float:
        """The seconds until the answer. Raises `Failed` unless it has the status `wanted`."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\n{self._head}{lines}Content-Length: {len(body)}\r\n\r\n"
        started = time.monotonic()
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = answer.lower().partition("content-length:")[2].partition("\r\n")[0]
        content = await self._reader.readexactly(int(length))
        seconds = time.monotonic() - started
        if answer.split(" ", 2)[1] != wanted:
            raise Failed(f"{path} answered {answer.splitlines()[0]}: {content[:500].decode()}")
        return seconds


def upload(port: int, key: str, query: str, pieces: Iterable[bytes]) -> dict[str, Any]:
    """`POST batches` with NDJSON in chunks, none of which is kept. Raises `Failed` unless it is 202."""
    head = (
        f"POST /api/v1/batches?{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/x-ndjson\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode())
        for piece in pieces:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        with connection.makefile("rb") as answer:
            status, _, content = answer.read().partition(b"\r\n\r\n")
    if status.split(b" ", 2)[1] != b"202":
        raise Failed(f"The API answered {status[:40]!r}: {content[:500].decode()}")
    found: dict[str, Any] = json.loads(content)
    return found
