"""Sends outgoing webhooks, beside a worker's own work: many at once, a few to each endpoint."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections

from commsproject.common import clock, egress
from commsproject.common.outbox import envelope
from tracking.services import webhook_signing, webhooks_out
from tracking.services.webhooks_out import Call, Result

log = structlog.get_logger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 0.25
TIMEOUT_SECONDS = 10.0
STOP_SECONDS = 2.0


def serve(stopping: threading.Event) -> None:
    """Send what is due, until `stopping`; calls that are out then have `STOP_SECONDS` to end."""
    with ThreadPoolExecutor(1, "webhooks: rows") as rows:
        asyncio.run(_Sender(rows).run(stopping))


class _Sender:
    """One process's calls. Rows are read and written by one thread, a batch at a time."""

    def __init__(self, rows: ThreadPoolExecutor) -> None:
        self._rows = rows
        self._out: dict[asyncio.Task[Result], UUID] = {}
        self._places: dict[UUID, asyncio.Semaphore] = {}

    async def run(self, stopping: threading.Event) -> None:
        async with egress.session() as client:
            while not stopping.is_set():
                try:
                    await self._turn(client)
                except (DatabaseError, InterfaceError) as error:
                    log.warning("webhooks wait for the database", error=type(error).__name__)
                    await asyncio.sleep(1.0)
            if self._out:
                done, late = await asyncio.wait(self._out, timeout=STOP_SECONDS)
                await self._record(done)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _turn(self, client: Any) -> None:
        calls = await self._by_rows(lambda: webhooks_out.claim(Counter(self._out.values())))
        for call in calls:
            self._out[asyncio.create_task(self._send(client, call))] = call.endpoint_id
        if not self._out:
            await asyncio.sleep(LOOK_SECONDS)
            return
        done, _ = await asyncio.wait(
            self._out, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        await self._record(done)

    async def _send(self, client: Any, call: Call) -> Result:
        new = asyncio.Semaphore(webhooks_out.PER_ENDPOINT)
        async with self._places.setdefault(call.endpoint_id, new):
            return await send(client, call)

    async def _record(self, done: set[asyncio.Task[Result]]) -> None:
        if done:
            results = [task.result() for task in done]
            for task in done:
                del self._out[task]
            await self._by_rows(lambda: webhooks_out.record(results))

    async def _by_rows(self, work: Callable[[], T]) -> T:
        def run() -> T:
            close_old_connections()
            try:
                return work()
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._rows, run)


async def send(client: Any, call: Call) -> Result:
    """Make one call. Never raises."""
    headers = {
        "Content-Type": envelope.CONTENT_TYPE,
        "User-Agent": "comms-webhooks/1",
        **webhook_signing.headers(call.secrets, call.event_id, clock.now(), call.body),
    }
    answer = await egress.post(client, call.url, call.body, headers, seconds=TIMEOUT_SECONDS)
    return Result(call, answer)
