"""How many sockets a person and an address have, over all web processes of all machines.

Each process tells Valkey its own numbers, and that it lives. One that was killed stops counting
within a heartbeat. While Valkey is away each process holds the limits by itself: with N of them there
may then be N times as many.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.commands.core import Script

from commsproject.common import valkey
from commsproject.common.ids import new_id
from commsproject.common.live.people import Person

_KEPT_MS = 3_600_000
"""What a process that died has left of a person goes after so long."""

_ANEW_SECONDS = 1200.0
"""All of it is said again as often, or it would go under those who live."""

_AT_ONCE = 500


class Crowd(Exception):
    """As many sockets as there may be. The argument says of what: person, address or process."""


class Seats:
    """Those of this process. Runs on one event loop; Valkey is asked on a thread, one thing after the
    other, so that an older number never comes after a newer one.
    """

    def __init__(self) -> None:
        self._here = 0
        self._came: Counter[str] = Counter()
        """Sockets of this process by address, with those that are not let in yet."""
        self._taken: Counter[str] = Counter()
        self._unsaid: set[str] = set()
        self._process = str(new_id())
        self._is_known = False
        self._anew_at = 0.0
        self._saying = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "live-seats")

    @contextmanager
    def at(self, address: str) -> Iterator[None]:
        """A place in this process, before it is known for whom. Raises Crowd."""
        mine = _by_address(address)
        if self._here >= settings.LIVE_MAX_CONNECTIONS:
            raise Crowd("process")
        if self._came[mine] >= settings.LIVE_MAX_PER_ADDRESS:
            raise Crowd("address")
        self._here += 1
        self._came[mine] += 1
        try:
            yield
        finally:
            self._here -= 1
            _take_one(self._came, mine)

    @asynccontextmanager
    async def of(self, person: Person, address: str) -> AsyncIterator[None]:
        """A seat for a person, counted with those of all processes. Raises Crowd.

        Left only when Valkey knows: a client that is sent to another process finds its seat free.
        """
        wanted = {
            f"comms:seats:person:{person.kind}:{person.id}": settings.LIVE_MAX_PER_PERSON,
            _by_address(address): settings.LIVE_MAX_PER_ADDRESS,
        }
        self._taken.update(wanted.keys())
        try:
            await self._agree(wanted)
            yield
        finally:
            for key in wanted:
                _take_one(self._taken, key)
            self._unsaid.update(wanted)
            await self._say()

    async def live(self) -> None:
        """For ever: say that this process lives, three times in a heartbeat."""
        while True:
            await self._renew()
            await asyncio.sleep(settings.LIVE_HEARTBEAT_SECONDS / 3)

    async def _agree(self, wanted: Mapping[str, int]) -> None:
        what = ("person", "address")
        for name, (key, most) in zip(what, wanted.items(), strict=True):
            if self._taken[key] > most:
                raise Crowd(name)
        numbers = [(self._taken[key], most) for key, most in wanted.items()]
        if full := await self._ask(_take, self._process, list(wanted), numbers):
            raise Crowd(what[full - 1])

    async def _renew(self) -> None:
        """In doubt about what Valkey knows of it, a process takes a new name and says all of it
        anew; what stood under the old one no longer counts.
        """
        if self._is_known and time.monotonic() < self._anew_at:
            self._is_known = bool(await self._ask(_live, self._process))
        if not (self._is_known and time.monotonic() < self._anew_at):
            former, self._process = self._process, str(new_id())
            self._is_known, self._anew_at = True, time.monotonic() + _ANEW_SECONDS
            self._unsaid = set(self._taken)
            await self._ask(_begin, self._process, former)
        await self._say()

    async def _say(self) -> None:
        """Until what has changed so far is told; by one for all who wait."""
        async with self._saying:
            while self._unsaid and self._is_known:
                keys = [self._unsaid.pop() for _ in range(min(_AT_ONCE, len(self._unsaid)))]
                await self._ask(_tell, self._process, keys, [self._taken[key] for key in keys])

    async def _ask(self, function: Any, *args: Any) -> Any:
        """None while Valkey is away."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except valkey.Away:
            self._is_known = False
            return None


def _by_address(address: str) -> str:
    """Of IPv6 a network: who has one has 2**64 addresses (RFC 6177)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"comms:seats:address:{address}"
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False)[0]
    return f"comms:seats:address:{found}"


def _take_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


# --- In Valkey. All of these raise `valkey.Away` ------------------------------------------------


def _live(process: str) -> int:
    return _run([], ["live", process, _heartbeat_ms()])


def _begin(process: str, former: str) -> int:
    return _run([], ["begin", process, _heartbeat_ms(), former])


def _take(process: str, keys: Sequence[str], numbers: Collection[tuple[int, int]]) -> int:
    """0, or the number of the key of which there are too many."""
    pairs = [number for pair in numbers for number in pair]
    return _run(keys, ["take", process, _KEPT_MS, *pairs])


def _tell(process: str, keys: Sequence[str], numbers: Sequence[int]) -> int:
    return _run(keys, ["say", process, _KEPT_MS, *numbers])


def _heartbeat_ms() -> int:
    return int(settings.LIVE_HEARTBEAT_SECONDS * 1000)


@cache
def _script() -> Script:
    return redis.Redis().register_script(Path(__file__).with_name("seats.lua").read_text())


def _run(keys: Sequence[str], values: Sequence[Any]) -> int:
    all_keys = ["comms:seats:processes", *keys]
    answer = valkey.ask(
        lambda client: _script()(keys=all_keys, args=values, client=client), what="seats"
    )
    return int(str(answer))
