"""Rate limits shared by all processes: buckets of tokens in Valkey, leased by the window.

A bucket of `count` tokens for `seconds`: who takes one has it for `lag` seconds, and it comes back
`seconds + lag` (and up to a 32nd of that) after it was taken. So no more than `count` are ever in
use in any `seconds` on the far side, however late within `lag` each is used; and a bucket that
rested gives all it has at once. Of `count` in `seconds`, `seconds / (seconds + lag) / 1.03` can be
sustained.

While Valkey is away each process keeps to its share of every bucket (`LIMIT_PROCESSES`). A bucket
that may have forgotten what was taken (Valkey was flushed, or away, or the process is new) is told
by its `observe`, where it has one: nothing that is known elsewhere is granted twice.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from redis.commands.core import Script

from commsproject.common import valkey

HORIZON = 300.0
"""Seconds ahead up to which turns are promised to those who are refused."""

ARRIVAL = 0.25
"""Part of `lag` that a call may need to arrive: a grant is to be used within the rest."""

_KEPT = 3600  # seconds a bucket that nobody asks stays in Valkey, where forgetting costs a query
_MINUTE = 60.0
_SLOTS = 32
_MOST_HERE = 50_000  # buckets; a long outage with many callers must not fill the memory
_SURE, _CANNOT_TELL = -1, -2  # instead of what was observed


@dataclass(frozen=True)
class Bucket:
    """What is limited: `count` tokens in any `seconds`, of which `reserve` is left to others.

    `per` messages use one token. `line` names those who wait together: each of them that is refused
    gets a later turn than the one before. Without a line each is told the same time.
    `observe(seconds)` tells how many tokens were used in the last so many seconds.
    """

    name: str
    count: int
    seconds: float
    lag: float = 0.0
    per: int = 1
    reserve: float = 0.0
    line: str = ""
    observe: Callable[[float], int] | None = None

    @property
    def period(self) -> float:
        return self.seconds + self.lag

    @property
    def most(self) -> int:
        """How many tokens may be out for the taker to get one. A reserve is never all there is."""
        return max(1, math.floor(self.count * (1 - self.reserve) + 1e-9))

    @property
    def key(self) -> str:
        """Of another period is another bucket: the slots would mean other times."""
        return f"comms:limit:{self.name}:{self.period:g}"

    def tokens(self, messages: int) -> int:
        return -(-messages // self.per)


@dataclass(frozen=True)
class Standing:
    """A bucket at one moment: tokens left, seconds until more come back, seconds promised ahead."""

    bucket: Bucket
    free: int
    back: float
    promised: float


@dataclass(frozen=True)
class Grant:
    """Leave to send `granted` messages until `expires` (on the monotonic clock), and no later.

    `wait`: seconds until it is worth asking again for what was refused; 0 where nothing was.
    `standings`: the buckets afterwards, in the order they were asked in.
    """

    granted: int
    wait: float = 0.0
    expires: float = math.inf
    standings: tuple[Standing, ...] = ()
    slots: tuple[str, ...] = ()
    """Where the tokens were taken from, to give them back; empty if in this process alone."""
    since: float = 0.0
    """When they were, on the monotonic clock."""

    @property
    def is_usable(self) -> bool:
        return time.monotonic() < self.expires


def take(buckets: Sequence[Bucket], wanted: int) -> Grant:
    """Leave for up to `wanted` messages: as many as all the buckets have tokens for.

    One round trip to Valkey; one more, and what `observe` costs, when a bucket may have forgotten.
    Never raises for Valkey's sake.
    """
    if not buckets:
        return Grant(wanted)
    started = time.monotonic()
    try:
        answer = _take(buckets, wanted)
    except valkey.Away:
        return _take_locally(buckets, wanted, started)
    granted, standings = answer[0], answer[1:]
    expires = _expires(buckets, started)
    wait = _spread(max(float(wait) for _, _, _, wait in standings)) if granted < wanted else 0.0
    if granted and time.monotonic() > expires:
        # The next may be as late. Valkey has set so much aside, but for less time than it is needed
        # now: it is told of the rest when it is asked again.
        valkey.too_late("limits")
        own = _take_locally(buckets, granted, time.monotonic())
        return replace(own, wait=max(own.wait, wait))
    return Grant(
        granted,
        wait,
        expires,
        tuple(
            Standing(bucket, int(free), float(back), float(wait))
            for bucket, (_, free, back, wait) in zip(buckets, standings, strict=True)
        ),
        tuple(slot.decode() for slot, _, _, _ in standings),
        started,
    )


def give_back(grant: Grant, unused: int, *, calls: int | None = None) -> None:
    """Return what was leased for `unused` messages that were not sent; in parts, if need be.

    `calls`: in how many calls they were to go. Where calls are counted these are the tokens, at most:
    one may be larger than the mean of all, by which they were leased.
    """
    buckets = [standing.bucket for standing in grant.standings]
    tokens = [_unused(bucket, grant, unused, calls) for bucket in buckets]
    if not unused or not buckets:
        return
    if not grant.slots:
        _local.give_back(buckets, tokens, grant.since)
        return
    values = [value for pair in zip(grant.slots, tokens, strict=True) for value in pair]
    try:
        _run("give_back", [bucket.key for bucket in buckets], values)
    except valkey.Away:
        return  # they come back by themselves


def _unused(bucket: Bucket, grant: Grant, messages: int, calls: int | None) -> int:
    if messages == grant.granted:
        return bucket.tokens(messages)
    tokens = messages // bucket.per  # a part of a call's messages leaves the call to be made
    return tokens if calls is None or bucket.per == 1 else min(tokens, calls)


def look(buckets: Sequence[Bucket]) -> list[Standing]:
    """How the buckets stand; takes nothing. In one process alone while Valkey is away."""
    return list(take(buckets, 0).standings)


@dataclass(frozen=True)
class RetryBudget:
    """Retries of calls to `name`: at most `floor` a minute and a `share` of the first calls."""

    name: str
    floor: int = 60
    share: float = 0.2

    def earn(self, calls: int) -> None:
        """Note first calls. Costs a round trip once a second at most."""
        if not calls:
            return
        _earned.add(self.name, calls)
        if _earned.is_due(self.name):
            self._ask(0)

    def spend(self, wanted: int) -> int:
        """How many of `wanted` retries may be made."""
        return self._ask(wanted)

    def _ask(self, wanted: int) -> int:
        calls = _earned.collect(self.name)
        keys = [f"comms:limit:{part}:{self.name}" for part in ("calls", "retries")]
        values = [_MINUTE, calls, wanted, self.floor, self.share, _KEPT]
        try:
            return int(_run("retry", keys, values))
        except valkey.Away:
            _earned.add(self.name, calls)
            floor = Bucket(f"retries:{self.name}", self.floor, _MINUTE)
            return _take_locally([floor], wanted, time.monotonic()).granted


# --- In Valkey -------------------------------------------------------------------------------

_observed: dict[str, int] = {}
"""The outage of Valkey after which each bucket there was last told what it may have missed."""

_observed_here: dict[str, int] = {}
"""The same of each bucket's share in this process."""


@cache
def _script() -> Script:
    source = Path(__file__).with_suffix(".lua").read_text()
    return redis.Redis().register_script(source)


def _run(name: str, keys: Sequence[str], values: Sequence[Any]) -> Any:
    return valkey.ask(
        lambda client: _script()(keys=keys, args=[name, *values], client=client), what="limits"
    )


def _take(buckets: Sequence[Bucket], wanted: int) -> Any:
    outage = valkey.outages()
    news = {
        bucket.name: bucket.observe(bucket.period)
        for bucket in buckets
        if bucket.observe and wanted and _observed.get(bucket.name) != outage
    }
    keys = [bucket.key for bucket in buckets]
    answer = _run("take", keys, _arguments(buckets, wanted, news))
    if answer[0] < 0:
        news = {b.name: b.observe(b.period) for b in buckets if b.observe}
        answer = _run("take", keys, _arguments(buckets, wanted, news))
    _observed.update(dict.fromkeys(news, outage))
    return answer


def _arguments(buckets: Sequence[Bucket], wanted: int, news: dict[str, int]) -> list[Any]:
    values: list[Any] = [wanted]
    for bucket in buckets:
        keep = max(_KEPT if bucket.observe else 0, math.ceil(2 * bucket.period))
        told = news.get(bucket.name, _SURE if bucket.observe else _CANNOT_TELL)
        values += [bucket.period, bucket.most, bucket.per, bucket.line, keep, told, bucket.count]
    return values


def _spread(wait: float) -> float:
    """Who is beyond the promised turns comes back at no one time."""
    return random.uniform(HORIZON / 2, HORIZON) if wait >= HORIZON else wait  # noqa: S311


def _expires(buckets: Sequence[Bucket], started: float) -> float:
    lags = [bucket.lag for bucket in buckets if bucket.lag]
    return started + min(lags) * (1 - ARRIVAL) if lags else math.inf


# --- In this process alone -------------------------------------------------------------------


class _Local:
    """Each bucket's share, and what of it was taken when. While Valkey is away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, dict[int, int]] = {}
        """By bucket and slot of the monotonic clock, as in Valkey."""

    def take(
        self, buckets: Sequence[Bucket], wanted: int, now: float
    ) -> tuple[int, list[Standing]]:
        with self._lock:
            free = [self._free(bucket, now) for bucket in buckets]
            granted = min(wanted, *(n * b.per for n, b in zip(free, buckets, strict=True)))
            for bucket in buckets:
                self._use(bucket, bucket.tokens(granted), now)
            return granted, [self._standing(bucket, now) for bucket in buckets]

    def observe(self, bucket: Bucket, used: int, now: float) -> None:
        """At least this process's part of `used` has been taken lately, by whomever."""
        with self._lock:
            own = self._used(bucket, now)
            self._use(bucket, min(_share(used), _share(bucket.count)) - own, now)

    def give_back(self, buckets: Sequence[Bucket], tokens: Sequence[int], since: float) -> None:
        with self._lock:
            for bucket, count in zip(buckets, tokens, strict=True):
                taken, slot = self._taken.get(bucket.key, {}), _slot(bucket, since)
                if slot in taken:
                    taken[slot] = max(0, taken[slot] - count)

    def _free(self, bucket: Bucket, now: float) -> int:
        return max(0, _share(bucket.most) - self._used(bucket, now))

    def _used(self, bucket: Bucket, now: float) -> int:
        taken = self._taken.get(bucket.key, {})
        for slot in [slot for slot in taken if _back(bucket, slot) <= now]:
            del taken[slot]
        return sum(taken.values())

    def _use(self, bucket: Bucket, tokens: int, now: float) -> None:
        if tokens > 0:
            if len(self._taken) >= _MOST_HERE:
                self._taken.clear()
            taken, slot = self._taken.setdefault(bucket.key, {}), _slot(bucket, now)
            taken[slot] = taken.get(slot, 0) + tokens

    def _standing(self, bucket: Bucket, now: float) -> Standing:
        free = max(0, _share(bucket.count) - self._used(bucket, now))
        taken = self._taken.get(bucket.key)
        return Standing(bucket, free, _back(bucket, min(taken)) - now if taken else 0.0, 0.0)


def _slot(bucket: Bucket, moment: float) -> int:
    return int(moment * _SLOTS / bucket.period)


def _back(bucket: Bucket, slot: int) -> float:
    """When what was taken in `slot` comes back."""
    return (slot + 1) * bucket.period / _SLOTS + bucket.period


_local = _Local()


def _share(count: int) -> int:
    return max(1, count // settings.LIMIT_PROCESSES) if count else 0


def _take_locally(buckets: Sequence[Bucket], wanted: int, now: float) -> Grant:
    outage = valkey.outages()
    for bucket in buckets:
        if bucket.observe and wanted and _observed_here.get(bucket.name) != outage:
            _local.observe(bucket, bucket.observe(bucket.period), now)
            _observed_here[bucket.name] = outage
    granted, standings = _local.take(buckets, wanted, now)
    wait = 0.0
    if granted < wanted:
        first = max(standing.back for standing in standings)
        wait = max(1.0, min(HORIZON, first + random.uniform(0, first)))  # noqa: S311
    return Grant(granted, wait, _expires(buckets, now), tuple(standings), since=now)


class _Earned:
    """First calls not yet told to Valkey, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def add(self, name: str, calls: int) -> None:
        with self._lock:
            self._calls[name] = self._calls.get(name, 0) + calls

    def is_due(self, name: str) -> bool:
        return time.monotonic() >= self._told.get(name, 0.0) + 1

    def collect(self, name: str) -> int:
        with self._lock:
            self._told[name] = time.monotonic()
            return self._calls.pop(name, 0)


_earned = _Earned()
