"""How long an agent waits: for an answer, for an urgent message during a bulk, for a huge batch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlencode

from tests.performance import content, ours, sinks
from tests.performance.client import Connection, upload
from tests.performance.prepare import CATEGORY
from tests.performance.profiler import Profiler
from tests.performance.report import Figures, percentile
from tests.performance.world import ROOT, Child, Failed, World, free_port, memory

WEBS = 2
"""Web processes: as many as cores, and as the deployment's pages begin with."""
CLIENTS = (1, 16, 64)
SECONDS = 5.0
WARM_UP = 1.0

BULK = 50_000
URGENT_EVERY = 0.1
"""Seconds between two urgent messages, however long each takes."""

ROWS = 1_000_000
PIECE = 5000
SAMPLE = 0.05


# --- The answer ------------------------------------------------------------------------------


def submission(world: World, profiler: Profiler | None = None) -> Figures:
    """`POST notifications` by 64 clients to two web processes while no worker runs; then by 1, 16 and
    64 while the workers send all that.
    """
    figures: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        world.empty()
        env = sinks.Sink.env
        webs = [stack.enter_context(web_process(world, **env)) for _ in range(WEBS)]
        ports = [port for port, _ in webs]
        parts = {"web": [web for _, web in webs]}
        if profiler:
            stack.enter_context(profiler.watching(webs[0][1], "submission"))
        figures |= _answered(world, ports, parts, max(CLIENTS), "no worker runs")
        workers = stack.enter_context(world.workers("urgent", count=1, env=env))
        workers += stack.enter_context(world.workers("normal", "bulk", count=1, env=env))
        ours.wait_until_idle(world, _accepted(world), workers)
        for clients in CLIENTS:
            figures |= _answered(
                world, ports, {**parts, "workers": workers}, clients, "workers send"
            )
        posted = _accepted(world)
        ours.wait_until_idle(world, posted, workers)
    ours.check(world, posted)
    return figures


def _answered(
    world: World,
    ports: Sequence[int],
    parts: Mapping[str, Sequence[Child]],
    clients: int,
    what: str,
) -> Figures:
    asyncio.run(_load(world, ports, clients, WARM_UP))
    before = world.cpu(parts)
    times = asyncio.run(_load(world, ports, clients, SECONDS))
    after = world.cpu(parts)
    name = f"{clients:2} clients, {what}"
    return {
        f"{name}; requests/s": len(times) / SECONDS,
        f"{name}; p50 ms": percentile(times, 0.5) * 1e3,
        f"{name}; p99 ms": percentile(times, 0.99) * 1e3,
        **{
            f"{name}; CPU us {part}": (after[part] - before[part]) / len(times) * 1e6
            for part in [*parts, "postgres"]
        },
    }


async def _load(world: World, ports: Sequence[int], clients: int, seconds: float) -> list[float]:
    """What each request took."""
    times: list[float] = []
    first = _accepted(world)  # the keys are new
    deadline = time.monotonic() + seconds

    async def agent(number: int) -> None:
        body = _message(content.address(number), "bench-loops", priority="normal")
        async with Connection(ports[number % len(ports)], world.api_key) as connection:
            turn = 0
            while time.monotonic() < deadline:
                turn += 1
                times.append(await connection.notify(body, f"{first}-{number}-{turn}"))

    await asyncio.gather(*(agent(number) for number in range(clients)))
    return times


def _accepted(world: World) -> int:
    return world.number("SELECT count(*) FROM notifications_notification")


def _message(to: str, template: str, priority: str) -> bytes:
    return json.dumps(
        {
            "to": {"email": to},
            "channels": ["email"],
            "template": template,
            "data": {**content.SHARED, **content.own(1)},
            "locale": "en",
            "category": CATEGORY,
            "priority": priority,
            "agent_id": "bench",
            "reference": "order-1",
            "metadata": {"order": "1"},
        }
    ).encode()


@contextlib.contextmanager
def web_process(world: World, **env: str) -> Iterator[tuple[int, Child]]:
    """The web process as `make run` starts it."""
    port = free_port()
    command = [sys.executable, str(ROOT / "manage.py"), "web"]
    with world.running("web", command, **{**env, "PORT": str(port)}) as child:
        world.wait(lambda: sinks.listens(port), 30, [child])
        yield port, child


# --- Urgent during bulk ------------------------------------------------------------------------


def urgent(world: World) -> Figures:
    """From the POST of an urgent message to its arrival at the sink, while a bulk goes out."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sinks.of_kind(world, "http"))
        assert isinstance(sink, sinks.HttpSink)
        world.empty()
        port, _ = stack.enter_context(web_process(world, **sink.env))
        workers = stack.enter_context(world.workers("urgent", count=1, env=sink.env))
        workers += stack.enter_context(world.workers("normal", "bulk", env=sink.env))
        agent = stack.enter_context(ours.sender(world, "bench-loops", BULK, sink.env))
        asyncio.run(_probes(world, port, 10, threading.Event()))  # connections, templates
        over = threading.Event()
        started = time.monotonic()
        bulk = threading.Thread(target=agent.go)
        bulk.start()
        watch = threading.Thread(target=_until_sent, args=(world, BULK, over, bulk))
        watch.start()
        posted = asyncio.run(_probes(world, port, 10**6, over, first=10))
        seconds = time.monotonic() - started
        watch.join()
        ours.wait_until_idle(world, BULK, workers)
        seen = sink.probes()
        if missing := posted.keys() - seen.keys():
            raise Failed(f"{len(missing)} urgent messages never came")
    ours.check(world, BULK + 10 + len(posted))
    times = [seen[number] - at for number, at in posted.items()]
    return {
        "urgent messages": len(times),
        "p50 ms": percentile(times, 0.5) * 1e3,
        "p95 ms": percentile(times, 0.95) * 1e3,
        "p99 ms": percentile(times, 0.99) * 1e3,
        "slowest ms": max(times) * 1e3,
        "bulk messages a second meanwhile": BULK / seconds,
    }


def _until_sent(world: World, count: int, over: threading.Event, bulk: threading.Thread) -> None:
    """Set `over` when the bulk has been accepted and nothing of it is left."""
    left = "SELECT count(*) FROM notifications_work WHERE lane = 'bulk'"
    try:
        bulk.join()
        with world.another_connection() as look:
            deadline = time.monotonic() + ours.PATIENCE + count / ours.SLOWEST
            while next(iter(look.execute(left.encode())))[0] and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        over.set()


async def _probes(
    world: World, port: int, count: int, over: threading.Event, first: int = 0
) -> dict[int, float]:
    """Number to the moment of its POST, of at most `count`, until `over`."""
    posted: dict[int, float] = {}
    under_way: list[asyncio.Task[None]] = []

    async def post(number: int) -> None:
        body = _message(f"probe-{number}@example.org", "bench-loops", priority="urgent")
        posted[number] = time.monotonic()
        async with Connection(port, world.api_key) as connection:
            await connection.notify(body, f"probe-{number}")

    next_at = time.monotonic()
    for number in range(first, first + count):
        if over.is_set():
            break
        under_way.append(asyncio.create_task(post(number)))
        next_at += URGENT_EVERY
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    await asyncio.gather(*under_way)
    return posted


# --- A million rows ----------------------------------------------------------------------------


def million(world: World, rows: int = ROWS) -> Figures:
    """One `POST batches` of NDJSON: rows a second until the 202, and what the web process grew by."""
    shared = json.dumps(content.SHARED)
    asked = {"template": "bench-loops", "category": CATEGORY, "data": shared}
    with contextlib.ExitStack() as stack:
        world.empty()
        port, web = stack.enter_context(web_process(world, **sinks.Sink.env))
        query = urlencode(asked, quote_via=quote)
        upload(port, world.api_key, query, _pieces(PIECE))  # connections, templates
        world.empty()
        before = memory([web])
        with _peak([web]) as peak:
            started = time.monotonic()
            batch = upload(port, world.api_key, query, _pieces(rows))
            seconds = time.monotonic() - started
        if (batch["received"], batch["rejected"]) != (rows, 0):
            raise Failed(f"received {batch['received']}, rejected {batch['rejected']} of {rows}")
    if (stored := _accepted(world)) != rows:
        raise Failed(f"of {rows} rows {stored} are stored")
    return {
        "rows": rows,
        "rows accepted/s": rows / seconds,
        "web MB before": before / 1e6,
        "web MB growth": (max(peak) - before) / 1e6,
    }


def _pieces(rows: int) -> Iterator[bytes]:
    for start in range(0, rows, PIECE):
        yield content.ndjson(range(start, min(rows, start + PIECE)))


@contextlib.contextmanager
def _peak(children: list[Child]) -> Iterator[list[int]]:
    """Resident bytes, sampled while the block runs."""
    samples = [memory(children)]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE):
            samples.append(memory(children))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
