"""Shift weight away from providers that fail or are slow, and back. Run by the scheduler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction

from commsproject.common import clock, ids
from notifications import shares
from notifications.models import ProviderChange, ProviderState
from notifications.shares import Observed

log = structlog.get_logger(__name__)

_CALLS = """
SELECT provider, count(*), count(*) FILTER (WHERE state IN ('failed', 'unknown'))
FROM notifications_attempt
WHERE id >= %s AND state <> 'calling' AND code NOT IN ('halted', 'lease_lost', 'process_lost')
GROUP BY provider
"""
"""Without what was not called, and without those of a worker that died: both say nothing of a vendor."""

_RECEIPTS = """
SELECT attempt.provider, count(*), count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM notifications_event AS event
    WHERE event.delivery_id = attempt.delivery_id AND event.attempt_id = attempt.id
      AND event.type IN ('delivered', 'bounced')
      AND event.at <= attempt.started_at + %(slow)s))
FROM (
    SELECT * FROM notifications_attempt
    WHERE id >= %(since)s AND id < %(until)s AND state = 'accepted' ORDER BY id LIMIT 200
) AS attempt
GROUP BY attempt.provider
"""
"""A sample of one minute's messages: all of a busy quarter of an hour would be too many to read."""

_REPORTING = """
SELECT name FROM notifications_providerstate AS provider
WHERE EXISTS (SELECT FROM notifications_event WHERE provider = name)
"""
"""Who has ever sent a receipt."""


def run() -> None:
    """One look at all providers that have a weight."""
    rows = ProviderState.objects.filter(weight__gt=0)
    if not rows.exists():
        return
    now = clock.now()
    seen = _observed(now)
    for row in rows:
        if shares.after(row.health, row.health_changed_at, seen.get(row.name, Observed()), now):
            _change(row.name, seen.get(row.name, Observed()), now)


@transaction.atomic
def _change(name: str, seen: Observed, now: datetime) -> None:
    row = ProviderState.objects.select_for_update(no_key=True).get(name=name)
    change = shares.after(row.health, row.health_changed_at, seen, now)
    if change is None:
        return
    was, row.health, row.health_changed_at = row.health, change.health, now
    row.save(update_fields=["health", "health_changed_at"])
    ProviderChange.objects.create(
        provider=row,
        at=now,
        was=f"health {was} %",
        now=f"health {change.health} %",
        reason=change.reason,
    )
    log.warning("provider health", provider=name, was=was, now=change.health)


def _observed(now: datetime) -> Mapping[str, Observed]:
    slow: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, [ids.floor(now - shares.ERRORS_IN)])
        calls = {name: (made, failed) for name, made, failed in cursor.fetchall()}
        cursor.execute(_REPORTING)
        reporting = {name for (name,) in cursor.fetchall()}
        start = now - shares.SLOW_IN
        while start < now - shares.SLOW:
            minute: dict[str, Any] = {
                "slow": shares.SLOW,
                "since": ids.floor(start),
                "until": ids.floor(start + timedelta(minutes=1)),
            }
            cursor.execute(_RECEIPTS, minute)
            for name, messages, late in cursor.fetchall():
                if name in reporting:
                    slow[name] = (slow[name][0] + messages, slow[name][1] + late)
            start += timedelta(minutes=1)
    return {name: Observed(*calls.get(name, (0, 0)), *slow[name]) for name in {*calls, *slow}}
