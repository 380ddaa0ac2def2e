"""What goes wrong, when, and for how long: drawn from a seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from threading import Event

import redis

from commsproject.embedded import EmbeddedError
from tests.fakes.behaviours import Hang, Status, throttled
from tests.performance.world import Child, World
from tests.soak import service
from tests.soak.vendors import Vendors

CALM = 30.0
"""Seconds without a fault at the beginning, and at the end."""

PER_FAULT = 70.0
"""Seconds for each, in a long run; a short one has each kind once."""

SECONDS: Mapping[str, float] = {
    "kill the web process": 0,
    "kill the urgent worker": 0,
    "kill the bulk worker": 0,
    "kill the scheduler": 0,
    "crash PostgreSQL": 0,
    "PostgreSQL away": 20,
    "kill Valkey": 0,
    "Valkey away": 10,
    "flush Valkey": 0,
    "SendGrid refuses connections": 15,
    "SendGrid throttles": 10,
    "SendGrid does not answer": 8,
    "Twilio answers 500": 10,
    "our endpoint answers 500": 4,
}
"""Each kind of fault, and how long it lasts."""

KILL = "kill the "
"""How those of our own processes begin."""


@dataclass(frozen=True)
class Fault:
    """`at`: seconds from the beginning."""

    at: float
    kind: str


@dataclass(frozen=True)
class Done:
    """A fault that was there, from `at` to `until`, in seconds from the beginning."""

    at: float
    until: float
    kind: str


def plan(seed: int, seconds: float) -> list[Fault]:
    """Each kind once, in a drawn order, as often as there is time for all of them; each at a drawn
    moment of a share of the time that is its own. Our own processes are killed in the first half of
    these rounds, in the last of them at the beginning: to be seen growing they have to grow old.
    """
    random = Random(seed)
    rounds = max(1, int((seconds - 2 * CALM) / PER_FAULT / len(SECONDS)))
    killing = (rounds + 1) // 2
    kinds: list[str] = []
    for number in range(1, rounds + 1):
        drawn = random.sample(list(SECONDS), len(SECONDS))
        if number == killing:
            drawn.sort(key=lambda kind: not kind.startswith(KILL))
        kinds += [kind for kind in drawn if number <= killing or not kind.startswith(KILL)]
    share = max(seconds - 2 * CALM, 0) / len(kinds)
    return [
        Fault(CALM + share * number + random.uniform(0, max(share - SECONDS[kind], 0)), kind)
        for number, kind in enumerate(kinds)
    ]


class Trouble:
    """Carries a plan out."""

    def __init__(self, world: World, supervisor: Child, vendors: Vendors) -> None:
        self.done: list[Done] = []
        self.wrong: list[str] = []
        self._world, self._supervisor, self._vendors = world, supervisor, vendors
        self._stopping = Event()

    @asynccontextmanager
    async def going_on(self, faults: list[Fault]) -> AsyncIterator[None]:
        """Until the end of the block, where the one that is under way is over soon."""
        carrying = asyncio.ensure_future(asyncio.to_thread(self._carry_out, faults))
        try:
            yield
        finally:
            self._stopping.set()
            await carrying

    def _carry_out(self, faults: list[Fault]) -> None:
        began = time.monotonic()
        for fault in faults:
            if self._stopping.wait(max(0.0, began + fault.at - time.monotonic())):
                return
            at = time.monotonic() - began
            try:
                with ExitStack() as over:
                    self._begin(fault.kind, over)
                    self._stopping.wait(SECONDS[fault.kind])
            except (EmbeddedError, redis.RedisError) as error:
                self.wrong.append(f"{fault.kind}: {error}")
            self.done.append(Done(at, time.monotonic() - began, fault.kind))

    def _begin(self, kind: str, over: ExitStack) -> None:
        """`over` ends it."""
        world, vendors = self._world, self._vendors
        if kind.startswith(KILL):
            suffix = kind.removeprefix(KILL)
            service.kill(self._supervisor, suffix.removesuffix(" process"))
            return
        begin: Mapping[str, Callable[[], object]] = {
            "crash PostgreSQL": lambda: world.postgres.kill(),
            "PostgreSQL away": lambda: over.enter_context(world.postgres.down()),
            "kill Valkey": lambda: world.valkey.kill(),
            "Valkey away": lambda: over.enter_context(world.valkey.down()),
            "flush Valkey": lambda: _flush(world),
            "SendGrid refuses connections": lambda: over.enter_context(vendors.sendgrid.away()),
            "SendGrid throttles": lambda: over.enter_context(vendors.sendgrid.only(throttled(2))),
            "SendGrid does not answer": lambda: over.enter_context(vendors.sendgrid.only(Hang())),
            "Twilio answers 500": lambda: over.enter_context(vendors.twilio.only(Status(500))),
            "our endpoint answers 500": lambda: over.enter_context(
                vendors.endpoint.only(Status(500))
            ),
        }
        begin[kind]()


def _flush(world: World) -> None:
    with redis.Redis.from_url(world.redis_url) as broker:
        broker.flushall()
