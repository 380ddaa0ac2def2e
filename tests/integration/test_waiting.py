"""How long what nobody takes waits, when it is given up, and what is decided once more before a call."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.utils import timezone
from typing_extensions import override

from commsproject.common.models import ApiClient
from notifications import breaker, limits, queue, retry
from notifications.models import (
    Attempt,
    Batch,
    DeadLetter,
    Delivery,
    Event,
    Notification,
    ProviderState,
    Work,
)
from notifications.services import audit, batches, calls, judge, metrics, route, suppress, waiting
from notifications.services.compose import Call
from notifications.services.window import open_window as open_for
from notifications.states import State
from notifications.types import ErrorClass, EventType, Lane, Outbound, ProviderError, Sent
from tests.engine import Inline, carry_out, drain, make_everything_due, run
from tests.factories import SuppressionFactory
from tests.integration.test_engine import claim, open_window, send
from tests.integration.test_leave import fail
from tests.integration.test_queue import batch_of, chunk
from tests.scripted import (
    Scripted,
    ScriptedLoop,
    entry,
    scripted,
    scripted_loop,
    temporary,
    throttled,
    unauthorised,
)

pytestmark = pytest.mark.django_db


class Highest(Random):
    """Always the end of the range that full jitter draws from."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return b


def wait() -> float:
    """Seconds until what is left is due."""
    return (Work.objects.get().due_at - timezone.now()).total_seconds()


def breakers_close() -> None:
    """Time passes for the providers, too."""
    ProviderState.objects.update(opened_until=None, failures=0)
    route._heard.clear()


def again(lane: Lane = Lane.NORMAL) -> None:
    """The next try of what waits, and no other: the one after it may be due at once."""
    breakers_close()
    make_everything_due()
    for lease in queue.claim(lane, 2000):
        carry_out(lease)


def grow_old(**age: float) -> None:
    """Since it was accepted."""
    then = timezone.now() - timedelta(**age)
    Delivery.objects.update(created_at=then)
    Notification.objects.update(created_at=then)


# --- Until when ----------------------------------------------------------------------------------


def test_a_throttle_slows_the_next_try_down_as_a_failure_does(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_random", Highest())
    settings.PROVIDERS = {"a": entry(answer=throttled())}
    send(agent)
    waits = []
    for _ in range(6):
        again()
        waits.append(round(wait()))
    assert waits == [2, 4, 8, 16, 32, 64]


def waits() -> dict[UUID, float]:
    """Seconds until each delivery is due, rounded."""
    now = timezone.now()
    return {
        id_: round((work.due_at - now).total_seconds())
        for work in Work.objects.all()
        for id_ in work.ids
    }


def test_who_failed_once_does_not_wait_with_who_failed_often(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small works are carried together, whatever became of them before."""
    monkeypatch.setattr(judge, "_random", Highest())
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    often, once, also = send(agent, 3)
    for number in range(1, 5):
        fail([often], number=number)
    Delivery.objects.filter(id=often.id).update(attempts_made=4)
    again()
    assert waits() == {often.id: 32, once.id: 2, also.id: 2}
    assert Work.objects.count() == 2


class Sated(Scripted):
    """Has had enough for one address."""

    @override
    def send(self, message: Outbound) -> Sent:
        if "slow" in message.to:
            raise temporary(retry_after=44.2, for_address=True)
        raise temporary()


def test_a_wait_that_is_asked_for_one_message_is_no_others(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_random", Highest())
    settings.PROVIDERS = {"a": entry(Sated)}
    first, slow, last = send(agent, 3)
    Delivery.objects.filter(id=slow.id).update(address="slow@example.org")
    again()
    assert waits() == {first.id: 2, slow.id: 47, last.id: 2}


def test_who_asks_for_time_is_not_asked_meanwhile(agent: ApiClient, settings: Any) -> None:
    """By no message: the next round begins with the other."""
    settings.PROVIDERS = {
        "a": entry(answer=temporary(retry_after=45)),
        "b": entry(answer=temporary()),
    }
    send(agent)
    for _ in range(3):
        make_everything_due()
        for lease in queue.claim(Lane.NORMAL, 2000):
            carry_out(lease)
    assert len(scripted("a").asked) == 1
    assert len(scripted("b").asked) == 3


def test_throttles_use_up_no_tries(agent: ApiClient, settings: Any) -> None:
    """A provider that has had enough for a day is no reason to give a message up."""
    settings.PROVIDERS = {"a": entry(answer=throttled())}
    (delivery,) = send(agent)
    for number in range(1, retry.POLICIES[Lane.NORMAL].rounds + 5):
        fail([delivery], state=Attempt.State.THROTTLED, code="429", number=number)
    Delivery.objects.update(attempts_made=number)
    drain()
    delivery.refresh_from_db()
    assert delivery.state == State.QUEUED
    assert not DeadLetter.objects.exists()


def test_tries_that_failed_are_counted_to_the_last(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    (delivery,) = send(agent)
    rounds = retry.POLICIES[Lane.NORMAL].rounds
    for number in range(1, rounds):
        fail([delivery], number=number)
    Delivery.objects.update(attempts_made=rounds - 1)
    drain()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (
        State.DEAD,
        f"given up after {rounds} calls, last 503",
    )


def test_a_message_with_very_many_calls_costs_no_other_its_window(
    agent: ApiClient, settings: Any
) -> None:
    settings.PROVIDERS = {"a": entry(answer=throttled())}
    tired, *_ = send(agent, 3)
    Delivery.objects.filter(id=tired.id).update(attempts_made=32_767)
    drain()
    assert sorted(Attempt.objects.values_list("number", flat=True)) == [1, 1, 32_768]


def test_a_wait_that_one_provider_asks_for_does_not_delay_the_other(
    agent: ApiClient, settings: Any
) -> None:
    settings.PROVIDERS = {
        "a": entry(answer=temporary()),
        "b": entry(answer=throttled(retry_after=600)),
    }
    send(agent, priority=Lane.URGENT)
    drain(Lane.URGENT)
    assert wait() < 1


def test_nor_does_it_in_the_next_round(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {
        "a": entry(answer=temporary()),
        "b": entry(answer=throttled(retry_after=600)),
    }
    send(agent, priority=Lane.URGENT)
    for _ in range(3):
        make_everything_due()
        drain(Lane.URGENT)
    assert len(scripted("a").asked) >= 3  # a wait of chance may be nothing
    assert wait() < 8


def test_it_waits_for_as_long_as_the_least_patient_asks(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {
        "a": entry(answer=throttled(retry_after=600)),
        "b": entry(answer=throttled(retry_after=60)),
    }
    send(agent)
    drain()
    assert 59 < wait() < 63


def test_nobody_is_asked_before_the_first_breaker_opens(agent: ApiClient, settings: Any) -> None:
    """One has just refused our key, the other is shut for longer than the next try would wait."""
    settings.PROVIDERS = {"a": entry(answer=unauthorised()), "b": entry()}
    until = timezone.now() + timedelta(seconds=30)
    ProviderState.objects.create(name="b", failures=5, opened_until=until)
    send(agent)
    drain()
    assert Work.objects.get().due_at == until
    assert len(scripted("a").asked) == 1


def test_where_nobody_takes_a_window_the_rest_goes_back_unread(agent: ApiClient) -> None:
    until = timezone.now() + timedelta(seconds=30)
    ProviderState.objects.create(name="simulator", failures=5, opened_until=until)
    send(agent, 250)
    assert drain() == 1
    work = Work.objects.get()
    assert (work.size, work.claims) == (250, 0)
    assert work.due_at == until - (breaker.OPEN_FOR - breaker.ALONE_FOR)
    assert Delivery.objects.filter(reason="no provider is available now").count() == 100
    assert Delivery.objects.filter(reason="").count() == 150


# --- How old it is -------------------------------------------------------------------------------


def limit_is_reached(settings: Any) -> None:
    limit = {"COUNT": 1, "SECONDS": 60, "UNIT": "recipients"}
    settings.PROVIDERS = {"a": entry(LIMIT=limit)}
    grant = limits.lease(provider="a", channel="email", lane="normal", wanted=1)
    assert grant.granted == 1


@pytest.mark.parametrize(("lane", "days"), [(Lane.URGENT, 0.1), (Lane.NORMAL, 2), (Lane.BULK, 9)])
def test_what_only_waits_for_a_limit_does_not_grow_old(
    agent: ApiClient, settings: Any, lane: Lane, days: float
) -> None:
    limit_is_reached(settings)
    (delivery,) = send(agent, priority=lane)
    grow_old(days=days)
    drain(lane)
    delivery.refresh_from_db()
    assert delivery.state == State.QUEUED


def test_what_waits_for_a_limit_is_told_apart_from_what_is_for_later(
    agent: ApiClient, settings: Any
) -> None:
    limit_is_reached(settings)
    send(agent, 250)
    before = timezone.now() - timedelta(seconds=1)
    drain()
    work = Work.objects.get()
    assert work.throttled_since
    assert before < work.throttled_since < work.due_at
    figures = metrics.depths()[Lane.NORMAL, agent.id]
    assert (figures.due, figures.throttled, figures.later) == (0, 250, 0)
    again()
    (still,) = Work.objects.all()
    assert still.throttled_since == work.throttled_since  # however often it asks
    assert figures.throttled_seconds < metrics.depths()[Lane.NORMAL, agent.id].throttled_seconds


@pytest.mark.parametrize(("lane", "days"), [(Lane.NORMAL, 2), (Lane.BULK, 9)])
def test_after_a_long_wait_the_first_refusal_is_not_the_last(
    agent: ApiClient, settings: Any, lane: Lane, days: float
) -> None:
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    (delivery,) = send(agent, priority=lane)
    grow_old(days=days)
    again(lane)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts_made) == (State.QUEUED, 1)


@pytest.mark.parametrize("lane", Lane)
def test_what_was_tried_for_long_enough_is_given_up(
    agent: ApiClient, settings: Any, lane: Lane
) -> None:
    settings.PROVIDERS = {"a": entry(answer=temporary())}
    (delivery,) = send(agent, priority=lane)
    drain(lane)
    age = retry.POLICIES[lane].age + timedelta(seconds=1)
    Attempt.objects.update(started_at=timezone.now() - age)
    again(lane)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (
        State.DEAD,
        f"given up after {delivery.attempts_made} calls, last 503",
    )


def test_a_code_that_nobody_could_be_asked_to_carry_is_of_no_use_later(
    agent: ApiClient, settings: Any
) -> None:
    settings.PROVIDERS = {"a": entry()}
    ProviderState.objects.create(name="a", enabled=False)
    (delivery,) = send(agent, priority=Lane.URGENT)
    drain(Lane.URGENT)
    delivery.refresh_from_db()
    assert delivery.state == State.QUEUED
    grow_old(minutes=11)
    make_everything_due()
    drain(Lane.URGENT)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.DEAD, "given up after 0 calls")
    assert list(audit.findings()) == []


def test_an_error_that_is_in_no_table_is_tried_three_times(agent: ApiClient, settings: Any) -> None:
    puzzle = ProviderError(ErrorClass.TEMPORARY, f"{retry.UNMAPPED}418")
    settings.PROVIDERS = {"a": entry(answer=puzzle)}
    (delivery,) = send(agent)
    for _ in range(2):
        again()
        assert Work.objects.exists()
    again()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (
        State.DEAD,
        "given up after 3 calls, last unmapped:418",
    )
    assert len(scripted("a").asked) == 3


# --- What nobody can do --------------------------------------------------------------------------

FILE = {"filename": "a.txt", "content": "aGVsbG8=", "content_type": "text/plain"}


def test_what_no_provider_can_carry_fails_and_says_why(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {"a": entry()}
    (delivery,) = send(agent, attachments=[FILE])
    settings.PROVIDERS = {name: entry(lacking=["attachments"]) for name in "ab"}
    drain()
    delivery.refresh_from_db()
    reason = "no provider can carry it: attachments"
    assert (delivery.state, delivery.reason) == (State.FAILED, reason)
    told = Event.objects.get()
    assert (told.type, told.detail) == (EventType.FAILED, reason)
    assert not Attempt.objects.exists()
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_a_refusal_is_told_by_its_call_alone(agent: ApiClient, settings: Any) -> None:
    refusal = ProviderError(ErrorClass.PERMANENT_MESSAGE, "552")
    settings.PROVIDERS = {"a": entry(answer=refusal)}
    (delivery,) = send(agent)
    drain()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.FAILED, "refused by a: 552")
    assert not Event.objects.exists()


# --- What has waited for its call ----------------------------------------------------------------


def test_no_call_begins_after_who_cancels_or_opts_out_has_an_answer() -> None:
    """Less than they wait, by more than a statement takes."""
    for module in (batches, suppress):
        assert waiting.BEGIN_WITHIN <= module.SETTLE_SECONDS - 1


def test_a_call_that_has_waited_is_decided_about_once_more(agent: ApiClient) -> None:
    send(agent)
    lease = claim()
    (call,) = open_window(lease, lease.ids).calls
    now = time.monotonic()
    assert waiting.is_fresh(replace(call, decided=now - waiting.BEGIN_WITHIN + 1))
    late = replace(call, decided=now - waiting.BEGIN_WITHIN - 0.1)
    assert not waiting.is_fresh(late)
    assert waiting.decided_against([late]) == []
    assert waiting.is_fresh(late)
    SuppressionFactory.create(address=call.items[0].address)
    assert waiting.decided_against([late]) == [late]


def test_those_that_have_waited_are_decided_about_together(agent: ApiClient) -> None:
    send(agent, 10)
    lease = claim()
    made = open_window(lease, lease.ids).calls
    gone = made[3]
    SuppressionFactory.create(address=gone.items[0].address)
    for call in made:
        call.decided -= waiting.BEGIN_WITHIN
    asked: list[int] = []

    async def begin(inline: Inline) -> None:
        class Counting(Inline):
            @override
            async def database(self, function: Callable[..., Any], *args: Any) -> Any:
                asked.append(len(args[0]))
                return await inline.database(function, *args)

        turns = waiting.Waiting()
        for call in made:
            turns.add(call)
        found = await asyncio.gather(*(turns.may_begin(call, Counting()) for call in made))
        assert [call for call, may in zip(made, found, strict=True) if not may] == [gone]

    run(Inline(), begin)
    assert asked == [10]


def without(call: Call) -> Call:
    """Its leave is over."""
    call.grant = replace(call.grant, expires=0.0)
    return call


class Late(Inline):
    """Answers after a while; `told` are the calls it was asked about, by question."""

    def __init__(self, inline: Inline) -> None:
        super().__init__()
        self._inline = inline
        self.told: list[tuple[str, int]] = []

    @override
    async def database(self, function: Callable[..., Any], *args: Any) -> Any:
        await asyncio.sleep(0.05)
        found = await self._inline.database(function, *args)
        self.told.append((function.__name__, len(args[0])))
        return found


def windowed(agent: ApiClient, count: int) -> Sequence[Call]:
    send(agent, count)
    lease = claim()
    return open_window(lease, lease.ids).calls


def test_one_that_turns_back_meanwhile_has_the_leave_that_is_told_to_it(agent: ApiClient) -> None:
    """One call asks, for another that has no place yet, too; that ends before the answer is there."""
    *others, one, two = windowed(agent, 4)
    told_by_then: list[int] = []

    async def begin(inline: Inline) -> None:
        turns, late = waiting.Waiting(), Late(inline)
        for call in (*others, one, two):
            assert turns.add(call)
        for call in others:
            assert await turns.may_begin(call, late)

        async def turn_back() -> None:
            await asyncio.sleep(0.01)
            await turns.leave(two)
            told_by_then.append(len(late.told))

        may, _ = await asyncio.gather(turns.may_begin(without(one), late), turn_back())
        assert may
        assert not await turns.may_begin(without(two), late)
        assert late.told == [("without_leave", 2)]

    without(two)
    run(Inline(), begin)
    assert told_by_then == [1]


def test_leave_is_asked_for_by_those_with_a_place_and_twice_as_many_as_begin(
    agent: ApiClient,
) -> None:
    """What the others held would be missing elsewhere."""
    found = windowed(agent, 12)

    async def begin(inline: Inline) -> None:
        turns, late = waiting.Waiting(), Late(inline)
        for call in found:
            turns.add(without(call))
        may = await asyncio.gather(*(turns.may_begin(call, late) for call in found[:4]))
        assert may == [True] * 4
        assert await turns.may_begin(found[4], late)
        assert [waiting.is_fresh(call) for call in found[5:]] == [True] * 5 + [False] * 2
        assert late.told == [("without_leave", count) for count in (1, 3, 6)]

    run(Inline(), begin)


class Few(ScriptedLoop):
    """Two calls at a time, which hang until `release`."""

    concurrency: ClassVar[int] = 2
    batch_limit: ClassVar[int] = 1
    prompt = 0
    """So many are answered before that."""
    are_out: asyncio.Event
    release: asyncio.Event

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        self.asked.append(messages)
        if len(self.asked) == self.prompt + 2:
            self.are_out.set()
        await (asyncio.sleep(0.05) if len(self.asked) <= self.prompt else self.release.wait())
        return Sent()


def test_a_stop_ends_the_calls_that_wait_for_a_place(agent: ApiClient, settings: Any) -> None:
    """Though those that have one hang: whoever stops does not wait for long."""
    settings.PROVIDERS = {"a": entry(Few)}
    found = windowed(agent, 5)
    provider = scripted_loop("a")
    assert isinstance(provider, Few)

    async def begin(inline: Inline) -> None:
        provider.are_out, provider.release = asyncio.Event(), asyncio.Event()
        turns = waiting.Waiting()
        made = [asyncio.create_task(calls.make(call, inline, turns)) for call in found]
        await provider.are_out.wait()
        turns.stop()
        ended = await asyncio.wait_for(asyncio.gather(*made[2:]), 5)
        assert ended == [calls.HALTED] * 3
        assert await calls.make(found[0], inline, turns) is calls.HALTED  # of a window just opened
        provider.release.set()
        assert {type(await task) for task in made[:2]} == {Sent}

    run(Inline(), begin)
    assert len(provider.asked) == 2


def test_a_stop_ends_those_that_were_turned_away_while_they_waited_for_a_place(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has a place asks for them, too; there is leave for itself only."""
    settings.PROVIDERS = {"a": entry(Few)}
    found = windowed(agent, 6)
    for call in found[2:]:
        without(call)
    provider = scripted_loop("a")
    assert isinstance(provider, Few)
    provider.prompt = 1

    def for_one(late: Sequence[Call]) -> Sequence[Call]:
        assert len(late) == 4
        late[0].grant = replace(late[0].grant, expires=math.inf)
        return late[1:]

    monkeypatch.setattr(waiting, "without_leave", for_one)

    async def begin(inline: Inline) -> None:
        provider.are_out, provider.release = asyncio.Event(), asyncio.Event()
        turns = waiting.Waiting()
        made = [asyncio.create_task(calls.make(call, inline, turns)) for call in found]
        await provider.are_out.wait()
        turns.stop()
        ended = await asyncio.wait_for(asyncio.gather(*made[3:]), 5)
        assert ended == [calls.HALTED] * 3
        provider.release.set()
        assert {type(await task) for task in made[:3]} == {Sent}

    run(Inline(), begin)


def test_a_stop_lets_a_call_end_that_waits_to_hear_of_its_leave(agent: ApiClient) -> None:
    """Cancelled, it would take its load with it."""
    *others, one, two = windowed(agent, 4)

    async def begin(inline: Inline) -> None:
        turns, late = waiting.Waiting(), Late(inline)
        for call in others:
            assert turns.add(call)
            assert await turns.may_begin(call, late)

        async def turn_back() -> str:
            turns.add(without(two))
            await asyncio.sleep(0.01)
            await turns.leave(two)
            return "left"

        ending = asyncio.create_task(turn_back())
        await asyncio.sleep(0)
        turns.add(without(one))
        asking = asyncio.create_task(turns.may_begin(one, late))
        await asyncio.sleep(0.03)
        assert not ending.done()
        turns.stop()
        assert await ending == "left"
        assert not await asking

    run(Inline(), begin)


def test_a_slow_answer_makes_no_late_call(
    agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BEGIN_WITHIN", 0.2)
    (call,) = windowed(agent, 1)
    call.decided -= 1

    def slowly(calls: Sequence[Call]) -> Sequence[Call]:
        time.sleep(0.3)
        return calls

    monkeypatch.setattr(waiting, "confirmed", slowly)

    async def begin(inline: Inline) -> None:
        turns, late = waiting.Waiting(), Late(inline)
        turns.add(call)
        assert not await turns.may_begin(call, late)
        assert late.told == [("decided_against", 1)]

    run(Inline(), begin)


def test_a_defect_while_asking_is_no_call_whose_outcome_is_unknown(
    agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = windowed(agent, 2)

    def broken(*_: object, **__: object) -> None:
        raise KeyError

    monkeypatch.setattr(waiting, "confirmed", broken)
    monkeypatch.setattr(limits, "lease", broken)
    assert waiting.decided_against([one, two]) == [one, two]
    assert waiting.without_leave([one, two]) == [one, two]


def test_batches_without_a_pace_ask_for_leave_together(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = {"COUNT": 100, "SECONDS": 60, "UNIT": "recipients"}
    settings.PROVIDERS = {"a": entry(LIMIT=limit)}
    for _ in range(5):
        chunk(1, batch=batch_of(agent))
    owners = {id_: lease for lease in queue.claim(Lane.NORMAL, 100) for id_ in lease.ids}
    asked: list[int] = []
    lease = limits.lease

    def counting(**about: Any) -> Any:
        asked.append(about["wanted"])
        return lease(**about)

    monkeypatch.setattr(limits, "lease", counting)
    found = open_for(owners, list(owners), {}).calls
    assert waiting.without_leave([without(call) for call in found]) == []
    assert asked == [5, 5]


class Slow(Scripted):
    """The first call takes longer than the others may wait; `meanwhile` happens in it."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    @override
    def send(self, message: Outbound) -> Sent:
        sent = super().send(message)
        if len(self.asked) == 1:
            type(self).meanwhile()
            time.sleep(waiting.BEGIN_WITHIN)
        return sent


@pytest.fixture
def slow(settings: Any, monkeypatch: pytest.MonkeyPatch) -> type[Slow]:
    monkeypatch.setattr(waiting, "BEGIN_WITHIN", 0.3)
    settings.PROVIDERS = {"a": entry(Slow)}
    return Slow


def test_what_waited_for_too_long_goes_out_all_the_same(agent: ApiClient, slow: type[Slow]) -> None:
    deliveries = send(agent, 4)
    drain()
    assert {one.delivery_id for one in scripted("a").asked} == {one.id for one in deliveries}
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert Attempt.objects.count() == 4
    assert list(audit.findings()) == []


def test_what_waited_while_its_batch_was_cancelled_is_not_called_for(
    agent: ApiClient, slow: type[Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(agent)
    chunk(4, batch=batch)

    def cancelled() -> None:
        Batch.objects.filter(id=batch.id).update(state=Batch.State.CANCELLED)

    monkeypatch.setattr(slow, "meanwhile", staticmethod(cancelled))
    carry_out(claim())
    assert len(scripted("a").asked) == 1
    states = sorted(Delivery.objects.values_list("state", flat=True))
    assert states == [State.CANCELLED] * 3 + [State.SENT]
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


class Narrow(ScriptedLoop):
    """Two calls at a time, as of a mail server that allows few connections."""

    batch_limit: ClassVar[int] = 1
    concurrency: ClassVar[int] = 2


def test_what_a_provider_has_no_place_for_is_not_written_down_again_and_again(
    agent: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of thirty calls six begin in time: the others must not cost a row each for every six."""
    monkeypatch.setattr(waiting, "BEGIN_WITHIN", 0.1)
    settings.PROVIDERS = {"a": entry(Narrow, delay=0.04)}
    send(agent, 30)
    drain()
    assert len(scripted_loop("a").asked) == 30
    assert Attempt.objects.filter(code="halted").count() <= 30
