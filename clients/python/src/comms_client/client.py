"""The two clients. Their operations are made of the service's description: `operations.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from comms_client import calls
from comms_client.calls import Call, Retries
from comms_client.errors import NoAnswer

T = TypeVar("T")

RETRIES = Retries()
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
"""Seconds for an answer, and for a connection."""


def _options(
    url: str, key: str, timeout: httpx.Timeout | float, options: dict[str, Any]
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "User-Agent": "comms-client/1"}
    return {
        "base_url": f"{url.rstrip('/')}/api/v1",
        "headers": headers,
        "timeout": timeout,
    } | options


def _arguments(call: Call) -> dict[str, Any]:
    given = {name: value for name, value in call.query.items() if value is not None}
    return {
        "params": {name: _text(value) for name, value in given.items()},
        "json": call.json,
        "content": call.content,
        "files": call.files,
        "headers": dict(call.headers),
    }


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


class Transport:
    """Makes calls and repeats them."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries = RETRIES,
        timeout: httpx.Timeout | float = TIMEOUT,
        **options: Any,
    ) -> None:
        """`options` are those of `httpx.Client`: proxy, verify, transport ..."""
        self._http = httpx.Client(**_options(url, key, timeout, options))
        self._retries = retries

    def call(self, call: Call) -> Any:
        """Raises ApiError, NoAnswer."""
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._http.request(call.method, call.path, **_arguments(call))
            except httpx.TransportError as error:
                wait = calls.wait_after_failure(call, error, self._retries, tried)
                if wait is None:
                    raise NoAnswer(f"{type(error).__name__} after {tried} tries.") from error
            else:
                wait = calls.wait_after_answer(call, answer, self._retries, tried)
                if wait is None:
                    return calls.result(answer)
            time.sleep(wait)  # noqa: TID251 - a caller's thread, which asked for it

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class AsyncTransport:
    """The same for asyncio."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: Retries = RETRIES,
        timeout: httpx.Timeout | float = TIMEOUT,
        **options: Any,
    ) -> None:
        """`options` are those of `httpx.AsyncClient`: proxy, verify, transport ..."""
        self._http = httpx.AsyncClient(**_options(url, key, timeout, options))
        self._retries = retries

    async def call(self, call: Call) -> Any:
        """Raises ApiError, NoAnswer."""
        tried = 0
        while True:
            tried += 1
            try:
                answer = await self._http.request(call.method, call.path, **_arguments(call))
            except httpx.TransportError as error:
                wait = calls.wait_after_failure(call, error, self._retries, tried)
                if wait is None:
                    raise NoAnswer(f"{type(error).__name__} after {tried} tries.") from error
            else:
                wait = calls.wait_after_answer(call, answer, self._retries, tried)
                if wait is None:
                    return calls.result(answer)
            await asyncio.sleep(wait)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()


class Rows(Generic[T]):
    """A list of the service: iterate over it, and pages are fetched as they are needed."""

    def __init__(self, transport: Transport, call: Call) -> None:
        self._transport = transport
        self._call = call

    def pages(self) -> Iterator[list[T]]:
        query: dict[str, Any] | None = dict(self._call.query)
        while query is not None:
            call = Call(self._call.method, self._call.path, query)
            page = self._transport.call(call)
            yield page["results"]
            query = calls.next_query(call, page)

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page


class AsyncRows(Generic[T]):
    """A list of the service: `async for`, and pages are fetched as they are needed."""

    def __init__(self, transport: AsyncTransport, call: Call) -> None:
        self._transport = transport
        self._call = call

    async def pages(self) -> AsyncIterator[list[T]]:
        query: dict[str, Any] | None = dict(self._call.query)
        while query is not None:
            call = Call(self._call.method, self._call.path, query)
            page = await self._transport.call(call)
            yield page["results"]
            query = calls.next_query(call, page)

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for row in page:
                yield row
