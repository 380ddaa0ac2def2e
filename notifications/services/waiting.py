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
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from django.db import DatabaseError

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

    def add(self, call: Call) -> None:
        self._calls[call] = None

    def remove(self, call: Call) -> None:
        self._calls.pop(call, None)

    async def leave(self, call: Call) -> None:
        """It ends. One that has not begun may just be asked about: not before its leave is known,
        of which the old or the new one is to be returned.
        """
        if call in self._calls and self._asking.locked():
            async with self._asking:
                pass
        self.remove(call)

    async def may_begin(self, call: Call, asks: Asks) -> bool:
        """Whether `call`, whose turn has come, is to be made at once."""
        while call in self._calls and not is_fresh(call):
            async with self._asking:
                if call not in self._calls or is_fresh(call):
                    continue  # another call has asked meanwhile
                late = [one for one in self._calls if not is_fresh(one)]
                for one in await asks.database(refused, late):
                    self.remove(one)
                break  # however long it took, else a slow database would let none begin
        return call in self._calls


def is_fresh(call: Call) -> bool:
    """Whether what its window decided, and the leave it got, still hold unasked."""
    return _is_decided(call) and call.grant.is_usable


def _is_decided(call: Call) -> bool:
    return time.monotonic() - call.decided < BEGIN_WITHIN


def refused(late: Sequence[Call]) -> list[Call]:
    """Those of `late` that are not to be made after all; they keep the leave they had. The others
    are as fresh as if their window had just opened.
    """
    try:
        _decide([call for call in late if not _is_decided(call)])
    except DatabaseError as error:
        log.warning("calls not confirmed", count=len(late), error=type(error).__name__)
    ways: dict[Way, list[Call]] = defaultdict(list)
    for call in late:
        if _is_decided(call) and not call.grant.is_usable:
            ways[call.way].append(call)
    without = [call for calls in ways.values() for call in _without_leave(calls)]
    return [*(call for call in late if not _is_decided(call)), *without]


def _decide(late: Sequence[Call]) -> None:
    if late:
        now = time.monotonic()
        for call in confirmed(late):
            call.decided = now


def _without_leave(calls: Sequence[Call]) -> list[Call]:
    """Those of the calls that one grant let through that get no new one. The others return what
    they had.
    """
    # The largest first, as where the window asked: so no more calls are made than leave is for.
    calls = sorted(calls, key=lambda call: len(call.items), reverse=True)
    lease, wanted = calls[0].items[0].lease, sum(len(call.items) for call in calls)
    grant = limits.lease(
        provider=calls[0].provider.name,
        channel=lease.channel.value,
        lane=lease.lane.value,
        wanted=wanted,
        state=calls[0].way.state,
        batch_limit=max(1, wanted // len(calls)),
        batch=lease.batch_id,
        pace=lease.pace,
    )
    room = grant.granted
    returned: dict[int, tuple[limits.Grant, int]] = {}
    without: list[Call] = []
    for call in calls:
        size = len(call.items)
        if size > room:
            without.append(call)
            continue
        room -= size
        _, before = returned.get(id(call.grant), (call.grant, 0))
        returned[id(call.grant)] = call.grant, before + size
        call.grant = grant
    for old, size in returned.values():
        limits.give_back(old, size)
    limits.give_back(grant, room)
    return without
