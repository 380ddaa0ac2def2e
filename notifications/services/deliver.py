"""Send one chunk: window by window, over to the next provider where one refuses, to its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from notifications import queue, retry
from notifications.models import Delivery
from notifications.providers.base import Provider
from notifications.services import complete, route, status
from notifications.services.complete import Outcome, Successor
from notifications.services.route import Stranded
from notifications.services.window import Call, Window, open_window
from notifications.states import State
from notifications.types import ErrorClass, Outbound, ProviderError, Sent

log = structlog.get_logger(__name__)

T = TypeVar("T")


def call_limit() -> float:
    """Seconds after which a call counts as unanswered: beyond the time limits of its own client."""
    return float(settings.PROVIDER_CONNECT_TIMEOUT + settings.PROVIDER_READ_TIMEOUT + 1.0)


WINDOW = 100
"""Calls whose answers a kill can cost, at most."""

_random = SystemRandom()


class Runner(Protocol):
    """Where blocking work is done: threads in a worker, inline in a test."""

    async def database(self, function: Callable[..., T], *args: Any) -> T: ...

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """Raises `TimeoutError` when the provider's client breaks its own time limits."""
        ...


@dataclass
class _Chunk:
    """What is known of a chunk while it is being sent."""

    lease: queue.Lease
    pending: list[UUID]
    refused_by: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    last_error: dict[UUID, ProviderError] = field(default_factory=dict)
    later: dict[tuple[str, str], Successor] = field(default_factory=dict)


async def run(lease: queue.Lease, runner: Runner, stopping: Callable[[], bool]) -> None:
    """Carry out one claim. Returns when its Work row is gone, handed on, or somebody else's.

    Answers are settled as they come: a call that hangs holds up no other message of the chunk.
    """
    chunk = _Chunk(lease, list(lease.ids))
    calls: _Calls = {}
    try:
        while chunk.pending or calls:
            if stopping() and not calls:
                await runner.database(complete.split_off, lease, chunk.pending, chunk.later)
                return
            outcomes: list[Outcome] = []
            room = 0 if stopping() else WINDOW - len(calls)
            if chunk.pending and room >= min(len(chunk.pending), WINDOW // 2):
                outcomes += await _open(chunk, runner, calls, room)
            outcomes += await _answered(chunk, runner, calls)
            done = not chunk.pending and not calls
            successors = list(chunk.later.values()) if done else None
            await _record(runner, lease, outcomes, successors)
    except queue.LeaseLost:
        log.warning("lease lost", work=str(lease.id), lane=lease.lane.value)
    finally:
        await _keep(chunk, runner, calls)


_Calls = dict["asyncio.Task[Answer]", Call]
"""The calls that are out."""


async def _open(chunk: _Chunk, runner: Runner, calls: _Calls, room: int) -> list[Outcome]:
    """Open a window for the next `room` deliveries and start its calls; what needed none."""
    ids, chunk.pending = chunk.pending[:room], chunk.pending[room:]
    window = await runner.database(open_window, chunk.lease, ids, chunk.refused_by)
    halted: set[str] = set()
    for call in window.calls:
        calls[asyncio.create_task(_call(call, chunk.lease, runner, halted))] = call
    return _without_call(chunk, window)


async def _answered(chunk: _Chunk, runner: Runner, calls: _Calls) -> list[Outcome]:
    """The outcomes of the first calls that end and of those that end soon after."""
    if not calls:
        return []
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    ended, _ = await asyncio.wait(calls, timeout=FLUSH_SECONDS)
    pairs = [(calls.pop(task), task.result()) for task in ended]
    # Before the outcomes: whoever gets this chunk's place must know how the providers are.
    try:
        await runner.database(route.report, _reports(pairs))
    except Exception as error:  # noqa: BLE001 - health is advice, the answers are not
        log.warning("health not reported", error=type(error).__name__)
    return [_outcome(chunk, call, answer) for call, answer in pairs]


async def _keep(chunk: _Chunk, runner: Runner, calls: _Calls) -> None:
    """After a failure or a lost lease: what is still out has been sent, and its answer counts."""
    if calls:
        await asyncio.wait(calls)
        pairs = [(call, task.result()) for task, call in calls.items()]
        outcomes = [_outcome(chunk, call, answer) for call, answer in pairs]
        with contextlib.suppress(queue.LeaseLost):  # the answers are saved all the same
            await _record(runner, chunk.lease, outcomes, None)


FLUSH_SECONDS = 0.05
"""How long answers wait for each other to be written together."""

LOOK_AGAIN = timedelta(seconds=30)
"""When staff have switched off every provider: how soon a switch back is seen."""

RECORD_FOR = 60.0
"""Seconds for which answers are written again while the database is away or refuses."""


async def _record(
    runner: Runner,
    lease: queue.Lease,
    outcomes: Sequence[Outcome],
    successors: Sequence[Successor] | None,
) -> None:
    """Providers' answers are worth keeping: without them every message of the window is unknown.

    Safe to repeat, for a commit whose reply was lost: the last window's token is gone then, and in
    any other the same values are written again.
    """
    give_up = time.monotonic() + RECORD_FOR
    pause = 0.1
    while True:
        try:
            return await runner.database(complete.record, lease, outcomes, successors)
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > give_up:
                raise
            log.warning("answers not written yet", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


Answer = Sent | ProviderError

_LEASE_LOST = ProviderError(
    ErrorClass.TEMPORARY, "lease_lost", "The claim ran out before the call; nothing was sent."
)
_HALTED = ProviderError(
    ErrorClass.TEMPORARY, "halted", "The provider asked for a pause before the call."
)
_NOT_CALLED = (_LEASE_LOST, _HALTED)


async def _call(call: Call, lease: queue.Lease, runner: Runner, halted: set[str]) -> Answer:
    if isinstance(call.outbound, ProviderError):
        return call.outbound
    try:
        return await runner.provider(_send, call.provider, call.outbound, lease, halted)
    except ProviderError as error:
        return error
    except TimeoutError:
        return ProviderError(ErrorClass.AMBIGUOUS, "deadline", "The provider's client hung.")
    except Exception as error:  # a defect in one provider must not stop the others
        log.exception("provider defect", provider=call.provider.name)
        return ProviderError(ErrorClass.AMBIGUOUS, type(error).__name__, "A defect in our client.")


_PAUSES = (ErrorClass.THROTTLED, ErrorClass.AUTH_CONFIG)


def _send(provider: Provider, message: Outbound, lease: queue.Lease, halted: set[str]) -> Answer:
    """The call itself, unless the claim ran out while it waited for a free thread, or another
    call of the window was told to come later.
    """
    if not lease.holds():
        return _LEASE_LOST
    if provider.name in halted:
        return _HALTED
    started = time.monotonic()
    try:
        sent = provider.send(message)
    except ProviderError as error:
        if error.error_class in _PAUSES:
            halted.add(provider.name)
        raise
    if time.monotonic() - started > call_limit() - 0.5:
        _settle_late(message, sent)  # it may have been judged as unknown already
    return sent


def _settle_late(message: Outbound, sent: Sent) -> None:
    try:
        status.settle_late(message.attempt_id, sent)
    except Exception as error:  # noqa: BLE001 - the answer itself must not be lost with it
        log.warning("late answer not written", error=type(error).__name__)


# --- Decisions: no effects but on the chunk's own notes ---------------------------------------


def _without_call(chunk: _Chunk, window: Window) -> list[Outcome]:
    outcomes = [Outcome(d, state=r.state, reason=r.reason) for d, r in window.refused]
    outcomes += [_wait(chunk, delivery, None, None) for delivery in window.unknown]
    outcomes += [
        _stranded(chunk, delivery, way, window.rounds[delivery.id])
        for delivery, way in window.stranded
    ]
    return outcomes


def _reports(pairs: Sequence[tuple[Call, Answer]]) -> list[route.Answer]:
    """What the calls that were really made say about their providers."""
    return [
        (call.provider.name, answer if isinstance(answer, ProviderError) else None)
        for call, answer in pairs
        if answer not in _NOT_CALLED and answer is not call.outbound
    ]


def _outcome(chunk: _Chunk, call: Call, answer: Answer) -> Outcome:
    if isinstance(answer, Sent):
        return Outcome(call.delivery, call.attempt, answer, state=State.SENT)
    if answer is call.outbound:
        reason = f"it could not be made: {answer.code}"
        return Outcome(call.delivery, call.attempt, answer, state=State.FAILED, reason=reason)
    if answer.error_class in retry.FINAL:
        reason = f"refused by {call.provider.name}: {answer.code}"
        return Outcome(call.delivery, call.attempt, answer, state=State.FAILED, reason=reason)
    if answer.error_class is ErrorClass.AMBIGUOUS:
        return _wait(chunk, call.delivery, call, answer)
    if answer is _HALTED:
        chunk.pending.append(call.delivery.id)
        return Outcome(call.delivery, call.attempt, answer, state=State.QUEUED)
    if answer is _LEASE_LOST:
        _later(chunk, Successor.SEND, answer.code, call.delivery, timezone.now())
        return Outcome(call.delivery, call.attempt, answer, state=State.QUEUED)
    chunk.refused_by[call.delivery.id].add(call.provider.name)
    chunk.last_error[call.delivery.id] = answer
    chunk.pending.append(call.delivery.id)
    reason = f"{call.provider.name} could not take it: {answer.code}"
    return Outcome(call.delivery, call.attempt, answer, state=State.QUEUED, reason=reason)


def _wait(
    chunk: _Chunk, delivery: Delivery, call: Call | None, error: ProviderError | None
) -> Outcome:
    """An unknown outcome waits for its receipt before anything else is tried."""
    seconds = settings.UNKNOWN_WAIT[chunk.lease.lane.value]
    _later(chunk, Successor.RECONCILE, "", delivery, timezone.now() + timedelta(seconds=seconds))
    return Outcome(
        delivery,
        call.attempt if call else None,
        error,
        state=State.UNKNOWN,
        reason="the provider did not answer; waiting for its receipt",
    )


def _stranded(chunk: _Chunk, delivery: Delivery, way: Stranded, rounds: int) -> Outcome:
    """Every provider has refused in this round, or is left alone for now."""
    error = chunk.last_error.get(delivery.id)
    until, now, lane = way.until, timezone.now(), chunk.lease.lane
    if not retry.may_try_again(lane, rounds, now - _first_due(delivery)):
        return _dead(delivery, error)
    if error is None:
        due = until or now + LOOK_AGAIN
        _later(chunk, Successor.SEND, "blocked", delivery, due)
        return Outcome(delivery, state=State.QUEUED, reason="no provider is available now")
    wait = retry.delay(lane, rounds, retry_after=error.retry_after, random=_random)
    due = max(now + timedelta(seconds=wait), until or now)
    _later(chunk, Successor.SEND, error.error_class.value, delivery, due)
    reason = f"all providers refused for now, last {error.code}"
    return Outcome(delivery, state=State.QUEUED, reason=reason)


def _dead(delivery: Delivery, error: ProviderError | None) -> Outcome:
    last = f", last {error.code}" if error else ""
    reason = f"given up after {delivery.attempts_made} attempts{last}"
    return Outcome(delivery, answer=error, state=State.DEAD, reason=reason)


def _first_due(delivery: Delivery) -> datetime:
    return max(delivery.created_at, delivery.notification.send_at or delivery.created_at)


def _later(chunk: _Chunk, kind: str, why: str, delivery: Delivery, due: datetime) -> None:
    """Failures of one class go together, at the due time of the first of them; but each unknown
    outcome gets its whole wait for a receipt.
    """
    successor = chunk.later.setdefault((kind, why), Successor(kind, due))
    if kind == Successor.RECONCILE:
        successor.due_at = max(successor.due_at, due)
    successor.ids.append(delivery.id)
