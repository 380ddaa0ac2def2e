"""Apply stored webhooks: each in one transaction, again until it works, five times at most."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from notifications.providers import registry
from notifications.providers.base import Webhook
from notifications.services import status
from tracking.models import WebhookReceipt
from tracking.services import bounces

log = structlog.get_logger(__name__)

TRIES = 5


def run() -> int:
    """Apply what waits and return the number of webhooks; safe to run in several processes."""
    done = 0
    last = UUID(int=0)
    while (claimed := _next(last)) is not None:
        last = claimed
        done += 1
    return done


def _next(after: UUID) -> UUID | None:
    with transaction.atomic():
        waiting = WebhookReceipt.objects.filter(
            processed_at__isnull=True, tries__lt=TRIES, id__gt=after
        )
        receipt = waiting.order_by("id").select_for_update(skip_locked=True).first()
        if receipt is None:
            return None
        try:
            with transaction.atomic():
                _apply(receipt)
        except (InterfaceError, OperationalError):
            raise  # ours, not the webhook's: everything is rolled back and tried again
        except Exception as error:  # noqa: BLE001 - one webhook must not stop the others
            log.warning("webhook not applied", receipt=str(receipt.id), error=type(error).__name__)
            WebhookReceipt.objects.filter(id=receipt.id).update(
                tries=F("tries") + 1, error=type(error).__name__
            )
        else:
            WebhookReceipt.objects.filter(id=receipt.id).update(
                processed_at=timezone.now(), error=""
            )
        return receipt.id


def _apply(receipt: WebhookReceipt) -> None:
    provider = registry.get(receipt.provider)
    events = provider.parse(Webhook(bytes(receipt.body), receipt.headers))
    applied = status.apply(receipt.provider, events)
    bounces.record(receipt.provider, applied)
