"""Talking to the identity service, so that its trouble never becomes a queue of requests here."""

from __future__ import annotations

import atexit
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import structlog

from commsproject.common.identity.errors import IdentityUnavailable

DEADLINE_SECONDS = 2.5
"""For a whole exchange: name look-up, connection, request and the last byte of the answer."""

MAX_ANSWER = 512 * 1024
"""Bytes."""

MAX_CALLS = 16
"""At once and per process; one more waits for its turn within its own deadline."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def call(method: str, url: str, headers: dict[str, str] | None = None) -> Answer:
    """One request: no redirects, no proxies of the environment, no retries.

    HTTP timeouts are per read, and none covers the name look-up; so the exchange runs on a thread
    of a small pool, which is given up on at the deadline. Raises IdentityUnavailable.
    """
    pending = _pool().submit(_exchange, method, url, headers or {})
    try:
        return pending.result(DEADLINE_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
        pending.cancel()
        log.warning("identity service away", error=type(error).__name__)
        raise IdentityUnavailable from None


class CoolDown:
    """After `failures` in a row, one caller in every `seconds` may try; the others are told at once."""

    def __init__(self, *, failures: int, seconds: float) -> None:
        self._allowed = failures
        self._seconds = seconds
        self._failures = 0
        self._next_try = 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises IdentityUnavailable unless the caller may try now."""
        with self._lock:
            if self._failures < self._allowed:
                return
            now = time.monotonic()
            if now < self._next_try:
                raise IdentityUnavailable
            self._next_try = now + self._seconds

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._next_try = time.monotonic() + self._seconds

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0


def _exchange(method: str, url: str, headers: dict[str, str]) -> Answer:
    give_up = time.monotonic() + DEADLINE_SECONDS
    with _client().stream(method, url, headers=headers) as response:
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER or time.monotonic() > give_up:
                raise httpx2.ReadError("too much or too slow")
    return Answer(response.status_code, body)


@functools.cache
def _client() -> httpx2.Client:
    client = httpx2.Client(
        timeout=httpx2.Timeout(2.0, connect=1.0),
        trust_env=False,
        follow_redirects=False,
        # Shorter than servers keep an idle connection, so that none is closed under a request.
        limits=httpx2.Limits(max_connections=MAX_CALLS, keepalive_expiry=2.0),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    atexit.register(client.close)
    return client


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="identity")
