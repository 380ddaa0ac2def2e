"""Apply stored webhooks: claim one for a while, read it, apply it in one transaction.

What cannot be applied is tried again, each time later, eight times at most.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from notifications.providers import registry
from notifications.providers.base import Webhook
from notifications.services import status
from notifications.types import Inbound, ProviderEvent
from tracking.models import WebhookReceipt
from tracking.services import inbound

log = structlog.get_logger(__name__)

TRIES = 8
LEASE = timedelta(seconds=20)
"""How long a claim holds. Reading may take a call to the vendor: SES confirms subscriptions."""

LONGEST_WAIT = timedelta(hours=1)


def run() -> int:
    """Apply what is due and return the number of webhooks; safe to run in several processes."""
    done = 0
    while (receipt := _claim()) is not None:
        _take(receipt)
        done += 1
    return done


@transaction.atomic
def _claim() -> WebhookReceipt | None:
    """The next that is due, for `LEASE`: if this process dies it is due again."""
    now = timezone.now()
    due = WebhookReceipt.objects.filter(
        processed_at__isnull=True, tries__lt=TRIES, next_try_at__lte=now
    )
    receipt = due.order_by("next_try_at").select_for_update(skip_locked=True).first()
    if receipt is not None:
        receipt.tries += 1
        receipt.next_try_at = now + LEASE
        receipt.save(update_fields=["tries", "next_try_at"])
    return receipt


def _take(receipt: WebhookReceipt) -> None:
    try:
        _apply(receipt)
    except (InterfaceError, OperationalError):
        _give_back(receipt)
        raise  # ours, not the webhook's
    except Exception as error:  # noqa: BLE001 - one webhook must not stop the others
        log.warning("webhook not applied", receipt=str(receipt.id), error=type(error).__name__)
        WebhookReceipt.objects.filter(id=receipt.id, tries=receipt.tries).update(
            next_try_at=timezone.now() + _wait(receipt.tries), error=type(error).__name__
        )


def _apply(receipt: WebhookReceipt) -> None:
    provider = registry.get(receipt.provider)
    reports = provider.parse(Webhook(bytes(receipt.body), {}, receipt.path))
    events = [report for report in reports if isinstance(report, ProviderEvent)]
    messages = [report for report in reports if isinstance(report, Inbound)]
    with transaction.atomic():
        status.apply(receipt.provider, events)
        inbound.record(receipt.provider, messages, received_at=receipt.received_at)
        WebhookReceipt.objects.filter(id=receipt.id).update(processed_at=timezone.now(), error="")


def _give_back(receipt: WebhookReceipt) -> None:
    """The try does not count, if the database can be told so. The lease stays."""
    connection.close_if_unusable_or_obsolete()
    with suppress(DatabaseError, InterfaceError):
        WebhookReceipt.objects.filter(id=receipt.id, tries=receipt.tries).update(
            tries=receipt.tries - 1
        )


def _wait(tries: int) -> timedelta:
    return min(timedelta(seconds=5 * 4.0 ** (tries - 1)), LONGEST_WAIT)
