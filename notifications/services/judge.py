"""What follows for each message of a load: an end, another provider, another day. No effects but on
the load's own notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from random import SystemRandom
from uuid import UUID

from django.conf import settings

from commsproject.common import clock
from notifications import limits, retry
from notifications.models import Work
from notifications.policy import Delay
from notifications.services import allot, route
from notifications.services.calls import HALTED, LEASE_LOST, NOT_CALLED, Answer, reports
from notifications.services.complete import Outcome, Successor
from notifications.services.compose import Call
from notifications.services.items import Item
from notifications.services.load import Load
from notifications.services.route import Stranded
from notifications.services.waiting import return_leave
from notifications.services.window import Window
from notifications.states import State
from notifications.types import ErrorClass, Lane, ProviderError, Sent

_random = SystemRandom()

LOOK_AGAIN = timedelta(seconds=30)
"""When staff have switched off every provider: how soon a switch back is seen."""


def without_call(load: Load, opened: Window) -> list[Outcome]:
    outcomes = [Outcome(d, state=r.state, reason=r.reason) for d, r in opened.refused]
    outcomes += [_delayed(load, item, delay) for item, delay in opened.delayed]
    outcomes += [_wait(load, item) for item in opened.unknown]
    stranded = (_stranded(load, item, way) for item, way in opened.stranded)
    outcomes += [outcome for outcome in stranded if outcome]
    put_back(load, opened.held, "held", clock.now(), held=True)
    _spare_the_rest(load, opened)
    return outcomes


def _delayed(load: Load, item: Item, delay: Delay) -> Outcome:
    _later(load, Successor.SEND, f"delayed {delay.until.isoformat()}", item.id, delay.until)
    return Outcome(item, state=State.SCHEDULED, reason=delay.reason)


def _spare_the_rest(load: Load, opened: Window) -> None:
    """Where nobody takes a whole window, nobody would take the others either: those that were not
    tried yet go back unread, and no claim is counted.
    """
    if opened.calls or not opened.stranded or load.last_error:
        return
    until = min((way.until for _, way in opened.stranded if way.until), default=None)
    due = until or clock.now() + LOOK_AGAIN
    if all(way.limited for _, way in opened.stranded):
        put_back(load, load.pending, "limited", due)
    else:
        put_back(load, load.pending, "blocked", due, alike=until)
    load.pending = []


_THROTTLED = {"limited", "capped"}
"""Why work waits that nothing but a limit holds up."""

_UNTRIED = {"stopped", "held", "blocked"} | _THROTTLED
"""Why work goes back before anything was done: a suspect is as suspect as before."""


def put_back(
    load: Load,
    ids: Sequence[UUID],
    why: str,
    due: datetime,
    *,
    held: bool = False,
    alike: object = None,
) -> None:
    for id_ in ids:
        _later(load, Successor.SEND, why, id_, due, held=held, alike=alike)


def learn(pairs: Sequence[tuple[Call, Answer]], rests: Sequence[tuple[str, float]] = ()) -> None:
    """What answers say of their providers; `rests`: what this process does about slow ones.

    Only what went out earns retries, or uses them up. A repeated call that was taken shows that the
    provider is back: it lets two more be repeated, so that what a long outage left is soon through.
    """
    return_leave(call for call, answer in pairs if answer in NOT_CALLED)
    for name, seconds in rests:
        route.note_rest(name, seconds)
    route.report(report for call, answer in pairs for report in reports(call, answer))
    first, returned = Counter[str](), Counter[str]()
    for call, answer in pairs:
        name = call.provider.name
        again = sum(allot.has_failed(item, call.provider) for item in call.items)
        if answer in NOT_CALLED:
            returned[name] += again if call.items[0].lease.lane is not Lane.URGENT else 0
        elif answer is not call.outbound:
            first[name] += len(call.items) - again
            returned[name] += 2 * again if isinstance(answer, Sent) else 0
    for name in first | returned:
        limits.earn(name, first[name])
        limits.unspend(name, returned[name])


def outcomes(load: Load, call: Call, answer: Answer) -> list[Outcome]:
    if isinstance(answer, ProviderError):
        return [
            _outcome(load, call, item, attempt, answer)
            for item, attempt in zip(call.items, call.attempts, strict=True)
        ]
    return [
        Outcome(item, attempt, call.provider.name, answer, _taken(answer))
        for item, attempt in zip(call.items, call.attempts, strict=True)
    ]


def _taken(answer: Sent) -> State:
    return State.DELIVERED if answer.is_delivered else State.SENT


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
    if error is HALTED:
        load.pending.append(item.id)
        return ended(State.QUEUED)
    if error is LEASE_LOST:
        _later(load, Successor.SEND, error.code, item.id, clock.now())
        return ended(State.QUEUED)
    load.refused_by[item.id].add(name)
    load.last_error[item.id] = error
    asked = error.retry_after or 0.0
    load.retry_after[item.id] = min(asked, load.retry_after.get(item.id, asked))
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
    if way.lacking:
        return Outcome(item, state=State.FAILED, reason=f"no provider can carry it: {way.lacking}")
    error = load.last_error.get(item.id)
    until, now, lane = way.until, clock.now(), item.lease.lane
    turns = allot.rounds(item)
    if not retry.may_try_again(lane, turns, _age(item, way, now), puzzles=allot.puzzles(item)):
        return _dead(item, error)
    if error is None:
        due = until or now + LOOK_AGAIN
        is_turn = way.limited and not way.reason
        moment = None if is_turn else until
        _later(load, Successor.SEND, _hindrance(way), item.id, due, alike=moment)
        if way.limited and item.state == State.QUEUED and not way.reason:
            return None
        reason = way.reason or "no provider is available now"
        return Outcome(item, state=State.QUEUED, reason=reason)
    made = Counter(call.provider for call in allot.calls_made(item))
    most = max(
        made.values(), default=1
    )  # throttles too: who is asked too often is asked less often
    asked = ceil(load.retry_after[item.id])
    wait = retry.delay(lane, most, retry_after=asked, random=_random)
    due = now + timedelta(seconds=wait)
    blocked = None  # else one that has refused it may be asked before the others
    if until and all(route.is_shut(name) for name in load.refused_by[item.id]):
        blocked = until
        due = max(due, until)
    alike = (most, asked, blocked)
    _later(load, Successor.SEND, error.error_class.value, item.id, due, alike=alike)
    reason = f"all providers refused for now, last {error.code}"
    return Outcome(item, state=State.QUEUED, reason=reason)


def _hindrance(way: Stranded) -> str:
    if way.limited:
        return "capped" if way.reason else "limited"
    return "blocked"


def _age(item: Item, way: Stranded, now: datetime) -> timedelta:
    """How long it has been tried. What waits for its turn, or was held, does not grow old by that;
    but a code that nobody could be asked to carry is of no use later.
    """
    since = min((call.started_at for call in allot.calls_made(item)), default=None)
    if since is None and item.lease.lane is Lane.URGENT and not way.limited:
        since = item.first_due
    return now - since if since else timedelta(0)


def _dead(item: Item, error: ProviderError | None) -> Outcome:
    last = f", last {error.code}" if error else ""
    reason = f"given up after {len(allot.calls_made(item))} calls{last}"
    return Outcome(item, answer=error, state=State.DEAD, reason=reason)


def _later(
    load: Load,
    kind: str,
    why: str,
    delivery_id: UUID,
    due: datetime,
    *,
    held: bool = False,
    alike: object = None,
) -> None:
    """Failures of one class go together, at the due time of the first of them, where what that
    depends on is `alike`; but each unknown outcome gets its whole wait for a receipt. Messages of
    one agent and batch, whatever claims they came under, share their next one.
    """
    lease = load.owners[delivery_id]
    key = (lease.flow, kind, why, alike)
    successor = load.filling.get(key)
    if successor is None or len(successor.ids) >= Work.LIMIT:
        is_suspect = lease.is_suspect and why in _UNTRIED
        successor = Successor(lease, kind, due, held=held, suspect=is_suspect)
        load.filling[key] = successor
        load.later.append(successor)
    if kind == Successor.RECONCILE:
        successor.due_at = max(successor.due_at, due)
    if why in _THROTTLED:
        since = lease.throttled_since or clock.now()
        successor.throttled_since = min(since, successor.throttled_since or since)
    successor.ids.append(delivery_id)
