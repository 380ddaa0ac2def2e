"""Calls in flight: who begins while a provider is new, ill, slow, or the only one there is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import timezone
from typing_extensions import override

from commsproject.common.models import ApiClient
from notifications import queue
from notifications.congestion import START
from notifications.models import Attempt, Delivery, ProviderChange, ProviderState
from notifications.providers import registry
from notifications.services import audit, deliver, route
from notifications.services.load import Load
from notifications.services.traffic import Turn, to
from notifications.states import State
from notifications.types import Channel, ErrorClass, Lane, Outbound, ProviderError, Sent
from tests.engine import Inline, carry_out_load, drain, run
from tests.integration.test_engine import send
from tests.scripted import ScriptedLoop, entry

pytestmark = pytest.mark.django_db

DOWN = ProviderError(ErrorClass.TEMPORARY, "503")


class Slow(ScriptedLoop):
    """Three of ten calls take `delay` seconds, the others hardly any."""

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        self.asked.append(messages)
        await asyncio.sleep(self.delay if len(self.asked) % 10 in (2, 5, 8) else 0.005)
        return Sent("ref", 202)


class Silent(ScriptedLoop):
    """Answers none of its calls."""

    @override
    async def carry(self, messages: Sequence[Outbound]) -> Sent:
        self.asked.append(messages)
        await asyncio.sleep(self.delay)
        raise ProviderError(ErrorClass.AMBIGUOUS, "read_timeout")


def at_once(agent: ApiClient, count: int) -> None:
    """So many messages in one window, and what follows from it."""
    send(agent, count)
    carry_out_load(Load(queue.claim(Lane.NORMAL, 2000)))
    drain()


def asked(name: str) -> int:
    provider = registry.get(name)
    assert isinstance(provider, ScriptedLoop)
    return len(provider.asked)


def states() -> set[str]:
    assert list(audit.findings()) == []
    return set(Delivery.objects.values_list("state", flat=True))


@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_a_hundred_at_once_find_out_by_ten(agent: ApiClient, settings: Any, delay: float) -> None:
    """The breaker opens as the calls end, not when a window is written down; who has not begun goes
    by the next.
    """
    settings.PROVIDERS = {
        "a": entry(ScriptedLoop, answer=DOWN, delay=delay),
        "b": entry(ScriptedLoop),
    }
    at_once(agent, 100)
    assert states() == {State.SENT}
    assert 5 <= asked("a") <= 10
    assert asked("b") == 100
    assert ProviderState.objects.get(name="a").breaker == ProviderState.Breaker.OPEN


def test_a_hundred_at_once_go_where_all_is_well(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDERS = {"a": entry(ScriptedLoop, delay=0.01), "b": entry(ScriptedLoop)}
    at_once(agent, 100)
    assert states() == {State.SENT}
    assert (asked("a"), asked("b")) == (100, 0)
    assert not Attempt.objects.filter(code="halted").exists()


def test_while_slow_calls_are_open_others_carry_what_comes(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDER_READ_TIMEOUT = 1.0  # a tenth of it is slow
    settings.PROVIDERS = {"a": entry(Slow, delay=0.6), "b": entry(ScriptedLoop)}
    send(agent, 20)
    first = Load(queue.claim(Lane.NORMAL, 2000))
    send(agent, 50)
    second = Load(queue.claim(Lane.NORMAL, 2000))

    async def work(inline: Inline) -> None:
        async def later() -> None:
            await asyncio.sleep(0.3)
            await deliver.run(second, inline)

        await asyncio.gather(deliver.run(first, inline), later())

    run(Inline(), work)
    assert states() == {State.SENT}
    assert (asked("a"), asked("b")) == (20, 50)
    change = ProviderChange.objects.get()
    assert (change.provider_id, change.was, change.now) == ("a", "in use", "resting")
    assert "5 s" in change.reason
    assert not Attempt.objects.filter(code="halted").exists()


def test_who_is_silent_keeps_a_few_only(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDER_READ_TIMEOUT = 0.5
    settings.PROVIDERS = {"a": entry(Silent, delay=0.5), "b": entry(ScriptedLoop)}
    at_once(agent, 100)
    assert states() == {State.SENT, State.UNKNOWN}
    assert asked("a") == START == Delivery.objects.filter(state=State.UNKNOWN).count()


def test_who_is_alone_carries_all_however_slow(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDER_READ_TIMEOUT = 1.0
    settings.PROVIDERS = {"a": entry(Slow, delay=0.5)}
    at_once(agent, 100)
    assert states() == {State.SENT}
    assert asked("a") == 100


def test_where_all_are_slow_all_carry(agent: ApiClient, settings: Any) -> None:
    settings.PROVIDER_READ_TIMEOUT = 1.0
    settings.PROVIDERS = {"a": entry(Slow, delay=0.5), "b": entry(Slow, delay=0.5)}
    at_once(agent, 100)
    assert states() == {State.SENT}
    assert asked("a") + asked("b") == 100


def test_an_answer_that_this_process_was_too_busy_to_see_is_not_slow(settings: Any) -> None:
    """Its own loop stood still while the answer was there."""
    settings.PROVIDER_READ_TIMEOUT = 1.0

    async def call() -> bool:
        turn = Turn(to("a"), is_last=False, patience=0)
        async with turn:
            turn.begin()
            answer = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.05, answer.set_result, None)
            await asyncio.sleep(0)
            _stand_still(0.4)
            await answer
        return to("a").congestion.is_strained(turn.began + 1)

    assert not asyncio.run(call())


def _stand_still(seconds: float) -> None:
    until = timezone.now().timestamp() + seconds
    while timezone.now().timestamp() < until:
        pass


# --- What is heard before it is reported ---------------------------------------------------------


def test_five_failures_in_a_row_are_enough() -> None:
    for _ in range(4):
        route.hear("a", DOWN)
    route.hear("a", None)
    for _ in range(4):
        route.hear("a", DOWN)
        assert not route.is_shut("a")
    route.hear("a", DOWN)
    assert route.is_shut("a")


def test_what_was_just_heard_outweighs_what_a_row_still_says(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PROVIDERS = {"a": entry(ScriptedLoop)}
    for _ in range(5):
        route.hear("a", DOWN)
    route.Routes(Channel.EMAIL)
    assert route.is_shut("a")
    monkeypatch.setattr(route, "UNREPORTED", 0.0)
    route.Routes(Channel.EMAIL)  # by now it would have been told: another process knows better
    assert not route.is_shut("a")
