"""Make the calls of a window, each within its time and under a claim that still holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from commsproject.common import tracing
from notifications.providers import registry
from notifications.providers.base import LoopProvider, Provider
from notifications.services import route, status, traffic
from notifications.services.compose import Call
from notifications.services.traffic import NoRoom, Turn
from notifications.services.waiting import Waiting
from notifications.types import Channel, ErrorClass, Outbound, ProviderError, Sent

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Runner(Protocol):
    """Where blocking work is done: threads in a worker, inline in a test."""

    async def database(self, function: Callable[..., T], *args: Any) -> T: ...

    def thread(self) -> AbstractAsyncContextManager[object]:
        """To be held during `provider`."""
        ...

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """Raises `TimeoutError` when the provider's client breaks its own time limits."""
        ...

    async def close(self) -> None:
        """Close what the calls on this loop have left open."""
        ...


def call_limit() -> float:
    """Seconds after which a call counts as unanswered: beyond the time limits of its own client."""
    return float(settings.PROVIDER_CONNECT_TIMEOUT + settings.PROVIDER_READ_TIMEOUT + 1.0)


Answer = Sent | ProviderError

LEASE_LOST = ProviderError(
    ErrorClass.TEMPORARY, "lease_lost", "The claim ran out before the call; nothing was sent."
)
HALTED = ProviderError(
    ErrorClass.TEMPORARY, "halted", "The provider was to be left alone before the call began."
)
NOT_CALLED = (LEASE_LOST, HALTED)

_AWAY = (OperationalError, InterfaceError)


async def make(call: Call, runner: Runner, waiting: Waiting) -> Answer:
    """Make one call, unless something stops it. What it shows of its provider counts at once for
    those that have not begun. `waiting`: those of its load.
    """
    if isinstance(call.outbound, ProviderError):
        return call.outbound
    messages = (message.notification_id for message in call.outbound)
    with tracing.call(call.provider.name, call.items[0].channel, messages) as outcome:
        answer = await _answer(call, call.outbound, runner, waiting)
        outcome(answer.error_class.value if isinstance(answer, ProviderError) else "sent")
    for name, error in reports(call, answer):
        route.hear(name, error)
    return answer


async def _answer(
    call: Call, messages: Sequence[Outbound], runner: Runner, waiting: Waiting
) -> Answer:
    provider = call.provider
    turn = Turn(traffic.to(provider.name), is_last=call.way.is_last, patience=_patience(call))
    thread = nullcontext() if isinstance(provider, LoopProvider) else runner.thread()
    if not waiting.add(call):
        return HALTED
    try:
        async with provider.place(), turn, thread:
            if not await waiting.may_begin(call, runner):
                return HALTED
            if isinstance(provider, LoopProvider):
                return await _carry(call, provider, messages, turn)
            return await runner.provider(_send, call, messages, turn)
    except NoRoom:
        return HALTED
    except asyncio.CancelledError:
        if not waiting.is_stopped or turn.began:
            raise
        return HALTED
    except ProviderError as error:
        return error
    except TimeoutError:
        return ProviderError(ErrorClass.AMBIGUOUS, "deadline", "The provider's client hung.")
    except Exception as error:  # noqa: BLE001 - a defect in one provider must not stop the others
        return _after(error, provider, turn)
    finally:
        await waiting.leave(call)


def _after(error: Exception, provider: Provider, turn: Turn) -> ProviderError:
    if isinstance(error, _AWAY) and not turn.began:  # it was to be asked how the provider is
        log.warning("call not begun", provider=provider.name, error=type(error).__name__)
        return HALTED
    log.error("provider defect", provider=provider.name, exc_info=error)
    return ProviderError(ErrorClass.AMBIGUOUS, type(error).__name__, "A defect in our client.")


def _patience(call: Call) -> float:
    """Seconds that a call may take longer than one for a single message without attachments."""
    return 0.01 * (len(call.items) - 1) + 1e-6 * sum(item.weight for item in call.items)


async def _carry(
    call: Call, provider: LoopProvider, messages: Sequence[Outbound], turn: Turn
) -> Answer:
    """A call on the loop."""
    if stopped := _before(call):
        return stopped
    turn.begin()
    async with asyncio.timeout(call_limit()):
        return await provider.carry(messages)


def _send(call: Call, messages: Sequence[Outbound], turn: Turn) -> Answer:
    """A call in a thread."""
    if stopped := _before(call):
        return stopped
    turn.begin()
    sent = call.provider.send_all(messages)
    if time.monotonic() - turn.began > call_limit() - 0.5:
        for message in messages:
            _settle_late(message, sent)  # it may have been judged as unknown already
    return sent


def _before(call: Call) -> ProviderError | None:
    """Why the call must not be made after all: its claim ran out while it waited for its turn, or
    the provider's breaker has opened.
    """
    if not all(item.lease.holds() for item in call.items):
        return LEASE_LOST
    name, part = call.provider.name, call.items[0].part
    stopped = route.is_shut(name)
    if part and not stopped:
        stopped = route.is_shut(route.part_key(name, part))
    return HALTED if stopped else None


def reports(call: Call, answer: Answer) -> list[route.Answer]:
    """What a call that was really made says about its provider, or a part of the provider's world."""
    if answer in NOT_CALLED or answer is call.outbound or _is_of_old_credentials(call, answer):
        return []
    return _report(call, answer)


def _is_of_old_credentials(call: Call, answer: Answer) -> bool:
    """Refused after they were replaced: the new ones must not pay for it."""
    return (
        isinstance(answer, ProviderError)
        and answer.error_class is ErrorClass.AUTH_CONFIG
        and registry.is_replaced(call.provider)
    )


def _report(call: Call, answer: Answer) -> list[route.Answer]:
    """Where a provider refuses a country, or one of the services behind it is ill, nothing is said
    about the others; where it has had enough for one address, it is well.
    """
    name, item = call.provider.name, call.items[0]
    error = answer if isinstance(answer, ProviderError) and not answer.for_address else None
    if not item.part:
        return [(name, error)]
    key = route.part_key(name, item.part)
    if error and (error.for_country or item.channel is Channel.PUSH):
        return [(key, error)]
    return [(name, error)] if error else [(name, None), (key, None)]


def _settle_late(message: Outbound, sent: Sent) -> None:
    try:
        status.settle_late(message.attempt_id, sent)
    except Exception as error:  # noqa: BLE001 - the answer itself must not be lost with it
        log.warning("late answer not written", error=type(error).__name__)
