"""HTTP/2 calls on the event loop: one connection, on which a thousand calls are under way at once.

On the protocol library `h2` itself: see docs/decisions/0011-apns-over-h2.md.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import SplitResult, urlsplit

import h2.events
from django.conf import settings
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from multidict import CIMultiDict
from typing_extensions import override

from commsproject.common.loops import PerLoop
from notifications.providers.common import http
from notifications.providers.common.http import Answer
from notifications.types import ErrorClass, ProviderError

# At DEBUG it tells every header, the credentials too.
logging.getLogger("hpack").setLevel(logging.INFO)

TRIES = 3
"""Connections that one call is offered to, while none takes it."""

MAX_BODY = 16_000
"""Bytes of a request: it goes out in one frame, or not at all (RFC 9113, 4.2)."""

WINDOW = 2**20
"""Bytes that the server may send before we have read them, on a connection."""

FRAME_HEAD = 9
SETTINGS = 4
GOAWAY = 7

FAILURES: tuple[tuple[type[Exception], ErrorClass, str], ...] = (
    (TimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),
    (ssl.SSLCertVerificationError, ErrorClass.AUTH_CONFIG, "certificate"),
    (ssl.SSLError, ErrorClass.TEMPORARY, "tls"),
    (OSError, ErrorClass.TEMPORARY, "connect_failed"),
    (UnicodeError, ErrorClass.AUTH_CONFIG, "bad_url"),
)
"""What asyncio raises before there is a connection, the special before the general."""


class NotTaken(Exception):
    """The server has done nothing about the call and will not; another connection may."""


@dataclass(eq=False, repr=False)
class _Call:
    head: list[tuple[str, str]]
    body: bytes
    read: int
    answer: asyncio.Future[Answer]
    stream: int = 0
    """0 until it has left."""
    sent_at: float = 0.0
    status: int = 0
    """0 until the answer's headers are there."""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    received: bytearray = field(default_factory=bytearray)

    def succeed(self) -> None:
        if not self.answer.done():
            body = bytes(self.received[: self.read])
            self.answer.set_result(Answer(self.status, self.headers, body))

    def fail(self, error: Exception) -> None:
        """Unless the answer has begun: its status counts, whatever becomes of its body."""
        if self.status:
            self.succeed()
        elif not self.answer.done():
            self.answer.set_exception(error)


class LoopHttp2:
    """Posts to one vendor over one kept connection a loop. Uses no proxy.

    `url` is where the server is, `https://host` or `http://host` (HTTP/2 by prior knowledge).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._links = PerLoop(_Link)

    async def post(
        self, path: str, body: bytes, *, headers: Mapping[str, str], read: int = 0
    ) -> Answer:
        """The vendor's answer, whatever its status. Raises `ProviderError`.

        `read` is how many bytes of the answer's body are wanted, at most; header names are lower
        case. One deadline is for the whole call.
        """
        if len(body) > MAX_BODY:
            raise ProviderError(ErrorClass.PERMANENT_MESSAGE, "too_long", "More than a frame.")
        parts = _split(self._url)
        pseudo = {
            ":method": "POST",
            ":scheme": parts.scheme,
            ":authority": parts.netloc,
            ":path": parts.path.rstrip("/") + path,
            "content-length": str(len(body)),
        }
        head = [*pseudo.items(), *headers.items()]
        # Lets the loop see first whether the kept connection has been closed by the server; twice,
        # as what it said before comes before.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call: _Call | None = None
        try:
            async with asyncio.timeout(settings.PROVIDER_READ_TIMEOUT):
                for _ in range(TRIES):
                    connection = await self._connection()
                    call = _Call(head, body, read, asyncio.get_running_loop().create_future())
                    try:
                        return await connection.ask(call)
                    except NotTaken:
                        call = None
        except TimeoutError:
            if call and call.status:
                return Answer(call.status, call.headers, bytes(call.received[:read]))
            if call and call.stream:
                raise http.unanswered(ErrorClass.AMBIGUOUS, "read_timeout") from None
            raise http.unanswered(ErrorClass.TEMPORARY, "connect_timeout") from None
        raise http.unanswered(ErrorClass.TEMPORARY, "connection_refused")

    async def aclose(self) -> None:
        if link := self._links.pop():
            await link.close()

    async def _connection(self) -> _Connection:
        """The one that takes calls; all who wait for it wait for the same."""
        link = self._links.get()
        if link.connection is not None and link.connection.takes_calls:
            return link.connection
        if link.opening is None:
            link.opening = asyncio.ensure_future(_connect(self._url))
            link.opening.add_done_callback(link.opened)
        return await asyncio.shield(link.opening)


class _Link:
    """What is open to a server on one loop: a connection, and those that only end their calls."""

    def __init__(self) -> None:
        self.connection: _Connection | None = None
        self.opening: asyncio.Task[_Connection] | None = None
        self._all: set[_Connection] = set()

    def opened(self, task: asyncio.Task[_Connection]) -> None:
        self.opening = None
        if task.cancelled() or task.exception():
            return
        self.connection = task.result()
        self._all = {one for one in self._all if one.is_open} | {self.connection}

    async def close(self) -> None:
        if self.opening is not None:
            self.opening.cancel()
            await asyncio.gather(self.opening, return_exceptions=True)
        for connection in self._all:
            connection.close()


def _split(url: str) -> SplitResult:
    """Raises `ProviderError` where it is no address."""
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    raise http.unanswered(ErrorClass.AUTH_CONFIG, "bad_url")


async def _connect(url: str) -> _Connection:
    """A connection whose server has greeted. Raises `ProviderError`."""
    parts = _split(url)
    encrypted = parts.scheme == "https"
    port = parts.port or (443 if encrypted else 80)
    try:
        async with asyncio.timeout(settings.PROVIDER_CONNECT_TIMEOUT):
            return await _greeted(parts.hostname or "", port, encrypted=encrypted)
    except (OSError, UnicodeError) as error:
        known = next(row for row in FAILURES if isinstance(error, row[0]))
        raise http.unanswered(*known[1:]) from None


async def _greeted(host: str, port: int, *, encrypted: bool) -> _Connection:
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(
        _Connection, host, port, ssl=_tls() if encrypted else None
    )
    try:
        await connection.greeted
    except BaseException:
        transport.abort()
        raise
    return connection


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    return context


class _Connection(asyncio.Protocol):
    """One connection. A call leaves whole, in one turn of the loop, once the server has room for it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        """The server's first settings: it is there, and we know how much it takes at once."""
        self._h2 = H2Connection(H2Configuration(header_encoding="latin-1"))
        self._h2.local_settings = Settings(
            initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 2**16}
        )
        self._input = bytearray()
        self._waiting: deque[_Call] = deque()
        self._calls: dict[int, _Call] = {}
        self._heard_at = 0.0
        self._is_leaving = False

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    @property
    def takes_calls(self) -> bool:
        return self.is_open and not self._is_leaving

    async def ask(self, call: _Call) -> Answer:
        """Raises `NotTaken`, or `ProviderError`. Who stops waiting gives the call up."""
        self._waiting.append(call)
        if len(self._waiting) == 1:  # those of the same turn leave together
            self._loop.call_soon(self._send_waiting)
        try:
            return await call.answer
        except asyncio.CancelledError:
            self._give_up(call)
            raise

    def leave(self) -> None:
        """Take no more calls; close when those under way have ended."""
        self._is_leaving = True
        for call in self._waiting:
            call.fail(NotTaken())
        self._waiting.clear()
        if not self._calls:
            self.close()

    def close(self) -> None:
        self._is_leaving = True
        if self.is_open:
            self._h2.close_connection()
            self._flush()
            self._transport.close()

    # What asyncio calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's only looks like one
        keep_alive(transport)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._flush()

    @override
    def data_received(self, data: bytes) -> None:
        self._input += data
        try:
            while frame := self._next_frame():
                self._take(frame)
        except ProtocolError:
            self.close()  # tells the server why
            return
        self._send_waiting()

    @override
    def eof_received(self) -> None:
        self._is_leaving = True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._is_leaving = True
        lost = http.unanswered(ErrorClass.AMBIGUOUS, "connection_lost")
        for call in self._calls.values():
            call.fail(lost)
        for call in self._waiting:
            call.fail(NotTaken())
        self._calls.clear()
        self._waiting.clear()
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionResetError())

    # Frames

    def _next_frame(self) -> bytes:
        """Empty where there is no whole one yet. Raises `ProtocolError`."""
        if len(self._input) < FRAME_HEAD:
            return b""
        size = FRAME_HEAD + int.from_bytes(self._input[:3])
        if size > FRAME_HEAD + self._h2.max_inbound_frame_size:
            raise ProtocolError("a frame too large")
        if len(self._input) < size:
            return b""
        frame = bytes(self._input[:size])
        del self._input[:size]
        return frame

    def _take(self, frame: bytes) -> None:
        if frame[3] != SETTINGS:  # ours may be acknowledged when the first call has left already
            self._heard_at = self._loop.time()
        # h2 takes nothing more after a GOAWAY, though the answers to earlier calls follow it.
        if frame[3] == GOAWAY:
            self._go_away(int.from_bytes(frame[FRAME_HEAD : FRAME_HEAD + 4]) & 0x7FFFFFFF)
            return
        for event in self._h2.receive_data(frame):
            self._happened(event)

    def _happened(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged) and not self.greeted.done():
            self.greeted.set_result(None)
        call = self._calls.get(getattr(event, "stream_id", None) or 0)
        if call is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            self._answered(call, event)
        elif isinstance(event, h2.events.DataReceived):
            self._received(call, event)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended(call)
            call.succeed()
        elif isinstance(event, h2.events.StreamReset):
            self._refused(call, event)

    def _answered(self, call: _Call, event: h2.events.ResponseReceived) -> None:
        fields = [(str(name), str(value)) for name, value in event.headers]
        call.headers.extend(pair for pair in fields if not pair[0].startswith(":"))
        call.status = next(int(value) for name, value in fields if name == ":status")

    def _received(self, call: _Call, event: h2.events.DataReceived) -> None:
        call.received += event.data
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, call.stream)
        if len(call.received) > call.read:
            call.succeed()
            self._give_up(call)

    def _refused(self, call: _Call, event: h2.events.StreamReset) -> None:
        self._ended(call)
        if event.error_code == ErrorCodes.REFUSED_STREAM:  # nothing was done (RFC 9113, 8.7)
            call.fail(NotTaken())
        else:
            call.fail(http.unanswered(ErrorClass.AMBIGUOUS, "stream_reset"))

    def _go_away(self, last: int) -> None:
        """The server does nothing about calls after `last`, and will yet answer the others."""
        for stream in [stream for stream in self._calls if stream > last]:
            self._calls.pop(stream).fail(NotTaken())
        self.leave()

    def _ended(self, call: _Call) -> None:
        self._calls.pop(call.stream, None)
        if self._is_leaving and not self._calls:
            self.close()

    # Calls

    def _send_waiting(self) -> None:
        """What there is room for."""
        while self._waiting and self.takes_calls:
            is_wanted = not self._waiting[0].answer.done()
            if is_wanted and not self._has_room(len(self._waiting[0].body)):
                break
            call = self._waiting.popleft()
            if is_wanted:
                self._send(call)
        self._flush()

    def _has_room(self, size: int) -> bool:
        remote = self._h2.remote_settings
        window = min(self._h2.outbound_flow_control_window, remote.initial_window_size)
        return len(self._calls) < remote.max_concurrent_streams and size <= window

    def _send(self, call: _Call) -> None:
        try:
            stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream, call.head)
            self._h2.send_data(stream, call.body, end_stream=True)
        except ProtocolError:  # after 2**30 calls there are no more numbers
            call.fail(NotTaken())
            self.leave()
            return
        call.stream, call.sent_at = stream, self._loop.time()
        self._calls[stream] = call

    def _give_up(self, call: _Call) -> None:
        """Nobody waits for the answer. Where the server has been silent since, it may be gone:
        the next calls are not for this connection.
        """
        if self._calls.get(call.stream) is not call:
            return
        self._h2.reset_stream(call.stream, ErrorCodes.CANCEL)
        self._ended(call)
        if self._heard_at < call.sent_at:
            self.leave()
        self._send_waiting()

    def _flush(self) -> None:
        if (data := self._h2.data_to_send()) and self.is_open:
            self._transport.write(data)


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Networks forget connections that are silent for some minutes, and tell nobody."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if option := getattr(socket, name, None):  # not every system has them
            sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
