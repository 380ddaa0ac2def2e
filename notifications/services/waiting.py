"""The calls of a load that wait for their turn, and whether each may still begin when it comes.

A window decides about a hundred calls, and gets leave for them. Where they begin long after that,
both are asked for once more: for all that have waited too long together. One by one it would cost
more than the calls themselves, which makes the next wait longer (measured: half of a slow worker's
time).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError

from notifications import limits
from notifications.services.allot import Way
from notifications.services.compose import Call
from notifications.services.window import confirmed

log = structlog.get_logger(__name__)

T = TypeVar("T")

BEGIN_WITHIN = 3.0
"""Seconds after its window in which a call begins, or is asked about once more. Who cancels a batch,
or unsubscribes by the link, is answered after longer than that (`SETTLE_SECONDS`): no call begins
after the answer. What is said elsewhere, in preferences or the suppression list, holds for windows
that open afterwards: a call of one that was open may follow by so long.
"""


class Asks(Protocol):
    async def database(self, function: Callable[..., T], *args: Any) -> T: ...


class Waiting:
    """Used on one event loop. Each call is added before it waits, and removed when it begins, or
    leaves.
    """

    def __init__(self) -> None:
        self._calls: dict[Call, None] = {}
        self._asking = asyncio.Lock()
        self._late: Sequence[Call] = ()
        """Those that are being asked about."""

    def add(self, call: Call) -> None:
        self._calls[call] = None

    def remove(self, call: Call) -> None:
        self._calls.pop(call, None)

    async def leave(self, call: Call) -> None:
        """It ends. One that has not begun may just be asked about: not before it is known what leave
        it has to return.
        """
        if call in self._late:
            async with self._asking:
                pass
        self.remove(call)

    async def may_begin(self, call: Call, asks: Asks) -> bool:
        """Whether `call`, whose turn has come, is to be made at once."""
        while call in self._late or (call in self._calls and not is_fresh(call)):
            async with self._asking:
                if call not in self._calls or is_fresh(call):
                    continue  # another call has asked meanwhile
                await self._ask(asks)
                break  # however long it took, else a slow database would let none begin
        return call in self._calls

    async def _ask(self, asks: Asks) -> None:
        self._late = [one for one in self._calls if not is_fresh(one)]
        try:
            for one in await asks.database(refused, self._late):
                self.remove(one)
        finally:
            self._late = ()


def is_fresh(call: Call) -> bool:
    """Whether what its window decided, and the leave it got, still hold unasked."""
    return _is_decided(call) and call.grant.is_usable


def _is_decided(call: Call) -> bool:
    return time.monotonic() - call.decided < BEGIN_WITHIN


def refused(late: Sequence[Call]) -> list[Call]:
    """Those of `late` that are not to be made after all, also where the database cannot tell. The
    others are as fresh as if their window had just opened.
    """
    try:
        _decide([call for call in late if not _is_decided(call)])
        return [*(call for call in late if not _is_decided(call)), *_without_leave(late)]
    except (DatabaseError, InterfaceError) as error:
        log.warning("calls not confirmed", count=len(late), error=type(error).__name__)
        return list(late)


def _decide(late: Sequence[Call]) -> None:
    if late:
        now = time.monotonic()
        for call in confirmed(late):
            call.decided = now


def _without_leave(late: Sequence[Call]) -> Iterator[Call]:
    """Those whose leave ran out and that get no other."""
    wanting = [call for call in late if _is_decided(call) and not call.grant.is_usable]
    _return_leave(wanting)
    alike: dict[tuple[Way, int], list[Call]] = defaultdict(list)
    for call in wanting:
        alike[call.way, len(call.items)].append(call)
    for (way, size), calls in alike.items():
        lease = calls[0].items[0].lease
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
        yield from calls[made:]


_NONE = limits.Grant(0, expires=0.0)


def _return_leave(calls: Iterable[Call]) -> None:
    """Before more is asked for: there may be none but theirs."""
    by_grant: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        by_grant[id(call.grant)].append(call)
    for theirs in by_grant.values():
        grant, messages = theirs[0].grant, sum(len(call.items) for call in theirs)
        for call in theirs:
            call.grant = _NONE
        limits.give_back(grant, messages, calls=len(theirs))
