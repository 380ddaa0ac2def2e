"""HTTP as an agent does it that gives up nothing: each request again until it is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import aiohttp

AGAIN = {409: "idempotency_key_in_flight", 429: "", 503: ""}
"""Answers that ask to come again, with the code that says so, where there are others."""

PATIENCE = 300.0
"""Seconds until a request that is not answered counts as never answered."""


class Caller:
    """`statuses` counts what came, 0 for a connection that broke; `wrong` tells of answers that
    nothing explains.
    """

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._key = key

    async def __aenter__(self) -> Caller:
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=200)
        jar = aiohttp.CookieJar(unsafe=True)  # it goes by addresses
        self.session = aiohttp.ClientSession(
            self.base, timeout=timeout, connector=connector, cookie_jar=jar
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def api(self, method: str, path: str, **request: Any) -> tuple[int, Any, float]:
        """`ask` of the API, as the agent unless `token` says as whom."""
        token = request.pop("token", self._key)
        headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
        return await self.ask(method, f"/api/v1/{path}", headers=headers, **request)

    async def ask(
        self, method: str, path: str, *, wanted: Collection[int] = (200,), **request: Any
    ) -> tuple[int, Any, float]:
        """Status, JSON and seconds of the first answer that is one; status 0 if there never is."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            started = time.monotonic()
            status, told = await self._once(method, path, request)
            self.statuses[status] += 1
            if status in wanted:
                return status, told, time.monotonic() - started
            if not _is_worth_another(status, told):
                self.wrong.append(f"{method} {_shape(path)}: {status} {_problem(told)}")
                return status, told, time.monotonic() - started
            await asyncio.sleep(0.3)
        self.wrong.append(f"{method} {_shape(path)}: no answer in {PATIENCE:.0f} s")
        return 0, None, PATIENCE

    async def _once(self, method: str, path: str, request: Mapping[str, Any]) -> tuple[int, Any]:
        try:
            async with self.session.request(method, path, **request) as answer:
                is_json = "json" in answer.headers.get("content-type", "")
                return answer.status, await (answer.json() if is_json else answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, None


def _is_worth_another(status: int, told: Any) -> bool:
    if status == 0:
        return True
    code = told.get("code", "") if isinstance(told, dict) else ""
    return status in AGAIN and (not AGAIN[status] or AGAIN[status] == code)


def _problem(told: Any) -> str:
    """Of an error: what else is answered may be a secret."""
    return json.dumps(told)[:400] if isinstance(told, dict) and "code" in told else ""


def _shape(path: str) -> str:
    return path.partition("?")[0]
