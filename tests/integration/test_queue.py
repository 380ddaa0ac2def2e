"""Claims: who has the next turn, how much, and what becomes of work that processes died with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from structlog.testing import capture_logs

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import queue
from notifications.addresses import digest
from notifications.models import Attempt, Batch, DeadLetter, Delivery, Work
from notifications.services import audit, batches, complete, counts, load, pump
from notifications.states import State
from notifications.types import Channel, Lane
from tests.factories import (
    ApiClientFactory,
    DeliveryFactory,
    NotificationFactory,
    WorkFactory,
)
from tests.faults.stepping import PROVIDERS, Clockwork, Merging, Worker, finish

pytestmark = pytest.mark.django_db


def batch_of(client: ApiClient) -> Batch:
    content = {"email": {"subject": "Hello", "text": "Hello {{ name }}."}}
    return Batch.objects.create(
        client=client,
        state=Batch.State.RUNNING,
        content=content,
        data={},
        priority=Lane.NORMAL,
        started_at=timezone.now(),
    )


def works(
    client: ApiClient, count: int, *, batch: Batch | None = None, size: int = 1
) -> list[Work]:
    """Due one after the other; their deliveries do not exist."""
    start = timezone.now() - timedelta(hours=1)
    return [
        WorkFactory.create(
            client=client,
            batch=batch,
            ids=[new_id() for _ in range(size)],
            due_at=start + timedelta(seconds=number),
        )
        for number in range(count)
    ]


def claimed(*args: Any, **kwargs: Any) -> set[UUID]:
    return {lease.id for lease in queue.claim(Lane.NORMAL, *args, **kwargs)}


def ids(*rows: Work) -> set[UUID]:
    return {row.id for row in rows}


def expire() -> None:
    Work.objects.filter(lease_until__isnull=False).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


# --- Turns ---------------------------------------------------------------------------------------


def test_agents_take_turns_and_no_room_is_left_unused() -> None:
    loud = works(ApiClientFactory.create(), 6)
    quiet = works(ApiClientFactory.create(), 2)
    assert claimed(2) == ids(loud[0], quiet[0])
    assert claimed(2) == ids(loud[1], quiet[1])
    assert claimed(10) == ids(*loud[2:])


def test_the_flows_of_an_agent_take_turns() -> None:
    client = ApiClientFactory.create()
    first = works(client, 5, batch=batch_of(client))
    second = works(client, 5, batch=batch_of(client))
    alone = works(client, 2)
    assert claimed(3) == ids(first[0], second[0], alone[0])
    assert claimed(3) == ids(first[1], second[1], alone[1])
    assert claimed(2) == ids(first[2], second[2])


def test_a_message_goes_before_a_chunk_that_has_waited_for_longer() -> None:
    """However many agents with large batches take turns: each of them has nothing in flight once."""
    for _ in range(4):
        works(ApiClientFactory.create(), 1, size=500)
    (mine,) = works(ApiClientFactory.create(), 1)
    Work.objects.filter(id=mine.id).update(due_at=timezone.now())
    found = 0
    for _ in range(20):
        found += mine.id in claimed(1)
        Work.objects.update(lease_until=None)
    assert found >= 15  # each time 4 of 504 lots are against it


def test_no_number_of_messages_keeps_a_chunk_from_its_turn() -> None:
    (large,) = works(ApiClientFactory.create(), 1, size=5)
    for _ in range(9):
        works(ApiClientFactory.create(), 1)
    for _ in range(500):  # each has a chance of 6 in 100
        if large.id in claimed(3):
            return
        Work.objects.update(lease_until=None)
    raise AssertionError("it never had its turn")


def test_many_batches_win_no_more_turns_than_one() -> None:
    loud, quiet = ApiClientFactory.create(), ApiClientFactory.create()
    for _ in range(5):
        works(loud, 3, batch=batch_of(loud))
    mine = works(quiet, 4)
    assert len(claimed(8) & ids(*mine)) == 4


def test_whose_messages_are_in_flight_waits_for_those_whose_are_not() -> None:
    """A small batch does not wait for a large one of the same agent, nor an agent for another."""
    busy, idle = ApiClientFactory.create(), ApiClientFactory.create()
    large, small = batch_of(busy), batch_of(busy)
    works(busy, 3, size=10, batch=large)
    (late,) = works(busy, 1, size=10, batch=small)
    (other,) = works(idle, 1, size=10)
    flying = {(busy.id, large.id): 10}
    assert claimed(1, in_flight=flying) == ids(other)
    assert claimed(1, in_flight=flying) == ids(late)
    assert claimed(1, in_flight=flying | {(busy.id, small.id): 10}) <= {
        row.id for row in Work.objects.filter(batch=large)
    }


def test_noisy_agents_come_last_and_get_their_room() -> None:
    loud, other, quiet = (ApiClientFactory.create() for _ in range(3))
    many, some = works(loud, 9), works(other, 9)
    few = works(quiet, 3)
    got = claimed(4, noisy=[loud.id, other.id], noisy_room=4)
    assert got > ids(*few)
    assert len(got & ids(many[0], some[0])) == 1
    got = claimed(20, noisy=[loud.id, other.id], noisy_room=6)
    assert len(got) == 6
    assert len(got & ids(*some)) in (2, 3, 4)  # they take turns among themselves
    assert claimed(20, noisy=[loud.id, other.id], noisy_room=0) == set()


def test_a_noisy_agents_chunk_does_not_exceed_its_room() -> None:
    loud = ApiClientFactory.create()
    works(loud, 2, size=10)
    assert claimed(100, noisy=[loud.id], noisy_room=9) == set()
    assert len(claimed(100, noisy=[loud.id], noisy_room=19)) == 1


@pytest.mark.parametrize(
    ("in_flight", "loud"),
    [
        ({}, ""),
        ({"a": 29, "b": 1}, ""),  # too few to be noise
        ({"a": 30, "b": 1}, "a"),
        ({"a": 200, "b": 199, "c": 30}, "ab"),
        ({"a": 1600, "b": 160}, "a"),  # less than a tenth of all
        ({"a": 2000}, "a"),
    ],
)
def test_who_is_noisy(in_flight: dict[str, int], loud: str) -> None:
    names = {name: new_id() for name in in_flight}
    found = pump.noisy({(names[name], new_id()): count for name, count in in_flight.items()})
    assert set(found) == {names[name] for name in loud}


def test_only_the_last_chunk_may_exceed_the_room() -> None:
    client = ApiClientFactory.create()
    first, second, _ = works(client, 3, size=10)
    assert claimed(11) == ids(first, second)
    assert len(claimed(1)) == 1
    assert claimed(0) == set()


def test_a_claim_has_so_many_chunks_at_most() -> None:
    first, *_ = works(ApiClientFactory.create(), 8)
    second, *_ = works(ApiClientFactory.create(), 8)
    got = claimed(1000, chunks=3)
    assert len(got) == 3
    assert ids(first, second) <= got


def test_what_is_held_leased_or_not_due_is_not_claimed() -> None:
    client = ApiClientFactory.create()
    held, leased, later, other, due = works(client, 5)
    now = timezone.now()
    Work.objects.filter(id=held.id).update(held=True)
    Work.objects.filter(id=leased.id).update(lease_until=now + timedelta(seconds=9))
    Work.objects.filter(id=later.id).update(due_at=now + timedelta(seconds=9))
    Work.objects.filter(id=other.id).update(lane=Lane.BULK)
    assert claimed(100) == ids(due)


# --- Given back ----------------------------------------------------------------------------------


def test_what_is_given_back_is_due_at_once_and_counts_no_claim() -> None:
    works(ApiClientFactory.create(), 1)
    leases = queue.claim(Lane.NORMAL, 1)
    queue.give_back(leases)
    queue.give_back(leases)  # as after a reply that was lost
    (again,) = queue.claim(Lane.NORMAL, 1)
    assert (again.claims, again.token) == (1, 2)
    assert not again.is_first


def test_a_claim_that_was_given_back_is_not_renewed() -> None:
    works(ApiClientFactory.create(), 1)
    leases = queue.claim(Lane.NORMAL, 1)
    queue.give_back(leases)
    queue.renew(leases)
    assert len(claimed(1)) == 1


def test_nobody_gives_back_what_another_process_holds() -> None:
    works(ApiClientFactory.create(), 1)
    lost = queue.claim(Lane.NORMAL, 1)
    expire()
    queue.claim(Lane.NORMAL, 1)
    queue.give_back(lost)
    work = Work.objects.get()
    assert work.lease_until is not None
    assert work.claims == 2


# --- Suspects ------------------------------------------------------------------------------------


@pytest.fixture
def stage(settings: Any) -> Iterator[list[Worker]]:
    """Two workers that take one step at a time; a provider that merges, and one that does not."""
    settings.PROVIDERS = PROVIDERS
    ledger: list[Any] = []
    workers = [Worker(Clockwork(), Lane.NORMAL, ledger) for _ in range(2)]
    yield workers
    for worker in workers:
        worker.kill()
        worker.loop.close()


def chunk(
    count: int, *, batch: Batch | None = None, address: str = "", first: int = 0
) -> list[Delivery]:
    client = batch.client if batch else ApiClientFactory.create()
    deliveries = [
        DeliveryFactory.create(
            notification=NotificationFactory.create(
                client=client,
                batch=batch,
                content=None if batch else {"email": {"subject": "Hello", "text": "It works."}},
                data={"name": "Ada"} if batch else None,
            ),
            address=(where := address or f"user-{number}@example.org"),
            address_hash=digest(Channel.EMAIL, where),
        )
        for number in range(first, first + count)
    ]
    WorkFactory.create(client=client, batch=batch, ids=[one.id for one in deliveries])
    if batch:
        counts.move((batch.id, "", State.QUEUED) for _ in deliveries)
    return sorted(deliveries, key=lambda one: one.id)


def die_with_it(stage: list[Worker], times: int) -> None:
    """Processes that end before they have opened a window."""
    for _ in range(times):
        assert stage[0].claim()
        stage[0].kill()
        stage[0] = Worker(stage[0].loop, Lane.NORMAL, stage[0].ledger)
        expire()


def test_a_chunk_that_two_died_with_is_taken_apart_and_claimed_alone(stage: list[Worker]) -> None:
    deliveries = chunk(3)
    die_with_it(stage, 2)
    assert stage[0].claim() == 1
    finish([stage[0]])

    rows = list(Work.objects.order_by("ids"))
    assert [row.ids for row in rows] == [[one.id] for one in deliveries]
    assert {(row.suspect, row.claims, row.size) for row in rows} == {(True, 2, 1)}
    assert claimed(100) == set()  # in no usual claim
    assert queue.has_suspect([Lane.NORMAL])
    assert not queue.has_suspect([Lane.BULK])
    (lease,) = queue.claim_suspect(list(Lane))
    assert lease.is_suspect
    assert not lease.is_first  # what a dead process has called for is still looked for
    assert len(lease.ids) == 1
    queue.give_back([lease])
    for _ in range(3):
        assert stage[0].claim() == 1
        finish([stage[0]])
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert len(stage[0].ledger) == 3
    assert not queue.has_suspect(list(Lane))


def test_calls_of_the_dead_are_found_after_it_was_taken_apart(stage: list[Worker]) -> None:
    chunk(1)
    stage[0].claim()
    stage[0].step()  # the window: its call is out, and its answer is lost with the process
    assert len(stage[0].ledger) == 1
    stage[0].kill()
    stage[0] = Worker(stage[0].loop, Lane.NORMAL, stage[0].ledger)
    expire()
    die_with_it(stage, 1)
    for _ in range(2):
        assert stage[0].claim() == 1
        finish([stage[0]])
    assert Delivery.objects.get().state == State.UNKNOWN
    assert len(stage[0].ledger) == 1
    assert Work.objects.get().kind == Work.Kind.RECONCILE


def test_calls_of_the_dead_are_found_after_it_was_handed_on(stage: list[Worker]) -> None:
    chunk(1)
    stage[0].claim()
    stage[0].step()
    stage[0].kill()
    expire()
    stage[1].stop()  # before it has looked at what it claims
    stage[1].claim()
    finish([stage[1]])
    stage[1] = Worker(stage[1].loop, Lane.NORMAL, stage[1].ledger)
    assert stage[1].claim() == 1
    finish([stage[1]])
    assert Delivery.objects.get().state == State.UNKNOWN
    assert len(stage[0].ledger) == 1


def test_a_message_that_a_third_died_with_alone_is_quarantined(stage: list[Worker]) -> None:
    poison, good = chunk(2)
    die_with_it(stage, 2)
    stage[0].claim()
    finish([stage[0]])
    Work.objects.filter(ids__contains=[good.id]).update(
        due_at=timezone.now() + timedelta(seconds=9)
    )
    die_with_it(stage, 1)
    Work.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        assert stage[0].claim() == 1
        finish([stage[0]])

    poison.refresh_from_db()
    good.refresh_from_db()
    assert (poison.state, good.state) == (State.DEAD, State.SENT)
    letter = DeadLetter.objects.get()
    assert (letter.delivery_id, letter.code) == (poison.id, "quarantined")
    assert not Work.objects.exists()
    assert stage[0].leases == set()
    assert list(audit.findings()) == []


def test_a_message_that_two_died_calling_for_and_one_before_is_quarantined(
    stage: list[Worker],
) -> None:
    (poison,) = chunk(1)
    for _ in range(2):
        stage[0].claim()
        stage[0].step()  # the window: its call is out, and its answer is lost with the process
        stage[0].kill()
        stage[0] = Worker(stage[0].loop, Lane.NORMAL, stage[0].ledger)
        expire()
        for _ in range(2):  # the call is found; no receipt comes, so that it is sent again
            assert stage[0].claim() == 1
            finish([stage[0]])
            Work.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert Work.objects.get().suspect
    die_with_it(stage, 1)
    assert stage[0].claim() == 1
    finish([stage[0]])

    letter = DeadLetter.objects.get()
    assert (letter.delivery_id, letter.code) == (poison.id, "quarantined")
    assert Attempt.objects.filter(state=Attempt.State.UNKNOWN).count() == 2
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_nothing_is_quarantined_whose_call_was_under_way(stage: list[Worker]) -> None:
    chunk(1)
    die_with_it(stage, 1)
    stage[0].claim()
    stage[0].step()
    (lease,) = stage[0].leases
    assert not complete.quarantine(lease)
    assert not DeadLetter.objects.exists()


def test_a_database_that_refuses_leaves_no_suspect_behind(stage: list[Worker]) -> None:
    chunk(1)
    die_with_it(stage, 2)
    stage[0].claim()
    finish([stage[0]])
    die_with_it(stage, 1)
    stage[0].claim()
    assert stage[0].steps[0].function == complete.quarantine
    stage[0].step(lose_reply=True)
    assert stage[0].leases == set()


# --- Loads ---------------------------------------------------------------------------------------


def sent_to(stage: list[Worker]) -> list[UUID]:
    """The deliveries of every call that was made, by whichever worker."""
    return [message.delivery_id for heard in stage[0].ledger for message in heard.messages]


@pytest.mark.parametrize("is_gone", [False, True], ids=["claimed", "taken apart"])
def test_a_load_goes_on_without_a_suspect_that_another_process_has_claimed(
    stage: list[Worker], is_gone: bool
) -> None:
    suspects = {one.id for one in chunk(2)}
    die_with_it(stage, 2)
    (good,) = chunk(1)
    assert stage[0].claim() == 2  # one load; the suspect is to be taken apart before the rest goes
    assert [step.function for step in stage[0].steps] == [queue.take_apart]
    theirs = Work.objects.exclude(ids=[good.id])
    theirs.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert stage[1].claim() == 1
    if is_gone:
        finish([stage[1]])
    with capture_logs() as logs:
        finish([stage[0]])
    assert sent_to(stage) == [good.id]
    assert not [entry for entry in logs if entry["event"] == "load failed"]
    assert stage[0].leases == set()

    finish([stage[1]])
    assert {row.ids[0] for row in Work.objects.filter(suspect=True, size=1)} == suspects
    for _ in suspects:
        assert stage[1].claim() == 1
        finish([stage[1]])
    assert sorted(sent_to(stage)) == sorted({good.id, *suspects})
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_a_load_goes_on_without_the_claim_it_lost(stage: list[Worker]) -> None:
    first, second = chunk(1)[0], chunk(1)[0]
    assert stage[0].claim() == 2
    stage[0].step()  # one window for both
    assert len(stage[0].calls) == 2
    taken = Work.objects.get(ids=[second.id])
    Work.objects.filter(id=taken.id).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert stage[1].claim() == 1
    finish(stage)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.SENT, State.SENT)  # a late answer counts
    Work.objects.update(due_at=timezone.now())
    stage[1].claim()
    finish(stage)
    assert len(stage[0].ledger) == 2
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def answer_by(worker: Worker, bad: UUID) -> None:
    """The provider refuses each call that carries `bad`."""
    while worker.steps or worker.calls or worker.tasks:
        if worker.steps or not worker.calls:
            worker.go_on()
        else:
            carried = {message.delivery_id for message in worker.calls[0].messages}
            worker.answer(0, "refused" if bad in carried else "ok")


def test_a_refused_batch_call_is_halved_until_the_bad_one_is_alone(
    stage: list[Worker], settings: Any
) -> None:
    settings.PROVIDERS = {"merging": PROVIDERS["merging"]}
    deliveries = chunk(8, batch=batch_of(ApiClientFactory.create()))
    bad = deliveries[5]
    stage[0].claim()
    answer_by(stage[0], bad.id)

    failed = Delivery.objects.get(state=State.FAILED)
    assert failed.id == bad.id
    assert Delivery.objects.filter(state=State.SENT).count() == 7
    assert sorted(len(heard.messages) for heard in stage[0].ledger) == [1, 1, 2, 2, 4, 4, 8]
    times = Attempt.objects.values_list("delivery", flat=True)
    assert list(times).count(bad.id) == 4
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_equal_addresses_go_in_different_calls(stage: list[Worker]) -> None:
    chunk(3, batch=batch_of(ApiClientFactory.create()), address="ada@example.org")
    stage[0].claim()
    finish([stage[0]])
    assert [len(heard.messages) for heard in stage[0].ledger] == [1, 1, 1]
    assert Delivery.objects.filter(state=State.SENT).count() == 3


# --- Batches that are paused under a claim -------------------------------------------------------


def test_two_chunks_of_a_batch_share_one_call(
    stage: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Merging, "batch_limit", 1000)
    batch = batch_of(ApiClientFactory.create())
    for first in (0, 60):
        chunk(60, batch=batch, first=first)
    assert stage[0].claim() == 2
    finish([stage[0]])

    (heard,) = stage[0].ledger
    assert len(heard.messages) == 120
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_a_pause_after_the_claim_stops_its_batch_and_no_other_of_the_load(
    stage: list[Worker],
) -> None:
    paused, running = (batch_of(ApiClientFactory.create()) for _ in range(2))
    mine = {one.id for one in chunk(2, batch=paused)}
    others = {one.id for one in chunk(2, batch=running)}
    assert stage[0].claim() == 2
    batches.act(paused, Batch.Action.PAUSE)
    finish([stage[0]])
    assert set(sent_to(stage)) == others
    assert not Attempt.objects.filter(delivery__in=mine).exists()
    work = Work.objects.get()
    assert (work.held, work.claims, set(work.ids)) == (True, 0, mine)
    assert list(audit.findings()) == []

    batches.act(paused, Batch.Action.RESUME)
    assert stage[0].claim() == 1
    finish([stage[0]])
    assert sorted(sent_to(stage)) == sorted(mine | others)
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert not Work.objects.exists()


def test_a_pause_between_two_windows_of_a_claim_stops_the_second(
    stage: list[Worker], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROVIDERS = {"threaded": PROVIDERS["threaded"]}
    monkeypatch.setattr(load, "CALLS", 2)
    batch = batch_of(ApiClientFactory.create())
    deliveries = chunk(5, batch=batch)
    stage[0].claim()
    stage[0].step()  # the first window
    batches.act(batch, Batch.Action.PAUSE)
    finish([stage[0]])
    assert sorted(sent_to(stage)) == [one.id for one in deliveries[:2]]
    assert Attempt.objects.count() == 2
    work = Work.objects.get()
    assert (work.held, sorted(work.ids)) == (True, [one.id for one in deliveries[2:]])
    assert list(audit.findings()) == []


def test_a_batch_that_goes_on_before_its_window_is_written_down_leaves_nothing_held(
    stage: list[Worker],
) -> None:
    """Paused when the window was opened, running when its outcome is written: `resume` has passed
    the leased work by, and what it left behind as held would stay so.
    """
    batch = batch_of(ApiClientFactory.create())
    mine = chunk(2, batch=batch)
    stage[0].claim()
    batches.act(batch, Batch.Action.PAUSE)
    stage[0].step()  # the window: nothing may be sent now
    batches.act(batch, Batch.Action.RESUME)
    finish([stage[0]])
    assert sent_to(stage) == []
    assert not Work.objects.get().held

    assert stage[0].claim() == 1
    finish([stage[0]])
    assert sorted(sent_to(stage)) == [one.id for one in mine]
    assert not Work.objects.exists()


# --- Limits --------------------------------------------------------------------------------------


def limited(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The providers, the first of which takes two messages a minute."""
    limit = {"COUNT": 2, "SECONDS": 60, "UNIT": "recipients"}
    found = {name: dict(PROVIDERS[name]) for name in names}
    found[names[0]]["LIMIT"] = limit
    return found


def test_what_exceeds_a_limit_goes_to_the_next_provider(stage: list[Worker], settings: Any) -> None:
    settings.PROVIDERS = limited(["threaded", "merging"])
    chunk(5)
    stage[0].claim()
    finish([stage[0]])
    by_provider = [heard.provider for heard in stage[0].ledger]
    assert (by_provider.count("threaded"), by_provider.count("merging")) == (2, 3)
    assert Delivery.objects.filter(state=State.SENT).count() == 5


def test_what_exceeds_the_last_limit_gets_a_due_time_and_nothing_is_written_of_it(
    stage: list[Worker], settings: Any
) -> None:
    settings.PROVIDERS = limited(["threaded"])
    chunk(5)
    before = timezone.now()
    stage[0].claim()
    finish([stage[0]])
    work = Work.objects.get()
    assert work.size == 3
    assert work.claims == 0
    assert work.due_at > before + timedelta(seconds=1)
    waiting = Delivery.objects.filter(id__in=work.ids)
    assert set(waiting.values_list("state", "reason", "attempts_made")) == {(State.QUEUED, "", 0)}
    assert all(row.updated_at < before for row in waiting)
    assert Attempt.objects.count() == 2
    assert list(audit.findings()) == []


# --- How fast ------------------------------------------------------------------------------------

_FILL = """
INSERT INTO notifications_work
    (id, kind, lane, channel, client_id, flow, ids, due_at, held, suspect, token, claims)
SELECT gen_random_uuid(), 'send', 'normal', 'email', agents.all_of_them[1 + n %% 200],
       agents.all_of_them[1 + n %% 200], ARRAY[gen_random_uuid()],
       now() - n * interval '1 millisecond', false, false, 0, 0
FROM generate_series(1, %s) AS n,
     (SELECT array_agg(id) AS all_of_them FROM common_apiclient) AS agents
"""


def test_a_claim_reads_the_index_alone_whatever_waits(capsys: pytest.CaptureFixture[str]) -> None:
    ApiClient.objects.bulk_create(ApiClient(name=f"agent-{number}") for number in range(200))
    with connection.cursor() as cursor:
        cursor.execute(_FILL, [300_000])
        cursor.execute("ANALYZE notifications_work")
        values: dict[str, Any] = {
            "lane": "normal",
            "room": 2000,
            "chunks": 256,
            "noisy": [],
            "noisy_room": 2000,
        }
        values |= {"clients": [], "flows": [], "sizes": []}
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {queue._CLAIM}", values | {"seconds": 10})
        (plan,) = cursor.fetchone()
    (told,) = json.loads(plan) if isinstance(plan, str) else plan
    with capsys.disabled():
        print(f"\n [claim of 256 among 300,000 works of 200 agents: {told['Execution Time']} ms]")  # noqa: T201
    nodes = list(_nodes(told["Plan"]))
    reads = {
        node["Node Type"] for node in nodes if node.get("Relation Name") == "notifications_work"
    }
    assert "Seq Scan" not in reads
    assert "work_claimable" in {node.get("Index Name") for node in nodes}
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) < 5_000
    assert Work.objects.filter(lease_until__isnull=False).count() == 256


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)
