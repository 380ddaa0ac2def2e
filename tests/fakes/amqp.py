"""A broker that speaks as much AMQP 0-9-1 as a publisher hears."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from typing_extensions import override

from tests.fakes.server import StreamServer

_GREETING = b"AMQP\x00\x00\x09\x01"
_HEADER, _END = 7, 1
"""Octets around the payload of a frame (AMQP 0-9-1, 2.3.5)."""


class Answer(StrEnum):
    ACK = "ack"
    NACK = "nack"
    NONE = "none"
    HANG_UP = "hang up"


class AmqpServer(StreamServer):
    """Keeps the events that it has confirmed, of every exchange, in the order of their coming."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Answer.ACK
        self.offered: list[str] = []
        """Ids of all that were published, confirmed or not."""
        self.properties: list[commands.Basic.Properties] = []
        self.exchanges: dict[str, commands.Exchange.Declare] = {}
        self._heard: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    def heard(self) -> list[dict[str, Any]]:
        return list(self._heard)

    @contextmanager
    def refusing(self, answer: Answer = Answer.NACK) -> Iterator[None]:
        self.answer = answer
        try:
            yield
        finally:
            self.answer = Answer.ACK

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(len(_GREETING)) != _GREETING:
            return
        able: Any = {"capabilities": {"publisher_confirms": True, "basic.nack": True}}
        _send(writer, 0, commands.Connection.Start(server_properties=able))
        talk = _Talk(self, writer)
        while not writer.is_closing():
            head = await reader.readexactly(_HEADER)
            rest = await reader.readexactly(int.from_bytes(head[3:7], "big") + _END)
            _, channel, heard = frame.unmarshal(head + rest)
            talk.hear(channel, heard)

    def take(self, properties: commands.Basic.Properties, body: bytes) -> Answer:
        self.offered.append(properties.message_id or "")
        if self.answer is Answer.ACK:
            self.properties.append(properties)
            self._heard.append(json.loads(body))
        return self.answer


class _Talk:
    """What one connection says, and the answers; one channel with confirms."""

    def __init__(self, server: AmqpServer, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._writer = writer
        self._tag = 0
        self._coming: ContentHeader | None = None
        self._body = b""

    def hear(self, channel: int, heard: Any) -> None:
        if isinstance(heard, commands.Exchange.Declare):
            self._server.exchanges[heard.exchange] = heard
        if (answer := _ANSWERS.get(type(heard))) is not None:
            _send(self._writer, channel, answer())
        elif isinstance(heard, ContentHeader):
            self._coming, self._body = heard, b""
        elif isinstance(heard, ContentBody) and self._coming is not None:
            self._body += heard.value or b""
            if len(self._body) == self._coming.body_size:
                self._judge(channel, self._coming.properties)

    def _judge(self, channel: int, properties: commands.Basic.Properties) -> None:
        self._tag += 1
        answer = self._server.take(properties, self._body)
        if answer is Answer.ACK:
            _send(self._writer, channel, commands.Basic.Ack(self._tag))
        elif answer is Answer.NACK:
            _send(self._writer, channel, commands.Basic.Nack(self._tag))
        elif answer is Answer.HANG_UP:
            self._writer.close()


_ANSWERS: dict[type, Callable[[], Any]] = {
    commands.Connection.StartOk: lambda: commands.Connection.Tune(2047, 131_072, 0),
    commands.Connection.Open: commands.Connection.OpenOk,
    commands.Connection.Close: commands.Connection.CloseOk,
    commands.Channel.Open: commands.Channel.OpenOk,
    commands.Channel.Close: commands.Channel.CloseOk,
    commands.Confirm.Select: commands.Confirm.SelectOk,
    commands.Exchange.Declare: commands.Exchange.DeclareOk,
}


def _send(writer: asyncio.StreamWriter, channel: int, told: Any) -> None:
    writer.write(frame.marshal(told, channel))
