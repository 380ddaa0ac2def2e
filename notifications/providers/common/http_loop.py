"""HTTP calls on the event loop, and what their failures mean. For answers see `http`.

`requests` stays for calls in threads; the classes of errors and their codes are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from django.conf import settings
from typing_extensions import override
from yarl import URL

from commsproject.common.loops import PerLoop
from notifications.providers.common import http
from notifications.providers.common.http import Answer
from notifications.types import ErrorClass, ProviderError

CONNECTIONS = 1000
"""Open at once, at most. One call takes one: it is also the number of calls under way."""
IDLE_SECONDS = 60.0
"""A connection unused for longer is replaced: servers and networks forget it."""

FAILURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], ErrorClass, str], ...] = (
    (aiohttp.ConnectionTimeoutError, ErrorClass.TEMPORARY, "connect_timeout"),
    (aiohttp.ClientConnectorCertificateError, ErrorClass.AUTH_CONFIG, "certificate"),
    (aiohttp.ClientConnectorSSLError, ErrorClass.TEMPORARY, "tls"),
    (
        (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
        ErrorClass.AUTH_CONFIG,
        "proxy",
    ),
    (aiohttp.ClientConnectorError, ErrorClass.TEMPORARY, "connect_failed"),
    ((aiohttp.NonHttpUrlClientError, ValueError), ErrorClass.AUTH_CONFIG, "bad_url"),
)
"""What aiohttp raises before a request leaves, the special before the general."""


class LoopHttp:
    """Posts to one vendor over kept connections."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self._headers = headers
        self._sessions = PerLoop(self._session)

    async def post(
        self,
        body: bytes,
        *,
        url: str = "",
        headers: Mapping[str, str] | None = None,
        read: int = 0,
    ) -> Answer:
        """The vendor's answer, whatever its status. Raises `ProviderError`.

        `url` and `headers` are those of this call alone: another address than the usual, called as
        it is written, and more headers. `read` is how many bytes of the answer's body are wanted,
        at most.

        One deadline is for the whole call, the body too: an answer that drips ends.
        """
        # Lets the loop see first which of the kept connections have been closed by the server.
        await asyncio.sleep(0)
        content = _Body(body)
        limits = aiohttp.ClientTimeout(
            total=settings.PROVIDER_READ_TIMEOUT, connect=settings.PROVIDER_CONNECT_TIMEOUT
        )
        try:
            response = await self._sessions.get().post(
                URL(url, encoded=True) if url else self.url,
                data=content,
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure(error, sent=content.sent) from None
        try:
            return Answer(response.status, response.headers, await _beginning(response, read))
        finally:
            response.release()  # closes the connection where more of a body is still to come

    async def aclose(self) -> None:
        if session := self._sessions.pop():
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            proxy=_proxy(self.url),
        )


def failure(error: Exception, *, sent: bool) -> ProviderError:
    """The error of a call without an answer. `sent`: some of the request may have left."""
    for kinds, error_class, code in FAILURES:
        if isinstance(error, kinds):
            return http.unanswered(error_class, code)
    late = isinstance(error, TimeoutError)
    if sent:
        code = "read_timeout" if late else "connection_lost"
        return http.unanswered(ErrorClass.AMBIGUOUS, code)
    code = "connect_timeout" if late else "connection_lost"
    return http.unanswered(ErrorClass.TEMPORARY, code)


async def _beginning(response: aiohttp.ClientResponse, size: int) -> bytes:
    """The first `size` bytes of a body, or what there is of them."""
    found = bytearray()
    with suppress(aiohttp.ClientError, OSError):  # TimeoutError is one of these
        while len(found) < size and (part := await response.content.read(size - len(found))):
            found += part
    return bytes(found)


class _Body(Payload):
    """A request's body that knows whether any of it, or of the headers before it, has left."""

    sent = False

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._size = len(content)

    @override
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    @override
    async def write(self, writer: AbstractStreamWriter) -> None:
        transport = writer.transport
        # aiohttp keeps the headers back until now, and refuses to write to a closed connection.
        self.sent = transport is not None and not transport.is_closing()
        await writer.write(self._value)

    @override
    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        await self.write(writer)


def _proxy(url: str) -> str | None:
    """As the environment says (HTTPS_PROXY, NO_PROXY)."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)
