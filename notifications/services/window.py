"""Open a window: decide, bindingly, what may be sent now, and write down each call before it.

One short transaction; afterwards no connection is held while providers are called.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from commsproject.common import clock
from commsproject.common.copy import copy_values
from commsproject.common.ids import new_id
from notifications import limits, policy, queue
from notifications.models import Attempt, Batch, ProviderState, Work
from notifications.policy import Refusal
from notifications.providers.base import LoopProvider, Provider
from notifications.services import counts, items, plan
from notifications.services.items import Item
from notifications.services.route import Routes, Stranded
from notifications.states import State
from notifications.types import Attachment, Channel, ErrorClass, Lane, Outbound, ProviderError
from templates_app import links
from templates_app.errors import TemplateError

_random = SystemRandom()

CALLS = 100
"""Calls whose answers a kill can cost, at most."""


@dataclass(frozen=True, eq=False)
class Way:
    """A provider, and the leave to call it."""

    provider: Provider
    state: ProviderState | None
    grant: limits.Grant


@dataclass(frozen=True, eq=False)
class Call:
    """One provider call that is written down and not yet made: `items[i]` by `attempts[i]`.

    `outbound` is an error where the message could not be made after all: no call is made then.
    """

    way: Way
    items: Sequence[Item]
    attempts: Sequence[UUID]
    outbound: Sequence[Outbound] | ProviderError

    @property
    def provider(self) -> Provider:
        return self.way.provider


@dataclass
class Window:
    """What becomes of the deliveries that were asked about: each is in one of these."""

    calls: list[Call] = field(default_factory=list)
    refused: list[tuple[Item, Refusal]] = field(default_factory=list)
    stranded: list[tuple[Item, Stranded]] = field(default_factory=list)
    unknown: list[Item] = field(default_factory=list)
    """Called under an earlier claim whose process died before it could write the answer, or before
    it could leave the work that waits for the receipt. Never called again from here.
    """
    held: list[UUID] = field(default_factory=list)
    """Of batches that are not to go on now."""
    left: list[UUID] = field(default_factory=list)
    """Beyond the calls that were allowed: for the next window."""
    lost: list[queue.Lease] = field(default_factory=list)
    """Claimed by another process since: their deliveries are no longer ours."""


_ENDED = {Batch.State.CANCELLED, Batch.State.ABORTED}
_CANCELLED = Refusal(State.CANCELLED, "its batch was cancelled")


def open_window(
    owners: Mapping[UUID, queue.Lease],
    ids: Sequence[UUID],
    refused_by: Mapping[UUID, Collection[str]],
    *,
    calls: int = CALLS,
    together: Mapping[UUID, int] | None = None,
) -> Window:
    """Sort the pending deliveries among `ids`, for `calls` calls at most.

    `owners` names the claim of each delivery, `refused_by` the providers each was refused by in
    this round, `together` how many may share a batch call, where fewer than the provider takes.
    """
    window = Window()
    with transaction.atomic():
        ids = _ours(window, owners, ids)
        found = items.lock(owners, ids)
        ready = _admitted(window, found)
        routes = Routes(owners[ids[0]].channel) if ready else None
        groups = _routed(window, ready, routes, refused_by, together or {}) if routes else []
        for way, group in groups[calls:]:
            limits.give_back(way.grant, len(group))
            window.left += [item.id for item in group]
        _mark_unknown(window.unknown)
        window.calls = [call for group in groups[:calls] for call in _calls(*group)]
        _write_attempts(window.calls)
    return window


def _ours(
    window: Window, owners: Mapping[UUID, queue.Lease], ids: Sequence[UUID]
) -> Sequence[UUID]:
    """Lock the claims; the deliveries of those that are still ours and may go on, or must end."""
    leases = {owners[id_].id: owners[id_] for id_ in ids}
    ours = queue.hold(leases.values())
    window.lost = [lease for lease in leases.values() if lease.id not in ours]
    kept = [id_ for id_ in ids if owners[id_].id in ours]
    window.held = [id_ for id_ in kept if owners[id_].batch_state in Batch.HOLDING]
    return [id_ for id_ in kept if owners[id_].batch_state not in Batch.HOLDING]


def _admitted(window: Window, found: Sequence[Item]) -> list[Item]:
    """Those that may be sent now. This answer of `policy` is the binding one."""
    now = clock.now()
    suppressed = plan.suppressed((item.channel.value, item.address_hash) for item in found)
    ready: list[Item] = []
    for item in found:
        entries = suppressed.get((item.channel.value, item.address_hash), ())
        if item.state == State.UNKNOWN or item.in_state(Attempt.State.CALLING):
            window.unknown.append(item)
        elif item.lease.batch_state in _ENDED:
            window.refused.append((item, _end(item, _CANCELLED)))
        elif refusal := policy.decide(_facts(item, entries, now)):
            window.refused.append((item, _end(item, refusal)))
        else:
            ready.append(item)
    return ready


def _end(item: Item, refusal: Refusal) -> Refusal:
    """What may have arrived is not said to have been stopped: it is only not sent again."""
    if not item.in_state(Attempt.State.UNKNOWN):
        return refusal
    return Refusal(State.UNCONFIRMED, f"not sent again, {refusal.reason}; a call was not answered")


def _facts(item: Item, entries: Sequence[policy.Suppressed], now: datetime) -> policy.Facts:
    return policy.Facts(
        now=now,
        expires_at=item.expires_at,
        category=item.category,
        is_essential=item.is_essential,
        suppressed=entries,
    )


# --- Which way ---------------------------------------------------------------------------------


def _routed(
    window: Window,
    ready: Sequence[Item],
    routes: Routes,
    refused_by: Mapping[UUID, Collection[str]],
    together: Mapping[UUID, int],
) -> list[tuple[Way, list[Item]]]:
    """A way for each, those that share a call together, as far as the limits allow; what exceeds
    them goes to the next provider.
    """
    routed: list[tuple[Way, list[Item]]] = []
    spent: dict[UUID, dict[str, datetime]] = defaultdict(dict)
    while ready:
        asked: dict[tuple[Provider, UUID | None], list[Item]] = defaultdict(list)
        for item in ready:
            provider = _choose(routes, refused_by.get(item.id, ()), item, spent[item.id])
            if isinstance(provider, Stranded):
                window.stranded.append((item, provider))
            else:
                asked[provider, item.lease.batch_id].append(item)
        ready = []
        for (provider, _), wanting in asked.items():
            taken, wait = _rationed(provider, wanting, routes, together)
            routed += taken
            sent = {item.id for _, group in taken for item in group}
            for item in wanting:
                if item.id not in sent:
                    spent[item.id][provider.name] = clock.now() + timedelta(seconds=wait)
                    ready.append(item)
    return routed


def _choose(
    routes: Routes, refused_by: Collection[str], item: Item, spent: Mapping[str, datetime]
) -> Provider | Stranded:
    """After an unknown outcome another provider is tried, where there is one.

    `spent` names providers whose limit is reached, and until when.
    """
    silent = {call.provider for call in item.past if call.state == Attempt.State.UNKNOWN}
    excluded = {*refused_by, *silent}
    if not routes.has_other_than(excluded):
        excluded = set(refused_by)
    way = routes.choose({*excluded, *spent})
    if isinstance(way, Stranded) and spent:
        return Stranded(min(filter(None, (way.until, *spent.values()))), limited=True)
    return way


def _rationed(
    provider: Provider,
    wanting: Sequence[Item],
    routes: Routes,
    together: Mapping[UUID, int],
) -> tuple[list[tuple[Way, list[Item]]], float]:
    """The calls that there is leave for, and the seconds after which to ask for the others.

    Messages that this provider has failed before come last, as far as the budget of retries
    reaches: when much fails, repeating all of it would be most of what a provider gets.
    """
    lease = wanting[0].lease
    again = {item.id for item in wanting if item.id not in together and has_failed(item, provider)}
    first = [item for item in wanting if item.id not in again]
    allowed = len(again)
    if again and lease.lane is not Lane.URGENT:
        allowed = limits.spend(provider.name, len(again))
    if first:
        limits.earn(provider.name, len(first))
    wanted = [*first, *[item for item in wanting if item.id in again][:allowed]]
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
    taken: list[tuple[Way, list[Item]]] = []
    room, calls = grant.granted, -(-grant.granted // per)
    for group in groups[:calls]:
        if room:
            taken.append((Way(provider, routes.state(provider.name), grant), group[:room]))
            room -= len(taken[-1][1])
    limits.give_back(grant, room)
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


def rounds(item: Item) -> int:
    """How often all providers there are have had their turn: the calls of the most called one.

    A throttle is no failed try: it slows a message down and must not use up its chances.
    """
    turns = Counter(
        call.provider
        for call in item.past
        if call.state != Attempt.State.THROTTLED and call.code not in _COSTS_NOTHING
    )
    return max(turns.values(), default=0)


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
        limit = min(together.get(item.id, Work.LIMIT), _batch_limit(provider, item))
        if limit <= 1:
            groups.append([item])
            continue
        key = (id(items.source(item)), item.reply_to, tuple(item.tags), limit)
        group, addresses = filling.get(key, ([], set()))
        address = item.address.casefold()
        if not group or len(group) >= limit or address in addresses:
            group, addresses = filling[key] = [], set()
            groups.append(group)
        group.append(item)
        addresses.add(address)
    return groups


def _batch_limit(provider: Provider, item: Item) -> int:
    if not isinstance(provider, LoopProvider) or provider.batch_limit == 1 or item.attachments:
        return 1
    if item.content is not None:
        return 1  # a message of its own: to look for others like it would cost more than it saves
    if not items.source(item).fits(item.data):
        return 1
    return min(provider.batch_limit, Work.LIMIT)


_ATTEMPT = (
    *("id", "delivery_id", "work_id", "token", "number", "provider", "state", "error_class"),
    *("code", "detail", "http_status", "provider_ref", "started_at", "ended_at"),
)


def _write_attempts(calls: Iterable[Call]) -> None:
    now = clock.now()
    copy_values(
        Attempt,
        _ATTEMPT,
        (
            (
                *(attempt_id, item.id, item.lease.id, item.lease.token, item.attempts_made + 1),
                *(call.provider.name, Attempt.State.CALLING.value, "", "", "", None, "", now, None),
            )
            for call in calls
            for item, attempt_id in zip(call.items, call.attempts, strict=True)
        ),
    )


_UNKNOWN_DELIVERIES = """
UPDATE notifications_delivery AS delivery
SET state = %s, attempts_made = new.made
FROM unnest(%s::uuid[], %s::int[]) AS new (id, made) WHERE delivery.id = new.id
"""


def _mark_unknown(lost: Sequence[Item]) -> None:
    """With the attempts in one transaction: a delivery whose outcome is unknown must never look
    like one that may be sent.
    """
    if not lost:
        return
    ids = [item.id for item in lost]
    with connection.cursor() as cursor:
        cursor.execute(
            _UNKNOWN_DELIVERIES,
            [State.UNKNOWN.value, ids, [item.attempts_made for item in lost]],
        )
    counts.move((item.lease.batch_id, item.state, State.UNKNOWN) for item in lost)
    Attempt.objects.filter(delivery__in=ids, state=Attempt.State.CALLING).update(
        state=Attempt.State.UNKNOWN,
        error_class=ErrorClass.AMBIGUOUS,
        code=items.PROCESS_LOST,
        detail="The process ended before it could write down the provider's answer.",
        ended_at=clock.now(),
    )


# --- What the provider gets ------------------------------------------------------------------


def _calls(way: Way, group: Sequence[Item]) -> list[Call]:
    """One call for all of `group`, and one that is not made for each that cannot be rendered.

    Rendered before the calls are written down: a message that kills its renderer was not sent.
    """
    source = items.source(group[0])
    form = source.form if len(group) > 1 else None
    prefix = f"-{secrets.token_hex(8)}-"
    shared, names = (form.shared(prefix), form.placeholders(prefix)) if form else ({}, [])
    calls: list[Call] = []
    good: list[tuple[Item, Outbound]] = []
    for item in group:
        try:
            if form:
                filled = form.values(item.data or {}, source.shared)
                values = dict(zip(names, filled, strict=True))
                message = _outbound(item, source.template, shared, values)
            else:
                message = _outbound(item, source.template, source.render(item.data), {})
        except TemplateError as error:
            refusal = ProviderError(ErrorClass.PERMANENT_MESSAGE, "render", str(error))
            calls.append(Call(way, [item], [new_id()], refusal))
        else:
            good.append((item, message))
    if good:
        messages = [message for _, message in good]
        attempts = [message.attempt_id for message in messages]
        calls.append(Call(way, [item for item, _ in good], attempts, messages))
    return calls


def _outbound(
    item: Item, template: str, parts: Mapping[str, str], values: Mapping[str, str]
) -> Outbound:
    return Outbound(
        attempt_id=new_id(),
        delivery_id=item.id,
        notification_id=item.notification_id,
        channel=item.channel,
        to=item.address,
        parts=parts,
        values=values,
        number=item.attempts_made + 1,
        agent_id=item.agent_id,
        template_id=template,
        reply_to=item.reply_to,
        headers=_headers(item),
        tags=item.tags,
        metadata=item.metadata,
        attachments=[
            Attachment(
                file["filename"],
                base64.b64decode(file["content"]),
                file.get("content_type", "application/octet-stream"),
            )
            for file in item.attachments
        ],
    )


def _headers(item: Item) -> dict[str, str]:
    """RFC 8058 one-click unsubscribe, on every email that a person may refuse."""
    if item.channel is not Channel.EMAIL or item.is_essential:
        return {}
    token = links.unsubscribe_token(
        channel=item.channel,
        address_hash=item.address_hash,
        scope=item.category or policy.ALL,
        delivery_id=item.id,
    )
    return {
        "List-Unsubscribe": f"<{settings.PUBLIC_URL}/u/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
