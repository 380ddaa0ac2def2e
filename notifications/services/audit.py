"""Does the ledger add up? Each invariant is one query that finds the rows that break it.

Read-only and safe on a running system: rows that are in motion are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from notifications.models import Work
from notifications.states import BEST, PENDING, REPORTED, State


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
        WHERE told.n IS DISTINCT FROM real.n
          AND NOT EXISTS (SELECT FROM notifications_batch AS old
                          WHERE old.id = told.batch_id
                            AND old.created_at < now() - %(statistics)s * interval '1 day')""",
    "wrong_inbox_count": """
        WITH real AS (
            SELECT recipient_id,
                   count(*) FILTER (WHERE place = 'inbox' AND seen_at IS NULL) AS unseen,
                   count(*) FILTER (WHERE place = 'inbox' AND read_at IS NULL) AS unread,
                   count(*) FILTER (WHERE place = 'snoozed') AS snoozed
            FROM notifications_inboxitem GROUP BY recipient_id
        )
        SELECT 'inbox ' || coalesce(inbox.recipient_id, real.recipient_id),
               concat('counts ', concat_ws('/', inbox.unseen, inbox.unread, inbox.snoozed),
                      ' unseen/unread/snoozed, there are ',
                      concat_ws('/', real.unseen, real.unread, real.snoozed))
        FROM notifications_inbox AS inbox
        FULL JOIN real ON real.recipient_id = inbox.recipient_id
        WHERE (coalesce(inbox.unseen, 0), coalesce(inbox.unread, 0), coalesce(inbox.snoozed, 0))
           <> (coalesce(real.unseen, 0), coalesce(real.unread, 0), coalesce(real.snoozed, 0))""",
    "wrong_inbox_tag": """
        WITH real AS (
            SELECT recipient_id, tag, count(*) FILTER (WHERE seen_at IS NULL) AS unseen,
                   count(*) FILTER (WHERE read_at IS NULL) AS unread
            FROM notifications_inboxitem, unnest(tags) AS tag
            WHERE place = 'inbox' AND (seen_at IS NULL OR read_at IS NULL)
            GROUP BY recipient_id, tag
        )
        SELECT 'inbox ' || coalesce(told.recipient_id, real.recipient_id),
               concat('counts ', concat_ws('/', told.unseen, told.unread), ' unseen/unread of tag ',
                      coalesce(told.tag, real.tag), ', there are ',
                      concat_ws('/', real.unseen, real.unread))
        FROM notifications_inboxtag AS told
        FULL JOIN real ON real.recipient_id = told.recipient_id AND real.tag = told.tag
        WHERE (told.unseen, told.unread) IS DISTINCT FROM (real.unseen, real.unread)""",
    "wrong_inbox_seq": """
        SELECT 'inbox item ' || item.id,
               concat('has number ', item.seq, ' of ', inbox.seq, ' that were given')
        FROM notifications_inboxitem AS item
        LEFT JOIN notifications_inbox AS inbox ON inbox.recipient_id = item.recipient_id
        WHERE item.seq > coalesce(inbox.seq, 0) OR item.seq < 1""",
    "forgotten_announcement": """
        SELECT 'inbox item ' || item.id, 'outlives announcement ' || announcement.id
        FROM notifications_announcement AS announcement
        JOIN notifications_inboxitem AS item ON item.announcement_id = announcement.id
        WHERE announcement.state = 'ended' AND item.place <> 'gone'
          AND item.expires_at > announcement.ends_at
          AND (is_called_back OR announcement.ends_at < now() - interval '10 minutes')""",
    "missing_inbox_item": """
        SELECT 'delivery ' || delivery.id, 'delivered in the app, but in nobody''s inbox'
        FROM notifications_delivery AS delivery
        JOIN notifications_notification AS notification
          ON notification.id = delivery.notification_id
        WHERE delivery.channel = 'inapp' AND delivery.state = 'delivered'
          AND notification.recipient_id IS NOT NULL
          AND delivery.updated_at > now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM notifications_inboxitem WHERE id = delivery.id)""",
    "erased_letter": """
        SELECT 'dead letter ' || letter.id, 'keeps edited data of a message that was erased'
        FROM notifications_deadletter AS letter
        JOIN notifications_delivery AS delivery ON delivery.id = letter.delivery_id
        JOIN notifications_notification AS notification
          ON notification.id = delivery.notification_id
        WHERE letter.data IS NOT NULL AND notification.erased_at IS NOT NULL""",
    "state_below_report": """
        WITH copies AS (
            SELECT delivery_id, max(array_position(%(lattice)s::text[], type::text)) AS furthest
            FROM notifications_event
            WHERE type = ANY(%(lattice)s) AND provider <> '' GROUP BY delivery_id, attempt_id
        ), told AS (
            SELECT delivery_id,
                   max(array_position(%(best)s::text[], (%(lattice)s::text[])[furthest])) AS best
            FROM copies GROUP BY delivery_id
        )
        SELECT 'delivery ' || delivery.id,
               delivery.state || ', but ' || (%(best)s::text[])[told.best] || ' was reported'
        FROM told JOIN notifications_delivery AS delivery ON delivery.id = told.delivery_id
        WHERE array_position(%(best)s::text[], delivery.state::text) IS DISTINCT FROM told.best""",
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
        "best": [state.value for state in BEST],
        "lease": settings.LEASE_SECONDS,
        "statistics": settings.STATISTICS_DAYS,
        "chunk": Work.LIMIT,
    }
