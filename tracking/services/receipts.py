"""Stored webhooks looked through, and applied again: after a defect was mended, or a database restored.

Nothing counts twice: what a webhook has told before has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Func, IntegerField, Q, QuerySet, TextChoices
from django.utils import timezone

from commsproject.common import ids
from tracking import queue
from tracking.models import WebhookReceipt

LIMIT = 1000
"""Webhooks that one call applies again."""


class State(TextChoices):
    """How far a stored webhook has come."""

    WAITING = "waiting", "Waiting"
    APPLIED = "applied", "Applied"
    UNKNOWN = "unknown", "Applied but for messages that are not here"
    SET_ASIDE = "set_aside", "Set aside"


_IN = {
    State.WAITING: Q(processed_at__isnull=True, tries__lt=WebhookReceipt.TRIES),
    State.APPLIED: Q(processed_at__isnull=False, error=""),
    State.UNKNOWN: Q(processed_at__isnull=False) & ~Q(error=""),
    State.SET_ASIDE: Q(processed_at__isnull=True, tries__gte=WebhookReceipt.TRIES),
}


def state(receipt: WebhookReceipt) -> State:
    if receipt.processed_at is not None:
        return State.UNKNOWN if receipt.error else State.APPLIED
    return State.SET_ASIDE if receipt.tries >= WebhookReceipt.TRIES else State.WAITING


def told() -> QuerySet[WebhookReceipt]:
    """Without the bodies, but with their `size` in bytes: a page of them can be 50 MB."""
    size = Func("body", function="octet_length", output_field=IntegerField())
    return WebhookReceipt.objects.defer("body").annotate(size=size)


def matching(rows: QuerySet[WebhookReceipt], wanted: Mapping[str, Any]) -> QuerySet[WebhookReceipt]:
    """Those with this `provider` and `state`, that came `since` then and before `until`."""
    if "provider" in wanted:
        rows = rows.filter(provider=wanted["provider"])
    if "state" in wanted:
        rows = rows.filter(_IN[State(wanted["state"])])
    bounds: Mapping[str, datetime] = {key: wanted[key] for key in _BOUNDS if key in wanted}
    return rows.filter(**{_BOUNDS[key]: ids.floor(moment) for key, moment in bounds.items()})


_BOUNDS = {"since": "id__gte", "until": "id__lt"}


@transaction.atomic
def replay(rows: QuerySet[WebhookReceipt]) -> int:
    """Have the oldest of `rows` applied again, `LIMIT` at most; their number.

    Those whose body was erased with a person are left out, and so are those that wait anyway.
    """
    able = rows.exclude(body=b"").exclude(_IN[State.WAITING]).order_by("id")
    chosen = list(able.values_list("id", flat=True)[:LIMIT])
    done = WebhookReceipt.objects.filter(id__in=chosen).update(
        processed_at=None, tries=0, next_try_at=timezone.now(), error=""
    )
    transaction.on_commit(queue.ring, robust=True)
    return done
