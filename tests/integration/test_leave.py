"""What a window takes of limits and of the budget of retries: what it uses, and no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import InterfaceError
from django.utils import timezone

from commsproject.common import ids, valkey
from commsproject.common import limits as common_limits
from commsproject.common.models import ApiClient
from notifications import limits
from notifications.limits import Grant
from notifications.models import Attempt, Delivery
from notifications.providers.base import Provider
from notifications.services import calls, deliver, judge
from notifications.services.calls import HALTED, LEASE_LOST, Answer
from notifications.services.compose import Call
from notifications.services.load import Load
from notifications.services.waiting import Waiting, is_fresh, without_leave
from notifications.services.window import Window
from notifications.services.window import open_window as open_for
from notifications.types import Lane, ProviderError, Sent
from tests.engine import Inline, drain, make_everything_due, run
from tests.integration.test_engine import claim, send
from tests.integration.test_queue import batch_of, chunk
from tests.integration.test_routes import half_open, probed
from tests.scripted import Scripted, ScriptedLoop, entry, throttled

pytestmark = pytest.mark.django_db

Use = Callable[..., None]

FLOOR = 60
"""Retries that are always left in a minute."""


@pytest.fixture(autouse=True)
def _provider(settings: Any) -> None:
    settings.PROVIDERS = {"a": entry()}


@pytest.fixture
def use(settings: Any) -> Use:
    """Make `a` another kind of provider, or let it take `count` messages a minute."""

    def change(
        count: int = 0, kind: type[Provider] = Scripted, unit: str = limits.RECIPIENTS
    ) -> None:
        limit = {"COUNT": count, "SECONDS": 60, "UNIT": unit} if count else None
        settings.PROVIDERS = {"a": entry(kind, LIMIT=limit)}

    return change


def free() -> int:
    """What is left of the minute."""
    (standing,) = limits.state([])
    return standing.free


def budget() -> int:
    """Retries that may be made now; they are used up by asking."""
    return limits.spend("a", 100_000)


def use_up() -> None:
    """Nothing more may go by the provider for a minute."""
    grant = limits.lease(provider="a", channel="email", lane="normal", wanted=1)
    assert grant.granted == 1


def fail(deliveries: Sequence[Delivery], **fields: Any) -> None:
    """A call was made for each an hour ago, which came to nothing."""
    then = ids.floor(timezone.now() - timedelta(hours=1)).int
    for delivery in deliveries:
        Attempt.objects.create(
            **{
                "id": UUID(int=then | ids.new_id().int & (1 << 62) - 1),
                "delivery": delivery,
                "work_id": ids.new_id(),
                "token": 1,
                "number": 1,
                "provider": "a",
                "state": Attempt.State.FAILED,
                "code": "503",
                "ended_at": delivery.created_at,
            }
            | fields
        )
    Delivery.objects.filter(id__in=[one.id for one in deliveries]).update(attempts_made=1)


def window(lane: Lane = Lane.NORMAL, **fields: Any) -> Window:
    lease = claim(lane)
    return open_for(dict.fromkeys(lease.ids, lease), lease.ids, {}, **fields)


# --- Limits --------------------------------------------------------------------------------------


def test_what_a_window_has_no_place_for_is_returned(agent: ApiClient, use: Use) -> None:
    use(100)
    send(agent, 10)
    opened = window(calls=3)
    assert (len(opened.calls), len(opened.left)) == (3, 7)
    assert free() == 97


def test_a_window_takes_no_more_than_there_is(agent: ApiClient, use: Use) -> None:
    use(4)
    send(agent, 10)
    opened = window()
    assert (len(opened.calls), len(opened.stranded)) == (4, 6)
    assert {way.limited for _, way in opened.stranded} == {True}
    assert free() == 0


def test_batch_calls_take_what_they_carry(agent: ApiClient, use: Use) -> None:
    use(100, ScriptedLoop)
    chunk(25, batch=batch_of(agent))
    opened = window()
    assert sorted(len(call.items) for call in opened.calls) == [5, 10, 10]
    assert free() == 75


@pytest.mark.parametrize("why", [HALTED, LEASE_LOST])
def test_a_call_that_was_not_made_returns_its_leave(
    agent: ApiClient, why: ProviderError, use: Use
) -> None:
    use(100)
    send(agent, 3)
    first, second, third = window().calls
    judge.learn([(first, why), (second, Sent("ref")), (third, throttled())])
    assert free() == 98


def test_calls_that_were_not_made_return_their_leave_together(
    agent: ApiClient, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop leaves hundreds of them, and little time."""
    use(100)
    send(agent, 30)
    made = window().calls
    asked: list[str] = []
    run = common_limits._run

    def counting(name: str, *about: Any) -> Any:
        asked.append(name)
        return run(name, *about)

    monkeypatch.setattr(common_limits, "_run", counting)
    judge.learn([(call, HALTED) for call in made])
    assert asked.count("give_back") == 1
    assert free() == 100


# --- Leave that ran out while a call waited for its turn -----------------------------------------


def too_late(call: Call) -> Call:
    """Its leave is over."""
    grant: Grant = replace(call.way.grant, expires=time.monotonic() - 1)
    return replace(call, way=replace(call.way, grant=grant))


KINDS = [Scripted, ScriptedLoop]
"""In a thread, and on the loop."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_whose_leave_ran_out_asks_once_more(
    agent: ApiClient, use: Use, kind: type[Provider]
) -> None:
    use(100, kind)
    send(agent)
    (call,) = window().calls
    assert isinstance(answer_of(too_late(call)), Sent)
    assert free() == 99  # the old leave was returned


@pytest.mark.parametrize("kind", KINDS)
def test_without_new_leave_it_is_not_made(agent: ApiClient, use: Use, kind: type[Provider]) -> None:
    use(2, kind)
    send(agent)
    (call,) = window().calls
    use_up()
    use(1, kind)  # staff have lowered it
    assert answer_of(too_late(call)) is HALTED
    assert free() == 0


def run_out(made: Sequence[Call]) -> list[Call]:
    """The leave that they share is over."""
    (before,) = {id(call.grant): call.grant for call in made}.values()
    over = replace(before, expires=time.monotonic() - 1)
    for call in made:
        call.grant = over
    return list(made)


def test_of_many_as_many_are_made_as_there_is_leave_for(agent: ApiClient, use: Use) -> None:
    use(7)
    send(agent, 5)
    made = run_out(window().calls)
    use(2)
    without = without_leave(made)
    assert len(without) == 3
    assert [call.grant.is_usable for call in made].count(True) == 2
    assert free() == 0
    use(7)
    judge.learn([(call, HALTED) for call in without])
    assert free() == 5  # each had returned its own before
    assert all(is_fresh(call) for call in made if call not in without)


def test_calls_of_many_messages_get_leave_as_a_whole(agent: ApiClient, use: Use) -> None:
    use(40, ScriptedLoop)
    chunk(25, batch=batch_of(agent))
    made = run_out(window().calls)
    use(18, ScriptedLoop)
    assert [len(call.items) for call in without_leave(made)] == [10]
    assert free() == 3


@pytest.mark.parametrize(("limit", "left"), [(4, 3), (3, 3), (2, 2), (1, 1)])
def test_where_calls_are_counted_no_more_are_made(
    agent: ApiClient, use: Use, limit: int, left: int
) -> None:
    """They were leased by their mean size: four tokens for calls of ten, ten and five."""
    use(100, ScriptedLoop, limits.CALLS)
    chunk(25, batch=batch_of(agent))
    made = run_out(window().calls)
    assert free() == 96
    use(limit, ScriptedLoop, limits.CALLS)
    assert len(made) - len(without_leave(made)) == left
    use(100, ScriptedLoop, limits.CALLS)
    assert free() == 100 - left


def test_a_large_call_that_was_not_made_returns_one(agent: ApiClient, use: Use) -> None:
    use(100, ScriptedLoop, limits.CALLS)
    chunk(21, batch=batch_of(agent))
    made = window().calls
    assert sorted(len(call.items) for call in made) == [1, 10, 10]
    assert free() == 97
    judge.learn([(max(made, key=lambda call: len(call.items)), HALTED)])
    assert free() == 98


def test_where_the_database_cannot_tell_none_is_made(
    agent: ApiClient, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was used before Valkey forgot it is asked of PostgreSQL."""
    use(100)
    send(agent, 2)
    made = run_out(window().calls)

    def away(*_: object) -> int:
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr(limits, "_called", away)
    valkey.client().flushdb()
    assert without_leave(made) == made


def test_leave_of_a_load_that_lost_its_claims_is_returned(agent: ApiClient, use: Use) -> None:
    """Its calls that still wait for a place are not made any more."""
    use(100, ScriptedLoop)
    send(agent, 3)
    made = window().calls
    assert free() == 97

    async def keep(inline: Inline) -> None:
        ended = {asyncio.ensure_future(_nothing_but(HALTED)): call for call in made}
        await deliver._keep(Load([]), inline, ended)

    run(Inline(), keep)
    assert free() == 100


async def _nothing_but(answer: Answer) -> Answer:
    return answer


def answer_of(call: Call) -> Answer:
    found: list[Answer] = []

    async def make(inline: Inline) -> None:
        found.append(await calls.make(call, inline, Waiting()))

    run(Inline(), make)
    return found[0]


# --- The budget of retries -----------------------------------------------------------------------


def test_first_calls_earn_a_fifth_of_retries(agent: ApiClient) -> None:
    send(agent, 100)
    judge.learn([(call, Sent("ref")) for call in window().calls])
    assert budget() == FLOOR + 20


@pytest.mark.parametrize("why", [HALTED, LEASE_LOST])
def test_calls_that_were_not_made_earn_and_use_up_no_retries(
    agent: ApiClient, why: ProviderError
) -> None:
    deliveries = send(agent, 100)
    fail(deliveries[:10])
    made = window().calls
    assert len(made) == 100
    judge.learn([(call, why) for call in made])
    assert budget() == FLOOR


def test_urgent_retries_that_were_halted_return_nothing(agent: ApiClient) -> None:
    """They had taken nothing."""
    fail(send(agent, 10, priority=Lane.URGENT))
    judge.learn([(call, HALTED) for call in window(Lane.URGENT).calls])
    assert budget() == FLOOR


def test_retries_earn_nothing_and_are_spent(agent: ApiClient) -> None:
    fail(send(agent, 10))
    opened = window()
    assert len(opened.calls) == 10
    assert budget() == FLOOR - 10


def test_urgent_retries_ask_nobody(agent: ApiClient) -> None:
    fail(send(agent, 10, priority=Lane.URGENT))
    assert budget() == FLOOR
    assert len(window(Lane.URGENT).calls) == 10


def test_urgent_retries_spend_nothing(agent: ApiClient) -> None:
    fail(send(agent, 10, priority=Lane.URGENT))
    window(Lane.URGENT)
    assert budget() == FLOOR


def test_urgent_retries_that_are_not_made_return_nothing(agent: ApiClient, use: Use) -> None:
    """They had taken nothing."""
    use(4)
    fail(send(agent, 10, priority=Lane.URGENT))
    assert len(window(Lane.URGENT).calls) == 4
    assert budget() == FLOOR


def test_beyond_the_budget_retries_wait_and_first_calls_go(agent: ApiClient) -> None:
    deliveries = send(agent, 10)
    fail(deliveries[:5])
    assert limits.spend("a", FLOOR - 2) == FLOOR - 2
    opened = window()
    went = {item.id for call in opened.calls for item in call.items}
    assert {one.id for one in deliveries[5:]} <= went
    assert len(went) == 7
    assert len(opened.stranded) == 3


def test_first_calls_that_were_not_granted_earn_no_retries(agent: ApiClient, use: Use) -> None:
    use(1)
    send(agent, 100)
    for _ in range(10):
        make_everything_due()
        drain(rounds=2)
    assert Attempt.objects.count() == 1
    assert budget() == FLOOR


def test_retries_without_leave_do_not_use_the_budget_up(agent: ApiClient, use: Use) -> None:
    use(1)
    fail(send(agent, FLOOR))
    use_up()
    assert not window().calls
    assert budget() == FLOOR


def test_of_retries_with_some_leave_the_others_are_not_spent(agent: ApiClient, use: Use) -> None:
    use(4)
    fail(send(agent, 10))
    assert len(window().calls) == 4
    assert budget() == FLOOR - 4


@pytest.mark.parametrize("code", ["halted", "lease_lost"])
def test_what_was_written_down_and_not_called_is_no_retry(agent: ApiClient, code: str) -> None:
    fail(send(agent, 5), code=code)
    judge.learn([(call, Sent("ref")) for call in window().calls])
    assert budget() == FLOOR + 1


def test_to_halve_a_refused_call_is_no_retry(agent: ApiClient, use: Use) -> None:
    """Even of messages that had failed before: the provider is well, one of them is at fault."""
    use(kind=ScriptedLoop)
    deliveries = chunk(8, batch=batch_of(agent))
    fail(deliveries)
    opened = window(together={one.id: 4 for one in deliveries})
    assert [len(call.items) for call in opened.calls] == [4, 4]
    assert budget() == FLOOR


# --- Probes --------------------------------------------------------------------------------------


def test_a_probe_that_there_is_no_leave_for_is_not_used_up(agent: ApiClient, use: Use) -> None:
    use(1)
    use_up()
    half_open("a")
    send(agent)
    assert not window().calls
    assert not probed("a")


def test_a_probe_that_goes_out_is(agent: ApiClient) -> None:
    half_open("a")
    send(agent, 2)
    assert len(window().calls) == 1
    assert probed("a")
