from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame
from typing_extensions import override

from tests.fakes.behaviours import Behaviour, Exchange
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Headers, Request, Response

CONCURRENT = 1000
"""Streams that one connection may have open, as Apple allows."""


class FakeHttp2Server(FakeHttpServer):
    """The same over HTTP/2: by TLS with ALPN where `tls` is set, else in the clear (RFC 9113, 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.concurrent = CONCURRENT
        self.open_streams = 0
        self.most_streams = 0
        """The highest number of requests that were open at once."""

    @override
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer, self.concurrent, number=next(self._numbers))
        try:
            await link.serve(lambda request, stream: self._play(link, request, stream))
        finally:
            await link.end()

    async def _play(self, link: Link, request: Request, stream: int) -> None:
        self.open_streams += 1
        self.most_streams = max(self.most_streams, self.open_streams)
        try:
            request.connection = link.number
            request.recipients = self.recipients(request)
            behaviour = self.script.choose(request.recipients)
            request.behaviour = behaviour.name
            response = Response()
            if behaviour.accepts:
                response = self.respond(request)
                request.status = response.status
                request.accepted = 200 <= response.status < 300
            self.ledger.add(request)
            exchange = Http2Exchange(
                request, response, self.error, link.reader, link.writer, link=link, stream=stream
            )
            await behaviour.play(exchange)
        finally:
            self.open_streams -= 1


class Link:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        concurrent: int,
        *,
        number: int,
    ) -> None:
        self.reader, self.writer, self.number = reader, writer, number
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: concurrent}
        )
        self.last_stream = 0
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._gone: dict[int, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, handle: Callable[[Request, int], Awaitable[None]]) -> None:
        self.h2.initiate_connection()
        self.flush()
        while data := await self.reader.read(65536):
            try:
                events = self.h2.receive_data(data)
            except ProtocolError:
                self.flush()
                return
            for event in events:
                self._take(event, handle)
            self.flush()

    def _take(
        self, event: h2.events.Event, handle: Callable[[Request, int], Awaitable[None]]
    ) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = {str(name): str(value) for name, value in event.headers}
            self._requests[event.stream_id] = (fields, bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id][1].extend(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._start(event.stream_id, handle)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self._gone:
            self._gone[event.stream_id].set()

    def _start(self, stream: int, handle: Callable[[Request, int], Awaitable[None]]) -> None:
        fields, body = self._requests.pop(stream)
        self.last_stream = max(self.last_stream, stream)
        self._gone[stream] = asyncio.Event()
        headers = {k: v for k, v in fields.items() if not k.startswith(":")}
        request = Request(fields[":method"], fields[":path"], Headers(headers), bytes(body))
        task = asyncio.ensure_future(self._handled(handle(request, stream), stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handled(self, handling: Awaitable[None], stream: int) -> None:
        try:
            await handling
        except (OSError, ProtocolError):
            pass  # the client went away, as clients do
        finally:
            self._gone.pop(stream, None)

    async def gone(self, stream: int) -> None:
        """Until the client has given the request up."""
        await self._gone[stream].wait()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if not self.writer.is_closing():
            self.writer.write(data)

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass
class Http2Exchange(Exchange):
    """One request of many on its connection. What behaviours send in the form of HTTP/1.1 goes out as
    frames; what has no such form, as it is.
    """

    link: Link = field(kw_only=True)
    stream: int = field(kw_only=True)
    _head: bytes = b""
    _is_begun: bool = False

    @override
    async def send(self, data: bytes) -> None:
        if self._is_begun:
            await self._body(data)
            return
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not b"HTTP/1.1 ".startswith(head[:9]):
            await super().send(data)
        elif end:
            self._begin(head.decode("latin-1").split("\r\n"))
            await self._body(body)

    @override
    async def answer(self, response: Response) -> None:
        await super().answer(response)
        self.link.h2.end_stream(self.stream)
        self.link.flush()

    @override
    async def client_gone(self) -> None:
        await self.link.gone(self.stream)

    @override
    def close(self) -> None:
        self.link.writer.close()

    def _begin(self, lines: list[str]) -> None:
        self._is_begun = True
        fields = [(":status", lines[0].split(" ")[1])]
        fields += [(name.lower(), value.strip()) for name, _, value in map(_partition, lines[1:])]
        self.link.h2.send_headers(self.stream, fields)
        self.link.flush()

    async def _body(self, data: bytes) -> None:
        h2 = self.link.h2
        while data:
            size = min(h2.local_flow_control_window(self.stream), h2.max_outbound_frame_size)
            h2.send_data(self.stream, data[:size])
            self.link.flush()
            await self.writer.drain()
            await asyncio.sleep(0 if size else 0.01)
            data = data[size:]


def _partition(line: str) -> tuple[str, str, str]:
    return line.partition(":")


@dataclass(frozen=True)
class RefuseStream(Behaviour):
    """RST_STREAM instead of an answer: REFUSED_STREAM (7) says that nothing was done."""

    code: int = 7
    accepts: bool = False

    @override
    async def play(self, exchange: Exchange) -> None:
        assert isinstance(exchange, Http2Exchange)
        exchange.link.h2.reset_stream(exchange.stream, self.code)
        exchange.link.flush()


@dataclass(frozen=True)
class GoAway(Behaviour):
    """Tell the client to go elsewhere, and close once `answered` requests have had their answer.

    `last`: the number of the last stream that counts; None: of the last that has arrived.
    """

    reason: bytes = b'{"reason":"Shutdown"}'
    last: int | None = None
    answers: bool = False
    accepts: bool = True

    @override
    async def play(self, exchange: Exchange) -> None:
        assert isinstance(exchange, Http2Exchange)
        link = exchange.link
        last = link.last_stream if self.last is None else self.last
        # h2 itself would refuse to answer anything after this.
        frame = GoAwayFrame(0, last_stream_id=last, error_code=0, additional_data=self.reason)
        link.writer.write(frame.serialize())
        if self.answers:
            await exchange.answer(exchange.response)
        else:
            exchange.close()
