"""Later steps of a message: another channel, where the ones before it did not do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from commsproject.common import clock
from commsproject.common.arrays import uuids
from commsproject.common.errors import InvalidInput
from notifications import policy, queue
from notifications.models import Category, FallbackStep, Work
from notifications.services.status import StatusChange
from notifications.states import PENDING, State
from notifications.types import Channel, Lane, Unless

LONGEST = 30 * 24 * 3600
"""Seconds that a step may wait."""


@dataclass(frozen=True)
class Step:
    """`after` seconds from the start on `channel`, unless by then it was ..."""

    channel: Channel
    after: int
    unless: Unless

    @property
    def delay(self) -> timedelta:
        return timedelta(seconds=self.after)


def steps(category: Category | None) -> list[Step]:
    if category is None:
        return []
    return [
        Step(Channel(one["channel"]), one["after"], Unless(one["unless"]))
        for one in category.fallback
    ]


def check(value: Any, channels: Collection[str]) -> None:
    """Raises `InvalidInput` with what is wrong with a category's `fallback`."""
    if not isinstance(value, list):
        raise InvalidInput.of("fallback", "invalid", "A list of steps is wanted.")
    if value and not channels:
        raise InvalidInput.of("channels", "required", "Name the channels that are tried first.")
    seen = set(channels)
    for index, one in enumerate(value):
        _check_step(f"fallback.{index}", one)
        if one["channel"] in seen:
            raise InvalidInput.of(
                f"fallback.{index}.channel", "repeated", "Each channel is used once."
            )
        seen.add(one["channel"])


def _check_step(field: str, one: Any) -> None:
    if not isinstance(one, dict) or one.keys() != {"channel", "after", "unless"}:
        raise InvalidInput.of(field, "invalid", "A step has channel, after (seconds) and unless.")
    if one["channel"] not in Channel.values:
        raise InvalidInput.of(f"{field}.channel", "invalid_choice", "There is no such channel.")
    if one["unless"] not in Unless.values:
        raise InvalidInput.of(
            f"{field}.unless", "invalid_choice", f"One of {', '.join(Unless.values)}."
        )
    after = one["after"]
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= LONGEST:
        raise InvalidInput.of(
            f"{field}.after", "invalid", f"A whole number of seconds, {LONGEST} at most."
        )


def write(rows: Iterable[FallbackStep]) -> None:
    """With the deliveries."""
    FallbackStep.objects.bulk_create(rows)


_STEPS = """
SELECT step.delivery_id, step.notification_id, step.number, step.unless, step.due_at
FROM notifications_fallbackstep AS step WHERE step.delivery_id = ANY(%s::uuid[])
"""

_BEFORE = """
SELECT delivery.notification_id, coalesce(step.number, 0), delivery.state,
       EXISTS (SELECT FROM notifications_event AS event
               WHERE event.delivery_id = delivery.id AND event.type IN ('opened', 'clicked')
                 AND NOT event.data @> '{"machine": true}')
FROM notifications_delivery AS delivery
LEFT JOIN notifications_fallbackstep AS step ON step.delivery_id = delivery.id
WHERE delivery.notification_id = ANY(%s::uuid[])
"""


def due(
    delivery_ids: Iterable[UUID], now: datetime
) -> Mapping[UUID, policy.Refusal | policy.Delay]:
    """Which of the deliveries are steps that are not to be sent now, and why."""
    with connection.cursor() as cursor:
        cursor.execute(_STEPS, [uuids(delivery_ids)])
        found = cursor.fetchall()
        if not found:
            return {}
        cursor.execute(_BEFORE, [uuids({row[1] for row in found})])
        siblings: dict[UUID, list[tuple[int, State, bool]]] = defaultdict(list)
        for notification, number, state, was_read in cursor.fetchall():
            siblings[notification].append((number, State(state), was_read))
    answers: dict[UUID, policy.Refusal | policy.Delay] = {}
    for delivery, notification, number, unless, due_at in found:
        all_of_it = siblings[notification]
        before = [state for place, state, _ in all_of_it if place < number]
        was_read = any(read for _, _, read in all_of_it)
        if answer := policy.step(Unless(unless), due_at, now, before, was_read=was_read):
            answers[delivery] = answer
    return answers


_FAILED = set(State) - PENDING - {State.SENT, State.DELIVERED, State.CANCELLED}


def hurry(changes: Sequence[StatusChange]) -> None:
    """Deliveries have failed for good: the steps after them need not wait any longer. In the
    transaction of the change; work that somebody claims just now asks by itself.
    """
    failed = {change.notification_id for change in changes if change.state in _FAILED}
    if not failed:
        return
    steps = FallbackStep.objects.filter(notification__in=failed)
    if not (works := list(steps.values_list("work_id", flat=True))):
        return
    now = clock.now()
    waiting = Work.objects.select_for_update(no_key=True, skip_locked=True).filter(
        id__in=works, due_at__gt=now, lease_until=None
    )
    found = dict(waiting.values_list("id", "lane"))
    Work.objects.filter(id__in=found).update(due_at=now)
    for lane in set(found.values()):
        transaction.on_commit(partial(queue.ring, Lane(lane)), robust=True)
