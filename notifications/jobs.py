"""The engine's periodic jobs."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from commsproject.common.models import IdempotencyKey
from commsproject.common.scheduler import job
from notifications.providers.simulator import post_receipts

KEEP_KEYS = timedelta(days=7)


@job("simulator receipts", every=timedelta(seconds=1))
def simulator_receipts() -> None:
    """What the simulator could not post when it was due."""
    post_receipts()


@job("forget idempotency keys", every=timedelta(hours=1))
def forget_idempotency_keys() -> None:
    """A key is kept for seven days; then it may be used again."""
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEEP_KEYS).delete()
