"""People who stop messages, against windows that are just opening: two real connections.

Before each statement both sides wait for their turn, in an order drawn from a seed; who waits for a
lock of the other, as the database says, lets it go on. What was answered must hold, whatever the
order.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from typing_extensions import override

from commsproject.common.copy import copy_rows
from commsproject.common.models import ApiClient
from notifications import queue
from notifications.addresses import digest
from notifications.errors import CannotCancel
from notifications.models import Attempt, Batch, Delivery, Notification, Work
from notifications.providers.base import Provider
from notifications.services import audit, batches, cancel, counts
from notifications.services import suppress as suppressions
from notifications.states import PENDING, State
from notifications.types import Channel, Lane, Outbound, Sent, SuppressionReason
from templates_app.links import Unsubscribe
from tests.engine import carry_out
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.forks import beside

LOOK = 0.001
"""Seconds that a statement has to end before the database is asked whether it waits for a lock."""


# --- Turns ---------------------------------------------------------------------------------------


class Turns:
    """Two threads that take turns, a statement each, as `order` says: 0 or 1.

    `pids` are their processes in the database.
    """

    def __init__(self, order: Iterator[int], pids: Sequence[int]) -> None:
        self._order, self._pids = order, pids
        self._changed = threading.Condition()
        self._waiting = [False, False]
        self._done = [False, False]

    def take(self, who: int) -> None:
        """Wait for a turn. Called by the threads."""
        with self._changed:
            self._waiting[who] = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting[who], 30)

    def leave(self, who: int) -> None:
        with self._changed:
            self._done[who], self._waiting[who] = True, False
            self._changed.notify_all()

    def conduct(self) -> None:
        """Give turns until both have left. Called by the test."""
        with self._changed:
            while not all(self._done):
                self._changed.wait_for(lambda: not self._going(), LOOK)
                ready = [who for who in (0, 1) if self._waiting[who]]
                if ready and self._all_stand():
                    wanted = next(self._order)
                    self._waiting[wanted if wanted in ready else ready[0]] = False
                    self._changed.notify_all()

    def _going(self) -> list[int]:
        return [who for who in (0, 1) if not (self._waiting[who] or self._done[who])]

    def _all_stand(self) -> bool:
        """Whether nobody goes on by itself: who does not wait for a turn waits for a lock."""
        going = [self._pids[who] for who in self._going()]
        return not going or _blocked(going) == len(going)


def _blocked(pids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s) AND wait_event_type = 'Lock'",
            [list(pids)],
        )
        found: int = cursor.fetchone()[0]
        return found


class Restless:
    """Instead of the module that waits between two looks: the next look waits for its turn."""

    @staticmethod
    def wait(seconds: float) -> None: ...

    @classmethod
    def Event(cls) -> type[Restless]:  # noqa: N802 - as `threading` has it
        return cls


class Turning(psycopg.ClientCursor[Any]):
    """A cursor whose statements each wait for a turn."""

    turns: ClassVar[Turns | None] = None
    who: ClassVar[threading.local] = threading.local()

    @override
    def execute(self, *args: Any, **kwargs: Any) -> Any:
        self._wait()
        return super().execute(*args, **kwargs)

    @override
    def copy(self, *args: Any, **kwargs: Any) -> Any:
        self._wait()
        return super().copy(*args, **kwargs)

    @classmethod
    def _wait(cls) -> None:
        if cls.turns and (who := getattr(cls.who, "number", None)) is not None:
            cls.turns.take(who)


class Side:
    """A thread with a connection of its own."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._thread = ThreadPoolExecutor(1)
        self.pid = self._thread.submit(self._connect).result()

    def _connect(self) -> int:
        connection.ensure_connection()
        assert connection.connection is not None
        connection.connection.cursor_factory = Turning
        pid: int = connection.connection.info.backend_pid
        return pid

    def start(self, function: Callable[[], None]) -> Any:
        return self._thread.submit(self._run, function)

    def _run(self, function: Callable[[], None]) -> None:
        assert Turning.turns is not None
        turns, Turning.who.number = Turning.turns, self._number
        try:
            turns.take(self._number)
            function()
        finally:
            Turning.who.number = None
            turns.leave(self._number)

    def close(self) -> None:
        self._thread.submit(connections.close_all).result()
        self._thread.shutdown()


@contextmanager
def two_sides() -> Iterator[tuple[Side, Side]]:
    both = Side(0), Side(1)
    yield both
    for side in both:
        side.close()


@pytest.fixture(autouse=True)
def _recorded(moves: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDERS = {
        "recorder": {"CLASS": f"{__name__}.Recorder", "ENABLED": True, "OPTIONS": {}}
    }
    for module in (batches, suppressions):
        monkeypatch.setattr(module, "threading", Restless)


# --- The engine's side ---------------------------------------------------------------------------


class Recorder(Provider):
    """Takes everything, and says when."""

    channels = frozenset(Channel)
    calls: ClassVar[list[tuple[UUID, float]]] = []

    @override
    def send(self, message: Outbound) -> Sent:
        self.calls.append((message.delivery_id, time.monotonic()))
        return Sent(message.attempt_id.hex, 202)


WORKS = 2


@dataclass
class Race:
    """A few messages, claimed one work after the other."""

    client: ApiClient
    batch: Batch | None
    deliveries: list[Delivery]
    rounds: list[float] = field(default_factory=list)
    answered: float = 0.0
    """When the other side had its answer."""
    stopped: set[UUID] = field(default_factory=set)
    """The deliveries of which it was told that nobody is called for them any more."""
    resumes: bool = False

    def work(self) -> None:
        for _ in range(WORKS + 1):
            self.rounds.append(time.monotonic())
            for lease in queue.claim(Lane.NORMAL, 1):
                carry_out(lease)

    def drain(self) -> None:
        for _ in range(10):
            Work.objects.update(due_at=timezone.now())
            self.rounds.append(time.monotonic())
            claimed = queue.claim(Lane.NORMAL, 100)
            for lease in claimed:
                carry_out(lease)
            if not claimed:
                return

    @property
    def calls(self) -> dict[UUID, float]:
        mine = {one.id for one in self.deliveries}
        found = [(id_, at) for id_, at in Recorder.calls if id_ in mine]
        assert len(found) == len(dict(found)), "called twice"
        return dict(found)

    def after_the_answer(self) -> set[UUID]:
        """Called in a window that was opened after it."""
        late = min((at for at in self.rounds if at > self.answered), default=float("inf"))
        return {id_ for id_, at in self.calls.items() if at > late}


def make(client: ApiClient, *, batched: bool) -> Race:
    batch = None
    if batched:
        batch = Batch.objects.create(
            client=client,
            state=Batch.State.RUNNING,
            content={"email": {"subject": "Hello", "text": "Hello {{ name }}."}},
            data={},
            priority=Lane.NORMAL,
            started_at=timezone.now(),
        )
    messages = [
        Notification(
            client=client,
            batch=batch,
            content=None if batch else {"email": {"subject": "Hello", "text": "It works."}},
            data={"name": "Ada"} if batch else None,
        )
        for _ in range(2 * WORKS)
    ]
    deliveries = []
    for message in messages:
        address = f"{message.id.hex}@example.org"
        hashed = digest(Channel.EMAIL, address)
        deliveries.append(
            Delivery(
                notification=message, channel=Channel.EMAIL, address=address, address_hash=hashed
            )
        )
    copy_rows(Notification, messages)
    copy_rows(Delivery, deliveries)
    copy_rows(
        Work,
        (
            Work(
                lane=Lane.NORMAL,
                channel=Channel.EMAIL,
                client=client,
                batch=batch,
                flow=batch.id if batch else client.id,
                ids=[one.id for one in deliveries[start : start + 2]],
            )
            for start in range(0, len(deliveries), 2)
        ),
    )
    if batch:
        counts.move((batch.id, "", State.QUEUED) for _ in deliveries)
    return Race(client, batch, deliveries)


# --- The other side ------------------------------------------------------------------------------


def cancel_one(race: Race) -> None:
    delivery = race.deliveries[-1]
    with suppress(CannotCancel):
        (result,) = cancel.cancel(delivery.notification, cancel.BY_SENDER)
        assert result.outcome is cancel.Outcome.CANCELLED
        race.stopped.add(delivery.id)


def cancel_all(race: Race) -> None:
    for delivery in race.deliveries:
        with suppress(CannotCancel):
            cancel.cancel(delivery.notification, cancel.BY_SENDER)
            race.stopped.add(delivery.id)


def opt_out(race: Race) -> None:
    delivery = race.deliveries[-1]
    link = Unsubscribe(delivery.channel, delivery.address_hash, "*", delivery.id)
    suppressions.unsubscribe(link)


def put_on_list(race: Race) -> None:
    """As the API does it, and staff."""
    delivery = race.deliveries[-1]
    suppressions.add(
        channel=delivery.channel,
        address_hash=delivery.address_hash,
        reason=SuppressionReason.MANUAL,
    )
    suppressions.settle([(delivery.channel, [delivery.address_hash])])


def complain(race: Race) -> None:
    for delivery in reversed(race.deliveries):
        suppressions.recipient_of(delivery, SuppressionReason.COMPLAINT, source="recorder")


def pause(race: Race) -> None:
    assert race.batch
    batches.act(race.batch, Batch.Action.PAUSE)


def pause_and_resume(race: Race) -> None:
    assert race.batch
    batches.act(race.batch, Batch.Action.PAUSE)
    batches.act(race.batch, Batch.Action.RESUME)
    race.resumes = True


def cancel_batch(race: Race) -> None:
    assert race.batch
    batches.act(race.batch, Batch.Action.CANCEL)


def pause_and_cancel(race: Race) -> None:
    pause(race)
    cancel_batch(race)


ALONE = (cancel_one, cancel_all, opt_out, put_on_list, complain)
BATCHED = (
    cancel_one,
    opt_out,
    put_on_list,
    pause,
    pause_and_resume,
    cancel_batch,
    pause_and_cancel,
)


ONE = (opt_out, put_on_list)
"""They are about the last of the deliveries."""


def run(sides: tuple[Side, Side], client: ApiClient, seed: int) -> None:
    chance = random.Random(seed)
    batched = chance.random() < 0.6
    act = chance.choice(BATCHED if batched else ALONE)
    lead = chance.choice([0.2, 0.5, 0.8])  # who goes first more often
    delay = chance.randrange(30)
    """Statements of the engine before the other side begins."""

    def order() -> Iterator[int]:
        yield from [0] * delay
        while True:
            yield int(chance.random() < lead)

    race = make(client, batched=batched)
    Turning.turns = turns = Turns(order(), [side.pid for side in sides])

    def other() -> None:
        act(race)
        race.answered = time.monotonic()

    asked = [sides[0].start(race.work), sides[1].start(other)]
    turns.conduct()
    Turning.turns = None
    for one in asked:
        one.result()  # raises what it raised: a deadlock, too
    check(race, act)


def _told(race: Race, act: Callable[[Race], None]) -> set[UUID]:
    """Whom no window that opens after the answer may call for."""
    if act in (cancel_one, cancel_all):
        return race.stopped
    return {one.id for one in (race.deliveries[-1:] if act in ONE else race.deliveries)}


def check(race: Race, act: Callable[[Race], None]) -> None:
    if act is pause:
        race.drain()
        assert not race.after_the_answer()  # a window that is open goes on
        assert race.batch
        batches.act(race.batch, Batch.Action.RESUME)
        race.resumes = True
    if race.resumes or act in (cancel_batch, pause_and_cancel):
        batches.tend()
        assert not Work.objects.filter(batch=race.batch, held=True).exists()
    if not race.resumes:
        race.drain()
        assert not race.after_the_answer() & _told(race, act)
        if act is not complain:  # the answer waits for the calls that are out: none comes after it
            assert all(race.calls.get(id_, 0.0) < race.answered for id_ in _told(race, act))
    race.drain()
    calls = race.calls
    assert not race.stopped & calls.keys()
    states = Delivery.objects.filter(id__in=[one.id for one in race.deliveries])
    for id_, state in states.values_list("id", "state"):
        assert state not in PENDING
        assert (id_ in calls) == (state == State.SENT), state
    assert not Attempt.objects.filter(
        delivery__in=race.deliveries, state=Attempt.State.CALLING
    ).exists()
    assert not Work.objects.exists()
    if race.resumes:
        assert len(calls) == len(race.deliveries)


def test_races(size: Size) -> None:
    """At full size a fork runs every other seed."""
    count, processes = int(size["interleavings"]), int(size["processes"])
    shares = [range(first, count, processes) for first in range(processes)]
    with ExitStack() as stack:
        for share in shares[1:]:
            stack.enter_context(beside(partial(run_all, share)))
        run_all(shares[0])


def run_all(seeds: Iterable[int]) -> None:
    client = ApiClient.objects.create(name="billing")
    with two_sides() as sides:
        for seed in seeds:
            try:
                run(sides, client, seed)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    assert list(audit.findings()) == []
    assert invariants._regressed() == []
