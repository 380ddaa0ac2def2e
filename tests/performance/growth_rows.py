"""Thirteen months of messages, by SQL: every row that is left of a message that was sent.

Half of them are one agent's, the rest seven others'. Seven in ten belong to batches, and each has
one delivery. What they say is kept for 30 days, rows for 400, keys for 7, webhooks for 30, as in
an installation whose retention is up to date but for the last days. Left out: what is not made for
each message, or belongs to the person (inbox, analytics).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from tests.performance.prepare import CLIENT
from tests.performance.world import World

DAYS = 405
"""Of 400 that are kept: five days' rows are to be deleted."""
CONTENT_DAYS = 33
"""Of 30 that are kept: three days' content is to be erased."""
AGENTS = 8
BATCH = 5000
"""Messages of a batch: every seven of ten go to one, until it is full."""
EACH = 20
"""Messages a person gets."""

TABLES = (
    *("notifications_notification", "notifications_delivery", "notifications_attempt"),
    *("notifications_event", "notifications_deadletter", "notifications_batch"),
    *("notifications_recipient", "notifications_address", "common_idempotencykey"),
    *("tracking_webhookreceipt", "tracking_bounce"),
)

# Keys that can be computed, so that no row has to be looked for: a time, a kind of row, a number.
_PREPARED = """
CREATE OR REPLACE FUNCTION growth_key(ms bigint, kind int, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE RETURN (
    '0' || to_hex((ms << 16) | 28672 | kind) || to_hex((-9223372036854775807 - 1) | n))::uuid;

CREATE OR REPLACE FUNCTION growth_draw(n bigint, salt int, below int) RETURNS int
LANGUAGE sql IMMUTABLE RETURN ((hashint8extended(n, salt) & 1073741823) % below)::int;

CREATE OR REPLACE FUNCTION growth_hash(person bigint) RETURNS text
LANGUAGE sql IMMUTABLE RETURN encode(sha256(('p' || person)::bytea), 'hex');

DROP TABLE IF EXISTS growth_given CASCADE;
CREATE TABLE growth_given (total bigint, people int, now timestamptz, now_ms bigint, days int,
    content_days int, size int, agents uuid[], category uuid, version uuid);

DROP TABLE IF EXISTS growth_count;
CREATE TABLE growth_count (batch_id uuid, state text, deliveries int);

CREATE VIEW growth_batch AS
SELECT batch, ms, to_timestamp(ms / 1000.0) AS at, growth_key(ms, 5, batch) AS batch_id,
    agents[CASE WHEN growth_draw(batch, 1, 2) = 0 THEN 1 ELSE 2 + growth_draw(batch, 2, 7) END]
        AS client_id, size, category, version
FROM (SELECT *, now_ms - floor(days * 86400000::float8
          * (1 - batch * size / 0.7::float8 / total))::bigint AS ms
      FROM growth_given, LATERAL generate_series(0, total * 7 / 10 / size) AS batch OFFSET 0) AS timed;

CREATE VIEW growth_delivery AS
SELECT n, ms, to_timestamp(ms / 1000.0) AS at, batch, person, now, now_ms, category, version,
    growth_key(ms, 1, n) AS id, growth_key(ms, 2, n) AS delivery_id,
    CASE WHEN batch IS NOT NULL THEN growth_key(now_ms - floor(days * 86400000::float8
        * (1 - batch * size / 0.7::float8 / total))::bigint, 5, batch) END AS batch_id,
    agents[CASE WHEN growth_draw(coalesce(batch, n), 1, 2) = 0 THEN 1
        ELSE 2 + growth_draw(coalesce(batch, n), 2, 7) END] AS client_id,
    ms > now_ms - content_days * 86400000::bigint AS has_content, coalesce(person, n) AS whose,
    (ARRAY['email', 'email', 'email', 'email', 'sms', 'push'])[1 + growth_draw(n, 5, 6)] AS channel,
    CASE WHEN drawn < 8500 THEN 'delivered' WHEN drawn < 9300 THEN 'sent'
         WHEN drawn < 9500 THEN 'bounced' WHEN drawn < 9700 THEN 'suppressed'
         WHEN drawn < 9800 THEN 'failed' WHEN drawn < 9850 THEN 'expired'
         WHEN drawn < 9900 THEN 'cancelled' WHEN drawn < 9965 THEN 'unconfirmed'
         WHEN drawn < 9995 THEN 'dead' ELSE 'complained' END AS state
FROM (SELECT *, now_ms - floor(days * 86400000::float8 * (1 - n / total::float8))::bigint AS ms,
          CASE WHEN n % 10 < 7 THEN n * 7 / 10 / size END AS batch,
          CASE WHEN growth_draw(n, 3, 10) < 8 THEN growth_draw(n, 4, people) END AS person,
          growth_draw(n, 6, 10000) AS drawn
      FROM growth_given, LATERAL generate_series(current_setting('growth.low')::bigint,
          current_setting('growth.high')::bigint) AS n
      OFFSET 0) AS drawn;
"""

_STEP = """
DROP TABLE IF EXISTS growth_step;
CREATE TEMP TABLE growth_step AS SELECT * FROM growth_delivery;
"""

_PEOPLE = """
INSERT INTO notifications_recipient (id, user_id, locale, time_zone, data, created_at)
SELECT growth_key(now_ms, 3, k), 'u-' || k, 'en', 'Europe/Paris', '{"plan": "basic"}', now
FROM growth_given, generate_series(0, people - 1) AS k
"""

_ADDRESSES = """
INSERT INTO notifications_address (id, recipient_id, channel, value, created_at)
SELECT growth_key(now_ms, 4, k), growth_key(now_ms, 3, k), 'email', 'person-' || k || '@example.org', now
FROM growth_given, generate_series(0, people - 1) AS k
"""

_BATCHES = """
INSERT INTO notifications_batch (id, client_id, state, template_version_id, category_id, data,
    created_at, agent_id, channels, counts, heard_at, finished_at, idempotency_key, locale, metadata,
    priority, reason, received, reference, rejected, reply_to, started_at, tags, composer)
SELECT batch_id, client_id, 'done', version, category, '{}', at, '', '{email}',
    '{}', at, at, '', '', '{}', 'bulk', '', size, '', 0, '', at,
    '{}', ''
FROM growth_batch
"""

_NOTIFICATION = """
INSERT INTO notifications_notification (id, client_id, batch_id, row, recipient_id, category_id,
    template_version_id, data, locale, time_zone, priority, agent_id, reference, idempotency_key,
    tags, reply_to, attachments, metadata, created_at, erased_at)
SELECT id, client_id, batch_id, CASE WHEN is_alone THEN NULL ELSE n % 10000 END,
    growth_key(now_ms, 3, person), category, version,
    CASE WHEN has_content THEN jsonb_build_object('first', 'Ada ' || n, 'last', 'O''Neil & Sons',
        'number', 'A-' || n, 'total', '129.90', 'vip', n % 2 = 0)
        || CASE WHEN is_alone THEN jsonb_build_object('line1', '1 Main Street', 'city', 'Oslo',
            'zip', '0150', 'country', 'NO', 'url', 'https://example.org/orders/' || n) ELSE '{}' END
    END,
    'en', CASE WHEN person IS NULL THEN '' ELSE 'Europe/Paris' END,
    CASE WHEN NOT is_alone THEN 'bulk' WHEN n % 100 = 9 THEN 'urgent' ELSE 'normal' END,
    CASE WHEN is_alone THEN 'agent-7' ELSE '' END, CASE WHEN is_alone THEN 'order-' || n ELSE '' END,
    CASE WHEN is_alone THEN 'key-' || n ELSE '' END, '{}', '', '[]', '{}', at,
    CASE WHEN NOT has_content THEN at + interval '30 days' END
FROM (SELECT *, batch IS NULL AS is_alone FROM growth_step) AS message
"""

_DELIVERY = """
INSERT INTO notifications_delivery (id, notification_id, channel, address, address_hash, state, reason,
    attempts_made, provider, provider_ref, created_at, updated_at)
SELECT delivery_id, id, channel,
    CASE WHEN NOT has_content THEN '' WHEN channel = 'sms' THEN '+33612' || lpad(whose::text, 6, '0')
         ELSE 'person-' || whose || '@example.org' END,
    growth_hash(whose), state,
    CASE WHEN state IN ('suppressed', 'bounced', 'failed') THEN 'mailbox unavailable' ELSE '' END,
    CASE WHEN NOT called THEN 0 WHEN state = 'dead' OR n % 33 = 0 THEN 2 ELSE 1 END,
    CASE WHEN called THEN 'sendgrid' ELSE '' END,
    CASE WHEN called THEN substr(md5(n::text), 1, 22) ELSE '' END, at, at + interval '5 seconds'
FROM (SELECT *, state NOT IN ('suppressed', 'expired', 'cancelled') AS called FROM growth_step) AS one
"""

_ATTEMPT = """
INSERT INTO notifications_attempt (id, delivery_id, work_id, token, number, provider, state, error_class,
    code, detail, http_status, provider_ref, cost, segments, started_at, ended_at)
SELECT growth_key(ms + 1000 * number, 6, 2 * n + number), delivery_id,
    growth_key(ms, 7, coalesce(batch, n)), 1, number + 1, 'sendgrid',
    CASE WHEN number < last OR state = 'dead' THEN 'failed' WHEN state = 'failed' THEN 'rejected'
         WHEN state = 'unconfirmed' THEN 'unknown' ELSE 'accepted' END,
    CASE WHEN number < last OR state = 'dead' THEN 'temporary'
         WHEN state = 'failed' THEN 'permanent_recipient' ELSE '' END, '', '', 202,
    substr(md5(n::text), 1, 22), CASE WHEN channel = 'sms' THEN 0.04500 END,
    CASE WHEN channel = 'sms' THEN 1 END, at + number * interval '1 second',
    at + number * interval '1 second' + interval '80 milliseconds'
FROM (SELECT *, CASE WHEN state = 'dead' OR n % 33 = 0 THEN 1 ELSE 0 END AS last FROM growth_step
      WHERE state NOT IN ('suppressed', 'expired', 'cancelled')) AS called,
    LATERAL generate_series(0, last) AS number
"""

_EVENT = """
INSERT INTO notifications_event (id, delivery_id, type, at, recorded_at, provider, attempt_id, dedupe, code,
    detail, data)
SELECT growth_key(ms + 20000, 8, 4 * n + number), delivery_id, type, at + after,
    at + after, CASE WHEN reported THEN 'sendgrid' ELSE '' END,
    CASE WHEN reported THEN growth_key(ms, 6, 2 * n) END,
    CASE WHEN reported THEN md5(n || type) END, '',
    CASE WHEN has_content AND reported THEN '250 2.0.0 OK 1763798400 queued' ELSE '' END,
    CASE WHEN has_content AND type = 'opened' THEN '{"machine": false}'::jsonb ELSE '{}' END
FROM growth_step, LATERAL (
    SELECT 0 AS number, state AS type, interval '20 seconds' AS after,
        state IN ('delivered', 'bounced', 'complained') AS reported
    WHERE state NOT IN ('sent', 'failed')
    UNION ALL SELECT 1, 'opened', interval '1 hour', true WHERE state = 'delivered' AND n % 10 = 0
    UNION ALL SELECT 2, 'clicked', interval '61 minutes', true WHERE state = 'delivered' AND n % 50 = 0
) AS happened
"""

_DEAD_LETTER = """
INSERT INTO notifications_deadletter (id, delivery_id, error_class, code, reason, providers, created_at, address)
SELECT growth_key(ms, 9, n), delivery_id, 'temporary', '', 'retries used up', '{sendgrid}', at, ''
FROM growth_step WHERE state = 'dead'
"""

_BOUNCE = """
INSERT INTO tracking_bounce (id, delivery_id, event_id, channel, address_hash, kind, provider, code, detail,
    at, created_at, category, sender)
SELECT growth_key(ms, 10, n), delivery_id, growth_key(ms + 20000, 8, 4 * n), channel,
    growth_hash(whose), 'hard', 'sendgrid', '550', '', at, at,
    'bench', ''
FROM growth_step WHERE state = 'bounced' AND has_content
"""

_KEY = """
INSERT INTO common_idempotencykey (id, client_id, key, fingerprint, response, created_at)
SELECT growth_key(ms, 11, n), client_id, 'key-' || n, sha256(n::text::bytea),
    jsonb_build_object('id', id, 'status', 'queued', 'deliveries', jsonb_build_array(jsonb_build_object(
        'id', delivery_id, 'channel', 'email', 'to', 'person@example.org',
        'status', 'queued', 'reason', ''))), at
FROM growth_step WHERE batch IS NULL AND at > now - interval '7 days'
"""

_RECEIPT = """
INSERT INTO tracking_webhookreceipt (id, provider, dedupe, path, body, received_at, processed_at, tries,
    next_try_at, error)
SELECT growth_key(ms, 12, n), 'sendgrid', encode(sha256(n::text::bytea), 'hex'), '/webhooks/sendgrid/',
    (SELECT string_agg(sha512((n || ':' || k)::bytea), '{"event":"delivered","timestamp":1763798400,'::bytea)
     FROM generate_series(1, 60) AS k), at, at, 1, at, ''
FROM growth_step WHERE n % 20 = 0 AND at > now - interval '30 days'
"""

_COUNT = """
INSERT INTO growth_count SELECT batch_id, state, count(*) FROM growth_step
WHERE batch IS NOT NULL GROUP BY batch_id, state
"""

_COUNTED = b"""
UPDATE notifications_batch AS batch SET counts = counted.counts
FROM (SELECT batch_id, jsonb_object_agg(state, deliveries) AS counts
      FROM (SELECT batch_id, state, sum(deliveries) AS deliveries FROM growth_count
            GROUP BY batch_id, state) AS summed
      GROUP BY batch_id) AS counted
WHERE counted.batch_id = batch.id
"""

_MORE_AGENTS = """
INSERT INTO common_apiclient (id, name, is_active, created_at)
SELECT uuidv7(), name, true, now() FROM unnest(%s::text[]) AS name
ON CONFLICT (name) DO NOTHING
"""

_ALL_AGENTS = """
SELECT id FROM common_apiclient JOIN unnest(%s::text[]) WITH ORDINALITY AS wanted (name, place)
USING (name) ORDER BY place
"""

_GIVEN = b"""
INSERT INTO growth_given (total, people, now, now_ms, days, content_days, size, agents, category, version)
SELECT %s, %s, now(), extract(epoch FROM now()) * 1000, %s, %s, %s, %s, (SELECT id FROM notifications_category LIMIT 1),
    (SELECT id FROM templates_app_templateversion LIMIT 1)
"""

_MARKS = """
UPDATE notifications_category SET content_days = 30;
DELETE FROM notifications_contentmark;
INSERT INTO notifications_contentmark (category_id, stage, days, upto)
SELECT category, 'all', 30, growth_key(now_ms - content_days * 86400000::bigint, 0, 0) FROM growth_given
UNION ALL SELECT NULL, 'all', 90, growth_key(now_ms - 90 * 86400000::bigint, 0, 0) FROM growth_given
"""

_INDEXES = """
SELECT 'DROP INDEX ' || indexname, indexdef FROM pg_indexes
WHERE tablename = ANY(%s) AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conindid = indexname::regclass)
UNION ALL
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
    format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname,
        pg_get_constraintdef(oid))
FROM pg_constraint WHERE conname = 'event_once_per_provider'
"""

_SESSION = b"""
SET statement_timeout = 0; SET synchronous_commit = off; SET jit = off;
SET maintenance_work_mem = '512MB'; SET temp_buffers = '64MB';
SET session_replication_role = replica  -- keys lead somewhere by construction
"""

_WRITERS = (
    (_NOTIFICATION, _ATTEMPT, _DEAD_LETTER, _BOUNCE),
    (_DELIVERY, _EVENT, _KEY, _RECEIPT, _COUNT),
)
"""Side by side, each with tables of its own."""
STEP = 100_000
"""Messages of one transaction."""


def fill(world: World, total: int) -> None:
    """Exactly `total` messages, and nothing else; vacuumed and analysed."""
    ask = world.database.execute
    ask(_SESSION)
    ask(f"TRUNCATE {', '.join(TABLES)} CASCADE".encode())
    indexes = _without_indexes(world)
    ask(_PREPARED.encode())
    ask(_GIVEN, [total, total // EACH, DAYS, CONTENT_DAYS, BATCH, _agents(world)])
    for statement in (_PEOPLE, _ADDRESSES, _BATCHES):
        ask(statement.encode())
    with ThreadPoolExecutor(len(_WRITERS)) as threads:
        list(threads.map(partial(_write, world, total), _WRITERS))
        ask(_COUNTED)
        ask(_MARKS.encode())
        list(threads.map(partial(_apart, world), indexes))
        vacuums = [f"VACUUM (FREEZE, ANALYZE) {table}" for table in TABLES]
        list(threads.map(partial(_apart, world), vacuums))
    ask(b"CHECKPOINT")


def _write(world: World, total: int, statements: Sequence[str]) -> None:
    with world.another_connection() as connection:
        connection.execute(_SESSION)
        for low in range(1, total + 1, STEP):
            high = min(total, low + STEP - 1)
            connection.execute(f"SET growth.low = {low}; SET growth.high = {high}".encode())
            connection.execute(_STEP.encode())
            for statement in statements:
                connection.execute(statement.encode())


def _apart(world: World, statement: str) -> None:
    with world.another_connection() as connection:
        connection.execute(_SESSION)
        connection.execute(statement.encode())


def _agents(world: World) -> list[UUID]:
    """The first is the one that has an API key."""
    ask = world.database.execute
    others = [f"growth-{number}" for number in range(1, AGENTS)]
    ask(_MORE_AGENTS.encode(), [others])
    return [id_ for (id_,) in ask(_ALL_AGENTS.encode(), [[CLIENT, *others]])]


def _without_indexes(world: World) -> list[str]:
    """Drop those that cost most while rows go in; how to make them again."""
    found = world.database.execute(_INDEXES.encode(), [list(TABLES)]).fetchall()
    for drop, _ in found:
        world.database.execute(drop.encode())
    return [definition for _, definition in found]
