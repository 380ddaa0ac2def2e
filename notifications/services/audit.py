"""Does the ledger add up? Each invariant is one query that finds the rows that break it.

Read-only and safe on a running system: rows that are in motion are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from notifications.models import Work
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
    State.UNCONFIRMED,
)
"""States that only a provider call leads to. What killed its workers is `dead` without one, what
nobody can carry `failed` without a provider.
"""

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
    "dangling_reference": """
        SELECT 'notification ' || notification.id, 'refers to a row that does not exist'
        FROM notifications_notification AS notification
        LEFT JOIN common_apiclient AS client ON client.id = client_id
        LEFT JOIN notifications_batch AS batch ON batch.id = batch_id
        LEFT JOIN notifications_category AS category ON category.id = notification.category_id
        LEFT JOIN notifications_recipient AS recipient ON recipient.id = recipient_id
        LEFT JOIN templates_app_templateversion AS version
               ON version.id = notification.template_version_id
        WHERE client.id IS NULL
           OR batch_id IS NOT NULL AND batch.id IS NULL
           OR notification.category_id IS NOT NULL AND category.id IS NULL
           OR recipient_id IS NOT NULL AND recipient.id IS NULL
           OR notification.template_version_id IS NOT NULL AND version.id IS NULL
        UNION ALL
        SELECT 'delivery ' || delivery.id, 'of a notification that does not exist'
        FROM notifications_delivery AS delivery
        WHERE NOT EXISTS (SELECT FROM notifications_notification WHERE id = notification_id)
        UNION ALL
        SELECT 'attempt ' || attempt.id, 'for a delivery that does not exist'
        FROM notifications_attempt AS attempt
        WHERE NOT EXISTS (SELECT FROM notifications_delivery WHERE id = delivery_id)""",
    "stuck_lease": """
        SELECT 'work ' || id, 'lease until ' || lease_until || ', token ' || token
        FROM notifications_work
        WHERE lease_until < now() - interval '1 minute'
           OR lease_until > now() + 10 * %(lease)s * interval '1 second'""",
    "missing_attempt": """
        SELECT 'delivery ' || delivery.id, delivery.state || ' without any attempt'
        FROM notifications_delivery AS delivery
        WHERE delivery.state = ANY(%(called)s)
          AND (delivery.state <> 'failed' OR delivery.provider <> '')
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
    "lost_replay": """
        SELECT 'dead letter ' || letter.id,
               'replayed by ' || count(delivery.id) || ' deliveries instead of one'
        FROM notifications_deadletter AS letter
        LEFT JOIN notifications_delivery AS delivery ON delivery.replay_of_id = letter.delivery_id
        WHERE letter.replayed_at IS NOT NULL
        GROUP BY letter.id HAVING count(delivery.id) <> 1""",
    "untold_replay": """
        SELECT 'delivery ' || delivery.id,
               'replays delivery ' || delivery.replay_of_id || ', whose dead letter knows of none'
        FROM notifications_delivery AS delivery
        WHERE delivery.replay_of_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM notifications_deadletter
                          WHERE delivery_id = delivery.replay_of_id
                            AND replayed_at IS NOT NULL)""",
    "foreign_replay": """
        SELECT 'delivery ' || new.id, 'replays a delivery of another message or channel'
        FROM notifications_delivery AS new
        JOIN notifications_delivery AS old ON old.id = new.replay_of_id
        WHERE new.notification_id <> old.notification_id OR new.channel <> old.channel""",
    "wrong_work": """
        SELECT 'work ' || work.id, 'names ' || size || ' deliveries, suspect: ' || suspect
        FROM notifications_work AS work
        WHERE size NOT BETWEEN 1 AND %(chunk)s OR suspect AND size > 1
           OR flow <> CASE kind WHEN 'send' THEN coalesce(batch_id, client_id) ELSE client_id END""",
    "foreign_work": """
        SELECT 'work ' || work.id, 'carries delivery ' || delivery.id || ' of another queue'
        FROM (SELECT *, unnest(ids) AS named FROM notifications_work) AS work
        JOIN notifications_delivery AS delivery ON delivery.id = work.named
        JOIN notifications_notification AS notification
          ON notification.id = delivery.notification_id
        WHERE delivery.channel <> work.channel OR notification.priority <> work.lane
           OR notification.client_id <> work.client_id
           OR notification.batch_id IS DISTINCT FROM work.batch_id""",
    "forgotten_hold": """
        SELECT 'work ' || work.id, 'held, though its batch is ' || coalesce(batch.state, 'none')
        FROM notifications_work AS work
        LEFT JOIN notifications_batch AS batch ON batch.id = work.batch_id
        WHERE work.held AND (batch.id IS NULL OR batch.finished_at IS NOT NULL)""",
    "early_end": """
        SELECT 'batch ' || batch.id, batch.state || ', with work left'
        FROM notifications_batch AS batch
        WHERE batch.finished_at IS NOT NULL AND batch.state = 'done'
          AND EXISTS (SELECT FROM notifications_work AS work
                      JOIN notifications_delivery AS delivery ON delivery.id = ANY(work.ids)
                      WHERE work.batch_id = batch.id AND delivery.replay_of_id IS NULL)""",
    "wrong_batch_count": """
        WITH told AS (
            SELECT batch_id, state, sum(n) AS n FROM (
                SELECT id AS batch_id, key AS state, value::bigint AS n
                FROM notifications_batch, jsonb_each_text(counts)
                UNION ALL
                SELECT batch_id, key, value::bigint
                FROM notifications_batchdelta, jsonb_each_text(counts)
            ) AS parts GROUP BY batch_id, state HAVING sum(n) <> 0
        ), real AS (
            SELECT notification.batch_id, delivery.state, count(*) AS n
            FROM notifications_notification AS notification
            JOIN notifications_delivery AS delivery ON delivery.notification_id = notification.id
            WHERE notification.batch_id IS NOT NULL GROUP BY 1, 2
        )
        SELECT 'batch ' || coalesce(told.batch_id, real.batch_id),
               'counts ' || coalesce(told.n, 0) || ' as ' || coalesce(told.state, real.state)
               || ', there are ' || coalesce(real.n, 0)
        FROM told FULL JOIN real ON real.batch_id = told.batch_id AND real.state = told.state
        WHERE told.n IS DISTINCT FROM real.n""",
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
    for rule, query in _RULES.items():
        with connection.cursor() as cursor:
            cursor.execute(query, _values())
            for row, detail in cursor.fetchall():
                yield Finding(rule, row, detail)


def _values() -> dict[str, list[str] | float]:
    return {
        "pending": [state.value for state in PENDING],
        "called": [state.value for state in _CALLED],
        "lattice": [event.value for event in REPORTED],
        "lease": settings.LEASE_SECONDS,
        "chunk": Work.LIMIT,
    }
