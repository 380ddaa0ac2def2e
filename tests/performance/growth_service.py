"""What the service's own functions take while much is stored. Prints figures.

python -m tests.performance.growth_service '{"part": "engine"}'
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import django
from typing_extensions import override

from tests.performance import content
from tests.performance.prepare import CATEGORY, CLIENT
from tests.performance.report import Figures, percentile

WAITING = 300_000
"""Messages of their own that are due, of all agents, in so many flows each:"""
FLOWS = 25
TIMES = 200
BATCH = 10_000
EVENTS = 100
"""In one transaction, of messages of the last 30 days."""
RETENTION_SECONDS = 30.0


def main(part: str) -> None:
    django.setup()
    sys.stdout.write("ready\n")
    sys.stdin.readline()
    figures = _engine() if part == "engine" else _retention()
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdin.read()


def _engine() -> Figures:
    return {
        **_claims("claim of one", 1),
        **_claims("claim among 300,000", WAITING),
        **_submit_one(),
        **_submit_many(),
        **_windows(),
        **_events(),
    }


def _spread(name: str, took: list[float]) -> dict[str, float]:
    return {
        f"{name} p50 ms": percentile(took, 0.5) * 1e3,
        f"{name} p95 ms": percentile(took, 0.95) * 1e3,
    }


def _ask(query: str, *values: Any) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else None


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = function()
    return time.perf_counter() - started, found


# --- The queue ---------------------------------------------------------------------------------

_WAIT = """
INSERT INTO notifications_work (id, kind, lane, channel, client_id, flow, ids, due_at, held, suspect,
    token, claims)
SELECT uuidv7(), 'send', 'normal', 'email', agents[1 + n %% cardinality(agents)],
    growth_key(now_ms, 13, n %% %s), ARRAY[uuidv7()], now() - n * interval '1 millisecond', false,
    false, 0, 0
FROM growth_given, generate_series(1, %s) AS n
"""


def _claims(name: str, waiting: int) -> Figures:
    """Of as many as a lane has room for; each is given back."""
    from notifications import queue
    from notifications.services.pump import SLOTS
    from notifications.types import Lane

    _ask(_WAIT, FLOWS, waiting)
    _ask("VACUUM ANALYZE notifications_work")
    took = []
    for _ in range(TIMES):
        seconds, leases = _timed(partial(queue.claim, Lane.NORMAL, SLOTS))
        took.append(seconds)
        queue.give_back(leases)
    _ask("TRUNCATE notifications_work")
    return _spread(name, took)


# --- In ----------------------------------------------------------------------------------------


def _submit_one() -> Figures:
    from commsproject.common.models import ApiClient
    from notifications.services import submit
    from notifications.services.asked import Submission, Target
    from notifications.types import Channel

    client = ApiClient.objects.get(name=CLIENT)
    took = []
    for number in range(TIMES):
        asked = Submission(
            to=Target(f"u-{number * 37}", {Channel.EMAIL: f"person-{number * 37}@example.org"}),
            template="bench-loops",
            data={**content.SHARED, **content.own(number)},
            category=CATEGORY,
            reference=f"late-{number}",
            idempotency_key=uuid4().hex,
            fingerprint=bytes(32),
        )
        seconds, (result,) = _timed(partial(submit.accept, client, [asked]))
        if isinstance(result, Exception):
            raise result
        took.append(seconds)
    return _spread("submit one", took)


def _submit_many() -> Figures:
    from commsproject.common.models import ApiClient
    from notifications.api.rows import Stream, Uploaded, ndjson
    from notifications.services.bulk import BatchRequest, receive
    from notifications.types import Lane

    client = ApiClient.objects.get(name=CLIENT)
    request = BatchRequest(
        template="bench-substitutes", data=content.SHARED, category=CATEGORY, priority=Lane.BULK
    )
    upload = io.BytesIO(content.ndjson(range(BATCH)))
    seconds, _ = _timed(
        lambda: receive(client, request, Uploaded(Stream(upload, 2**30), ndjson)),
    )
    return {"submit 10,000, rows/s": BATCH / seconds}


# --- Through -----------------------------------------------------------------------------------


def _windows() -> Figures:
    """What the batch's chunks of 500 take of the database, each one window and one call."""
    from notifications import queue
    from notifications.types import Lane
    from tests import engine

    steps: dict[str, list[float]] = defaultdict(list)

    class Timed(engine.Inline):
        @override
        async def database(self, function: Callable[..., Any], *args: Any) -> Any:
            return await super().database(partial(self._note, function), *args)

        def _note(self, function: Callable[..., Any], *args: Any) -> Any:
            seconds, found = _timed(partial(function, *args))
            steps[function.__name__].append(seconds)
            return found

    while leases := queue.claim(Lane.BULK, 500):
        for lease in leases:
            engine.carry_out(lease, runner=Timed())
    engine.drain(Lane.NORMAL)
    return {
        **_spread("open a window of 500", steps["_open_window"]),
        **_spread("record 500 answers", steps["record"]),
    }


_ATTEMPTS = """
SELECT (SELECT id FROM notifications_attempt WHERE id >= growth_key(drawn.ms, 0, 0)
        ORDER BY id LIMIT 1)
FROM (SELECT now_ms - (random() * 2592000000)::bigint AS ms
      FROM growth_given, generate_series(1, %s) OFFSET 0) AS drawn
"""


def _events() -> Figures:
    from django.utils import timezone

    from notifications.services import status
    from notifications.types import EventType, ProviderEvent

    def told(attempt: UUID) -> ProviderEvent:
        return ProviderEvent(EventType.DELIVERED, timezone.now(), uuid4().hex, attempt)

    took = []
    attempts = [told(id_) for (id_,) in _ask(_ATTEMPTS, EVENTS * 30) if id_]
    for start in range(0, len(attempts), EVENTS):
        some = attempts[start : start + EVENTS]
        took.append(_timed(partial(status.apply, "sendgrid", some))[0])
    return _spread("apply 100 events", took)


# --- Out ---------------------------------------------------------------------------------------


def _retention() -> Figures:
    from django.utils import timezone

    from notifications.services import retention

    figures: dict[str, float] = {}
    now = timezone.now()
    of_messages = [one for one in retention.purges() if one.what == "notifications_notification"]
    for name, purge in zip(("erase", "delete"), of_messages, strict=True):
        rows, took = 0, [0.0]
        is_more = True
        while is_more and sum(took) < RETENTION_SECONDS:
            seconds, gone = _timed(partial(purge.step, now))
            took.append(seconds)
            rows, is_more = rows + gone.rows, gone.is_more
        figures |= {
            f"{name}, messages/s": rows / sum(took),
            f"{name} a step p95 ms": percentile(took, 0.95) * 1e3,
        }
    return figures


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
