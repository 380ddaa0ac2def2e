"""The queue of outgoing webhooks: claimed, and written down what came of each call.

A claim moves `next_try_at` to where it runs out, so what a dead worker held comes again; `tries`
tells claims apart.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction

from commsproject.common import alerts, clock
from commsproject.common.arrays import uuids
from commsproject.common.egress import Answer
from tracking.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tracking.services import webhook_signing
from tracking.services.endpoints import alert_key

log = structlog.get_logger(__name__)

PER_ENDPOINT = 10
"""Calls that one process has out to one endpoint: a slow one holds these and no others."""

HELD = 4 * PER_ENDPOINT
"""Deliveries to one endpoint that a process has claimed: enough to keep its calls busy."""

LEASE = timedelta(seconds=60)
"""Longer than all that is held takes where each call takes all its time."""

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 64_800, 82_800)
)
"""Between the tries, give or take a fifth: three days together."""

GIVEN_UP_AFTER = timedelta(days=5)
"""Of nothing but failures; then the endpoint is switched off."""

GONE = 410


@dataclass(frozen=True)
class Call:
    """One delivery that this process is to make now."""

    id: UUID
    endpoint_id: UUID
    url: str
    event_id: str
    body: bytes
    tries: int
    round: int
    secrets: Sequence[str]


@dataclass(frozen=True)
class Result:
    call: Call
    answer: Answer

    @property
    def is_taken(self) -> bool:
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def error(self) -> str:
        """Why it does not count as taken; empty if it does."""
        if self.is_taken:
            return ""
        return self.answer.error or f"It answered {self.answer.status}."


_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT waiting.id, endpoint.id AS endpoint_id, endpoint.url, endpoint.secret_number,
        endpoint.previous_until
    FROM tracking_webhookendpoint endpoint
    LEFT JOIN unnest(%(busy)s::uuid[], %(calls)s::int[]) AS out (endpoint_id, calls)
        ON out.endpoint_id = endpoint.id
    LEFT JOIN common_apiclient client ON client.id = endpoint.client_id
    CROSS JOIN LATERAL (
        SELECT id FROM tracking_webhookdelivery delivery
        WHERE delivery.endpoint_id = endpoint.id
            AND delivery.next_try_at <= clock_timestamp()
        ORDER BY delivery.next_try_at, delivery.id
        LIMIT greatest(%(room)s - coalesce(out.calls, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) AS waiting
    WHERE endpoint.is_active AND client.is_active IS NOT false
)
UPDATE tracking_webhookdelivery delivery
SET tries = delivery.tries + 1, next_try_at = clock_timestamp() + %(lease)s
FROM due WHERE delivery.id = due.id
RETURNING delivery.id, due.endpoint_id, due.url, delivery.event_id, delivery.body, delivery.tries,
    delivery.round, due.secret_number, due.previous_until
"""


def claim(out: Mapping[UUID, int]) -> list[Call]:
    """What is due, while there is room for its endpoint; `out` says how many each has now."""
    values: dict[str, Any] = {
        "busy": uuids(out),
        "calls": list(out.values()),
        "room": HELD,
        "lease": LEASE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        rows = cursor.fetchall()
    if not rows:
        return []
    now = clock.now()
    return [_call(row, now) for row in sorted(rows, key=lambda row: row[0])]


def _call(row: tuple[Any, ...], now: datetime) -> Call:
    id_, endpoint_id, url, event_id, body, tries, round_, number, previous_until = row
    secrets = webhook_signing.valid(endpoint_id, number, previous_until, now)
    return Call(id_, endpoint_id, url, event_id, body.encode(), tries, round_, secrets)


_DONE = """
UPDATE tracking_webhookdelivery delivery
SET next_try_at = new.next_try_at, delivered_at = new.delivered_at, status = new.status,
    error = new.error
FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[])
    AS new (id, tries, next_try_at, delivered_at, status, error)
WHERE delivery.id = new.id AND delivery.tries = new.tries
"""


def record(results: Collection[Result]) -> None:
    """What came of calls; one whose claim has run out changes nothing but the log of tries."""
    ordered = sorted(results, key=lambda result: result.call.id)
    now = clock.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                _DONE,
                [
                    uuids(one.call.id for one in ordered),
                    [one.call.tries for one in ordered],
                    [None if one.is_taken else _again(one, now) for one in ordered],
                    [now if one.is_taken else None for one in ordered],
                    [one.answer.status for one in ordered],
                    [one.error[:200] for one in ordered],
                ],
            )
        known = WebhookDelivery.objects.filter(id__in=[one.call.id for one in ordered])
        present = set(known.values_list("id", flat=True))
        WebhookAttempt.objects.bulk_create(
            WebhookAttempt(
                delivery_id=one.call.id,
                number=one.call.tries,
                at=now - timedelta(seconds=one.answer.seconds),
                status=one.answer.status,
                latency_ms=round(one.answer.seconds * 1000),
                error=one.error[:200],
                answer=one.answer.text[:500],
            )
            for one in ordered
            if one.call.id in present
        )
    _note_health(ordered, now)


def _again(result: Result, now: datetime) -> datetime | None:
    """When it is tried again; None: it is given up."""
    made = result.call.tries - result.call.round
    if made > len(WAITS):
        return None
    wait = WAITS[made - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    asked = timedelta(seconds=min(result.answer.retry_after or 0, 3600))
    return now + max(wait, asked)


def _note_health(results: Sequence[Result], now: datetime) -> None:
    by_endpoint: dict[UUID, list[Result]] = {}
    for result in results:
        by_endpoint.setdefault(result.call.endpoint_id, []).append(result)
    for endpoint_id, some in by_endpoint.items():
        mine = WebhookEndpoint.objects.filter(id=endpoint_id)
        if any(one.is_taken for one in some):
            mine.exclude(failing_since=None).update(failing_since=None)
            continue
        mine.filter(failing_since=None).update(failing_since=now)
        if any(one.answer.status == GONE for one in some):
            _switch_off(endpoint_id, "It answered 410: it is gone for good.")
        elif mine.filter(failing_since__lte=now - GIVEN_UP_AFTER).exists():
            _switch_off(endpoint_id, "Nothing but failures for five days.")


def _switch_off(endpoint_id: UUID, why: str) -> None:
    mine = WebhookEndpoint.objects.filter(id=endpoint_id, is_active=True)
    if mine.update(is_active=False, disabled_reason=why):
        log.warning("webhook endpoint switched off", endpoint=str(endpoint_id))
        alerts.raise_once(
            alert_key(endpoint_id),
            severity=alerts.Severity.WARNING,
            title="A webhook endpoint was switched off",
            detail=f"{why} What waits for it is sent when it is switched on again.",
        )
