"""Send a load of claimed work: window by window, over to the next provider where one refuses, to
its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

from commsproject.common import clock
from notifications import queue
from notifications.services import allot, complete, judge, traffic
from notifications.services.calls import NOT_CALLED, Answer, Runner, make
from notifications.services.complete import Outcome
from notifications.services.compose import Call
from notifications.services.load import Load
from notifications.services.waiting import return_leave
from notifications.services.window import HEAVY, Window, open_window

log = structlog.get_logger(__name__)


async def run(load: Load, runner: Runner) -> None:
    """Carry out the claims of `load`. Returns when their Work rows are gone, handed on, or
    somebody else's.

    Answers are settled as they come: a call that hangs holds up no other message of the load.
    """
    calls: _Calls = {}
    merges = await runner.database(allot.merges, load.first)
    try:
        while load.leases:
            outcomes: list[Outcome] = []
            room = 0 if load.is_stopped else load.calls - len(calls)
            weight = HEAVY - sum(item.weight for call in calls.values() for item in call.items)
            if load.pending and room >= min(len(load.pending), load.calls // 2) and weight > 0:
                size = len(load.pending) if merges else room
                outcomes += await _open(load, runner, calls, size, room, weight)
            outcomes += await _answered(load, runner, calls)
            if load.is_stopped:
                judge.put_back(load, load.pending, "stopped", clock.now())
                load.pending = []
            done = load.done(calls.values())
            if outcomes or done:
                lost = await _record(runner, load, outcomes, done)
                load.drop(lost)
                if not lost:
                    load.close(done)
            for lease in load.leases:
                lease.seen = time.monotonic()
    except queue.LeaseLost:
        pass
    finally:
        await _keep(load, runner, calls)


_Calls = dict["asyncio.Task[Answer]", Call]
"""The calls that are out."""


async def _open(
    load: Load, runner: Runner, calls: _Calls, size: int, room: int, weight: int
) -> list[Outcome]:
    """Open a window for the next `size` deliveries and start its calls; what needed none."""
    ids, load.pending = load.pending[:size], load.pending[size:]
    opened = await runner.database(_open_window, load, ids, room, weight, traffic.rooms())
    load.pending = opened.left + load.pending
    load.drop(opened.lost)
    for call in opened.calls:
        calls[asyncio.create_task(make(call, runner, load.waiting))] = call
    return judge.without_call(load, opened)


def _open_window(
    load: Load, ids: Sequence[UUID], room: int, weight: int, rooms: Mapping[str, int]
) -> Window:
    return open_window(
        load.owners,
        ids,
        load.refused_by,
        calls=room,
        weight=weight,
        together=load.together,
        rooms=rooms,
    )


async def _answered(load: Load, runner: Runner, calls: _Calls) -> list[Outcome]:
    """The outcomes of the first calls that end and of those that end soon after."""
    if not calls:
        return []
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    ended, _ = await asyncio.wait(calls, timeout=FLUSH_SECONDS)
    pairs = [(calls.pop(task), task.result()) for task in ended]
    # Before the outcomes: whoever gets this load's place must know how the providers are.
    try:
        await runner.database(judge.learn, pairs, traffic.rests())
    except Exception as error:  # noqa: BLE001 - health is advice, the answers are not
        log.warning("health not reported", error=type(error).__name__)
    return [outcome for call, answer in pairs for outcome in judge.outcomes(load, call, answer)]


async def _keep(load: Load, runner: Runner, calls: _Calls) -> None:
    """After a failure or a lost lease: what is still out has been sent, and its answer counts."""
    if calls:
        await asyncio.wait(calls)
        pairs = [(call, task.result()) for task, call in calls.items()]
        if unmade := [call for call, answer in pairs if answer in NOT_CALLED]:
            await runner.database(return_leave, unmade)
        outcomes = [one for call, answer in pairs for one in judge.outcomes(load, call, answer)]
        leases = {one.item.lease.id: one.item.lease for one in outcomes}
        await _record(runner, Load(list(leases.values())), outcomes, [])


FLUSH_SECONDS = 0.05
"""How long answers wait for each other to be written together."""

RECORD_FOR = 60.0
"""Seconds for which answers are written again while the database is away or refuses."""


async def _record(
    runner: Runner, load: Load, outcomes: Sequence[Outcome], done: Sequence[queue.Lease]
) -> list[queue.Lease]:
    """Providers' answers are worth keeping: without them every message of the window is unknown.

    Safe to repeat, for a commit whose reply was lost: the last window's token is gone then, and in
    any other the same values are written again.
    """
    give_up = time.monotonic() + RECORD_FOR
    pause = 0.1
    while True:
        try:
            successors = load.successors(done)
            return await runner.database(complete.record, load.leases, outcomes, done, successors)
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > give_up:
                raise
            log.warning("answers not written yet", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
