"""Every order in which workers, people and providers may come, with a fault at any step.

Hypothesis chooses a schedule: a byte for each move, of those that are possible then. Afterwards all
that is left is carried out in peace, and the ledger must add up: nothing is lost, nothing is sent
twice without an unknown outcome that explains it, nothing after it was stopped.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import Phase, given, note, seed, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from commsproject.common import limits as buckets
from commsproject.common import valkey
from commsproject.common.copy import copy_rows
from commsproject.common.models import ApiClient
from notifications.addresses import digest
from notifications.errors import BatchState, CannotCancel
from notifications.models import (
    Attempt,
    Batch,
    Category,
    Delivery,
    Notification,
    Work,
)
from notifications.services import audit, batches, cancel, counts, route, status
from notifications.services import suppress as suppressions
from notifications.states import PENDING, State, rank
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Lane,
    ProviderEvent,
    SuppressionReason,
)
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.forks import beside
from tests.faults.stepping import (
    PROVIDERS,
    Clockwork,
    Heard,
    Refusal,
    Worker,
    faulty_connection,
    finish,
)

pytestmark = pytest.mark.django_db(transaction=True)

PHASES = [Phase.explicit, Phase.generate, Phase.shrink]

MOVES = 20
"""In one schedule."""

PARTS = 4
"""Tests that share the schedules: each has time enough on a machine that does other work."""


@pytest.fixture(autouse=True)
def _alone(moves: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDERS = PROVIDERS
    # In one thread nobody can wait for another; `test_races` has two.
    monkeypatch.setattr(suppressions, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(batches, "SETTLE_SECONDS", 0.0)


@contextmanager
def staged() -> Iterator[Stage]:
    with faulty_connection(), capture_logs() as logs:
        stage = Stage(logs)
        yield stage
    for loop in stage.loops:
        loop.close()


class Stage:
    """What all schedules share: two agents, a category that never sends twice, two clocks."""

    def __init__(self, logs: list[Any]) -> None:
        self.logs = logs
        self.clients = [ApiClient.objects.create(name=name) for name in ("billing", "shop")]
        self.careful = Category.objects.create(key="careful", name="Careful", on_unknown="hold")
        self.loops = [Clockwork(), Clockwork()]


Move = tuple[str, Callable[[], object]]


class World:
    """One schedule: a few messages, two workers, and what people and providers do meanwhile."""

    def __init__(self, stage: Stage, lane: Lane, works: list[int], batched: bool, careful: bool):
        self.stage, self.lane = stage, lane
        self.ledger: list[Heard] = []
        self.workers = [Worker(loop, lane, self.ledger) for loop in stage.loops]
        self.stopped: list[tuple[str, set[UUID], set[UUID]]] = []
        """Who was promised that no more calls are made: why, deliveries, their attempts by then."""
        self.silenced: dict[UUID, int] = {}
        """Who was said to be cancelled, and the calls that had been made by then."""
        self.paused: set[UUID] | None = None
        """The attempts there were when the batch was paused."""
        self.sends_once = lane is Lane.BULK or careful
        self.is_quiet = False
        """Nothing was found to claim, and nothing has happened since."""
        self.is_over = False
        self.batch = _batch(stage, lane) if batched else None
        self.deliveries = _deliveries(stage, lane, works, self.batch, careful)

    # --- What may happen next ---------------------------------------------------------------

    def moves(self) -> list[Move]:
        """The first one is what would happen by itself."""
        found: list[Move] = []
        for number, worker in enumerate(self.workers):
            found += [(f"{number}: {what}", do) for what, do in _moves(self, worker, number)]
        return found + self._of_others()

    def _of_others(self) -> list[Move]:
        found: list[Move] = [
            ("the leases of the dead run out", self.expire_dead),
            ("the leases of the dead run out", self.expire_dead),
            ("all leases run out", self.expire_all),
            ("time passes", make_due),
            ("time passes", make_due),
        ]
        if not self.stopped:
            found.append(("cancel the first", partial(self.cancel, self.deliveries[0])))
            found.append(("opt out of the last", partial(self.opt_out, self.deliveries[-1])))
        for heard in [heard for heard in self.ledger if heard.taken][:2]:
            found.append((f"receipt of call {heard.at}", partial(self.receipt, heard)))
        if self.batch:
            found += [(action.value, partial(self.act, action)) for action in _ACTIONS]
            found.append(("tend", batches.tend))
        return found

    def claim(self, worker: Worker, room: int = 1000, *, hears: bool = True) -> None:
        self.is_quiet = not worker.claim(room, hears=hears)
        self.is_over = self.is_quiet and not Work.objects.exists()

    def play(self, schedule: bytes) -> None:
        for byte in schedule:
            moves = self.moves()
            what, do = moves[byte % len(moves)]
            note(what)
            self.is_quiet = False
            do()
            if self.is_over:
                return

    def expire_dead(self) -> None:
        held = [lease.id for worker in self.workers for lease in worker.leases]
        _expire(Work.objects.exclude(id__in=held))

    def expire_all(self) -> None:
        _expire(Work.objects.all())
        for worker in self.workers:
            worker.run_out()

    def cancel(self, delivery: Delivery) -> None:
        with suppress(CannotCancel):
            results = cancel.cancel(delivery.notification, cancel.BY_SENDER)
            if all(result.outcome in cancel.STOPPED for result in results):
                self.promise("cancelled", {delivery.id})
                self.silenced[delivery.id] = len(self.ledger)

    def opt_out(self, delivery: Delivery) -> None:
        suppressions.add(
            channel=delivery.channel,
            address_hash=delivery.address_hash,
            reason=SuppressionReason.UNSUBSCRIBE,
        )
        self.promise("opted out", {delivery.id})

    def act(self, action: Batch.Action) -> None:
        assert self.batch is not None
        with suppress(BatchState):
            batches.act(self.batch, action)
            if action is Batch.Action.RESUME:
                self.check_pause()
            elif action is Batch.Action.PAUSE:
                self.paused = _attempts()
            else:
                self.check_pause()
                self.promise("batch cancelled", {one.id for one in self.deliveries})

    def check_pause(self) -> None:
        """Nothing was written down to be called while the batch was paused."""
        if self.paused is not None:
            assert _attempts() == self.paused
        self.paused = None

    def promise(self, why: str, deliveries: set[UUID]) -> None:
        self.stopped.append((why, deliveries, _attempts(deliveries)))

    def receipt(self, heard: Heard) -> None:
        """The provider reports on what it took; twice, as they do."""
        heard.reported = True
        for message in heard.messages:
            kind = EventType.BOUNCED if message.delivery_id.int % 5 == 0 else EventType.DELIVERED
            event = ProviderEvent(kind, timezone.now(), f"{message.attempt_id}", message.attempt_id)
            status.apply(heard.provider, [event])
            status.apply(heard.provider, [event])

    def kill(self, number: int) -> None:
        """A worker dies, and another one takes its place."""
        worker = self.workers[number]
        worker.kill()
        worker.loop.clear()
        self.workers[number] = Worker(worker.loop, self.lane, self.ledger)

    # --- The end ----------------------------------------------------------------------------

    def drain(self) -> None:
        """In peace: nothing fails any more, and time passes."""
        for number in range(len(self.workers)):
            self.kill(number)
        self.check_pause()
        worker = self.workers[0]
        if self.batch:
            with suppress(BatchState):
                batches.act(self.batch, Batch.Action.RESUME)
        for _ in range(30):
            if not Work.objects.exists():
                return
            with connection.cursor() as cursor:
                cursor.execute(_CALM)
            route._heard.clear()
            if self.batch:
                batches.tend()
            worker.claim()
            finish([worker])
        raise AssertionError("the lane does not become empty")


_CALM = """
UPDATE notifications_providerstate SET opened_until = NULL, failures = 0, probe_until = NULL;
UPDATE notifications_attempt SET ended_at = ended_at - interval '25 hours';
UPDATE notifications_work SET due_at = statement_timestamp(), lease_until = NULL;
"""
"""Providers are well, who waits for a receipt has waited long enough, and all leases ran out."""


_ACTIONS = (Batch.Action.PAUSE, Batch.Action.RESUME, Batch.Action.CANCEL)


def _moves(world: World, worker: Worker, number: int) -> Iterator[Move]:
    """What one worker may do next, and what may go wrong with it."""
    if worker.steps:
        yield from _steps(worker)
    for which in range(min(2, len(worker.calls))):
        for how in _ANSWERS:
            yield f"call {which} is answered: {how}", partial(worker.answer, which, how)
    if not worker.is_busy:
        if not world.is_quiet:
            yield from [("claim", partial(world.claim, worker))] * 4
            yield "claim one", partial(world.claim, worker, 1)
            yield "claim, reply lost", partial(world.claim, worker, hears=False)
        return
    if worker.loop.has_timers:
        yield "its time passes", worker.loop.pass_time
    yield "killed", partial(world.kill, number)
    yield "renews", worker.renew
    yield "stops", worker.stop


_ANSWERS = ("ok", "ok", "ok", "temporary", "refused", "throttled", "unauthorised", "lost", "silent")


def _steps(worker: Worker) -> Iterator[Move]:
    for which, step in enumerate(worker.steps[:2]):
        name = f"step {which} {step.function.__name__}"
        do = partial(worker.step, which)
        if step.has_run:
            yield from [(f"{name}, replied", do)] * 6
            continue
        for how in _ANSWERS if step.calls_provider else ("ok",) * 8:
            yield f"{name}: {how}", partial(do, answer=how)
        yield from [(f"{name}, reply held", partial(do, hold_reply=True))] * 2
        if not step.calls_provider:
            for at in (0, 3, 6):
                yield f"{name}, refused at {at}", partial(do, refuse=at)
            yield f"{name}, reply lost", partial(do, lose_reply=True)


def make_due() -> None:
    Work.objects.update(due_at=timezone.now())


def _expire(rows: Any) -> None:
    rows.filter(lease_until__isnull=False).update(lease_until=timezone.now() - timedelta(seconds=1))


def _attempts(deliveries: set[UUID] | None = None) -> set[UUID]:
    rows = (
        Attempt.objects.all()
        if deliveries is None
        else Attempt.objects.filter(delivery__in=deliveries)
    )
    return set(rows.values_list("id", flat=True))


# --- Rows ----------------------------------------------------------------------------------------


def _batch(stage: Stage, lane: Lane) -> Batch:
    content = {"email": {"subject": "Hello", "text": "Hello {{ name }}."}}
    return Batch.objects.create(
        client=stage.clients[0],
        state=Batch.State.RUNNING,
        content=content,
        data={},
        priority=lane,
        started_at=timezone.now(),
    )


def _deliveries(
    stage: Stage, lane: Lane, works: list[int], batch: Batch | None, careful: bool
) -> list[Delivery]:
    """A Work row for each of `works`, with so many deliveries."""
    notifications = [
        Notification(
            client=stage.clients[0] if batch else stage.clients[number % 2],
            batch=batch,
            category=stage.careful if careful else None,
            priority=lane,
            content=None if batch else {"email": {"subject": "Hello", "text": "It works."}},
            data={"name": "Ada"} if batch else None,
        )
        for number in range(sum(works))
    ]
    deliveries = [
        Delivery(
            notification=one,
            channel=Channel.EMAIL,
            address=(address := f"user-{number}@example.org"),
            address_hash=digest(Channel.EMAIL, address),
        )
        for number, one in enumerate(notifications)
    ]
    left = iter(deliveries)
    rows = []
    for number, size in enumerate(works):
        mine = [next(left) for _ in range(size)]
        client = stage.clients[0] if batch else stage.clients[number % 2]
        flow = batch.id if batch else client.id
        rows.append(
            Work(
                lane=lane,
                channel=Channel.EMAIL,
                client=client,
                batch=batch,
                flow=flow,
                ids=[one.id for one in mine],
            )
        )
    copy_rows(Notification, notifications)
    copy_rows(Delivery, deliveries)
    copy_rows(Work, rows)
    counts.move((one.notification.batch_id, "", State.QUEUED) for one in deliveries)
    return deliveries


# --- What must hold ------------------------------------------------------------------------------


def check(world: World) -> None:
    for worker in world.workers:
        assert worker.errors == []
    for entry in world.stage.logs:  # a pump outlives what its loads raise, whatever it is
        assert entry["event"] not in _DEFECTS or entry.get("error") == "LeaseLost", entry
    assert not Work.objects.exists()
    assert _findings() == []
    assert invariants._regressed() == []
    attempts = list(Attempt.objects.values_list("id", "delivery_id", "error_class"))
    _check_copies(world, attempts)
    for why, deliveries, before in world.stopped:
        since = {id_ for id_, delivery_id, _ in attempts if delivery_id in deliveries} - before
        assert not since, why


_DEFECTS = ("load failed", "provider defect")


def _findings() -> list[tuple[str, ...]]:
    """As `audit.findings`, in one prepared statement: planning its queries takes ten times as long
    as they do here.
    """
    rules = (f"SELECT '{rule}', one.* FROM ({sql}) AS one" for rule, sql in audit._RULES.items())
    assert connection.connection is not None
    with connection.cursor() as cursor:
        cursor.cursor.flush()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(" UNION ALL ".join(rules), audit._values(), prepare=True)
        return cursor.fetchall()


def _check_copies(world: World, attempts: list[tuple[UUID, UUID, str]]) -> None:
    known = {id_ for id_, _, _ in attempts}
    unanswered = Counter(id_ for _, id_, kind in attempts if kind == ErrorClass.AMBIGUOUS)
    calls: Counter[UUID] = Counter()
    copies: Counter[UUID] = Counter()
    for heard in world.ledger:
        assert not heard.late
        for message in heard.messages:
            assert message.attempt_id in known, "called without having written it down"
            assert heard.at < world.silenced.get(message.delivery_id, len(world.ledger))
            calls[message.attempt_id] += 1
            copies[message.delivery_id] += heard.taken
    assert max(calls.values(), default=1) == 1
    for delivery in Delivery.objects.all():
        assert delivery.state not in PENDING
        sent = copies[delivery.id]
        assert sent <= 1 + (0 if world.sends_once else unanswered[delivery.id])
        if rank(State(delivery.state)) >= 0:
            assert sent
        if delivery.state == State.CANCELLED:
            assert not sent


# --- The tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_keeps_the_ledger(size: Size, part: int) -> None:
    """G18. At full size a fork plays half of the schedules: 50 ms each, most of it the engine's."""
    share = int(size["schedules"] / PARTS / size["processes"])
    with ExitStack() as stack:
        for _ in range(1, int(size["processes"])):
            stack.enter_context(beside(partial(play, share)))
        play(share)


def play(schedules: int) -> None:
    @seed(random.randrange(2**64))
    @settings(max_examples=schedules, database=None, phases=PHASES)
    @given(
        lane=st.sampled_from([Lane.NORMAL, Lane.BULK, Lane.URGENT]),
        works=st.sampled_from([[1], [2], [1, 1], [3], [2, 1]]),
        batched=st.booleans(),
        careful=st.booleans(),
        schedule=st.binary(min_size=MOVES, max_size=MOVES),
    )
    def play_one(
        lane: Lane, works: list[int], batched: bool, careful: bool, schedule: bytes
    ) -> None:
        _forget_calls()
        stage.logs.clear()
        Refusal.before.clear()
        route._heard.clear()
        with transaction.atomic():
            world = World(stage, lane, works, batched, careful)
            try:
                world.play(schedule)
                world.drain()
                check(world)
            finally:
                for worker in world.workers:
                    worker.kill()
                    worker.loop.clear()
                transaction.set_rollback(True)

    with staged() as stage:
        play_one()


def _forget_calls() -> None:
    """The budget of retries is no subject here."""
    buckets._earned = buckets._Earned()
    names = [f"comms:limit:{part}:{name}" for part in ("calls", "retries") for name in PROVIDERS]
    valkey.client().delete(*names)
