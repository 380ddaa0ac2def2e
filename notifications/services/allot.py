"""Which way each message of a window goes, and with which others in one call, within the limits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID

from commsproject.common import clock
from notifications import limits, queue, retry
from notifications.models import Attempt, ProviderState
from notifications.providers.base import Provider
from notifications.services import items
from notifications.services.items import Item, Past
from notifications.services.route import Routes, Stranded
from notifications.types import Channel, Lane

_random = SystemRandom()


@dataclass(frozen=True, eq=False)
class Way:
    """A provider, and the leave to call it: for all that a window sends by it under one pace."""

    provider: Provider
    state: ProviderState | None
    grant: limits.Grant
    is_last: bool = False
    """It is in trouble, and nobody else would carry the message now."""


# --- Which way ---------------------------------------------------------------------------------


def routed(
    stranded: list[tuple[Item, Stranded]],
    ready: Sequence[Item],
    routes: Routes,
    refused_by: Mapping[UUID, Collection[str]],
    together: Mapping[UUID, int],
    rooms: Mapping[str, int],
) -> list[tuple[Way, list[Item]]]:
    """A way for each, those that share a call together, as far as the limits allow, and for
    providers in trouble their `rooms`; what exceeds them goes to the next provider.
    """
    room = dict(rooms)
    routed: list[tuple[Way, list[Item]]] = []
    spent: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    while ready:
        asked: dict[tuple[Provider, bool, UUID | None], list[Item]] = defaultdict(list)
        for item in ready:
            refused = refused_by.get(item.id, ()) if refused_by else ()
            reached = spent[item.id] if spent else {}
            provider, is_last = _choose(routes, refused, item, reached, room)
            if isinstance(provider, Stranded):
                stranded.append((item, provider))
            else:
                asked[provider, is_last, item.lease.paced].append(item)
        ready = []
        for (provider, is_last, _), wanting in asked.items():
            taken, wait = _rationed(provider, wanting, routes, together, is_last=is_last)
            routed += taken
            sent = {item for _, group in taken for item in group}
            for item in wanting:
                if item not in sent:
                    spent[item.id][provider.name] = clock.now() + timedelta(seconds=wait)
                    ready.append(item)
    return routed


def _choose(
    routes: Routes,
    refused_by: Collection[str],
    item: Item,
    spent: Mapping[str, datetime],
    room: dict[str, int],
) -> tuple[Provider | Stranded, bool]:
    """The provider to ask, and whether it is in trouble and the last that would carry it.

    After an unknown outcome another one is tried, where there is one. `spent` names providers whose
    limit is reached, and until when.
    """
    silent = {call.provider for call in item.past if call.state == Attempt.State.UNKNOWN}
    excluded = {*refused_by, *silent}
    wanted = item.wanted if routes.is_picky or item.part or item.kept_by else None
    if not routes.has_other_than(excluded, wanted):
        excluded = set(refused_by)
    full = {name for name, left in room.items() if left < 1}
    way = routes.choose({*excluded, *spent, *full}, wanted)
    if isinstance(way, Provider):
        if way.name in room:
            room[way.name] -= 1
        return way, False
    if full and not way.lacking:  # slowly is better than not at all
        way = routes.choose({*excluded, *spent}, wanted)
    if isinstance(way, Stranded) and spent and not way.lacking:
        way = Stranded(min(filter(None, (way.until, *spent.values()))), limited=True)
    return way, True


def _rationed(
    provider: Provider,
    wanting: Sequence[Item],
    routes: Routes,
    together: Mapping[UUID, int],
    *,
    is_last: bool,
) -> tuple[list[tuple[Way, list[Item]]], float]:
    """The calls that there is leave for, and the seconds after which to ask for the others.

    Messages that this provider has failed before come last, as far as the budget of retries
    reaches: when much fails, repeating all of it would be most of what a provider gets. What first
    calls add to it is counted when they were made (`judge.learn`).
    """
    lease = wanting[0].lease
    again = {
        item
        for item in wanting
        if item.past and item.id not in together and has_failed(item, provider)
    }
    first = [item for item in wanting if item not in again]
    allowed = len(again)
    if again and lease.lane is not Lane.URGENT:
        allowed = limits.spend(provider.name, len(again))
    wanted = [*first, *[item for item in wanting if item in again][:allowed]]
    # The largest first: of any so many messages, no more calls are made than leave was asked for.
    groups = sorted(_grouped(provider, wanted, together), key=len, reverse=True)
    per = max(1, len(wanted) // max(1, len(groups)))
    grant = limits.lease(
        provider=provider.name,
        channel=lease.channel.value,
        lane=lease.lane.value,
        wanted=len(wanted),
        state=routes.state(provider.name),
        batch_limit=per,
        batch=lease.batch_id,
        pace=lease.pace,
    )
    way = Way(provider, routes.state(provider.name), grant, is_last)
    taken: list[tuple[Way, list[Item]]] = []
    room = grant.granted
    for group in groups:
        if room:
            taken.append((way, group[:room]))
            room -= len(taken[-1][1])
    if lease.lane is not Lane.URGENT:
        repeated = sum(item in again for _, group in taken for item in group)
        limits.unspend(provider.name, allowed - repeated)
    return taken, grant.wait or _random.uniform(1, 5)


_COSTS_NOTHING = {"lease_lost", "halted"}
"""Codes of attempts that were written down and then not made."""


def has_failed(item: Item, provider: Provider) -> bool:
    """Whether a call of this provider's for it came to nothing, by no fault of the message."""
    return any(
        call.provider == provider.name
        and call.state in (Attempt.State.FAILED, Attempt.State.UNKNOWN)
        and call.code not in _COSTS_NOTHING
        for call in item.past
    )


def puzzles(item: Item) -> int:
    """Calls that ended with a code that no table knows: see `retry.UNMAPPED`."""
    return sum(call.code.startswith(retry.UNMAPPED) for call in item.past)


def rounds(item: Item) -> int:
    """How often all providers there are have had their turn: the calls of the most called one.

    A throttle is no failed try: it slows a message down and must not use up its chances.
    """
    tries = (call for call in calls_made(item) if call.state != Attempt.State.THROTTLED)
    return max(Counter(call.provider for call in tries).values(), default=0)


def calls_made(item: Item) -> list[Past]:
    """Without those that were written down and then not made."""
    return [call for call in item.past if call.code not in _COSTS_NOTHING]


# --- Which calls -------------------------------------------------------------------------------


def merges(lease: queue.Lease) -> bool:
    """Whether all messages of this claim can share calls: known without reading them."""
    return lease.batch_id is not None and items.batch_source(lease).form is not None


def _grouped(
    provider: Provider, wanted: Sequence[Item], together: Mapping[UUID, int]
) -> list[list[Item]]:
    """Messages that may share one call: of one template that only fills values in, to different
    addresses.
    """
    groups: list[list[Item]] = []
    filling: dict[tuple[object, ...], tuple[list[Item], set[str]]] = {}
    for item in wanted:
        limit = _batch_limit(provider, item)
        if together:
            limit = min(limit, together.get(item.id, limit))
        if limit <= 1:
            groups.append([item])
            continue
        key = (items.source(item), item.reply_to, tuple(item.tags), limit)
        group, addresses = filling.get(key, ([], set()))
        address = item.address.casefold()
        if not group or len(group) >= limit or address in addresses:
            group, addresses = filling[key] = [], set()
            groups.append(group)
        group.append(item)
        addresses.add(address)
    return groups


def _batch_limit(provider: Provider, item: Item) -> int:
    if provider.batch_limit == 1 or item.weight or item.is_tracked:
        return 1
    if item.channel is Channel.SMS:
        return 1  # each text is cut to its segments by itself
    if item.content is not None:
        return 1  # a message of its own: to look for others like it would cost more than it saves
    if not items.source(item).fits(item.data):
        return 1
    return provider.batch_limit
