"""The suppression list: written by bounces, complaints, unsubscribe links, people and staff."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from notifications import addresses
from notifications.models import Attempt, Delivery, LiftedSuppression, Suppression
from notifications.signals import opted
from notifications.states import PENDING
from notifications.types import SuppressionReason
from templates_app.links import Unsubscribe


def add(
    *,
    channel: str,
    address_hash: str,
    reason: SuppressionReason,
    scope: str = Suppression.ALL,
    source: str = "",
    address: str = "",
    expires_at: datetime | None = None,
    delivery_id: UUID | None = None,
) -> bool:
    """Put an address on the list; True if it was not there for this reason. Safe to repeat.

    `scope` is a category's key, or `*` for every message. `address` is kept for people to read,
    where it is known.
    """
    row = Suppression(
        channel=channel,
        address_hash=address_hash,
        address=address,
        scope=scope,
        reason=reason,
        source=source,
        expires_at=expires_at,
        delivery_id=delivery_id,
    )
    return bool(add_all([row]))


@transaction.atomic
def add_all(rows: Collection[Suppression]) -> int:
    """How many were not on the list for their reason. Those that were hold as long as is said now:
    one that had expired holds again. Of entries that are named twice the last counts.
    """
    last = {(row.channel, row.address_hash, row.scope, row.reason): row for row in rows}
    rows = list(last.values())
    for has_address in (True, False):
        some = [row for row in rows if bool(row.address) is has_address]
        Suppression.objects.bulk_create(
            sorted(some, key=lambda row: row.address_hash),  # in one order for all
            update_conflicts=True,
            unique_fields=["channel", "address_hash", "scope", "reason"],
            update_fields=["expires_at", "address"] if has_address else ["expires_at"],
        )
    new = list(Suppression.objects.filter(id__in=[row.id for row in rows]).order_by("id"))
    _tell(new, out=True)
    return len(new)


def _tell(entries: Iterable[Suppression], *, out: bool) -> None:
    """The apps above hear of what people themselves asked for."""
    wishes = [entry for entry in entries if entry.reason == SuppressionReason.UNSUBSCRIBE]
    if wishes:
        opted.send(sender=Suppression, entries=wishes, out=out)


class Addressed(Protocol):
    """A delivery, as far as this module looks at it."""

    @property
    def id(self) -> UUID: ...
    @property
    def channel(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def address_hash(self) -> str: ...


def recipient_of(
    delivery: Addressed, reason: SuppressionReason, *, source: str, scope: str = Suppression.ALL
) -> bool:
    """Suppress the address of a delivery that bounced, was complained about or opted out.

    The simulator's instructions (`bounce@simulator.test`) always do what they say, so they are
    never listed; with a label (`bounce+1@`) they are people like any other.
    """
    if addresses.is_instruction(delivery.address):
        return False
    return add(
        channel=delivery.channel,
        address_hash=delivery.address_hash,
        reason=reason,
        scope=scope,
        source=source,
        address=delivery.address,
        delivery_id=delivery.id,
    )


def unsubscribe(link: Unsubscribe, *, everything: bool = False) -> bool:
    """What a person asked for by a signed link, of its category or of `everything`; True the first
    time.

    Returns when nothing is on its way to them any more, or after `SETTLE_SECONDS`: who is told
    that they will get no more messages must not get one that was about to leave.
    """
    is_new = add(
        channel=link.channel,
        address_hash=link.address_hash,
        scope=Suppression.ALL if everything else link.scope,
        reason=SuppressionReason.UNSUBSCRIBE,
        source="link",
        delivery_id=link.delivery_id,
    )
    settle([(link.channel, [link.address_hash])])
    return is_new


SETTLE_SECONDS = 5.0


def settle(places: Iterable[tuple[str, Collection[str]]]) -> None:
    """After the transaction that changed what goes to `places`, channels with hashes of addresses: wait
    for the windows that were opened before it, and for their calls.
    """
    transaction.on_commit(partial(_settle, places))


def _settle(places: Iterable[tuple[str, Collection[str]]]) -> None:
    there = Q(pk__in=[])
    for channel, hashes in places:
        there |= Q(channel=channel, address_hash__in=hashes)
    with transaction.atomic():
        rows = Delivery.objects.filter(there, state__in=PENDING)
        locked = rows.select_for_update(no_key=True).order_by("id")  # as a window locks them
        ids = list(locked.values_list("id", flat=True))
    calling = Attempt.objects.filter(delivery__in=ids, state=Attempt.State.CALLING)
    give_up = time.monotonic() + SETTLE_SECONDS
    while ids and calling.exists() and time.monotonic() < give_up:
        threading.Event().wait(0.05)


# --- Off the list --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lift:
    """Who takes entries off the list, and why: kept with what they were."""

    by: str
    why: str


def lift(ids: Iterable[UUID], said: Lift) -> int:
    """Take entries off the list; how many there were."""
    return _lift(Suppression.objects.filter(id__in=list(ids)), said)


@transaction.atomic
def _lift(entries: QuerySet[Suppression], said: Lift) -> int:
    rows = list(entries.order_by("address_hash", "id").select_for_update())
    LiftedSuppression.objects.bulk_create(
        LiftedSuppression(
            channel=row.channel,
            address_hash=row.address_hash,
            scope=row.scope,
            reason=row.reason,
            since=row.created_at,
            lifted_by=said.by[:200],
            why=said.why[:500],
        )
        for row in rows
    )
    Suppression.objects.filter(id__in=[row.id for row in rows]).delete()
    _tell(rows, out=False)
    return len(rows)


def has_opted_out(channel: str, address_hash: str) -> bool:
    """Whether the person does not want any messages there."""
    return opt_outs(channel, [address_hash], [Suppression.ALL]).exists()


def opt_in(
    channel: str,
    address_hashes: Collection[str],
    said: Lift,
    scopes: Collection[str] = (Suppression.ALL,),
) -> bool:
    """Undo what the person asked for, and nothing else: bounces and the like stay. Whether there
    was anything to undo.
    """
    return bool(_lift(opt_outs(channel, address_hashes, scopes), said))


def opt_outs(
    channel: str, address_hashes: Collection[str], scopes: Collection[str]
) -> QuerySet[Suppression]:
    """The entries that people themselves asked for."""
    return Suppression.objects.filter(
        channel=channel,
        address_hash__in=address_hashes,
        scope__in=scopes,
        reason=SuppressionReason.UNSUBSCRIBE,
    )
