"""What an HTTP fake can do with a request, good and bad."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import override

from tests.fakes.net import send_rst
from tests.fakes.wire import Request, Response

FILLER = b'{"padding": "' + b"x" * 200 + b'"}'


@dataclass
class Exchange:
    """One request, its normal answer, and the connection to do something else with."""

    request: Request
    response: Response
    error: Callable[[int], Response]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    keep_open: bool = True

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, response: Response) -> None:
        await self.send(response.head() + response.body)

    async def client_gone(self) -> None:
        """Wait until the client gives up."""
        while await self.reader.read(65536):
            pass
        self.keep_open = False

    def close(self) -> None:
        self.keep_open = False

    def reset(self) -> None:
        self.keep_open = False
        send_rst(self.writer.transport)

    def body_or_filler(self) -> bytes:
        return self.response.body or FILLER


class Behaviour(ABC):
    """One way to treat a request. `accepts`: the provider takes the message all the same."""

    accepts: bool = True

    @abstractmethod
    async def play(self, exchange: Exchange) -> None: ...

    @property
    def name(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class Answer(Behaviour):
    """The normal answer, if asked for after a delay."""

    delay: float = 0

    @override
    async def play(self, exchange: Exchange) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        await exchange.answer(exchange.response)


@dataclass(frozen=True)
class Status(Behaviour):
    """A status with a JSON body (the provider's own error shape if none is given) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None
    accepts: bool = False
    delay: float = 0

    @override
    async def play(self, exchange: Exchange) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.body is None:
            plain = exchange.error(self.status)
        elif isinstance(self.body, bytes):
            plain = Response(self.status, self.body)
        else:
            plain = Response.of(self.status, self.body)
        headers = {**plain.headers, **(self.headers or {})}
        await exchange.answer(replace(plain, headers=headers))

    @property
    @override
    def name(self) -> str:
        return f"Status {self.status}"


def throttled(retry_after: float | str = 1, body: Any = None) -> Status:
    """429 with Retry-After: seconds, or an HTTP date as text."""
    return Status(429, body, {"Retry-After": str(retry_after)})


def failed_after_accept(status: int = 500) -> Status:
    """An error answer for a message that was taken."""
    return Status(status, accepts=True)


@dataclass(frozen=True)
class Hang(Behaviour):
    """Take the request and never answer, until the client or the server stops."""

    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        await exchange.client_gone()


@dataclass(frozen=True)
class Reset(Behaviour):
    """RST instead of an answer."""

    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        exchange.reset()


@dataclass(frozen=True)
class Close(Behaviour):
    """An orderly end of the connection instead of an answer."""

    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        exchange.close()


@dataclass(frozen=True)
class HalfBody(Behaviour):
    """Promise the whole body, send half of it, close."""

    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        body = exchange.body_or_filler()
        await exchange.send(exchange.response.head(len(body)) + body[: len(body) // 2])
        exchange.close()


@dataclass(frozen=True)
class MalformedJson(Behaviour):
    """The normal status, and a body that is not JSON though it says so."""

    accepts: bool = True
    body: bytes = b'{"id": "cut'

    @override
    async def play(self, exchange: Exchange) -> None:
        headers = {**exchange.response.headers, "Content-Type": "application/json"}
        await exchange.answer(Response(exchange.response.status, self.body, headers))


@dataclass(frozen=True)
class Garbage(Behaviour):
    """Bytes that are not HTTP."""

    accepts: bool = True
    data: bytes = b"\x16\x03\x01 nonsense\r\n\r\n"

    @override
    async def play(self, exchange: Exchange) -> None:
        await exchange.send(self.data)
        exchange.close()


@dataclass(frozen=True)
class Drip(Behaviour):
    """The normal answer a few bytes at a time, each before a read timeout of the client."""

    interval: float = 0.05
    step: int = 1
    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        data = exchange.response.head() + exchange.response.body
        for start in range(0, len(data), self.step):
            await exchange.send(data[start : start + self.step])
            await asyncio.sleep(self.interval)


@dataclass(frozen=True)
class Redirect(Behaviour):
    """A redirect, which no provider client should follow."""

    location: str
    status: int = 302
    accepts: bool = False

    @override
    async def play(self, exchange: Exchange) -> None:
        await exchange.answer(Response(self.status, b"", {"Location": self.location}))


@dataclass(frozen=True)
class HugeBody(Behaviour):
    """A JSON answer of this many bytes: one string that does not end soon."""

    size: int = 50 * 2**20
    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        headers = {**exchange.response.headers, "Content-Type": "application/json"}
        await exchange.send(Response(exchange.response.status, b"", headers).head(self.size))
        await exchange.send(b'{"x":"')
        left, block = self.size - 8, b"x" * 65536
        while left:
            await exchange.send(block[:left])
            left -= min(left, len(block))
        await exchange.send(b'"}')
