"""The pump of each lane in a worker process: claim what there is room for, send it, look again.

One event loop in a thread of its own; database work and blocking provider clients are in bounded
executors beside it. Woken by the doorbell, by its own successors, and by itself every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import close_old_connections

from notifications import queue
from notifications.models import Work
from notifications.services import deliver, reconcile
from notifications.services.deliver import Runner
from notifications.types import Lane

log = structlog.get_logger(__name__)

T = TypeVar("T")

CHUNKS = 64
"""Chunks a lane works on at a time, in one process: as many as there are threads, so that single
messages to a provider that hangs do not keep those behind them from another.
"""

BREATH = 0.05
"""Seconds between a place becoming free and the next claim, where there was none: what fails
together is reported together, and the next messages see the breaker that it opens.
"""

DATABASE_THREADS = 8
PROVIDER_THREADS = 64


class Threads:
    """A `Runner` on bounded thread pools, each call with a connection of its own, given back."""

    def __init__(self) -> None:
        self._database = ThreadPoolExecutor(DATABASE_THREADS, "database")
        self._provider = ThreadPoolExecutor(PROVIDER_THREADS, "provider")
        self._room = asyncio.Semaphore(PROVIDER_THREADS)
        self._limit = deliver.call_limit()

    async def database(self, function: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._database, _with_connection, function, args)

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """The time limit counts from the start of the call, not from its place in the queue: a call
        that never began must not end as an unknown outcome.

        A thread whose call is beyond its limit is given up, and another may take its place: a
        vendor that drips an answer for ever must not cost us the others.
        """
        async with self._room:
            pool = self._provider
            call = pool.submit(_with_connection, function, args)
            try:
                return await asyncio.wait_for(asyncio.wrap_future(call), self._limit)
            except TimeoutError:
                self._abandon(pool)
                raise

    def _abandon(self, pool: ThreadPoolExecutor) -> None:
        """New calls go to new threads; those that are out in `pool` end there, or never."""
        if pool is self._provider:
            self._provider = ThreadPoolExecutor(PROVIDER_THREADS, "provider")
            pool.shutdown(wait=False)

    def close(self) -> None:
        self._database.shutdown(wait=False, cancel_futures=True)
        self._provider.shutdown(wait=False, cancel_futures=True)


def _with_connection(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: stopping
        loop.call_soon_threadsafe(function)


class Pump:
    """The claims of one process. `run` returns after `stop`, when its chunks are done."""

    def __init__(self, lanes: Iterable[Lane], runner: Runner) -> None:
        self._runner = runner
        self._bells = {lane: asyncio.Event() for lane in lanes}
        self._leases: set[queue.Lease] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            await asyncio.gather(*(self._serve(lane) for lane in self._bells))
        finally:
            heartbeat.cancel()

    def wake(self, lane: Lane) -> None:
        """Look at `lane` now. On the loop's own thread only."""
        if lane in self._bells:
            self._bells[lane].set()

    def stop(self) -> None:
        """Claim nothing more and finish the windows that are open. On the loop's own thread."""
        self._stopping.set()
        for bell in self._bells.values():
            bell.set()

    async def _serve(self, lane: Lane) -> None:
        running: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            self._bells[lane].clear()
            running = {task for task in running if not task.done()}
            claimed = await self._claim(lane, CHUNKS - len(running))
            running |= {asyncio.create_task(self._carry_out(lease)) for lease in claimed}
            if not claimed or len(running) >= CHUNKS:
                await self._pause(lane, running)
        if running:
            await asyncio.wait(running)

    async def _claim(self, lane: Lane, room: int) -> list[queue.Lease]:
        if room <= 0:
            return []
        try:
            await self._runner.database(queue.answer_bell, lane)
            return await self._runner.database(queue.claim, lane, room)
        except Exception as error:  # noqa: BLE001 - whatever it is, look again after a pause
            log.warning("claim failed", lane=lane.value, error=type(error).__name__)
            return []

    async def _pause(self, lane: Lane, running: set[asyncio.Task[None]]) -> None:
        """Until the bell, until a place is free where there was none, or for the poll interval."""
        bell = asyncio.create_task(self._bells[lane].wait())
        others = running if len(running) >= CHUNKS else set()
        await asyncio.wait(
            {bell, *others}, timeout=settings.POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        bell.cancel()
        if others:
            await asyncio.sleep(BREATH)

    async def _carry_out(self, lease: queue.Lease) -> None:
        self._leases.add(lease)
        try:
            if lease.kind is Work.Kind.RECONCILE:
                await self._runner.database(reconcile.settle, lease)
            else:
                await deliver.run(lease, self._runner, self._stopping.is_set)
        except Exception as error:  # noqa: BLE001 - the lease runs out and the chunk is claimed again
            log.error("chunk failed", work=str(lease.id), error=type(error).__name__)
        finally:
            self._leases.discard(lease)
            self._wake_when_due(lease)

    def _wake_when_due(self, lease: queue.Lease) -> None:
        """What this chunk left to do later is looked at when it is due, not at the next poll."""
        for seconds in lease.follow_ups:
            asyncio.get_running_loop().call_later(max(seconds, 0) + 0.01, self.wake, lease.lane)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(
                settings.LEASE_SECONDS / 6
            )  # a beat that finds a row locked skips it
            if self._leases:
                with contextlib.suppress(Exception):  # the leases run out, which is the point
                    await self._runner.database(queue.renew, list(self._leases))


class _Host:
    """The pump's thread in this process."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._lanes = list(lanes)
        self._ready = threading.Event()
        self._runner = Threads()
        self._thread = threading.Thread(target=self._main, name="pump", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pump = Pump(self._lanes, self._runner)
        self._ready.set()
        await self._pump.run()

    def wake(self, lane: Lane) -> None:
        _soon(self._loop, partial(self._pump.wake, lane))

    def stop(self, seconds: float) -> bool:
        _soon(self._loop, self._pump.stop)
        self._thread.join(seconds)
        self._runner.close()
        return not self._thread.is_alive()


_host: _Host | None = None


def start(lanes: Iterable[Lane]) -> None:
    """Start this process's pump. Once a process."""
    global _host
    _host = _Host(lanes)


def stop(seconds: float) -> bool:
    """Finish what is open, for `seconds` at most; False if calls were still out then.

    What was not finished is claimed again by others once its lease has run out.
    """
    global _host
    host, _host = _host, None
    return host is None or host.stop(seconds)


def wake(lane: Lane) -> None:
    """Look at `lane` now; nothing where no pump runs."""
    if _host is not None:
        _host.wake(lane)
