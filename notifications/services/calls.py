"""Make the calls of a window, each within its time and under a claim that still holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError

from notifications import limits
from notifications.providers.base import LoopProvider
from notifications.services import route, status
from notifications.services.compose import Call
from notifications.services.window import confirm
from notifications.types import ErrorClass, Outbound, ProviderError, Sent

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Runner(Protocol):
    """Where blocking work is done: threads in a worker, inline in a test."""

    async def database(self, function: Callable[..., T], *args: Any) -> T: ...

    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        """Raises `TimeoutError` when the provider's client breaks its own time limits."""
        ...

    async def close(self) -> None:
        """Close what the calls on this loop have left open."""
        ...


BEGIN_WITHIN = 3.0
"""Seconds after its window in which a call begins, or is asked about once more. Who cancels or
opts out is answered after longer than that (`SETTLE_SECONDS`): no call begins after the answer.
"""


def call_limit() -> float:
    """Seconds after which a call counts as unanswered: beyond the time limits of its own client."""
    return float(settings.PROVIDER_CONNECT_TIMEOUT + settings.PROVIDER_READ_TIMEOUT + 1.0)


Answer = Sent | ProviderError

LEASE_LOST = ProviderError(
    ErrorClass.TEMPORARY, "lease_lost", "The claim ran out before the call; nothing was sent."
)
HALTED = ProviderError(
    ErrorClass.TEMPORARY, "halted", "The provider asked for a pause before the call."
)
NOT_CALLED = (LEASE_LOST, HALTED)


async def make(call: Call, runner: Runner, halted: set[str]) -> Answer:
    """Make one call, unless something stops it. `halted` are providers that asked for a pause
    since the window was opened: this call may add its own.
    """
    if isinstance(call.outbound, ProviderError):
        return call.outbound
    try:
        async with call.provider.place():
            if isinstance(call.provider, LoopProvider):
                if not (_is_fresh(call) or await runner.database(_asked_again, call)):
                    return HALTED
                return await _carry(call, call.provider, call.outbound, halted)
            return await runner.provider(_send, call, call.outbound[0], halted)
    except ProviderError as error:
        if error.error_class in _PAUSES:
            halted.add(call.provider.name)
        return error
    except TimeoutError:
        return ProviderError(ErrorClass.AMBIGUOUS, "deadline", "The provider's client hung.")
    except Exception as error:  # a defect in one provider must not stop the others
        log.exception("provider defect", provider=call.provider.name)
        return ProviderError(ErrorClass.AMBIGUOUS, type(error).__name__, "A defect in our client.")


_PAUSES = (ErrorClass.THROTTLED, ErrorClass.AUTH_CONFIG)


async def _carry(
    call: Call, provider: LoopProvider, messages: Sequence[Outbound], halted: set[str]
) -> Answer:
    """A call on the loop."""
    if stopped := _before(call, halted):
        return stopped
    async with asyncio.timeout(call_limit()):
        return await provider.carry(messages)


def _send(call: Call, message: Outbound, halted: set[str]) -> Answer:
    """A call in a thread, for which it may have had to wait too."""
    if not (_is_fresh(call) or _asked_again(call)):
        return HALTED
    if stopped := _before(call, halted):
        return stopped
    started = time.monotonic()
    sent = call.provider.send(message)
    if time.monotonic() - started > call_limit() - 0.5:
        _settle_late(message, sent)  # it may have been judged as unknown already
    return sent


def _before(call: Call, halted: set[str]) -> ProviderError | None:
    """Why the call must not be made after all: its claim ran out while it waited for its turn,
    another call of the window was told to come later, or the provider's breaker has opened.
    """
    if not all(item.lease.holds() for item in call.items):
        return LEASE_LOST
    name, part = call.provider.name, call.items[0].part
    stopped = name in halted or route.is_shut(name)
    if part and not stopped:
        stopped = route.is_shut(route.part_key(name, part))
    return HALTED if stopped else None


def _is_fresh(call: Call) -> bool:
    """Whether what its window decided, and the leave it got, still hold unasked."""
    return _is_decided(call) and call.way.grant.is_usable


def _is_decided(call: Call) -> bool:
    return time.monotonic() - call.decided < BEGIN_WITHIN


def _asked_again(call: Call) -> bool:
    """The same of a call that had to wait long for its place."""
    try:
        return (_is_decided(call) or confirm(call)) and (call.way.grant.is_usable or _leave(call))
    except DatabaseError as error:
        log.warning("call not confirmed", error=type(error).__name__)
        return False


def _leave(call: Call) -> bool:
    """Leave that ran out, asked for once more."""
    lease, wanted = call.items[0].lease, len(call.items)
    fresh = limits.lease(
        provider=call.provider.name,
        channel=lease.channel.value,
        lane=lease.lane.value,
        wanted=wanted,
        state=call.way.state,
        batch_limit=wanted,
        batch=lease.batch_id,
        pace=lease.pace,
    )
    # One of the two is returned here, the other as of a call that is not made, or never.
    is_enough = fresh.granted == wanted
    limits.give_back(call.way.grant if is_enough else fresh, wanted if is_enough else fresh.granted)
    return is_enough


def _settle_late(message: Outbound, sent: Sent) -> None:
    try:
        status.settle_late(message.attempt_id, sent)
    except Exception as error:  # noqa: BLE001 - the answer itself must not be lost with it
        log.warning("late answer not written", error=type(error).__name__)
