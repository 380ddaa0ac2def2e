"""Apply stored webhooks: claim many for a while, read them, apply them in one transaction.

What cannot be applied is tried again, each time later, eight times at most; then it is set aside with
its error. It costs the others nothing: where a transaction of many fails, each gets its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Func, IntegerField
from django.utils import timezone

from notifications.models import Attempt
from notifications.providers import registry
from notifications.providers.base import Webhook
from notifications.services import status
from notifications.types import Inbound, ProviderEvent
from tracking.models import WebhookReceipt
from tracking.services import inbound

log = structlog.get_logger(__name__)

CLAIM = 200
"""Webhooks that are carried together, at most."""

CLAIM_BYTES = 4 * 1024 * 1024

ALONE_AT = 2
"""Tries without success, after which a webhook is claimed alone: it may have killed its process."""

LEASE = timedelta(seconds=20)
"""How long a claim holds. Reading may take a call to the vendor: SES confirms subscriptions."""

LONGEST_WAIT = timedelta(hours=1)

YOUNG = timedelta(minutes=5)
"""For so long an attempt that is not here may still come: a database that was restored, or fails over.
Later it is another installation's, or was purged."""

UNKNOWN = "unknown message"
OTHERS = "another provider's message"


@dataclass(frozen=True, eq=False)
class _Read:
    """A webhook and what is in it."""

    receipt: WebhookReceipt
    events: Sequence[ProviderEvent]
    messages: Sequence[Inbound]


def run() -> int:
    """Apply what is due and return the number of webhooks; safe to run in several processes."""
    done = 0
    while claimed := _claim():
        _take(claimed)
        done += len(claimed)
    return done


@transaction.atomic
def _claim() -> list[WebhookReceipt]:
    """The next that are due, for `LEASE`: if this process dies they are due again."""
    now = timezone.now()
    due = WebhookReceipt.objects.filter(
        processed_at__isnull=True, tries__lt=WebhookReceipt.TRIES, next_try_at__lte=now
    )
    size = Func(F("body"), function="octet_length", output_field=IntegerField())
    rows = due.order_by("next_try_at", "id").select_for_update(skip_locked=True)
    found = list(rows.annotate(size=size).values_list("id", "tries", "size")[:CLAIM])
    ids = _together(found)
    claimed = WebhookReceipt.objects.filter(id__in=ids)
    claimed.update(tries=F("tries") + 1, next_try_at=now + LEASE)
    return list(claimed.order_by("id"))


def _together(found: Sequence[tuple[UUID, int, int]]) -> list[UUID]:
    """Of `(id, tries, bytes)`: the first, and those behind it that may be carried with it."""
    ids: list[UUID] = []
    total = 0
    for id_, tries, size in found:
        total += size
        if ids and (total > CLAIM_BYTES or tries >= ALONE_AT):
            break
        ids.append(id_)
        if tries >= ALONE_AT:
            break
    return ids


def _take(claimed: Sequence[WebhookReceipt]) -> None:
    read = [one for receipt in claimed if (one := _read(receipt))]
    try:
        for group in _groups(read):
            _settle(group)
    except (InterfaceError, OperationalError):
        _give_back(claimed)
        raise  # ours, not the webhooks'


def _read(receipt: WebhookReceipt) -> _Read | None:
    """Outside any transaction. None where it cannot be read: it is put off."""
    try:
        provider = registry.get(receipt.provider)
        reports = provider.parse(Webhook(bytes(receipt.body), {}, receipt.path))
    except Exception as error:  # noqa: BLE001 - one webhook must not stop the others
        _put_off(receipt, error)
        return None
    return _Read(
        receipt,
        [report for report in reports if isinstance(report, ProviderEvent)],
        [report for report in reports if isinstance(report, Inbound)],
    )


def _groups(read: Sequence[_Read]) -> Iterator[list[_Read]]:
    """Those that share a transaction. It locks deliveries in one order for all, and people in another
    one: so one provider's events, or one webhook with messages of people.
    """
    events: dict[str, list[_Read]] = defaultdict(list)
    for one in read:
        if one.messages:
            yield [one]
        else:
            events[one.receipt.provider].append(one)
    yield from events.values()


def _settle(group: Sequence[_Read]) -> None:
    try:
        _apply(group)
    except (InterfaceError, OperationalError):
        raise
    except Exception as error:  # noqa: BLE001 - as in `_read`
        if len(group) == 1:
            _put_off(group[0].receipt, error)
            return
        for one in group:
            _settle([one])


@transaction.atomic
def _apply(group: Sequence[_Read]) -> None:
    provider = group[0].receipt.provider
    status.apply(provider, [event for one in group for event in one.events])
    for one in group:
        inbound.record(provider, one.messages, received_at=one.receipt.received_at)
    left = _with_left_out(group)
    _close([one.receipt for one in group if one.receipt not in left])
    _close([receipt for receipt, why in left.items() if why == OTHERS], OTHERS)
    for receipt in (receipt for receipt, why in left.items() if why == UNKNOWN):
        _wait_for_its_message(receipt)


def _with_left_out(group: Sequence[_Read]) -> dict[WebhookReceipt, str]:
    """The webhooks with an event that did not count, and why: its attempt is not here, or another
    provider made it.
    """
    named = {event.attempt_id for one in group for event in one.events if event.attempt_id}
    makers = dict(Attempt.objects.filter(id__in=named).values_list("id", "provider"))
    found = {}
    for one in group:
        attempts = {event.attempt_id for event in one.events if event.attempt_id}
        if not attempts <= makers.keys():
            found[one.receipt] = UNKNOWN
        elif any(makers[id_] != one.receipt.provider for id_ in attempts):
            found[one.receipt] = OTHERS
    return found


def _close(receipts: Sequence[WebhookReceipt], error: str = "") -> None:
    rows = WebhookReceipt.objects.filter(id__in=[receipt.id for receipt in receipts])
    rows.update(processed_at=timezone.now(), error=error)


def _wait_for_its_message(receipt: WebhookReceipt) -> None:
    """What was known of it has been applied; it has no effect the next time."""
    now = timezone.now()
    if receipt.received_at < now - YOUNG:
        _close([receipt], UNKNOWN)
    else:
        row = WebhookReceipt.objects.filter(id=receipt.id)
        row.update(next_try_at=now + _wait(receipt.tries), error=UNKNOWN)


def _put_off(receipt: WebhookReceipt, error: Exception) -> None:
    log.warning("webhook not applied", receipt=str(receipt.id), error=type(error).__name__)
    WebhookReceipt.objects.filter(id=receipt.id, tries=receipt.tries).update(
        next_try_at=timezone.now() + _wait(receipt.tries), error=type(error).__name__
    )


def _give_back(claimed: Sequence[WebhookReceipt]) -> None:
    """The try does not count, if the database can be told so. The lease stays."""
    connection.close_if_unusable_or_obsolete()
    untouched = WebhookReceipt.objects.filter(
        id__in=[receipt.id for receipt in claimed],
        processed_at__isnull=True,
        next_try_at=claimed[0].next_try_at,
    )
    with suppress(DatabaseError, InterfaceError):
        untouched.update(tries=F("tries") - 1)


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=5 * 4.0 ** (tries - 1)), LONGEST_WAIT)
