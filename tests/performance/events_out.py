"""What others hear: from the outbox to the stream, and to a webhook endpoint."""

from __future__ import annotations

import contextlib
import time

from tests.performance import sinks
from tests.performance.report import Figures
from tests.performance.world import MANAGE, Failed, World

EVENTS = 100_000
PER_ROW = 100
TO_WEBHOOK = 10_000

_FILL = """
INSERT INTO common_outboxevent (id, type, items, at, is_handed)
SELECT uuidv7(), 'notification.sent', (
    SELECT jsonb_agg(jsonb_build_object(
        'notification_id', gen_random_uuid(), 'delivery_id', gen_random_uuid(), 'user_id', 'u-1',
        'channel', 'email', 'timestamp', now(), 'agent', gen_random_uuid(), 'reference', 'order'))
    FROM generate_series(1, %s)), now(), false
FROM generate_series(1, %s)
"""
_LEFT = "SELECT count(*) FROM common_outboxevent"
_ENDPOINT = """
INSERT INTO tracking_webhookendpoint (id, url, description, events, secret_number, is_active,
    disabled_reason, created_at)
VALUES (uuidv7(), %s, '', '{}', 1, true, '', now())
"""
_TAKEN = "SELECT count(*) FROM tracking_webhookdelivery WHERE delivered_at IS NOT NULL"


def measure(world: World) -> Figures:
    """Raises `Failed` unless every event got out."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sinks.of_kind(world, "http"))
        env = {"WEBHOOK_NETWORKS": "127.0.0.0/8"}
        world.empty()
        world.database.execute(_FILL, [PER_ROW, EVENTS // PER_ROW])
        scheduler = stack.enter_context(world.running("scheduler", [*MANAGE, "scheduler"], **env))
        parts = {"scheduler": [scheduler]}
        world.wait(lambda: world.number(_LEFT) < EVENTS // PER_ROW, 60, [scheduler])
        left, before, started = world.number(_LEFT), world.cpu(parts), time.monotonic()
        world.wait(lambda: not world.number(_LEFT), 120, [scheduler])
        seconds, after = time.monotonic() - started, world.cpu(parts)
        events = left * PER_ROW
        figures: dict[str, float] = {
            "to the stream, events/s": events / seconds,
            **{
                f"to the stream, {part} CPU us an event": (after[part] - before[part])
                / events
                * 1e6
                for part in after
            },
        }
        world.database.execute(_ENDPOINT, [sink.env["SENDGRID_API_URL"]])
        workers = stack.enter_context(world.workers("normal", count=1, env=env))
        world.database.execute(_FILL, [PER_ROW, TO_WEBHOOK // PER_ROW])
        started = time.monotonic()
        world.wait(lambda: world.number(_TAKEN) >= TO_WEBHOOK, 120, [scheduler, *workers])
        figures["to one webhook endpoint, events/s"] = TO_WEBHOOK / (time.monotonic() - started)
    failed = world.number("SELECT count(*) FROM tracking_webhookattempt WHERE status <> 202")
    if failed:
        raise Failed(f"{failed} calls of the endpoint failed")
    return figures
