"""Which provider a message goes by, and what its answer means for the provider's health."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from random import SystemRandom

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least

from commsproject.common import clock
from notifications import breaker, prices
from notifications.breaker import Health
from notifications.models import ProviderChange, ProviderState
from notifications.providers import registry
from notifications.providers.base import Provider
from notifications.types import Channel, ErrorClass, ProviderError, Wanted

log = structlog.get_logger(__name__)

_random = SystemRandom()


@dataclass(frozen=True)
class Stranded:
    """No provider will take the message now; `until` is when the first of them may.

    `limited`: because of a rate limit, not because anything is wrong. `lacking`: what none of them
    can do, now or ever. `reason`: what to tell of a wait that is too long to be silent about.
    """

    until: datetime | None
    limited: bool = False
    lacking: str = ""
    reason: str = ""


class Routes:
    """The providers of one channel as they stand at one moment.

    Made for one window or one `send_mail` and thrown away: what other processes learn is seen by
    the next one.
    """

    def __init__(self, channel: Channel, *, in_transaction: bool = False) -> None:
        """`in_transaction`: of a caller that must not be left holding a lock on a provider's row."""
        self._providers: Sequence[Provider] = registry.for_channel(channel)
        if not in_transaction:
            _give_renewed_a_try()
        self._now = clock.now()
        names = [provider.name for provider in self._providers]
        rows = ProviderState.objects.filter(_rows_of(names, in_parts=channel in _PARTED))
        self._states: Mapping[str, ProviderState] = {row.name: row for row in rows}
        for name in {*names, *self._states}:  # another process may have found that it works again
            _note_row(name, self.health(name))
        self._on = [p for p in self._providers if self._is_enabled(p.name)]
        self._weights = {p.name: self._weight(p.name) for p in self._on}
        self.is_picky = any(p.is_picky for p in self._providers)
        """Whether what a message wants makes a difference."""
        # A device has one service that reaches it.
        self._is_alone = len(self._on) == 1 or channel is Channel.PUSH
        self._probes = {key for key in self._half_open() if in_transaction or self._take_probe(key)}
        self._unused = set() if in_transaction else set(self._probes)

    def choose(
        self, excluded: Collection[str], wanted: Wanted | None = None
    ) -> Provider | Stranded:
        """The first provider that is not excluded, can carry what is `wanted` and may be used.

        Those with a weight come first, by chance; then the others, by their prices where all have
        one, else in the order of failover. Behind
        a half-open breaker one message passes, here and in all other processes together.
        """
        able, lacking = self._able(wanted)
        if lacking:
            return Stranded(None, lacking=lacking)
        until: datetime | None = None
        part = wanted.part if wanted else ""
        for provider in self._ordered(able, part):
            if provider.name in excluded:
                continue
            opens = self._opens(provider.name, part)
            if opens is None:
                return provider
            until = min(until, opens) if until else opens
        return Stranded(until)

    def has_other_than(self, excluded: Collection[str], wanted: Wanted | None = None) -> bool:
        """Whether staff left any provider on beside `excluded`, whatever its breaker says."""
        able, _ = self._able(wanted)
        return any(provider.name not in excluded for provider in able)

    def _able(self, wanted: Wanted | None) -> tuple[Sequence[Provider], str]:
        """Who is on and can carry it; where nobody could, on or off, what they lack."""
        if wanted is None or not (self.is_picky or wanted.hosted):
            return self._on, ""
        lacks = {provider.name: provider.lacks(wanted) for provider in self._providers}
        able = [provider for provider in self._on if not lacks[provider.name]]
        return able, "" if "" in lacks.values() else next(iter(lacks.values()), "")

    def _ordered(self, able: Sequence[Provider], part: str) -> Sequence[Provider]:
        """A shuffle in which each comes before the others as often as its weight says; those without
        a weight last, by their prices or in their order.

        (Efraimidis and Spirakis, 2006: sort by `random ** (1 / weight)`.)
        """
        able = prices.cheapest_first(able, part)
        if not any(self._weights[provider.name] for provider in able):
            return able
        return sorted(able, key=lambda p: _lot(self._weights[p.name]), reverse=True)

    def _weight(self, name: str) -> float:
        row = self._states.get(name)
        return row.weight * row.health / 100 if row else 0.0

    def _opens(self, name: str, part: str) -> datetime | None:
        """When it may be used for that part of its world; None: now, once behind a breaker that is
        half open.
        """
        soon = self._now + timedelta(seconds=1)
        for key in (name, part_key(name, part)) if part else (name,):
            health = self.health(key)
            opens = breaker.opens(health, alone=self._is_alone)
            is_over = opens is None or (opens <= self._now and not health.failures)
            if is_over and not is_shut(key):  # what only this process knows counts too
                continue
            if key not in self._probes:
                return max(breaker.ask_again(health, opens or soon, self._now), soon)
            self._probes.discard(key)
        return None

    def explain(self, wanted: Wanted) -> list[tuple[str, str]]:
        """Each provider of the channel and why it would not be asked now, `""` where it would; in
        the order in which they are asked.
        """
        lacks = {provider.name: provider.lacks(wanted) for provider in self._providers}
        on = self._ordered([p for p in self._on if not lacks[p.name]], wanted.part)
        others = [p for p in self._providers if p not in on]
        return [
            (p.name, lacks[p.name] or self._hindrance(p.name, wanted.part)) for p in [*on, *others]
        ]

    def _hindrance(self, name: str, part: str) -> str:
        if not self._is_enabled(name):
            return "staff have switched it off"
        until = self._opens(name, part)
        return "" if until is None else f"its breaker is open until {until:%H:%M:%S} UTC"

    def _half_open(self) -> list[str]:
        """Those that a message may go by to see whether they work again."""
        return [
            key
            for key in self._states
            if (health := self.health(key)).failures
            and (opens := breaker.opens(health, alone=self._is_alone))
            and opens <= self._now
        ]

    def leave(self, called: Collection[tuple[str, str]]) -> None:
        """Probes that were allowed and not made are for somebody else. After the transaction.

        `called`: each provider and the part of its world that a call goes to.
        """
        used = {key for name, part in called for key in (name, part_key(name, part))}
        unused = self._unused - used
        if unused:
            ProviderState.objects.filter(name__in=unused).update(probe_until=None)

    def state(self, name: str) -> ProviderState | None:
        """The provider's row, as it was read; None where nothing was ever noted of it."""
        return self._states.get(name)

    def health(self, name: str) -> Health:
        row = self._states.get(name)
        return _health(row) if row else Health()

    def _is_enabled(self, name: str) -> bool:
        return name not in self._states or self._states[name].enabled

    def _take_probe(self, key: str) -> bool:
        """One probe at a time, of all processes together."""
        taken = ProviderState.objects.filter(
            Q(probe_until__isnull=True) | Q(probe_until__lt=self._now),
            name=key,
            opened_until=self.health(key).blocked_until,  # no probe has failed since this was read
        ).update(
            probe_until=self._now + breaker.PROBE_FOR,
            opened_until=Least(F("opened_until"), self._now),
        )
        if taken:
            _note(key, replace(self.health(key), blocked_until=self._now))
        return bool(taken)


_PARTED = (Channel.SMS, Channel.PUSH)
"""Channels on which a provider can be ill for some addresses: by country, by push service."""


def part_key(name: str, part: str) -> str:
    """The name under which a provider's health in one part of its world is kept: `twilio:GB`."""
    return f"{name}:{part}"[:50]


def _rows_of(names: Sequence[str], *, in_parts: bool) -> Q:
    found = Q(name__in=names)
    for name in names if in_parts else ():
        found |= Q(name__startswith=f"{name}:")
    return found


def _lot(weight: float) -> float:
    return _random.random() ** (1 / weight) if weight else 0.0


@dataclass(slots=True)
class _Heard:
    """What this process knows of a provider; `at` is the monotonic moment of the last failure that
    the provider's row may not tell of yet.
    """

    health: Health
    at: float = -inf


_heard: dict[str, _Heard] = {}
"""By provider, of those that are not well."""

UNREPORTED = 0.5
"""Seconds in which a failure is written to the provider's row, by far."""


def is_shut(name: str) -> bool:
    """Whether calls that have not begun should not: asks nobody, for use just before each call."""
    known = _heard.get(name)
    until = known.health.blocked_until if known else None
    return until is not None and clock.now() < until


def hear(name: str, error: ProviderError | None) -> None:
    """How a call ended, at once, for the calls of this process that have not begun: they are told
    before `report` is done. Asks nobody.
    """
    known = _heard.get(name)
    if error is None:
        if known is not None:
            _note(name, breaker.after_success(known.health, clock.now()))
        return
    health = _after(known.health if known else Health(), error, clock.now())
    _heard[name] = _Heard(health, time.monotonic())


def _note(name: str, health: Health) -> None:
    if health == Health():
        _heard.pop(name, None)
    else:
        _heard[name] = _Heard(health)


def _note_row(name: str, health: Health) -> None:
    """What was read of a provider, unless this process has just heard worse."""
    known = _heard.get(name)
    is_older = known is not None and time.monotonic() - known.at < UNREPORTED
    if health.blocked_until is not None or not is_older:
        _note(name, health)


Answer = tuple[str, ProviderError | None]
"""A provider's name (or one for a country) and how a call to it ended; None: it took the message."""


def report(answers: Iterable[Answer]) -> None:
    """Fold what providers answered into their shared health; writes nothing while all is well.

    Not for use in a transaction of the caller's: a row lock held there would make every sender
    wait for every other.
    """
    by_provider: dict[str, list[ProviderError | None]] = defaultdict(list)
    for name, error in answers:
        by_provider[name].append(error)
    ill = {name for name, errors in by_provider.items() if any(errors)}
    marked = set(
        ProviderState.objects.filter(name__in=by_provider)
        .exclude(failures=0, opened_until__isnull=True)
        .values_list("name", flat=True)
    )
    for name in sorted(ill | marked):
        _fold(name, by_provider[name])


def note_rest(name: str, seconds: float) -> None:
    """Tell staff that a worker leaves a slow provider alone where others can carry its messages."""
    row, _ = ProviderState.objects.get_or_create(name=name)
    reason = f"slow or silent: a worker asks others for {seconds:.0f} s"
    ProviderChange.objects.create(
        provider=row, at=clock.now(), was="in use", now="resting", reason=reason
    )
    log.warning("provider rests", provider=name, seconds=round(seconds))


def _give_renewed_a_try() -> None:
    """Where old credentials were refused, nobody need wait until new ones may be tried."""
    for name in registry.take_renewed():
        _renew(name)


@transaction.atomic
def _renew(name: str) -> None:
    row = ProviderState.objects.select_for_update().filter(name=name).first()
    if row is None:
        return
    before, now = _health(row), clock.now()
    health = breaker.after_renewal(before, now)
    if health == before:
        return
    row.opened_until, row.probe_until, row.changed_at = now, None, now
    row.save(update_fields=["opened_until", "probe_until", "changed_at"])
    ProviderChange.objects.create(
        provider=row, at=now, was=row.breaker, now="half open", reason="it has new credentials"
    )


@transaction.atomic
def switch(name: str, *, on: bool, by: str) -> None:
    """Let messages go by a provider, or keep them from it, as staff wish. Breakers go on as before."""
    ProviderState.objects.get_or_create(name=name)
    row = ProviderState.objects.select_for_update().get(name=name)
    if row.enabled == on:
        return
    row.enabled, row.changed_at = on, clock.now()
    row.save(update_fields=["enabled", "changed_at"])
    was, now = ("off", "on") if on else ("on", "off")
    ProviderChange.objects.create(
        provider=row, at=row.changed_at, was=was, now=now, reason=f"switched by {by}"[:200]
    )
    log.warning("provider switched", provider=name, on=on)


@transaction.atomic
def limit(name: str, *, count: int | None, seconds: float | None, by: str) -> None:
    """Let at most `count` calls or recipients go by a provider in any `seconds`, as staff wish.

    None, for both: what the settings say.
    """
    ProviderState.objects.get_or_create(name=name)
    row = ProviderState.objects.select_for_update().get(name=name)
    if (row.limit_count, row.limit_seconds) == (count, seconds):
        return
    was = _limit_words(row)
    row.limit_count, row.limit_seconds, row.changed_at = count, seconds, clock.now()
    row.save(update_fields=["limit_count", "limit_seconds", "changed_at"])
    ProviderChange.objects.create(
        provider=row,
        at=row.changed_at,
        was=was,
        now=_limit_words(row),
        reason=f"limit set by {by}"[:200],
    )
    log.warning("provider limit set", provider=name, count=count, seconds=seconds)


@transaction.atomic
def weigh(name: str, weight: int, *, by: str) -> None:
    """Give a provider its share among those that have a weight; 0: none of it."""
    ProviderState.objects.get_or_create(name=name)
    row = ProviderState.objects.select_for_update().get(name=name)
    if row.weight == weight:
        return
    was, row.weight, row.changed_at = row.weight, weight, clock.now()
    row.save(update_fields=["weight", "changed_at"])
    ProviderChange.objects.create(
        provider=row,
        at=row.changed_at,
        was=f"weight {was}",
        now=f"weight {weight}",
        reason=f"set by {by}"[:200],
    )
    log.warning("provider weight set", provider=name, weight=weight)


def _limit_words(row: ProviderState) -> str:
    return f"{row.limit_count}/{row.limit_seconds:g}" if row.limit_count else "limit of settings"


@transaction.atomic
def _fold(name: str, errors: Sequence[ProviderError | None]) -> None:
    ProviderState.objects.get_or_create(name=name)
    row = ProviderState.objects.select_for_update().get(name=name)
    before = _health(row)
    now = clock.now()
    health = before
    # The answers came in no order that we know: a refusal that blocks must outlast all of them.
    for error in sorted(errors, key=_blocks):
        health = _after(health, error, now)
    _note(name, health)
    if health == before:
        return
    row.failures, row.opened_until = health.failures, health.blocked_until
    row.probe_until, row.reason = health.probe_until, health.reason
    was, row.breaker = row.breaker, _label(health)
    if was != row.breaker:
        row.changed_at = now
        ProviderChange.objects.create(
            provider=row, at=now, was=was, now=row.breaker, reason=health.reason or "it works again"
        )
        log.warning("provider breaker", provider=name, was=was, now=row.breaker)
    row.save()


def _after(health: Health, error: ProviderError | None, now: datetime) -> Health:
    if error is None:
        return breaker.after_success(health, now)
    return breaker.after_failure(health, error.error_class, error.code, now, error.retry_after)


def _blocks(error: ProviderError | None) -> bool:
    return error is not None and error.error_class in (
        ErrorClass.THROTTLED,
        ErrorClass.AUTH_CONFIG,
    )


def _health(row: ProviderState) -> Health:
    return Health(row.failures, row.opened_until, row.probe_until, row.reason)


def _label(health: Health) -> ProviderState.Breaker:
    return ProviderState.Breaker.OPEN if health.blocked_until else ProviderState.Breaker.CLOSED
