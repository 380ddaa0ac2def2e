"""The calls of this process that are out, by provider: who may begin, who has to wait or turn back.

Numbers are decided on by `congestion`. Everything here happens on one event loop, and belongs to it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from django.conf import settings
from prometheus_client import Histogram

from commsproject.common import metrics
from notifications.congestion import Congestion
from notifications.types import ErrorClass, ProviderError

SLOW_PART = 0.1
"""Of the time that a provider has to answer: no call is slow before that."""

LAG = 0.03
AGAIN = 0.1
"""Seconds: by how much this process may itself be late, to blame a provider for being slow, and when
it looks again.
"""


_seconds = Histogram(
    "comms_provider_call_seconds",
    "How long calls of this process to a provider took, by how they ended.",
    ["provider", "outcome"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
    registry=metrics.own,
)


class NoRoom(Exception):
    """The provider is in trouble, and others can carry the message."""


class Traffic:
    """The calls to one provider."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.congestion = Congestion()
        self.out = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.rested = 0.0
        """Seconds of a rest that nobody was told of yet."""

    async def admit(self, *, is_last: bool) -> None:
        """Take a place; wait for it where the provider is well. In trouble it has few, and none for
        those that others can carry: raises `NoRoom`. `is_last`: nobody else can.
        """
        while not self.congestion.room(self.out, now := time.monotonic()):
            if self.congestion.is_strained(now):
                if is_last:
                    break
                raise NoRoom
            place = asyncio.get_running_loop().create_future()
            self.waiting.append(place)
            await place
        self.congestion.began(self.out, time.monotonic())
        self.out += 1

    def leave(self) -> None:
        self.out -= 1
        self.wake(max(1, int(self.congestion.window) - self.out))

    def wake(self, count: int) -> None:
        """Let so many of those who wait look again."""
        while count > 0 and self.waiting:
            place = self.waiting.popleft()
            if not place.done():  # else it was cancelled
                place.set_result(None)
                count -= 1

    def lost(self, began: float) -> None:
        """A call is slow, or was left without an answer."""
        state, now = self.congestion, time.monotonic()
        if state.lost(began, self.out - 1, now):
            self.rested = state.rests_until - now
            self.wake(len(self.waiting))  # to go by others


class Turn:
    """The place of one call. To be entered when it may begin; `begin` is said when it does, on
    whichever thread. `patience`: seconds that it may take longer than others.
    """

    __slots__ = ("_due", "_is_last", "_patience", "_slow", "_timer", "_traffic", "began")

    def __init__(self, traffic: Traffic, *, is_last: bool, patience: float) -> None:
        self._traffic = traffic
        self._is_last = is_last
        self._patience = patience
        self._slow = False
        self.began = 0.0

    def begin(self) -> None:
        self.began = time.monotonic()

    async def __aenter__(self) -> Self:
        await self._traffic.admit(is_last=self._is_last)
        least = SLOW_PART * settings.PROVIDER_READ_TIMEOUT
        self._patience += self._traffic.congestion.slow_after(least)
        self._look_after(self._patience)
        return self

    def _look_after(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Is it slow? Not if the answer may be there, and this process was too busy to see it."""
        now = time.monotonic()
        left = (self.began or now) + self._patience - now
        if left > 0 or now - self._due > LAG:
            self._look_after(max(left, AGAIN))
        else:
            self._slow = True
            self._traffic.lost(self.began)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self.began:
            self._learn(error)
        self._traffic.leave()

    def _learn(self, error: BaseException | None) -> None:
        traffic, now = self._traffic, time.monotonic()
        _seconds.labels(traffic.name, _outcome(error)).observe(now - self.began)
        state, others = traffic.congestion, traffic.out - 1
        if error is None or _is_about_the_message(error):
            state.answered(now - self.began, others, now)
        elif isinstance(error, ProviderError) and error.error_class is ErrorClass.THROTTLED:
            state.throttled(self.began, others, now)
        elif not self._slow and _is_silence(error):
            traffic.lost(self.began)


def _outcome(error: BaseException | None) -> str:
    """As attempts have it: what is no refusal leaves open whether it was sent."""
    if error is None:
        return "sent"
    known = error.error_class if isinstance(error, ProviderError) else ErrorClass.AMBIGUOUS
    return known.value


def _is_about_the_message(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and (
        error.for_address
        or error.error_class in (ErrorClass.PERMANENT_RECIPIENT, ErrorClass.PERMANENT_MESSAGE)
    )


def _is_silence(error: BaseException) -> bool:
    if isinstance(error, ProviderError):
        return error.error_class is ErrorClass.AMBIGUOUS
    return isinstance(error, TimeoutError)


_here: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Traffic]] = WeakKeyDictionary()


def to(name: str) -> Traffic:
    """That to the provider, of the running loop."""
    by_name = _here.setdefault(asyncio.get_running_loop(), {})
    return by_name.get(name) or by_name.setdefault(name, Traffic(name))


def rests() -> list[tuple[str, float]]:
    """Providers that this loop has begun to leave alone since this was last asked, and for how many
    seconds.
    """
    found = [
        (name, one.rested)
        for name, one in _here.get(asyncio.get_running_loop(), {}).items()
        if one.rested
    ]
    for name, _ in found:
        to(name).rested = 0.0
    return found


def rooms() -> Mapping[str, int]:
    """Providers in trouble, as seen from the running loop, and how many more calls each may get
    while others can carry the rest.
    """
    now = time.monotonic()
    return {
        name: one.congestion.room(one.out, now)
        for name, one in _here.get(asyncio.get_running_loop(), {}).items()
        if one.congestion.is_strained(now)
    }
