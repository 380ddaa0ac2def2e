"""The suppression list: written by bounces, complaints, unsubscribe links and staff."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from notifications import addresses
from notifications.models import Attempt, Delivery, Suppression
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
    delivery_id: UUID | None = None,
) -> bool:
    """Put an address on the list; True if it was not there for this reason. Safe to repeat.

    `scope` is a category's key, or `*` for every message.
    """
    row = Suppression(
        channel=channel,
        address_hash=address_hash,
        scope=scope,
        reason=reason,
        source=source,
        delivery_id=delivery_id,
    )
    Suppression.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["channel", "address_hash", "scope", "reason"],
        update_fields=["expires_at"],  # one that had expired holds again
    )
    return Suppression.objects.filter(id=row.id).exists()


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
        delivery_id=delivery.id,
    )


def unsubscribe(link: Unsubscribe) -> bool:
    """What a person asked for by a signed link; True the first time.

    Returns when nothing is on its way to them any more, or after `SETTLE_SECONDS`: who is told
    that they will get no more messages must not get one that was about to leave.
    """
    is_new = add(
        channel=link.channel,
        address_hash=link.address_hash,
        scope=link.scope,
        reason=SuppressionReason.UNSUBSCRIBE,
        source="link",
        delivery_id=link.delivery_id,
    )
    _settle(link.channel, link.address_hash)
    return is_new


SETTLE_SECONDS = 5.0


def _settle(channel: str, address_hash: str) -> None:
    """Wait for the windows that were opened before the address was listed, and for their calls."""
    with transaction.atomic():
        rows = Delivery.objects.filter(
            address_hash=address_hash, channel=channel, state__in=PENDING
        )
        locked = rows.select_for_update(no_key=True).order_by("id")  # as a window locks them
        ids = list(locked.values_list("id", flat=True))
    calling = Attempt.objects.filter(delivery__in=ids, state=Attempt.State.CALLING)
    give_up = time.monotonic() + SETTLE_SECONDS
    while ids and calling.exists() and time.monotonic() < give_up:
        threading.Event().wait(0.05)


def lift(ids: Iterable[UUID]) -> int:
    """Take entries off the list; how many there were."""
    lifted, _ = Suppression.objects.filter(id__in=list(ids)).delete()
    return lifted


def has_opted_out(channel: str, address_hash: str) -> bool:
    """Whether the person does not want any messages there."""
    return _opt_outs(channel, address_hash).exists()


def opt_in(channel: str, address_hash: str) -> bool:
    """Undo what the person asked for, and nothing else: bounces and the like stay. Whether there
    was anything to undo.
    """
    return bool(_opt_outs(channel, address_hash).delete()[0])


def _opt_outs(channel: str, address_hash: str) -> QuerySet[Suppression]:
    return Suppression.objects.filter(
        channel=channel,
        address_hash=address_hash,
        scope=Suppression.ALL,
        reason=SuppressionReason.UNSUBSCRIBE,
    )
