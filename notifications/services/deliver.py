"""Send a load of claimed work: window by window, over to the next provider where one refuses, to
its end.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from commsproject.common import clock
from notifications import limits, queue, retry
from notifications.models import Work
from notifications.providers.base import LoopProvider
from notifications.services import complete, route, status, window
from notifications.services.complete import Outcome, Successor
from notifications.services.items import Item
from notifications.services.route import Stranded
from notifications.services.window import CALLS, Call, Window, open_window
from notifications.states import State
from notifications.types import ErrorClass, Outbound, ProviderError, Sent

log = structlog.get_logger(__name__)

T = TypeVar("T")


def call_limit() -> float:
    """Seconds after which a call counts as unanswered: beyond the time limits of its own client."""
    return float(settings.PROVIDER_CONNECT_TIMEOUT + settings.PROVIDER_READ_TIMEOUT + 1.0)


_random = SystemRandom()


class Runner(Protocol):
    """Where blocking work is done: threads in a worker, inline in a test."""

    async def database(self, function: Callable[..., T], *args: Any) -> T: ...

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """Raises `TimeoutError` when the provider's client breaks its own time limits."""
        ...

    async def close(self) -> None:
        """Close what the calls on this loop have left open."""
        ...


@dataclass
class Load:
    """Claims that are carried together, of one lane, channel and kind, and what is known of their
    deliveries while they are being sent. One message is a load of one; small works share one, so
    that they share its transactions.
    """

    leases: list[queue.Lease]
    closed: Callable[[Sequence[queue.Lease]], None] = lambda _: None
    """Told of claims that are over, while others of the load go on."""
    pending: list[UUID] = field(default_factory=list)
    owners: dict[UUID, queue.Lease] = field(default_factory=dict)
    refused_by: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    last_error: dict[UUID, ProviderError] = field(default_factory=dict)
    together: dict[UUID, int] = field(default_factory=dict)
    later: list[Successor] = field(default_factory=list)
    filling: dict[tuple[UUID, str, str], Successor] = field(default_factory=dict)
    """The successors that still have room, by flow, kind and reason."""

    def __post_init__(self) -> None:
        self.owners = {id_: lease for lease in self.leases for id_ in lease.ids}
        self.pending = list(self.owners)

    @property
    def first(self) -> queue.Lease:
        return self.leases[0]

    def drop(self, lost: Sequence[queue.Lease]) -> None:
        """Forget claims that are somebody else's now. Raises `LeaseLost` when none is left."""
        if not lost:
            return
        log.warning("lease lost", lane=self.first.lane.value, works=[str(one.id) for one in lost])
        gone = {lease.id for lease in lost}
        self.leases = [lease for lease in self.leases if lease.id not in gone]
        self.pending = [id_ for id_ in self.pending if self.owners[id_].id not in gone]
        if not self.leases:
            raise queue.LeaseLost

    def without(self, lease: queue.Lease) -> None:
        """Leave a claim out before anything is sent."""
        self.leases.remove(lease)
        self.pending = [id_ for id_ in self.pending if self.owners[id_] is not lease]

    def done(self, calls: Collection[Call]) -> list[queue.Lease]:
        """The claims of which nothing is pending and no call is out."""
        if not self.pending and not calls:
            return list(self.leases)
        busy = {self.owners[id_].id for id_ in self.pending}
        busy.update(item.lease.id for call in calls for item in call.items)
        return [lease for lease in self.leases if lease.id not in busy]

    def successors(self, done: Collection[queue.Lease]) -> list[Successor]:
        """The work that `done` claims leave behind."""
        theirs = {lease.id for lease in done}
        return [
            replace(one, lease=self.owners[ids[0]], ids=ids)
            for one in self.later
            if (ids := [id_ for id_ in one.ids if self.owners[id_].id in theirs])
        ]

    def close(self, done: Sequence[queue.Lease]) -> None:
        """Forget claims that are ended."""
        self.closed(done)
        theirs = {lease.id for lease in done}
        self.leases = [lease for lease in self.leases if lease.id not in theirs]
        for one in self.later:
            one.ids = [id_ for id_ in one.ids if self.owners[id_].id not in theirs]


async def run(load: Load, runner: Runner, stopping: Callable[[], bool]) -> None:
    """Carry out the claims of `load`. Returns when their Work rows are gone, handed on, or
    somebody else's.

    Answers are settled as they come: a call that hangs holds up no other message of the load.
    """
    calls: _Calls = {}
    step = await runner.database(_step, load.first)
    try:
        while load.leases:
            if stopping() and not calls:
                _put_back(load, load.pending, "stopped", clock.now())
                load.pending = []
            outcomes: list[Outcome] = []
            room = 0 if stopping() else CALLS - len(calls)
            if load.pending and room >= min(len(load.pending), CALLS // 2):
                outcomes += await _open(load, runner, calls, step, room)
            outcomes += await _answered(load, runner, calls)
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


def _step(lease: queue.Lease) -> int:
    """How many deliveries a window looks at: one batch call carries a whole chunk."""
    return Work.LIMIT if window.merges(lease) else CALLS


_Calls = dict["asyncio.Task[Answer]", Call]
"""The calls that are out."""


async def _open(load: Load, runner: Runner, calls: _Calls, step: int, room: int) -> list[Outcome]:
    """Open a window for the next deliveries and start its calls; what needed none."""
    size = step if step > CALLS else room
    ids, load.pending = load.pending[:size], load.pending[size:]
    opened = await runner.database(_open_window, load, ids, room)
    load.pending = opened.left + load.pending
    load.drop(opened.lost)
    halted: set[str] = set()
    for call in opened.calls:
        calls[asyncio.create_task(_call(call, runner, halted))] = call
    return _without_call(load, opened)


def _open_window(load: Load, ids: Sequence[UUID], room: int) -> Window:
    return open_window(load.owners, ids, load.refused_by, calls=room, together=load.together)


async def _answered(load: Load, runner: Runner, calls: _Calls) -> list[Outcome]:
    """The outcomes of the first calls that end and of those that end soon after."""
    if not calls:
        return []
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    ended, _ = await asyncio.wait(calls, timeout=FLUSH_SECONDS)
    pairs = [(calls.pop(task), task.result()) for task in ended]
    # Before the outcomes: whoever gets this load's place must know how the providers are.
    try:
        await runner.database(_learn, pairs)
    except Exception as error:  # noqa: BLE001 - health is advice, the answers are not
        log.warning("health not reported", error=type(error).__name__)
    return [outcome for call, answer in pairs for outcome in _outcomes(load, call, answer)]


async def _keep(load: Load, runner: Runner, calls: _Calls) -> None:
    """After a failure or a lost lease: what is still out has been sent, and its answer counts."""
    if calls:
        await asyncio.wait(calls)
        pairs = [(call, task.result()) for task, call in calls.items()]
        outcomes = [one for call, answer in pairs for one in _outcomes(load, call, answer)]
        leases = {one.item.lease.id: one.item.lease for one in outcomes}
        await _record(runner, Load(list(leases.values())), outcomes, [])


FLUSH_SECONDS = 0.05
"""How long answers wait for each other to be written together."""

LOOK_AGAIN = timedelta(seconds=30)
"""When staff have switched off every provider: how soon a switch back is seen."""

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


# --- The calls -----------------------------------------------------------------------------------

Answer = Sent | ProviderError

_LEASE_LOST = ProviderError(
    ErrorClass.TEMPORARY, "lease_lost", "The claim ran out before the call; nothing was sent."
)
_HALTED = ProviderError(
    ErrorClass.TEMPORARY, "halted", "The provider asked for a pause before the call."
)
_NOT_CALLED = (_LEASE_LOST, _HALTED)


async def _call(call: Call, runner: Runner, halted: set[str]) -> Answer:
    if isinstance(call.outbound, ProviderError):
        return call.outbound
    try:
        async with call.provider.place():
            if isinstance(call.provider, LoopProvider):
                return await _carry(call, call.provider, call.outbound, halted)
            return await runner.provider(_send, call, call.outbound[0], halted)
    except ProviderError as error:
        if error.error_class in _PAUSES:
            halted.add(call.provider.name)
        return error
    except TimeoutError:
        return ProviderError(ErrorClass.AMBIGUOUS, "deadline", "The provider's client hung.")
    except Exception as error:  # a defect in one provider must not stop the others
        log.exception("provider defect", provider=call.provider.name)
        return ProviderError(ErrorClass.AMBIGUOUS, type(error).__name__, "A defect in our client.")


_PAUSES = (ErrorClass.THROTTLED, ErrorClass.AUTH_CONFIG)


async def _carry(
    call: Call, provider: LoopProvider, messages: Sequence[Outbound], halted: set[str]
) -> Answer:
    """A call on the loop."""
    if stopped := _before(call, halted):
        return stopped
    if not call.way.grant.is_usable:
        return _HALTED
    async with asyncio.timeout(call_limit()):
        return await provider.carry(messages)


def _send(call: Call, message: Outbound, halted: set[str]) -> Answer:
    """A call in a thread."""
    if stopped := _before(call, halted):
        return stopped
    if not call.way.grant.is_usable and not _leave(call):
        return _HALTED
    started = time.monotonic()
    sent = call.provider.send(message)
    if time.monotonic() - started > call_limit() - 0.5:
        _settle_late(message, sent)  # it may have been judged as unknown already
    return sent


def _before(call: Call, halted: set[str]) -> ProviderError | None:
    """Why the call must not be made after all: its claim ran out while it waited for its turn,
    another call of the window was told to come later, or the provider's breaker has opened.
    """
    if not all(item.lease.holds() for item in call.items):
        return _LEASE_LOST
    stopped = call.provider.name in halted or route.is_shut(call.provider.name)
    return _HALTED if stopped else None


def _leave(call: Call) -> bool:
    """Leave that ran out while the call waited for a thread, asked for once more."""
    lease = call.items[0].lease
    limits.give_back(call.way.grant, len(call.items))
    fresh = limits.lease(
        provider=call.provider.name,
        channel=lease.channel.value,
        lane=lease.lane.value,
        wanted=len(call.items),
        state=call.way.state,
        batch=lease.batch_id,
        pace=lease.pace,
    )
    return bool(fresh.granted)


def _settle_late(message: Outbound, sent: Sent) -> None:
    try:
        status.settle_late(message.attempt_id, sent)
    except Exception as error:  # noqa: BLE001 - the answer itself must not be lost with it
        log.warning("late answer not written", error=type(error).__name__)


# --- Decisions: no effects but on the load's own notes -------------------------------------------


def _without_call(load: Load, opened: Window) -> list[Outcome]:
    outcomes = [Outcome(d, state=r.state, reason=r.reason) for d, r in opened.refused]
    outcomes += [_wait(load, item) for item in opened.unknown]
    stranded = (_stranded(load, item, way) for item, way in opened.stranded)
    outcomes += [outcome for outcome in stranded if outcome]
    _put_back(load, opened.held, "held", clock.now(), held=True)
    _spare_the_rest(load, opened)
    return outcomes


def _spare_the_rest(load: Load, opened: Window) -> None:
    """Where nobody takes a whole window, nobody would take the others either: those that were not
    tried yet go back unread, and no claim is counted.
    """
    if opened.calls or not opened.stranded or load.last_error:
        return
    due = min(way.until or clock.now() + LOOK_AGAIN for _, way in opened.stranded)
    _put_back(load, load.pending, "blocked", due)
    load.pending = []


_UNTRIED = {"stopped", "held", "blocked"}
"""Why work goes back before anything was done: a suspect is as suspect as before."""


def _put_back(
    load: Load, ids: Sequence[UUID], why: str, due: datetime, *, held: bool = False
) -> None:
    for id_ in ids:
        _later(load, Successor.SEND, why, id_, due, held=held)


def _learn(pairs: Sequence[tuple[Call, Answer]]) -> None:
    """What answers say of their providers. A repeated call that was taken shows that the provider
    is back: it lets two more be repeated, so that what a long outage left is soon through.
    """
    route.report(_reports(pairs))
    for call, answer in pairs:
        if answer in _NOT_CALLED and isinstance(call.provider, LoopProvider):
            limits.give_back(call.way.grant, len(call.items))
        if isinstance(answer, Sent):
            again = sum(window.has_failed(item, call.provider) for item in call.items)
            if again:
                limits.earn(call.provider.name, round(2 * again / limits.RETRY_SHARE))


def _reports(pairs: Sequence[tuple[Call, Answer]]) -> list[route.Answer]:
    """What the calls that were really made say about their providers."""
    return [
        (call.provider.name, answer if isinstance(answer, ProviderError) else None)
        for call, answer in pairs
        if answer not in _NOT_CALLED and answer is not call.outbound
    ]


def _outcomes(load: Load, call: Call, answer: Answer) -> list[Outcome]:
    if isinstance(answer, ProviderError):
        return [
            _outcome(load, call, item, attempt, answer)
            for item, attempt in zip(call.items, call.attempts, strict=True)
        ]
    return [
        Outcome(item, attempt, call.provider.name, answer, State.SENT)
        for item, attempt in zip(call.items, call.attempts, strict=True)
    ]


def _outcome(load: Load, call: Call, item: Item, attempt: UUID, error: ProviderError) -> Outcome:
    """After a refusal: what follows for one of its messages."""
    name = call.provider.name

    def ended(state: State, reason: str = "") -> Outcome:
        return Outcome(item, attempt, name, error, state, reason)

    if error is call.outbound:
        return ended(State.FAILED, f"it could not be made: {error.code}")
    if error.error_class in retry.FINAL and len(call.items) == 1:
        return ended(State.FAILED, f"refused by {name}: {error.code}")
    if error.error_class in retry.FINAL:  # one of them is at fault: which one, halves will tell
        load.together[item.id] = len(call.items) // 2
        load.pending.append(item.id)
        return ended(State.QUEUED, f"{name} refused a call for {len(call.items)}: {error.code}")
    if error.error_class is ErrorClass.AMBIGUOUS:
        return _wait(load, item, attempt, name, error)
    if error is _HALTED:
        load.pending.append(item.id)
        return ended(State.QUEUED)
    if error is _LEASE_LOST:
        _later(load, Successor.SEND, error.code, item.id, clock.now())
        return ended(State.QUEUED)
    load.refused_by[item.id].add(name)
    load.last_error[item.id] = error
    load.pending.append(item.id)
    return ended(State.QUEUED, f"{name} could not take it: {error.code}")


def _wait(
    load: Load,
    item: Item,
    attempt: UUID | None = None,
    provider: str = "",
    error: ProviderError | None = None,
) -> Outcome:
    """An unknown outcome waits for its receipt before anything else is tried."""
    seconds = settings.UNKNOWN_WAIT[item.lease.lane.value]
    _later(load, Successor.RECONCILE, "", item.id, clock.now() + timedelta(seconds=seconds))
    reason = "the provider did not answer; waiting for its receipt"
    return Outcome(item, attempt, provider, error, State.UNKNOWN, reason)


def _stranded(load: Load, item: Item, way: Stranded) -> Outcome | None:
    """Every provider has refused in this round, or is left alone for now. None: nothing to write,
    for what only waits for a limit does so many times.
    """
    error = load.last_error.get(item.id)
    until, now, lane = way.until, clock.now(), item.lease.lane
    turns = window.rounds(item)
    if not retry.may_try_again(lane, turns, now - item.first_due):
        return _dead(item, error)
    if error is None:
        due = until or now + LOOK_AGAIN
        _later(load, Successor.SEND, "blocked", item.id, due)
        if way.limited and item.state == State.QUEUED:
            return None
        return Outcome(item, state=State.QUEUED, reason="no provider is available now")
    wait = retry.delay(lane, turns, retry_after=error.retry_after, random=_random)
    due = max(now + timedelta(seconds=wait), until or now)
    _later(load, Successor.SEND, error.error_class.value, item.id, due)
    reason = f"all providers refused for now, last {error.code}"
    return Outcome(item, state=State.QUEUED, reason=reason)


def _dead(item: Item, error: ProviderError | None) -> Outcome:
    last = f", last {error.code}" if error else ""
    reason = f"given up after {item.attempts_made} attempts{last}"
    return Outcome(item, answer=error, state=State.DEAD, reason=reason)


def _later(
    load: Load, kind: str, why: str, delivery_id: UUID, due: datetime, *, held: bool = False
) -> None:
    """Failures of one class go together, at the due time of the first of them; but each unknown
    outcome gets its whole wait for a receipt. Messages of one agent and batch, whatever claims
    they came under, share their next one.
    """
    lease = load.owners[delivery_id]
    key = (lease.flow, kind, why)
    successor = load.filling.get(key)
    if successor is None or len(successor.ids) >= Work.LIMIT:
        is_suspect = lease.is_suspect and why in _UNTRIED
        successor = Successor(lease, kind, due, held=held, suspect=is_suspect)
        load.filling[key] = successor
        load.later.append(successor)
    if kind == Successor.RECONCILE:
        successor.due_at = max(successor.due_at, due)
    successor.ids.append(delivery_id)
