"""SMTP on the event loop: a few kept connections to one relay, one mail at a time on each."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import cast

import aiosmtplib
from aiosmtplib import SMTPConnectTimeoutError, SMTPResponseException, SMTPServerDisconnected
from django.conf import settings
from django.core.mail.utils import DNS_NAME

CONNECTIONS = 16
"""Open at once, at most. Relays limit them for each client: Postfix to 50, others to 10 or 20."""
IDLE_SECONDS = 60.0
"""A connection unused for longer is replaced: relays close idle ones, often after 100 seconds."""
QUIT_SECONDS = RESET_SECONDS = 1.0
DRAIN_SECONDS = 0.01


class Busy(Exception):
    """Every connection was in use for all the time that connecting may take."""


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Where and how to connect. With neither of the two kinds of TLS, in the clear."""

    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    start_tls: bool = False
    tls: bool = False


@dataclass(frozen=True)
class Mail:
    """An envelope and what is in it: `content` as `mime.wire` writes it. Addresses are ASCII."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)


class Connection:
    """One connection. After an error `stage` and `handed_over` tell how far the mail has come."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._client = aiosmtplib.SMTP(timeout=None)  # the pool has the one deadline
        self.stage = "connect"
        self.handed_over = False
        """All of the mail has left, the last dot too. Without that a server must not take it."""
        self.used = 0.0

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def open(self, tls_context: ssl.SSLContext | None) -> None:
        relay = self._relay
        try:
            async with asyncio.timeout(settings.PROVIDER_CONNECT_TIMEOUT):
                sock = await _connected(relay.host, relay.port)
        except TimeoutError as error:
            raise SMTPConnectTimeoutError("no connection") from error
        # Greetings come after seconds from some: these have the rest of the deadline.
        await self._client.connect(
            hostname=relay.host,
            sock=sock,
            local_hostname=await asyncio.to_thread(DNS_NAME.get_fqdn),
            username=relay.username or None,
            password=relay.password if relay.username else None,
            use_tls=relay.tls,
            start_tls=relay.start_tls,
            tls_context=tls_context,
        )
        if self._client.is_ehlo_or_helo_needed:  # without a login nothing has asked for it yet
            await self._greet()

    async def _greet(self) -> None:
        try:
            await self._client.ehlo()
        except aiosmtplib.SMTPHeloError:  # RFC 5321 3.2: older servers know HELO only
            await self._client.helo()

    async def transmit(self, mail: Mail) -> None:
        """Raises `SMTPResponseException` where the server refuses, else what went wrong."""
        self.handed_over = False
        await self._say("sender", (250,), b"MAIL", f"FROM:<{mail.sender}>".encode("ascii"))
        await self._say("recipient", (250, 251), b"RCPT", f"TO:<{mail.recipient}>".encode("ascii"))
        await self._say("data", (354,), b"DATA")
        protocol, transport = self._client.protocol, self._client.transport
        if protocol is None or transport is None:
            raise SMTPServerDisconnected("before the mail")
        protocol.write(mail.content)
        await _drained(cast("asyncio.WriteTransport", transport))  # uvloop's only looks like one
        self.handed_over = True
        reply = await protocol.read_response()
        if reply.code != 250:
            raise SMTPResponseException(reply.code, reply.message)

    async def _say(self, stage: str, expected: tuple[int, ...], *command: bytes) -> None:
        self.stage = stage
        reply = await self._client.execute_command(*command)
        if reply.code not in expected:
            raise SMTPResponseException(reply.code, reply.message)

    async def reset(self) -> None:
        """Make the server forget a mail it has refused."""
        await self._client.rset()

    async def quit(self) -> None:
        try:
            async with asyncio.timeout(QUIT_SECONDS):
                await self._client.quit()
        except (OSError, aiosmtplib.SMTPException):
            self.close()

    def close(self) -> None:
        self._client.close()


class Pool:
    """The connections of one event loop. Those used last are used first, so the others can age."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(CONNECTIONS)
        encrypted = relay.tls or relay.start_tls
        self._tls_context = ssl.create_default_context() if encrypted else None

    async def send(self, mail: Mail) -> None:
        """Raises `Failed`, or `Busy`. One deadline is for all of it, the wait for a connection too."""
        now = asyncio.get_running_loop().time()
        connect, read = settings.PROVIDER_CONNECT_TIMEOUT, settings.PROVIDER_READ_TIMEOUT
        try:
            async with asyncio.timeout(connect):
                await self._free.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            await self._send(mail, now + connect + read)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    async def _send(self, mail: Mail, deadline: float) -> None:
        if kept := await self._kept():
            try:
                return await self._on(kept, mail, deadline)
            except Failed as failed:
                # The server ended an idle connection and we had not heard: it has seen nothing.
                if not (failed.stage == "sender" and _is_end(failed.error)):
                    raise
        return await self._on(Connection(self._relay), mail, deadline)

    async def _kept(self) -> Connection | None:
        if self._idle:
            await asyncio.sleep(0)  # lets the loop see first which of them have ended
        oldest = time.monotonic() - IDLE_SECONDS
        for connection in self._idle:
            if connection.used < oldest:
                connection.close()
        self._idle = [connection for connection in self._idle if connection.is_open]
        return self._idle.pop() if self._idle else None

    async def _on(self, connection: Connection, mail: Mail, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                if not connection.is_open:
                    await connection.open(self._tls_context)
                await connection.transmit(mail)
        except Exception as error:  # noqa: BLE001 - whatever it is
            failed = Failed(error, connection)
            await self._recover(connection, error)
            raise failed from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    async def _recover(self, connection: Connection, error: Exception) -> None:
        """A refused mail leaves a connection that can be used; anything else does not."""
        refused = isinstance(error, SMTPResponseException) and 400 <= error.code < 600
        usable = refused and not _is_end(error) and connection.stage != "connect"
        try:
            if usable:
                async with asyncio.timeout(RESET_SECONDS):
                    await connection.reset()
        except (OSError, aiosmtplib.SMTPException):
            usable = False
        except asyncio.CancelledError:
            connection.close()
            raise
        if usable:
            self._keep(connection)
        else:
            connection.close()

    def _keep(self, connection: Connection) -> None:
        connection.used = time.monotonic()
        self._idle.append(connection)


class Failed(Exception):
    """A mail that did not end in a 250: what the client raised, and how far it had come."""

    def __init__(self, error: Exception, connection: Connection) -> None:
        super().__init__(type(error).__name__)
        self.error = error
        self.stage = connection.stage
        self.handed_over = connection.handed_over


def _is_end(error: Exception) -> bool:
    """Whether the server has closed the connection, or says that it does (421)."""
    if isinstance(error, SMTPResponseException):
        return error.code == 421
    return isinstance(error, SMTPServerDisconnected)


async def _connected(host: str, port: int) -> socket.socket:
    """To the first of the host's addresses that answers."""
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed or OSError("no address")


async def _drained(transport: asyncio.WriteTransport) -> None:
    """Until all has gone to the system. A mail of the usual size has at once."""
    pause = 0.0
    while transport.get_write_buffer_size():
        if transport.is_closing():
            raise SMTPServerDisconnected("while the mail was sent")
        await asyncio.sleep(pause)
        pause = DRAIN_SECONDS
