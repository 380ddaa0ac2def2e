"""What workers died with: found, claimed alone, carried while nothing else is held, and kept apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

import pytest
from django.db import OperationalError
from django.utils import timezone
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import queue
from notifications.models import Attempt, DeadLetter, Delivery, ProviderState, Work
from notifications.queue import Lease
from notifications.services import pump, replay
from notifications.services.load import Load
from notifications.states import State
from notifications.types import Channel, Lane
from tests.engine import carry_out, carry_out_load
from tests.factories import ApiClientFactory
from tests.faults.stepping import PROVIDERS, Clockwork, Worker, finish
from tests.integration.test_engine import send
from tests.integration.test_queue import chunk, works
from tests.scripted import entry, temporary

T = TypeVar("T")

LANES = [Lane.NORMAL]


# --- Who is one ----------------------------------------------------------------------------------


def suspect(**fields: Any) -> Work:
    """A message that two workers died with, due."""
    (work,) = works(ApiClientFactory.create(), 1)
    Work.objects.filter(id=work.id).update(suspect=True, claims=queue.SUSPECT_AT, **fields)
    return work


SOON = timedelta(seconds=30)

NOT_NOW: dict[str, Callable[[], dict[str, Any]]] = {
    "later": lambda: {"due_at": timezone.now() + SOON},
    "held": lambda: {"held": True},
    "leased": lambda: {"lease_until": timezone.now() + SOON},
    "another lane": lambda: {"lane": Lane.BULK},
    "no suspect": lambda: {"suspect": False},
}


@pytest.mark.django_db
@pytest.mark.parametrize("why", NOT_NOW)
def test_what_is_not_to_be_sent_now_stops_no_lane(why: str) -> None:
    work = suspect()
    assert queue.has_suspect(LANES)
    Work.objects.filter(id=work.id).update(**NOT_NOW[why]())
    assert not queue.has_suspect(LANES)
    assert queue.claim_suspect(LANES) == []


@pytest.mark.django_db
def test_one_at_a_time_the_longest_due_first() -> None:
    late = suspect(due_at=timezone.now() - SOON)
    later = suspect(due_at=timezone.now() - SOON / 2)
    assert [lease.id for lease in queue.claim_suspect(LANES)] == [late.id]
    assert [lease.id for lease in queue.claim_suspect(LANES)] == [later.id]
    assert not queue.has_suspect(LANES)


@pytest.mark.django_db
def test_a_suspect_whose_holder_died_is_there_again() -> None:
    suspect(lease_until=timezone.now() - SOON)
    assert queue.has_suspect(LANES)
    (lease,) = queue.claim_suspect(LANES)
    assert (lease.is_suspect, lease.claims) == (True, queue.SUSPECT_AT + 1)


# --- As long as it was not tried -----------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["blocked", "stopped"])
def test_a_suspect_that_was_not_tried_stays_one(agent: ApiClient, why: str) -> None:
    send(agent)
    Work.objects.update(suspect=True, claims=queue.SUSPECT_AT)
    if why == "blocked":
        ProviderState.objects.create(name="simulator", enabled=False)
    (lease,) = queue.claim_suspect(LANES)
    load = Load([lease])
    if why == "stopped":
        load.stop()
    carry_out_load(load)
    work = Work.objects.get()
    assert (work.suspect, work.claims, work.size) == (True, queue.SUSPECT_AT, 1)


@pytest.mark.django_db
def test_a_suspect_that_was_tried_is_none_any_more(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    send(agent)
    Work.objects.update(suspect=True, claims=queue.SUSPECT_AT)
    (lease,) = queue.claim_suspect(LANES)
    carry_out(lease)
    work = Work.objects.get()
    assert (work.suspect, work.claims) == (False, 0)


@pytest.mark.django_db
def test_what_killed_three_workers_is_replayed_alone(agent: ApiClient) -> None:
    (dead,) = send(agent)
    Work.objects.all().delete()
    Delivery.objects.update(state=State.DEAD)
    letter = DeadLetter.objects.create(delivery=dead, code=replay.QUARANTINED, reason="q")
    replay.replay(DeadLetter.objects.all(), [letter.id], by="staff")
    send(agent, 3)
    again = Delivery.objects.get(replay_of=dead)
    assert again.id not in {id_ for lease in queue.claim(Lane.NORMAL, 100) for id_ in lease.ids}
    (lease,) = queue.claim_suspect(LANES)
    assert lease.ids == [again.id]
    assert lease.claims == queue.QUARANTINE_AT  # one more death with it, and it is given up


# --- The pump ------------------------------------------------------------------------------------


def leased(*, is_suspect: bool = False, **fields: Any) -> Lease:
    values: dict[str, Any] = {
        "id": new_id(),
        "kind": Work.Kind.SEND,
        "lane": Lane.NORMAL,
        "channel": Channel.EMAIL,
        "client_id": new_id(),
        "batch_id": None,
        "ids": [new_id()],
        "token": 3,
        "claims": 3 if is_suspect else 1,
        "due_at": timezone.now(),
        "is_suspect": is_suspect,
        "deadline": time.monotonic() + 10,
    }
    return Lease(**values | fields)


class Stub:
    """A `Runner` that finds what it is given, in this order, and writes nothing."""

    def __init__(self, claims: list[list[Lease]], suspects: list[Lease]) -> None:
        self.claims, self.suspects = claims, suspects
        self.heard: list[str] = []
        self.renewed: list[Lease] = []
        self.given_back: list[Lease] = []
        self.refuses: set[str] = set()
        self.slowly = 0.0
        """Seconds that a claim takes."""
        self.closed = False

    async def database(self, function: Callable[..., T], *args: Any) -> T:
        named = function.func if isinstance(function, partial) else function
        name = named.__name__
        self.heard.append(name)
        if name in self.refuses:
            self.refuses.discard(name)
            raise OperationalError("the database system is shutting down")
        if name == "claim" and self.claims:
            await asyncio.sleep(self.slowly)
        found: dict[str, Callable[[], Any]] = {
            "claim": lambda: self.claims.pop(0) if self.claims else [],
            "has_suspect": lambda: bool(self.suspects),
            "claim_suspect": lambda: [self.suspects.pop(0)] if self.suspects else [],
            "give_back": lambda: self.given_back.extend(args[0]),
            "quarantine": lambda: True,
        }
        return cast("T", found.get(name, lambda: None)())

    async def beat(self, function: Callable[..., T], *args: Any) -> T:
        self.renewed += args[0]
        return cast("T", None)

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        raise AssertionError("nothing is called here")

    async def close(self) -> None:
        self.closed = True


Carry = Callable[[pump.Pump, Load], Awaitable[None]]


PATIENCE = 5.0


async def eventually(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.005)


def run(stub: Stub, carry: Carry, *, until: Callable[[pump.Pump], bool]) -> pump.Pump:
    """A pump that carries its loads by `carry`, stopped when `until` holds."""

    async def main() -> pump.Pump:
        one = pump.Pump([Lane.NORMAL], cast("pump.Threads", stub))
        one._carry_on = lambda load: carry(one, load)  # type: ignore[method-assign, assignment, return-value]
        running = asyncio.create_task(one.run())
        await eventually(lambda: until(one) or running.done())
        one.stop()
        await asyncio.wait_for(running, PATIENCE)
        return one

    return asyncio.run(main())


@pytest.fixture
def hurried(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.POLL_SECONDS = 0.02
    monkeypatch.setattr(pump, "EMPTY_IN", 0.5)


@pytest.mark.parametrize("slowly", [0.0, 0.1], ids=["held", "being claimed"])
def test_a_suspect_is_carried_while_nothing_else_is_held(hurried: None, slowly: float) -> None:
    """What a claim finds that had begun before the road was closed is held, too."""
    stub = Stub([[leased()]], [leased(is_suspect=True)])
    stub.slowly = slowly
    out: list[bool] = []
    beside: list[int] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        out.append(load.first.is_suspect)
        beside.append(len(out))
        await asyncio.sleep(0.15)
        out.remove(load.first.is_suspect)

    run(stub, carry, until=lambda one: len(beside) == 2 and not one._leases)
    assert beside == [1, 1]


def test_nothing_is_claimed_while_a_suspect_is_carried(hurried: None) -> None:
    stub = Stub([], [leased(is_suspect=True)])
    during: list[list[str]] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        before = len(stub.heard)
        one.wake(Lane.NORMAL)
        await asyncio.sleep(0.1)
        during.append(stub.heard[before:])

    run(stub, carry, until=lambda _: bool(during))
    assert "claim" not in during[0]


def test_the_lanes_do_not_wait_for_a_suspect_that_takes_its_time(
    hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "EMPTY_IN", 0.05)
    stub = Stub([], [leased(is_suspect=True)])
    ended: list[str] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        before = len(stub.heard)  # a provider that answers only after somebody looked at the lane
        await eventually(lambda: "claim" in stub.heard[before:])
        ended.append("looked")

    run(stub, carry, until=lambda _: bool(ended))


@pytest.mark.parametrize("empty_in", [0.02, 0.5], ids=["lanes go on", "lanes stand still"])
def test_a_stop_waits_for_the_suspect_that_is_being_called(
    hurried: None, monkeypatch: pytest.MonkeyPatch, empty_in: float
) -> None:
    monkeypatch.setattr(pump, "EMPTY_IN", empty_in)
    stub = Stub([], [leased(is_suspect=True)])
    seen: list[str] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        seen.append("called")
        await asyncio.sleep(0.15)
        seen.append("closed" if stub.closed else "answered")

    called = time.monotonic()
    run(stub, carry, until=lambda _: bool(seen) and time.monotonic() > called + 0.1)
    assert seen == ["called", "answered"]
    assert stub.closed


def test_a_claim_that_is_one_too_many_is_quarantined_without_being_carried(hurried: None) -> None:
    last = leased(is_suspect=True, claims=queue.QUARANTINE_AT + 1)
    stub = Stub([], [leased(is_suspect=True, claims=queue.QUARANTINE_AT), last])
    carried: list[int] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        carried.append(load.first.claims)

    run(stub, carry, until=lambda _: "quarantine" in stub.heard)
    assert carried == [queue.QUARANTINE_AT]
    assert stub.heard.count("quarantine") == 1


def test_work_that_waits_for_receipts_is_never_quarantined(hurried: None) -> None:
    stub = Stub([], [leased(is_suspect=True, claims=9, kind=Work.Kind.RECONCILE)])
    carried: list[int] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        carried.append(load.first.claims)

    run(stub, carry, until=lambda _: bool(carried))
    assert "quarantine" not in stub.heard


# --- Beats, outages and what a claim leaves to do ------------------------------------------------


def test_a_claim_without_progress_is_left_to_others(hurried: None, settings: Any) -> None:
    settings.LEASE_SECONDS = 0.06
    alive, stuck = leased(), leased()
    stuck.seen -= pump.STUCK_SECONDS + 1
    stub = Stub([[alive, stuck]], [])

    async def carry(one: pump.Pump, load: Load) -> None:
        await eventually(lambda: len(stub.renewed) >= 2)

    run(stub, carry, until=lambda _: len(stub.renewed) >= 2)
    assert set(stub.renewed) == {alive}


def test_an_outage_is_no_fault_of_what_was_claimed(hurried: None) -> None:
    mine = leased()
    stub = Stub([[mine]], [])
    stub.refuses = {"give_back"}  # once

    async def carry(one: pump.Pump, load: Load) -> None:
        raise OperationalError("the database system is shutting down")

    one = run(stub, carry, until=lambda _: bool(stub.given_back))
    assert stub.given_back == [mine]
    assert one._leases == set()


def test_a_defect_leaves_the_claim_to_run_out(hurried: None) -> None:
    """Were it given back, it would be claimed again at once, for ever."""
    stub = Stub([[leased()]], [])
    failed: list[Load] = []

    async def carry(one: pump.Pump, load: Load) -> None:
        failed.append(load)
        raise KeyError("a defect")

    one = run(stub, carry, until=lambda one: bool(failed) and not one._leases)
    assert "give_back" not in stub.heard
    assert one._leases == set()


@pytest.fixture
def stage(settings: Any) -> Iterator[Worker]:
    """A worker that takes one step at a time."""
    settings.PROVIDERS = PROVIDERS
    worker = Worker(Clockwork(), Lane.NORMAL, [])
    yield worker
    worker.kill()
    worker.loop.close()


@pytest.mark.django_db
def test_after_an_outage_it_is_due_at_once_and_no_claim_counts(stage: Worker) -> None:
    (delivery,) = chunk(1)
    stage.claim()
    stage.steps[0].error = OperationalError("the connection is lost")  # before it was carried out
    stage.steps[0].has_run = True
    stage.step()
    finish([stage])
    work = Work.objects.get()
    assert (work.lease_until, work.claims, work.ids) == (None, 0, [delivery.id])
    assert not Attempt.objects.exists()
    assert stage.claim() == 1
    finish([stage])
    assert Delivery.objects.get().state == State.SENT


class Watched(set[Lease]):
    """Counts how often somebody goes through all claims."""

    passes = 0

    @override
    def __iter__(self) -> Iterator[Lease]:
        self.passes += 1
        return super().__iter__()


def test_claims_that_end_together_cost_no_walk_over_all_others_each() -> None:
    """Two thousand messages of their own are two thousand claims."""
    leases = [leased() for _ in range(2000)]

    async def main() -> int:
        one = pump.Pump([Lane.NORMAL], cast("pump.Threads", None))
        one._leases = watched = Watched(leases)
        one._let_go(leases[:100])
        assert len(one._leases) == 1900
        return watched.passes

    assert asyncio.run(main()) <= 2  # once, to know whether there was room


def test_a_place_that_becomes_free_wakes_a_lane_that_was_full() -> None:
    full = [leased(ids=[new_id()] * pump.SLOTS)]

    async def main() -> list[bool]:
        one = pump.Pump(list(Lane), cast("pump.Threads", None))
        one._leases = set(full)
        one._let_go(full)
        one._let_go(full)
        return [one._bells[lane].is_set() for lane in (Lane.NORMAL, Lane.BULK)]

    assert asyncio.run(main()) == [True, False]


def test_an_agent_that_is_alone_never_waits_for_the_poll() -> None:
    """It is noisy, so places are kept from it: whenever a chunk of its would not fit, the end of any
    load is a reason to look again.
    """
    chunks = [leased(ids=[new_id()] * Work.LIMIT) for _ in range(pump.SLOTS // Work.LIMIT)]

    async def main() -> list[tuple[bool, bool]]:
        found = []
        for held in range(1, len(chunks) + 1):
            one = pump.Pump([Lane.NORMAL], cast("pump.Threads", None))
            one._leases = set(chunks[:held])
            fits = one._room(Lane.NORMAL) - pump.KEPT >= Work.LIMIT
            one._let_go(chunks[:1])
            found.append((fits, one._bells[Lane.NORMAL].is_set()))
        return found

    found = asyncio.run(main())
    assert all(fits or looks for fits, looks in found)
    assert {fits for fits, _ in found} == {True, False}


@pytest.mark.parametrize(("seconds", "timers"), [(-1.0, 1), (9.0, 1), (11.0, 0), (86_400.0, 0)])
def test_only_what_is_to_do_soon_has_a_timer(seconds: float, timers: int) -> None:
    async def main() -> int:
        one = pump.Pump([Lane.NORMAL], cast("pump.Threads", None))
        one._wake_when_due(leased(follow_ups=[seconds]))
        return len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]

    assert asyncio.run(main()) == timers
