"""Open a window: decide, bindingly, what may be sent now, and write down each call before it.

One short transaction; afterwards no connection is held while providers are called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import SystemRandom
from uuid import UUID

from django.db import connection, transaction

from commsproject.common import clock
from commsproject.common.copy import copy_values
from notifications import addresses, limits, push_tokens, queue
from notifications.models import Attempt, Batch
from notifications.policy import Delay, Refusal
from notifications.services import admit, allot, compose, counts, devices, guard, items
from notifications.services.admit import Admission
from notifications.services.allot import Way
from notifications.services.compose import Call
from notifications.services.digests import Digests
from notifications.services.items import Item
from notifications.services.route import Routes, Stranded
from notifications.states import State
from notifications.types import Channel, ErrorClass, ProviderError

_random = SystemRandom()

CALLS = 100
"""Calls of one load whose answers a kill can cost, at most."""


HEAVY = 8 * 1024 * 1024
"""Bytes of attachments that the calls of one load have in memory, more only of a single message: a
process has up to twenty loads.
"""


@dataclass
class Window:
    """What becomes of the deliveries that were asked about: each is in one of these."""

    calls: list[Call] = field(default_factory=list)
    refused: list[tuple[Item, Refusal]] = field(default_factory=list)
    delayed: list[tuple[Item, Delay]] = field(default_factory=list)
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
_STOPPED = _ENDED | Batch.HOLDING
_CANCELLED = Refusal(State.CANCELLED, "its batch was cancelled")


def open_window(
    owners: Mapping[UUID, queue.Lease],
    ids: Sequence[UUID],
    refused_by: Mapping[UUID, Collection[str]],
    *,
    calls: int = CALLS,
    weight: int = HEAVY,
    together: Mapping[UUID, int] | None = None,
    rooms: Mapping[str, int] | None = None,
) -> Window:
    """Sort the pending deliveries among `ids`, for `calls` calls with attachments of `weight` bytes
    at most; a single message may have more.

    `owners` names the claim of each delivery, `refused_by` the providers each was refused by in
    this round, `together` how many may share a batch call, where fewer than the provider takes,
    `rooms` how many calls providers in trouble may get (`traffic`).
    """
    window = Window()
    # Before the transaction: a probe is noted on the provider's row, for which all others wait.
    routes = Routes(owners[ids[0]].channel)
    with transaction.atomic():
        ids = _ours(window, owners, ids)
        digests = Digests(ids)
        found = items.lock(owners, ids)
        ready = _collected(window, digests, _reached(window, _admitted(window, found)))
        groups = allot.routed(
            window.stranded, ready, routes, refused_by, together or {}, rooms or {}
        )
        calls = min(calls, _portable(groups, weight))
        for way, group in groups[calls:]:
            limits.give_back(way.grant, len(group), calls=1)
            window.left += [item.id for item in group]
        _mark_unknown(window.unknown)
        made = [call for group in groups[:calls] for call in compose.calls(*group)]
        window.calls = guard.passed(window.refused, window.stranded, made)
        _write_attempts(window.calls)
    routes.leave({(call.provider.name, call.items[0].part) for call in window.calls})
    return window


def confirmed(calls: Sequence[Call]) -> list[Call]:
    """Those about which what was decided some time ago is still right."""
    owners = {item.id: item.lease for call in calls for item in call.items}
    leases = {lease.id: lease for lease in owners.values()}
    with transaction.atomic():
        ours = queue.hold(leases.values())
        queue.look_at_batches(leases.values())
        going = {id_ for id_ in ours if leases[id_].batch_state not in _STOPPED}
        found = items.lock(owners, [id_ for id_, lease in owners.items() if lease.id in going])
    passing = admit.passing(found)
    return [call for call in calls if all(item.id in passing for item in call.items)]


def _ours(
    window: Window, owners: Mapping[UUID, queue.Lease], ids: Sequence[UUID]
) -> Sequence[UUID]:
    """Lock the claims; the deliveries of those that are still ours and may go on, or must end."""
    leases = {owners[id_] for id_ in ids}
    ours = queue.hold(leases)
    queue.look_at_batches(leases)
    window.lost = [lease for lease in leases if lease.id not in ours]
    held = {lease for lease in leases if lease.id in ours and lease.batch_state in Batch.HOLDING}
    if held:
        window.held = [id_ for id_ in ids if owners[id_] in held]
    if not (held or window.lost):
        return ids
    going = leases.difference(held, window.lost)
    return [id_ for id_ in ids if owners[id_] in going]


def _admitted(window: Window, found: Sequence[Item]) -> list[Item]:
    """Those that may be sent now."""
    admission = Admission(found)
    ready: list[Item] = []
    for item in found:
        if item.state == State.UNKNOWN or item.in_state(Attempt.State.CALLING):
            window.unknown.append(item)
        elif item.lease.batch_state in _ENDED:
            window.refused.append((item, _end(item, _CANCELLED)))
        else:
            match admission.decide(item):
                case Refusal() as refusal:
                    window.refused.append((item, _end(item, refusal)))
                case Delay() as delay:
                    window.delayed.append((item, delay))
                case None:
                    ready.append(item)
    admission.close()
    return ready


def _portable(groups: Sequence[tuple[Way, Sequence[Item]]], weight: int) -> int:
    """How many of the groups one window can carry."""
    total = 0
    for count, (_, group) in enumerate(groups):
        total += sum(item.weight for item in group)
        if total > weight:
            return max(1, count)
    return len(groups)


_GONE = Refusal(State.SUPPRESSED, "the device is no longer registered")


def _reached(window: Window, ready: list[Item]) -> list[Item]:
    """Those that there is still an address for: what a device is called by can change, or be gone."""
    if not ready or ready[0].channel is not Channel.PUSH:
        return ready
    ids = {item.id: addresses.device(item.address)[1] for item in ready}
    known = devices.tokens(ids.values())
    for item in ready:
        if (device := known.get(ids[item.id])) is None:
            window.refused.append((item, _end(item, _GONE)))
        else:
            item.to, item.app = device.token, device.app
            item.part = push_tokens.service(device.platform, device.token)
    return [item for item in ready if item.to]


def _collected(window: Window, digests: Digests, ready: list[Item]) -> list[Item]:
    """Those that go out by themselves, or carry a digest."""
    others = digests.collect(ready, clock.now())
    if not others:
        return ready
    window.refused += others
    gone = {item.id for item, _ in others}
    return [item for item in ready if item.id not in gone]


def _end(item: Item, refusal: Refusal) -> Refusal:
    """What may have arrived is not said to have been stopped: it is only not sent again."""
    if not item.in_state(Attempt.State.UNKNOWN):
        return refusal
    return Refusal(State.UNCONFIRMED, f"not sent again, {refusal.reason}; a call was not answered")


_ATTEMPT = (
    *("id", "delivery_id", "work_id", "token", "number", "provider", "state", "error_class"),
    *("code", "detail", "http_status", "provider_ref", "started_at", "ended_at"),
    *("segments", "cost"),
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
                *_billed(call),
            )
            for call in calls
            for item, attempt_id in zip(call.items, call.attempts, strict=True)
        ),
    )


def _billed(call: Call) -> tuple[int | None, Decimal | None]:
    """Segments and estimated cost of a text message."""
    if call.items[0].channel is not Channel.SMS or isinstance(call.outbound, ProviderError):
        return None, None
    return call.outbound[0].segments, guard.cost_of(call)


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
