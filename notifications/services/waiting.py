"""The calls of a load that wait for their turn, and whether each may still begin when it comes.

A window decides about a hundred calls, and gets leave for them. Where they begin long after that,
both are asked for once more, for many together. One by one it would cost more than the calls
themselves, which makes the next wait longer (measured: half of a slow worker's time).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog

from notifications import limits
from notifications.providers.base import Provider
from notifications.services.compose import Call
from notifications.services.window import confirmed

log = structlog.get_logger(__name__)

T = TypeVar("T")

BEGIN_WITHIN = 3.0
"""Seconds after it was decided on in which a call begins. Who cancels a batch, opts out or
has an address suppressed is answered after longer than that (`SETTLE_SECONDS`): no call begins after
the answer.
"""


class Asks(Protocol):
    async def database(self, function: Callable[..., T], *args: Any) -> T: ...


class Waiting:
    """Used on one event loop. Each call is added by its own task before it waits for a place, and
    leaves at its end.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self._calls: dict[Call, None] = {}
        """Those that may still begin, in the order in which they came."""
        self._without_place: dict[Call, asyncio.Task[Any] | None] = {}
        self._begun: Counter[Provider] = Counter()
        """Calls that have begun since leave was last asked for."""
        self._asking = asyncio.Lock()
        self._asked: Collection[Call] = ()
        """Those for which leave is being asked for."""

    def add(self, call: Call) -> bool:
        """False where none begins any more."""
        if not self.is_stopped:
            self._calls[call] = None
            self._without_place[call] = asyncio.current_task()
        return not self.is_stopped

    def stop(self) -> None:
        """No call begins any more. The tasks of those that wait for a place are cancelled."""
        self.is_stopped = True
        for task in filter(None, self._without_place.values()):
            task.cancel()

    async def leave(self, call: Call) -> None:
        """It ends. Leave may just be asked for on its behalf: not before it is known what it has to
        return.
        """
        self._without_place.pop(call, None)
        if call in self._asked:
            async with self._asking:
                pass
        self._calls.pop(call, None)

    async def may_begin(self, call: Call, asks: Asks) -> bool:
        """Whether `call`, which has a place now, is to be made at once."""
        self._without_place.pop(call, None)
        while self._has_to_ask(call):
            async with self._asking:
                if self._has_to_ask(call):  # no other call has, meanwhile
                    await self._ask(asks)
                    break  # once: where answers are too slow for it the next one is, too
        begins = call in self._calls and is_fresh(call) and not self.is_stopped
        if begins:
            self._begun[call.provider] += 1
            del self._calls[call]
        return begins

    def _has_to_ask(self, call: Call) -> bool:
        return call in self._calls and not is_fresh(call) and not self.is_stopped

    async def _ask(self, asks: Asks) -> None:
        if undecided := [call for call in self._calls if not _is_decided(call)]:
            self._turn_away(await asks.database(decided_against, undecided))
        if wanting := self._wanting():
            self._asked = wanting
            try:
                self._turn_away(await asks.database(without_leave, wanting))
            finally:
                self._asked = ()

    def _wanting(self) -> list[Call]:
        """Without leave: those with a place, and the next ones, up to twice as many as have begun since
        the last time. More would hold what is missing elsewhere.
        """
        late: dict[Provider, list[Call]] = defaultdict(list)
        for call in self._calls:
            if not call.grant.is_usable:
                late[call.provider].append(call)
        found: list[Call] = []
        for provider, calls in late.items():
            calls.sort(key=self._without_place.__contains__)
            with_place = sum(call not in self._without_place for call in calls)
            found += calls[: max(with_place, 2 * self._begun[provider])]
        self._begun.clear()
        return found

    def _turn_away(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self._calls.pop(call, None)


def is_fresh(call: Call) -> bool:
    """Whether what its window decided, and the leave it got, still hold unasked."""
    return _is_decided(call) and call.grant.is_usable


def _is_decided(call: Call) -> bool:
    return time.monotonic() - call.decided < BEGIN_WITHIN


# --- What is asked, in a thread ----------------------------------------------------------------


def decided_against(calls: Sequence[Call]) -> Collection[Call]:
    """Those of `calls` that are not to be made after all, also where nobody can tell. The others are as
    if their window had just opened.
    """
    now = time.monotonic()
    try:
        going = set(confirmed(calls))
    except Exception as error:  # noqa: BLE001 - whatever it is: none of them was made
        log.warning("calls not confirmed", count=len(calls), error=type(error).__name__)
        return calls
    for call in going:
        call.decided = now
    return [call for call in calls if call not in going]


def without_leave(calls: Sequence[Call]) -> Collection[Call]:
    """Those of `calls`, whose leave ran out, that get no other; also where nobody can tell."""
    try:
        return_leave(calls)  # first: there may be none but theirs
        return [call for alike in _alike(calls) for call in _left_over(alike)]
    except Exception as error:  # noqa: BLE001 - whatever it is: none of them was made
        log.warning("no leave asked for", count=len(calls), error=type(error).__name__)
        return calls


def _alike(calls: Iterable[Call]) -> Collection[list[Call]]:
    """Of one size, and under the same limits."""
    found: dict[tuple[Provider, int, UUID | None], list[Call]] = defaultdict(list)
    for call in calls:
        found[call.provider, len(call.items), call.items[0].lease.paced].append(call)
    return found.values()


def _left_over(calls: Sequence[Call]) -> Sequence[Call]:
    """Those for which there is no new leave; the others have it."""
    lease, way, size = calls[0].items[0].lease, calls[-1].way, len(calls[0].items)
    grant = limits.lease(
        provider=way.provider.name,
        channel=lease.channel.value,
        lane=lease.lane.value,
        wanted=size * len(calls),
        state=way.state,
        batch_limit=size,
        batch=lease.batch_id,
        pace=lease.pace,
    )
    made = grant.granted // size
    for call in calls[:made]:
        call.grant = grant
    limits.give_back(grant, grant.granted - made * size)
    return calls[made:]


# --- What is returned --------------------------------------------------------------------------

_NONE = limits.Grant(0, expires=0.0)


def return_leave(calls: Iterable[Call]) -> None:
    """Of calls that were not made, or not yet; together for those that got it together."""
    by_grant: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        by_grant[id(call.grant)].append(call)
    for theirs in by_grant.values():
        grant, messages = theirs[0].grant, sum(len(call.items) for call in theirs)
        for call in theirs:
            call.grant = _NONE
        limits.give_back(grant, messages, calls=len(theirs))
