"""The pump of each lane in a worker process: claim what there is room for, send it, look again.

One event loop in a thread of its own; database work and blocking provider clients are in bounded
executors beside it. Woken by the doorbell, by its own successors, and by itself every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

from commsproject.common import heartbeat
from notifications import queue
from notifications.models import Work
from notifications.providers import registry
from notifications.services import complete, deliver, reconcile
from notifications.services.calls import call_limit
from notifications.services.load import LARGE, TOGETHER, Load
from notifications.services.window import CALLS
from notifications.types import Lane

log = structlog.get_logger(__name__)

T = TypeVar("T")

SLOTS = 2500
"""Messages a lane works on at a time, in one process: at 50 ms a call, 50,000 a second."""

NOISY_FROM = 30
NOISY_SHARE = 0.1
"""An agent with at least so many messages in flight, and more than this share of all, is noisy:
others come first. (Amazon SQS fair queues.)
"""

KEPT = Work.LIMIT
"""Slots that noisy agents leave to the others: a whole chunk's, as nothing smaller can be claimed of
theirs either.
"""

BREATH = 0.02
"""Seconds between a place becoming free and the next claim, where there were few: what fails
together is reported together, and the next messages see the breaker that it opens.
"""

STUCK_SECONDS = 120.0
"""A claim that makes no progress for longer, though its process lives, is left to others."""

EMPTY_IN = 5.0
"""Seconds for which the lanes stand still, at most, to get rid of all other claims before that;
and once more for a message that takes its time.
"""

SUSPECTS_FOR = 1.0
"""Seconds at a time for messages that workers died with; then the lanes have their turn again."""

SOON = 10.0
"""Seconds for which what is left to do has a timer of its own; later it can wait for a poll."""

DATABASE_THREADS = 4
PROVIDER_THREADS = 64


class Threads:
    """A `Runner` on bounded thread pools, each call with a connection of its own, given back."""

    def __init__(self) -> None:
        self._database = ThreadPoolExecutor(DATABASE_THREADS, "database")
        self._beat = ThreadPoolExecutor(1, "beat")
        self._provider = ThreadPoolExecutor(PROVIDER_THREADS, "provider")
        self._threads = asyncio.Semaphore(PROVIDER_THREADS)
        self._given_up: list[Future[Any]] = []
        """Calls beyond their time, which may hang for good."""
        self._limit = call_limit()

    async def database(self, function: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._database, _with_connection, function, args)

    async def beat(self, function: Callable[..., T], *args: Any) -> T:
        """In a thread of its own: behind four slow windows every lease would run out."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._beat, _with_connection, function, args)

    def thread(self) -> asyncio.Semaphore:
        """To be held during `provider`."""
        return self._threads

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """While a `thread` is held, so that the time limit counts from the start of the call: one that
        never began must not end as an unknown outcome.

        A thread whose call is beyond its limit is given up, and another may take its place: a
        vendor that drips an answer for ever must not cost us the others.
        """
        pool = self._provider
        call = pool.submit(_with_connection, function, args)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(call), self._limit)
        except TimeoutError:
            self._given_up = [one for one in (*self._given_up, call) if not one.done()]
            self._abandon(pool)
            raise

    def _abandon(self, pool: ThreadPoolExecutor) -> None:
        """New calls go to new threads; those that are out in `pool` end there, or never."""
        if pool is self._provider:
            self._provider = ThreadPoolExecutor(PROVIDER_THREADS, "provider")
            pool.shutdown(wait=False)

    async def close(self) -> None:
        """Close what providers keep open on this loop."""
        for provider in registry.made():
            await provider.aclose()

    def shut_down(self) -> bool:
        """False where a call still hangs."""
        self._database.shutdown(wait=False, cancel_futures=True)
        self._beat.shutdown(wait=False, cancel_futures=True)
        self._provider.shutdown(wait=False, cancel_futures=True)
        return all(call.done() for call in self._given_up)


def _with_connection(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: stopping
        loop.call_soon_threadsafe(function)


def loads(leases: Iterable[queue.Lease]) -> list[Load]:
    """Claims as they are carried: small ones of one kind and channel together, large ones of one
    flow, and what is to be settled of a large one by itself.
    """
    found: list[Load] = []
    filling: dict[tuple[object, ...], list[queue.Lease]] = {}
    sizes: Counter[tuple[object, ...]] = Counter()
    for lease in leases:
        key: tuple[object, ...] = (lease.kind, lease.channel)
        most = CALLS
        if len(lease.ids) > LARGE:
            key = (*key, lease.flow if lease.kind is Work.Kind.SEND else lease.id)
            most = TOGETHER
        if key in filling and sizes[key] + len(lease.ids) > most:
            found.append(Load(filling.pop(key)))
            sizes[key] = 0
        filling.setdefault(key, []).append(lease)
        sizes[key] += len(lease.ids)
    return [*found, *(Load(some) for some in filling.values())]


def noisy(in_flight: Mapping[tuple[UUID, UUID], int]) -> list[UUID]:
    """The agents that have more than their share of the messages in flight, by agent and flow."""
    by_agent: Counter[UUID] = Counter()
    for (client, _), count in in_flight.items():
        by_agent[client] += count
    least = max(NOISY_FROM, NOISY_SHARE * by_agent.total())
    return [client for client, count in by_agent.items() if count >= least]


class Pump:
    """The claims of one process. `run` returns after `stop`, when its loads are done."""

    def __init__(self, lanes: Iterable[Lane], runner: Threads) -> None:
        self._runner = runner
        self._bells = {lane: asyncio.Event() for lane in lanes}
        self._leases: set[queue.Lease] = set()
        self._loads: set[Load] = set()
        self._claiming = 0
        self._suspect: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._open_road = asyncio.Event()
        self._open_road.set()

    async def run(self) -> None:
        beside = [asyncio.create_task(one) for one in (self._heartbeat(), _alive())]
        try:
            await asyncio.gather(self._suspects(), *(self._serve(lane) for lane in self._bells))
            if self._suspect:
                await asyncio.wait({self._suspect})
        finally:
            for task in beside:
                task.cancel()
            await self._runner.close()

    def wake(self, lane: Lane) -> None:
        """Look at `lane` now. On the loop's own thread only."""
        if lane in self._bells:
            self._bells[lane].set()

    def stop(self) -> None:
        """Claim nothing more, begin no call, and wait for those that are out. On the loop's own
        thread.
        """
        self._stopping.set()
        for load in self._loads:
            load.stop()
        self._open_road.set()
        for bell in self._bells.values():
            bell.set()

    async def _serve(self, lane: Lane) -> None:
        running: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            self._bells[lane].clear()
            await self._open_road.wait()
            running = {task for task in running if not task.done()}
            claimed = await self._claim(lane)
            running |= {asyncio.create_task(self._carry_out(load)) for load in loads(claimed)}
            if not claimed or self._room(lane) <= 0:
                await self._pause(lane, running)
        if running:
            await asyncio.wait(running)

    def _in_flight(self, lane: Lane) -> Counter[tuple[UUID, UUID]]:
        """Messages by agent and flow."""
        found: Counter[tuple[UUID, UUID]] = Counter()
        for lease in self._leases:
            if lease.lane is lane:
                found[lease.client_id, lease.flow] += len(lease.ids)
        return found

    def _room(self, lane: Lane) -> int:
        return SLOTS - self._in_flight(lane).total()

    def _is_tight(self, lane: Lane) -> bool:
        """Whether a chunk may wait only because there was no place for it: a noisy agent's."""
        return self._room(lane) < KEPT + Work.LIMIT

    async def _claim(self, lane: Lane) -> list[queue.Lease]:
        in_flight = self._in_flight(lane)
        was_tight = self._is_tight(lane)
        room = SLOTS - in_flight.total()
        if room <= 0 or self._stopping.is_set():
            return []
        loud = noisy(in_flight)
        claim = partial(
            queue.claim,
            lane,
            room,
            in_flight=in_flight,
            noisy=loud,
            noisy_room=max(0, room - KEPT) if loud else room,
        )
        self._claiming += 1
        try:
            await self._runner.database(queue.answer_bell, lane)
            claimed = await self._runner.database(claim)
            self._leases.update(claimed)
            if self._is_tight(lane) and not was_tight:  # there may be more, for somebody idle
                await self._runner.database(queue.ring, lane)
        except Exception as error:  # noqa: BLE001 - whatever it is, look again after a pause
            log.warning("claim failed", lane=lane.value, error=type(error).__name__)
            return []
        finally:
            self._claiming -= 1
        return claimed

    async def _pause(self, lane: Lane, running: set[asyncio.Task[None]]) -> None:
        """Until the bell, until a place is free where there were few, or for the poll interval."""
        bell = asyncio.create_task(self._bells[lane].wait())
        others = running if self._is_tight(lane) else set()
        await asyncio.wait(
            {bell, *others}, timeout=settings.POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        bell.cancel()
        if others:
            await asyncio.sleep(BREATH)

    async def _carry_out(self, load: Load) -> None:
        leases = list(load.leases)
        load.closed = self._let_go
        self._loads.add(load)
        if self._stopping.is_set():
            load.stop()
        try:
            await self._carry_on(load)
        except (OperationalError, InterfaceError) as error:
            log.warning("database away", error=type(error).__name__)
            await self._give_back(leases)
        except Exception as error:  # noqa: BLE001 - the lease runs out and the work is claimed again
            log.error("load failed", error=type(error).__name__, works=[str(x.id) for x in leases])
        finally:
            self._loads.discard(load)
            self._let_go(leases)

    def _let_go(self, leases: Sequence[queue.Lease]) -> None:
        """Claims that are over make room at once: a call that hangs costs its own place only."""
        over = [lease for lease in leases if lease in self._leases]
        tight = {lane for lane in {lease.lane for lease in over} if self._is_tight(lane)}
        self._leases.difference_update(over)
        for lease in over:
            self._wake_when_due(lease)
        for lane in tight:
            self.wake(lane)

    async def _carry_on(self, load: Load) -> None:
        if load.first.kind is Work.Kind.RECONCILE:
            for lease in load.leases:
                if load.is_stopped:
                    await self._give_back([lease])
                else:
                    await reconcile.run(lease, self._runner)
            return
        for lease in [lease for lease in load.leases if self._is_suspect(lease)]:
            log.error("suspect", work=str(lease.id), messages=len(lease.ids), claims=lease.claims)
            with contextlib.suppress(queue.LeaseLost):
                await self._runner.database(queue.take_apart, lease)
            load.without(lease)
        if load.leases:
            await deliver.run(load, self._runner)

    @staticmethod
    def _is_suspect(lease: queue.Lease) -> bool:
        return lease.claims > queue.SUSPECT_AT and not lease.is_suspect

    async def _give_back(self, leases: Collection[queue.Lease]) -> None:
        """An outage is no fault of the messages: it must not count against them. While it lasts,
        nobody else can claim them either.
        """
        give_up = time.monotonic() + deliver.RECORD_FOR
        while time.monotonic() < give_up:
            with contextlib.suppress(OperationalError, InterfaceError):
                await self._runner.database(queue.give_back, leases)
                return
            await asyncio.sleep(0.5)

    def _wake_when_due(self, lease: queue.Lease) -> None:
        """What this claim left to do soon is looked at when it is due, not at the next poll."""
        for seconds in lease.follow_ups:
            if seconds > SOON:
                continue
            asyncio.get_running_loop().call_later(max(seconds, 0) + 0.01, self.wake, lease.lane)

    async def _heartbeat(self) -> None:
        while True:
            # A beat that finds a row locked skips it.
            await asyncio.sleep(settings.LEASE_SECONDS / 6)
            alive = time.monotonic() - STUCK_SECONDS
            leases = [lease for lease in self._leases if lease.seen > alive]
            if leases:
                with contextlib.suppress(Exception):  # the leases run out, which is the point
                    await self._runner.beat(queue.renew, leases)

    async def _suspects(self) -> None:
        """Messages that workers died with are claimed one at a time, while nothing else is held:
        if it happens again it is known which one it was, and it takes nothing with it.
        """
        while not self._stopping.is_set():
            await self._rest(settings.POLL_SECONDS)
            with contextlib.suppress(Exception):  # the database is away: look again
                found = await self._runner.database(queue.has_suspect, list(self._bells))
                if found and not await self._alone():
                    await self._rest(2 * call_limit())

    async def _rest(self, seconds: float) -> None:
        """Until they are over, or it is time to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _alone(self) -> bool:
        """False if this process did not get rid of what it holds in time."""
        self._open_road.clear()
        try:
            if not await self._empty_handed():
                return False
            until = time.monotonic() + SUSPECTS_FOR
            while time.monotonic() < until and not self._stopping.is_set():
                claimed = await self._runner.database(queue.claim_suspect, list(self._bells))
                if not claimed:
                    break
                self._leases.update(claimed)
                if not await self._carried(claimed[0]):
                    return False
            return True
        finally:
            self._open_road.set()

    async def _empty_handed(self) -> bool:
        """Wait until nothing is held any more; False if a claim takes too long."""
        until = time.monotonic() + EMPTY_IN
        while self._is_busy() and time.monotonic() < until:  # noqa: ASYNC110 - a set has no event
            await asyncio.sleep(0.01)
        return not self._is_busy()

    def _is_busy(self) -> bool:
        """Claims are held, or under way."""
        return bool(self._leases or self._claiming)

    async def _carried(self, suspect: queue.Lease) -> bool:
        """False if it takes too long: a provider that hangs must not stop the lanes. What it was
        suspected of, it would have done by then.
        """
        task = asyncio.create_task(self._carry_suspect(suspect))
        self._suspect = task
        done, _ = await asyncio.wait({task}, timeout=EMPTY_IN)
        return bool(done)

    async def _carry_suspect(self, lease: queue.Lease) -> None:
        try:
            if lease.claims > queue.QUARANTINE_AT and lease.kind is Work.Kind.SEND:
                log.error("quarantined", work=str(lease.id))
                if await self._runner.database(complete.quarantine, lease):
                    return
            await self._carry_out(Load([lease]))
        finally:
            self._leases.discard(lease)


async def _alive() -> None:
    while True:
        heartbeat.beat()
        await asyncio.sleep(heartbeat.EVERY)


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
        return self._runner.shut_down() and not self._thread.is_alive()


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
