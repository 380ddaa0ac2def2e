"""What staff wait for: lists and pages of the console, with a million messages stored."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from tests.performance import latency
from tests.performance.report import Figures, percentile
from tests.performance.world import SETTINGS, Failed, World

MESSAGES = 1_000_000
TIMES = 30
PASSWORD = "only for the benchmark"

_PAGES = {
    "home": "",
    "messages": "notifications/notification/",
    "messages, page 20": "notifications/notification/?p=20",
    "messages of a day": "notifications/notification/?age=day",
    "messages by text": "notifications/notification/?channel=sms",
    "messages that failed": "notifications/notification/?state=failed",
    "messages that never were": "notifications/notification/?state=unconfirmed&age=month",
    "messages, urgent": "notifications/notification/?priority__exact=urgent",
    "message by reference": "notifications/notification/?q=r-500000",
    "message by address": "notifications/notification/?q=p500000%40example.com",
    "recipients": "notifications/recipient/",
    "batches": "notifications/batch/",
    "dead letters": "notifications/deadletter/",
    "suppressions": "notifications/suppression/",
    "queues": "notifications/work/",
}


def measure(world: World) -> Figures:
    """The slowest and the middle of all pages, and the p95 of each in milliseconds."""
    env = {"DJANGO_SETTINGS_MODULE": SETTINGS}
    world.empty()
    _fill(world)
    with latency.web_process(world, **env) as (port, _):
        staff = signed_in(world, port)
        took = {
            name: _timed(staff, f"http://127.0.0.1:{port}/admin/{path}")
            for name, path in _PAGES.items()
        }
    p95 = {name: percentile(times, 0.95) * 1e3 for name, times in took.items()}
    every = sorted(time for times in took.values() for time in times)
    return {
        "p50 ms": percentile(every, 0.5) * 1e3,
        "p95 ms": percentile(every, 0.95) * 1e3,
        **{f"{name} p95 ms": value for name, value in p95.items()},
    }


def signed_in(world: World, port: int) -> urllib.request.OpenerDirector:
    """A member of staff, who may see everything."""
    make = (
        "from django.contrib.auth.models import User;"
        f"User.objects.create_superuser('bench', password={PASSWORD!r})"
        " if not User.objects.filter(username='bench').exists() else None"
    )
    world.manage("shell", "-c", make)
    home = f"http://127.0.0.1:{port}/admin/"
    staff = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with staff.open(f"{home}login/") as form:
        found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', form.read().decode())
    token = found[1] if found else ""
    fields: Mapping[str, str] = {
        "username": "bench",
        "password": PASSWORD,
        "csrfmiddlewaretoken": token,
        "next": "/admin/",
    }
    with staff.open(f"{home}login/", urlencode(fields).encode()) as answer:
        if "/login/" in answer.url:
            raise Failed("the benchmark cannot sign in")
    return staff


def _timed(staff: urllib.request.OpenerDirector, url: str) -> list[float]:
    took = []
    for number in range(TIMES + 3):
        started = time.perf_counter()
        with staff.open(url, timeout=60) as answer:
            answer.read()
        if number > 2:  # the first ones load templates and fill caches
            took.append(time.perf_counter() - started)
    return sorted(took)


def _fill(world: World) -> None:
    """A month of one agent's messages; one in 500 failed, one in 20,000 is urgent, a third by SMS."""
    client = world.database.execute(b"SELECT id FROM common_apiclient LIMIT 1").fetchone()
    if client is None:
        raise Failed("there is no agent")
    spread = "(n - %(all)s) * interval '30 days' / %(all)s"
    values = {"all": MESSAGES, "client": client[0]}
    for statement in (_PEOPLE, _MESSAGES, _DELIVERIES, _ATTEMPTS):
        world.database.execute(statement.replace("{spread}", spread).encode(), values)
    for table in ("notification", "delivery", "attempt", "recipient"):
        world.database.execute(f"VACUUM ANALYZE notifications_{table}".encode())


_PEOPLE = """
INSERT INTO notifications_recipient (id, user_id, locale, time_zone, data, created_at)
SELECT uuidv7({spread} * 10), 'u-' || n, '', '', '{}', now() FROM generate_series(1, 100000) AS n
"""

_MESSAGES = """
INSERT INTO notifications_notification (id, client_id, content, locale, time_zone, priority, agent_id,
    reference, idempotency_key, tags, reply_to, attachments, metadata, created_at)
SELECT uuidv7({spread}), %(client)s,
    '{"email": {"subject": "Your order", "text": "It is on its way."}}', '', '',
    CASE WHEN n %% 20000 = 0 THEN 'urgent' ELSE 'normal' END, '', 'r-' || n, '', '{}', '', '[]', '{}',
    now() + {spread}
FROM generate_series(1, %(all)s) AS n
"""

_DELIVERIES = """
INSERT INTO notifications_delivery (id, notification_id, channel, address, address_hash, state, reason,
    attempts_made, provider, provider_ref, created_at, updated_at)
SELECT uuidv7((created_at - now())), id,
    CASE WHEN n %% 3 = 0 THEN 'sms' ELSE 'email' END, 'p' || n || '@example.com', md5(n::text),
    CASE WHEN n %% 500 = 0 THEN 'failed' ELSE 'delivered' END, '', 1, 'simulator', id::text,
    created_at, created_at
FROM (SELECT id, created_at, substr(reference, 3)::int AS n FROM notifications_notification) AS made
"""

_ATTEMPTS = """
INSERT INTO notifications_attempt (id, delivery_id, work_id, token, number, provider, state, error_class,
    code, detail, provider_ref, started_at)
SELECT uuidv7((created_at - now())), id, id, 1, 1, 'simulator', 'accepted', '', '', '', id::text,
    created_at
FROM notifications_delivery
"""
