"""HTTP calls in threads: kept connections, one deadline for a call, bounded answers.

On the event loop it is `http_loop`; what answers and failures mean is in `http`.
"""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from typing_extensions import Buffer, override
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from notifications.providers.common import http
from notifications.providers.common.http import Answer
from notifications.types import ErrorClass

MAX_BYTES = 256 * 1024
"""Of an answer's body, at most."""
IDLE_SECONDS = 60.0
"""A connection unused for longer is replaced: servers and networks forget it."""

# urllib3 logs every URL at this level, and there are addresses in queries.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class ThreadHttp:
    """Calls one vendor; every thread has connections of its own."""

    def __init__(self) -> None:
        self._slot = _Slot()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | bytes | None = None,
    ) -> Answer:
        """The vendor's answer, whatever its status; its body up to `MAX_BYTES`.

        One call, without retries and redirects. Raises `ProviderError` where no answer comes.
        """
        try:
            response = self._session().request(
                method,
                url,
                params=params,
                data=data,
                headers=headers,
                auth=auth,
                timeout=(settings.PROVIDER_CONNECT_TIMEOUT, settings.PROVIDER_READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, ValueError) as error:
            raise http.transport_error(error) from None
        with response:  # closes the connection where more of a body is still to come
            return Answer(response.status_code, response.headers, _beginning(response))

    def close(self) -> None:
        """Close the connections of this thread. The next call opens a new one."""
        if session := self._slot.session:
            self._slot.session = None
            session.close()

    def _session(self) -> requests.Session:
        if time.monotonic() - self._slot.used > IDLE_SECONDS:
            self.close()
        self._slot.used = time.monotonic()
        if self._slot.session is None:
            self._slot.session = requests.Session()
            for scheme in ("http://", "https://"):
                self._slot.session.mount(scheme, _Adapter(max_retries=0))
        return self._slot.session


def look_up(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """The JSON at `url`, by a connection for this call alone. Raises `ProviderError` where there is
    none.
    """
    calls = ThreadHttp()
    try:
        answer = calls.call("GET", url, headers=headers or {}, auth=auth, params=params)
    finally:
        calls.close()
    if answer.status != 200:
        raise http.status_error(answer.status, answer.headers)
    if answer.json is None:
        raise http.unanswered(ErrorClass.AMBIGUOUS, "malformed_answer")
    return answer.json


class _Slot(threading.local):
    """A thread's own session, and when it was last used (monotonic seconds)."""

    session: requests.Session | None = None
    used: float = 0.0


def _beginning(response: requests.Response) -> bytes:
    """What there is of a body and has come in time."""
    found = bytearray()
    with suppress(requests.RequestException, OSError):
        for part in response.iter_content(16 * 1024):
            found += part
            if len(found) > MAX_BYTES:
                break
    return bytes(found)


class _Answer(HTTPResponse):
    """The timeout of its socket is for the whole of it. By itself it is for every single read, so
    that an answer that drips would never end.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock))


class _Timed(io.RawIOBase):
    """Reads a socket until its timeout has passed once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + (sock.gettimeout() or 0.0)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """`requests` over connections with the answers above, by a proxy too."""

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    @override
    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager
