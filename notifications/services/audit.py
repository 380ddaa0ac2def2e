"""Does the ledger add up? Each invariant is one query that finds the rows that break it.

Read-only and safe on a running system: rows that are in motion are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from notifications.states import PENDING, REPORTED, State


@dataclass(frozen=True)
class Finding:
    """One row that breaks the invariant `rule`; `row` names its table and id."""

    rule: str
    row: str
    detail: str


_CALLED = (
    State.UNKNOWN,
    State.SENT,
    State.DELIVERED,
    State.BOUNCED,
    State.COMPLAINED,
    State.FAILED,
    State.DEAD,
    State.UNCONFIRMED,
)
"""States that only a provider call leads to."""

_RULES = {
    "lost_work": """
        SELECT 'delivery ' || delivery.id,
               delivery.state || ', named by ' || count(work.id) || ' work rows instead of one'
        FROM notifications_delivery AS delivery
        LEFT JOIN (SELECT id AS work_id, unnest(ids) AS id FROM notifications_work) AS work
               ON work.id = delivery.id
        WHERE delivery.state = ANY(%(pending)s)
        GROUP BY delivery.id HAVING count(work.id) <> 1""",
    "dangling_work": """
        SELECT 'work ' || work.id, 'names delivery ' || work.delivery || ', which does not exist'
        FROM (SELECT id, unnest(ids) AS delivery FROM notifications_work) AS work
        WHERE NOT EXISTS (SELECT FROM notifications_delivery WHERE id = work.delivery)""",
    "stuck_lease": """
        SELECT 'work ' || id, 'lease until ' || lease_until || ', token ' || token
        FROM notifications_work
        WHERE lease_until < now() - interval '1 minute'
           OR lease_until > now() + 10 * %(lease)s * interval '1 second'""",
    "missing_attempt": """
        SELECT 'delivery ' || delivery.id, delivery.state || ' without any attempt'
        FROM notifications_delivery AS delivery
        WHERE delivery.state = ANY(%(called)s)
          AND NOT EXISTS (SELECT FROM notifications_attempt WHERE delivery_id = delivery.id)""",
    "unproven_state": """
        SELECT 'delivery ' || delivery.id, delivery.state || ', but no attempt was accepted'
        FROM notifications_delivery AS delivery
        WHERE delivery.state = ANY(%(lattice)s)
          AND EXISTS (SELECT FROM notifications_attempt WHERE delivery_id = delivery.id)
          AND NOT EXISTS (SELECT FROM notifications_attempt
                          WHERE delivery_id = delivery.id AND state IN ('accepted', 'calling'))
          AND NOT EXISTS (SELECT FROM notifications_event
                          WHERE delivery_id = delivery.id AND provider <> ''
                            AND type = ANY(%(lattice)s))""",
    "double_number": """
        SELECT 'delivery ' || delivery_id, count(*) || ' attempts have the number ' || number
        FROM notifications_attempt GROUP BY delivery_id, number HAVING count(*) > 1""",
    "empty_notification": """
        SELECT 'notification ' || notification.id, 'has no delivery'
        FROM notifications_notification AS notification
        WHERE NOT EXISTS (SELECT FROM notifications_delivery
                          WHERE notification_id = notification.id)""",
    "wrong_count": """
        SELECT 'delivery ' || delivery.id,
               'counts ' || delivery.attempts_made || ' attempts, there are ' || count(attempt.id)
        FROM notifications_delivery AS delivery
        LEFT JOIN notifications_attempt AS attempt ON attempt.delivery_id = delivery.id
        GROUP BY delivery.id
        HAVING delivery.attempts_made <> count(attempt.id)
           AND count(*) FILTER (WHERE attempt.state = 'calling') = 0""",
    "open_attempt": """
        SELECT 'attempt ' || attempt.id, 'calling since ' || attempt.started_at || ', nobody is'
        FROM notifications_attempt AS attempt
        WHERE attempt.state = 'calling'
          AND attempt.started_at < now() - interval '1 minute'
          AND NOT EXISTS (
              SELECT FROM notifications_work AS work
              WHERE work.id = attempt.work_id AND work.token = attempt.token
                AND work.lease_until > now())""",
    "missing_dead_letter": """
        SELECT 'delivery ' || delivery.id, 'dead without a dead letter'
        FROM notifications_delivery AS delivery
        WHERE delivery.state = 'dead'
          AND NOT EXISTS (SELECT FROM notifications_deadletter WHERE delivery_id = delivery.id)""",
    "state_below_report": """
        SELECT 'delivery ' || delivery.id, delivery.state || ', but ' || event.type || ' was reported'
        FROM notifications_event AS event
        JOIN notifications_delivery AS delivery ON delivery.id = event.delivery_id
        WHERE event.type = ANY(%(lattice)s) AND event.provider <> ''
          AND coalesce(array_position(%(lattice)s, delivery.state), 0)
              < array_position(%(lattice)s, event.type)""",
}


def findings() -> Iterator[Finding]:
    """Every row that breaks an invariant."""
    values: dict[str, list[str] | float] = {
        "pending": [state.value for state in PENDING],
        "called": [state.value for state in _CALLED],
        "lattice": [event.value for event in REPORTED],
        "lease": settings.LEASE_SECONDS,
    }
    for rule, query in _RULES.items():
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            for row, detail in cursor.fetchall():
                yield Finding(rule, row, detail)
