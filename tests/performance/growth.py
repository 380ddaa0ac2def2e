"""What a year of messages costs: everything that reads or writes them, with 1, 5 and 20 million stored.

Rows are made by SQL; what is measured goes through the service's own functions, its web process and
its console. How the figures are drawn on: `growth_curve`.
"""

from __future__ import annotations

import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from tests.performance import console, growth_curve, growth_rows, latency, sinks
from tests.performance.report import Figures, percentile
from tests.performance.world import SETTINGS, World

SIZES = (1_000_000, 5_000_000, 20_000_000)
TIMES = 30
PATIENCE = 20.0
"""Seconds for one question, over and over: what takes seconds is asked a few times only."""


def measure(world: World, sizes: Sequence[int] = SIZES) -> Figures:
    """Each figure at each size (`claim of one p95 ms at 1,000,000`), and drawn on."""
    figures: dict[str, float] = {
        f"{name} at {size:,}": value
        for size in sizes
        for name, value in measure_at(world, size).items()
    }
    return {**figures, **growth_curve.drawn_on(figures)}


def measure_at(world: World, size: int) -> Figures:
    growth_rows.fill(world, size)
    return {
        **_sizes(world, size),
        **_pages(world),
        **_service(world, "engine"),
        **_kept_up(world),
    }


def _kept_up(world: World) -> Figures:
    """What goes on in the background. The ledger has to add up before rows are deleted, and after."""
    audit = _seconds(lambda: world.manage("audit"))
    retention = _service(world, "retention")
    vacuum = sum(_seconds(partial(_vacuum, world, table)) for table in growth_rows.TABLES)
    world.manage("audit")
    return {"audit s": audit, **retention, "vacuum s": vacuum}


def _vacuum(world: World, table: str) -> None:
    """With its indexes, which PostgreSQL leaves for later where little was deleted."""
    world.database.execute(f"VACUUM (ANALYZE, INDEX_CLEANUP ON) {table}".encode())


def _service(world: World, part: str) -> Figures:
    module = "tests.performance.growth_service"
    with world.sender(f"growth-{part}", module, {"part": part}, **sinks.Sink.env) as child:
        return child.go()


def _sizes(world: World, size: int) -> Figures:
    rows = list(world.database.execute(_SIZES, [list(growth_rows.TABLES)]))
    tables, indexes = (sum(row[column] for row in rows) for column in (1, 2))
    return {
        "tables GB": tables / 1e9,
        "indexes GB": indexes / 1e9,
        "bytes a message": (tables + indexes) / size,
        **{
            f"{name}, bytes a message": (heap + index) / size
            for name, heap, index in rows
            if (heap + index) / size > 50
        },
    }


_SIZES = b"""
SELECT split_part(name, '_', 2), pg_table_size(name::regclass), pg_indexes_size(name::regclass)
FROM unnest(%s::text[]) AS name
"""


# --- What is looked at -------------------------------------------------------------------------


def _pages(world: World) -> Figures:
    found: dict[str, float] = {}
    with latency.web_process(world, DJANGO_SETTINGS_MODULE=SETTINGS) as (port, _):
        agent = urllib.request.build_opener()
        agent.addheaders = [("Authorization", f"Bearer {world.api_key}")]
        staff = console.signed_in(world, port)
        for name, urls in _lists(world, f"http://127.0.0.1:{port}").items():
            took = _took(staff if name.startswith("console") else agent, urls)
            found[f"{name} p50 ms"] = percentile(took, 0.5) * 1e3
            found[f"{name} p95 ms"] = percentile(took, 0.95) * 1e3
    return found


def _lists(world: World, base: str) -> Mapping[str, Sequence[str]]:
    api, admin = f"{base}/api/v1/notifications", f"{base}/admin/notifications/notification/"
    mine = list(world.database.execute(_SOME, [TIMES]))
    ids = [str(row[0]) for row in mine]
    references = [row[1] for row in mine if row[1]]
    people = [row[2] for row in mine if row[2]]
    addresses = [f"person-{person[2:]}@example.org" for person in people]
    just_now = quote((datetime.now(UTC) - timedelta(minutes=1)).isoformat())
    return {
        "list, first page": [api],
        "list, half a year back": [f"{api}?cursor={_cursor(id_)}" for id_ in ids],
        "list by status delivered": [f"{api}?status=delivered"],
        "list by status dead": [f"{api}?status=dead"],
        "list by status queued": [f"{api}?status=queued"],
        "list by reference": [f"{api}?reference={one}" for one in references],
        "list by person": [f"{api}?user_id={one}" for one in people],
        "list since a minute": [f"{api}?created_after={just_now}"],
        "one message": [f"{api}/{id_}" for id_ in ids],
        "console, messages": [admin],
        "console, page 20": [f"{admin}?p=20"],
        "console, failed": [f"{admin}?state=failed"],
        "console, search a reference": [f"{admin}?q={one}" for one in references],
        "console, search a person": [f"{admin}?q={one}" for one in people],
        "console, search an address": [f"{admin}?q={quote(one)}" for one in addresses],
        "console, one message": [f"{admin}{id_}/change/" for id_ in ids],
    }


def _cursor(position: str) -> str:
    return quote(b64encode(f"p={position}".encode()).decode())


_SOME = b"""
SELECT chosen.id, reference, user_id FROM (
    SELECT message.id, reference, recipient_id
    FROM growth_given, generate_series(1, 1000) AS n, LATERAL (
        SELECT id, reference, recipient_id FROM notifications_notification
        WHERE id >= growth_key(now_ms - 180 * 86400000::bigint - n * 1000003, 0, 0)
          AND client_id = agents[1] AND batch_id IS NULL
        ORDER BY id LIMIT 1) AS message
    GROUP BY 1, 2, 3 LIMIT %s) AS chosen
LEFT JOIN notifications_recipient AS person ON person.id = chosen.recipient_id
"""


def _took(asker: urllib.request.OpenerDirector, urls: Sequence[str]) -> list[float]:
    """What each answer took, the first three not counted: they load code and fill caches."""
    took = []
    deadline = time.monotonic() + PATIENCE
    for number, url in enumerate(_over_and_over(urls)):
        seconds = _seconds(partial(_read, asker, url))
        is_late = time.monotonic() > deadline
        if number > 2 or is_late:
            took.append(seconds)
        if is_late or len(took) == TIMES:
            return took
    raise AssertionError("there is always another question")


def _read(asker: urllib.request.OpenerDirector, url: str) -> None:
    with asker.open(url, timeout=90) as answer:
        answer.read()


def _over_and_over(urls: Sequence[str]) -> Iterator[str]:
    while True:
        yield from urls


def _seconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started
