"""What the SMTP fake can do at each stage of a mail."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from tests.fakes.net import send_rst

#: DATA is the command, before its 354; END is after the last dot, when the mail is with the server.
Stage = Literal["MAIL", "RCPT", "DATA", "END"]


class SmtpBehaviour(ABC):
    """One way to treat a mail. `accepts`: the server keeps the mail all the same."""

    stage: Stage
    accepts: bool

    @abstractmethod
    async def act(self, transport: asyncio.BaseTransport) -> str:
        """The reply of the stage. May never return."""

    @property
    def name(self) -> str:
        return f"{type(self).__name__} {self.stage}"


@dataclass(frozen=True)
class Take(SmtpBehaviour):
    """The normal 250, if asked for after a delay."""

    delay: float = 0
    stage: Stage = "END"
    accepts: bool = True

    @override
    async def act(self, transport: asyncio.BaseTransport) -> str:
        if self.delay:
            await asyncio.sleep(self.delay)
        return "250 2.0.0 OK: queued"


@dataclass(frozen=True)
class Reply(SmtpBehaviour):
    """A reply of the test's choice: `Reply("RCPT", "550 5.1.1 User unknown")`."""

    stage: Stage
    text: str
    accepts: bool = False

    @override
    async def act(self, transport: asyncio.BaseTransport) -> str:
        return self.text


@dataclass(frozen=True)
class Disconnect(SmtpBehaviour):
    """The connection ends instead of a reply, in order or by RST."""

    stage: Stage
    rst: bool = False
    accepts: bool = True

    @override
    async def act(self, transport: asyncio.BaseTransport) -> str:
        if self.rst:
            send_rst(transport)
        elif isinstance(transport, asyncio.WriteTransport):
            transport.close()
        return await _forever()


@dataclass(frozen=True)
class Stall(SmtpBehaviour):
    """No reply, until the client or the server stops."""

    stage: Stage
    accepts: bool = True

    @override
    async def act(self, transport: asyncio.BaseTransport) -> str:
        return await _forever()


@dataclass(frozen=True)
class Drip(SmtpBehaviour):
    """A reply whose lines have no end, each sent before a read timeout of the client."""

    stage: Stage
    interval: float = 0.05
    accepts: bool = True

    @override
    async def act(self, transport: asyncio.BaseTransport) -> str:
        while isinstance(transport, asyncio.WriteTransport):
            transport.write(b"250-wait\r\n")
            await asyncio.sleep(self.interval)
        raise AssertionError("not a connection")


async def _forever() -> str:
    """The end of the connection cancels whoever waits here."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
