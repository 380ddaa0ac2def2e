"""The engine while the database refuses, claims fail and providers have defects of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from typing_extensions import override

from commsproject.common.models import ApiClient
from notifications import limits, queue
from notifications.models import (
    Attempt,
    Delivery,
    Notification,
    ProviderState,
    SimulatedMessage,
    Work,
)
from notifications.providers.simulator import Simulator
from notifications.services import calls, complete, deliver, judge, pump, route, submit
from notifications.services.asked import Submission, Target
from notifications.services.complete import Successor
from notifications.services.compose import Call
from notifications.services.items import Past
from notifications.services.load import Load
from notifications.states import State
from notifications.types import Channel, ErrorClass, Lane, Outbound, ProviderError, Sent
from tests.email_world import email_world
from tests.engine import Inline, carry_out, carry_out_load, drain
from tests.fakes.behaviours import Answer
from tests.integration.test_engine import claim, expire_leases, open_window, send, submission

T = TypeVar("T")


class Failing(Inline):
    """Refuses `function` as often as it is told to."""

    def __init__(self, function: Callable[..., Any], times: int) -> None:
        super().__init__()
        self.function, self.times = function, times

    @override
    async def database(self, function: Callable[..., T], *args: Any) -> T:
        if function == self.function and self.times:
            self.times -= 1
            raise OperationalError("the database system is shutting down")
        return await super().database(function, *args)


def test_answers_are_written_again_until_the_database_takes_them(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    runner = Failing(complete.record, times=3)
    carry_out(claim(), runner=runner)
    delivery.refresh_from_db()
    assert delivery.state == State.SENT
    assert runner.times == 0
    assert Attempt.objects.get().state == Attempt.State.ACCEPTED


def test_a_database_that_never_comes_back_ends_the_chunk(
    agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "RECORD_FOR", 0.0)
    send(agent)
    with pytest.raises(OperationalError):
        carry_out(claim(), runner=Failing(complete.record, times=99))


class Defective(Simulator):
    @override
    def send(self, message: Outbound) -> Sent:
        raise KeyError("a defect")


def test_a_defect_in_a_provider_is_an_unknown_outcome(agent: ApiClient, settings: Any) -> None:
    entry = {"CLASS": f"{__name__}.Defective", "ENABLED": True, "OPTIONS": {}}
    settings.PROVIDERS = {"simulator": entry}
    send(agent)
    drain()
    assert Delivery.objects.get().state == State.UNKNOWN
    assert Attempt.objects.get().code == "KeyError"


def test_a_call_that_did_not_begin_for_want_of_the_database_was_not_made(
    agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of its provider may have to be asked for."""
    send(agent)
    before, times = calls._before, 0

    def away(call: Call) -> ProviderError | None:
        nonlocal times
        times += 1
        if times == 1:
            raise OperationalError("connection refused")
        return before(call)

    monkeypatch.setattr(calls, "_before", away)
    drain()
    assert Delivery.objects.get().state == State.SENT
    states = Attempt.objects.order_by("id").values_list("state", "code")
    assert list(states) == [(Attempt.State.FAILED, "halted"), (Attempt.State.ACCEPTED, "")]


class Writing(Simulator):
    """Such as the inbox: its call is a transaction."""

    @override
    def send(self, message: Outbound) -> Sent:
        raise OperationalError("the connection was lost")


def test_a_database_that_goes_during_a_call_leaves_it_unknown(
    agent: ApiClient, settings: Any
) -> None:
    entry = {"CLASS": f"{__name__}.Writing", "ENABLED": True, "OPTIONS": {}}
    settings.PROVIDERS = {"simulator": entry}
    send(agent)
    drain()
    assert Delivery.objects.get().state == State.UNKNOWN


class Hung(Inline):
    @override
    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        raise TimeoutError


def test_a_client_that_breaks_its_time_limit_is_an_unknown_outcome(agent: ApiClient) -> None:
    send(agent)
    carry_out(claim(), runner=Hung())
    assert Attempt.objects.get().code == "deadline"
    assert Delivery.objects.get().state == State.UNKNOWN


def test_a_pump_outlives_claims_and_chunks_that_fail() -> None:
    asked: list[Callable[..., Any]] = []

    class Away:
        async def database(self, function: Callable[..., T], *args: Any) -> T:
            asked.append(function)
            raise OperationalError("connection refused")

        async def provider(self, function: Callable[..., T], *args: Any) -> T:
            raise AssertionError("nothing was claimed")

        async def close(self) -> None:
            pass

    async def run() -> None:
        one = pump.Pump([Lane.NORMAL], cast("pump.Threads", Away()))
        serving = asyncio.create_task(one.run())
        for _ in range(3):
            one.wake(Lane.NORMAL)
            await asyncio.sleep(0.02)
        one.wake(Lane.BULK)  # not served here: nothing happens
        one.stop()
        await asyncio.wait_for(serving, 5)

    asyncio.run(run())
    assert asked.count(queue.answer_bell) >= 3


def test_waking_and_stopping_a_pump_that_is_not_there_is_harmless() -> None:
    pump.wake(Lane.NORMAL)
    assert pump.stop(1.0)


class Robbed(Inline):
    """Somebody else claims the chunk just before its first answers are written."""

    robbed = False

    @override
    async def database(self, function: Callable[..., T], *args: Any) -> T:
        if function == complete.record and not self.robbed:
            self.robbed = True
            await super().database(take_over)
        return await super().database(function, *args)

    @override
    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, function, *args)


def take_over() -> None:
    expire_leases()
    queue.claim(Lane.NORMAL, 1)


def test_answers_that_come_after_the_chunk_was_taken_over_are_kept(agent: ApiClient) -> None:
    with email_world() as world:
        world.sendgrid.script.when("slow@example.org", Answer(delay=0.4))
        asked = [submission("quick@example.org"), submission("slow@example.org")]
        submit.accept(agent, asked)
        runner = Robbed()
        carry_out(claim(), runner=runner)

    assert runner.robbed
    assert set(Attempt.objects.values_list("state", flat=True)) == {Attempt.State.ACCEPTED}
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    expire_leases()
    drain()
    assert Attempt.objects.count() == 2  # who took over finds nothing left to send
    assert not Work.objects.exists()


def test_what_can_no_longer_be_rendered_fails_without_a_call(agent: ApiClient) -> None:
    asked = Submission(
        to=Target(addresses={Channel.EMAIL: "ada@simulator.test"}),
        content={"subject": "Hello {{ name }}", "text": "t"},
        data={"name": "Ada"},
    )
    submit.accept(agent, [asked])
    Notification.objects.update(data={})
    drain()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == (State.FAILED, "it could not be made: render")
    assert not SimulatedMessage.objects.exists()
    assert not ProviderState.objects.exists()  # nobody was called: it says nothing of a provider


def test_an_answer_outlives_a_health_report_that_fails(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    carry_out(claim(), runner=Failing(route.report, times=1))
    delivery.refresh_from_db()
    assert delivery.state == State.SENT
    assert Attempt.objects.get().state == Attempt.State.ACCEPTED


def test_each_unknown_outcome_gets_its_whole_wait(agent: ApiClient) -> None:
    first, second = send(agent, 2)
    lease = claim()
    load = Load([lease])
    now = timezone.now()
    for seconds, delivery in ((15, first), (29, second)):
        due = now + timedelta(seconds=seconds)
        judge._later(load, Successor.RECONCILE, "", delivery.id, due)
    (work,) = load.later
    assert work.due_at == now + timedelta(seconds=29)
    assert work.ids == [first.id, second.id]
    carry_out(lease)


class Garbled(Simulator):
    """A vendor whose answers hold what PostgreSQL cannot keep."""

    @override
    def send(self, message: Outbound) -> Sent:
        if message.to.startswith("user-1@"):
            raise ProviderError(
                ErrorClass.PERMANENT_MESSAGE, "bad\0code", "half \ud800 a character"
            )
        return Sent(ref="ref\0")


def test_an_answer_that_cannot_be_stored_costs_no_other_its_answer(
    agent: ApiClient, settings: Any
) -> None:
    entry = {"CLASS": f"{__name__}.Garbled", "ENABLED": True, "OPTIONS": {}}
    settings.PROVIDERS = {"simulator": entry}
    send(agent, 3)
    drain()
    states = sorted(Delivery.objects.values_list("state", flat=True))
    assert states == [State.FAILED, State.SENT, State.SENT]
    refused = Attempt.objects.get(state=Attempt.State.REJECTED)
    assert (refused.code, refused.detail) == ("badcode", "half ? a character")
    assert Attempt.objects.count() == 3  # nothing was sent twice


def test_a_breaker_that_opens_stops_the_calls_that_have_not_begun(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    assert calls._before(call) is None
    until = timezone.now() + timedelta(hours=1)
    ProviderState.objects.create(name="simulator", failures=5, opened_until=until)
    error = ProviderError(ErrorClass.TEMPORARY, "503")
    route.report([("simulator", error)])
    assert calls._before(call) is calls.HALTED

    ProviderState.objects.update(failures=0, opened_until=None)  # by another process
    route.Routes(Channel.EMAIL)
    assert calls._before(call) is None
    expire_leases()
    drain()


def test_retries_that_are_taken_make_room_for_more(agent: ApiClient) -> None:
    """What a long outage left must not trickle out at the floor of the budget."""
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    assert limits.spend("simulator", 1000) == 60
    assert limits.spend("simulator", 1000) == 0
    now = timezone.now()
    failed = Past(uuid4(), 1, "simulator", Attempt.State.FAILED, "503", now, now)
    call.items[0].past = [failed] * 1
    for _ in range(10):
        judge.learn([(call, Sent("ref"))])
    assert limits.spend("simulator", 1000) == 20
    expire_leases()
    drain()


def test_claims_that_are_over_make_room_while_others_of_their_load_hang(agent: ApiClient) -> None:
    asked = [submission(f"{name}@example.org") for name in ("quick", "slow")]
    for one in asked:
        submit.accept(agent, [one])
    with email_world() as world:
        world.sendgrid.script.when("slow@example.org", Answer(delay=3.0))
        leases = queue.claim(Lane.NORMAL, 10)
        load = Load(leases)
        over: list[list[UUID]] = []
        load.closed = lambda done: over.append([lease.id for lease in done])
        carry_out_load(load)
    assert [len(some) for some in over] == [1, 1]
    assert not Work.objects.exists()
