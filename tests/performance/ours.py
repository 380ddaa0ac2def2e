"""End to end through this service: accepted, rendered, taken by a provider, recorded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.performance import sinks
from tests.performance.profiler import Profiler
from tests.performance.report import CPU, RATE, Figures
from tests.performance.world import Child, Failed, Sender, World, memory

PATIENCE = 60.0
SLOWEST = 300.0
"""Seconds for a measurement to end, and messages a second on top: whatever is slower hangs."""
WARM_UP = 2000


@dataclass(frozen=True)
class Mode:
    """A way of sending, by the template and the sink of these names."""

    key: str
    title: str
    template: str
    sink: str
    count: int


MODES = [
    Mode("a", "(a) SendGrid, provider batches", "bench-substitutes", "http", 200_000),
    Mode("b", "(b) SendGrid, a call each", "bench-loops", "http", 60_000),
    Mode("b50", "(b) SendGrid, a call each, 50 ms", "bench-loops", "http50", 60_000),
    Mode("c", "(c) SMTP", "bench-loops", "smtp", 30_000),
    Mode("d", "(d) null provider", "bench-substitutes", "none", 200_000),
]


def measure(world: World, mode: Mode, count: int, profiler: Profiler | None = None) -> Figures:
    """Send `count` messages. Raises `Failed` if one is lost or the ledger does not add up."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(sinks.of_kind(world, mode.sink))
        world.empty()
        workers = stack.enter_context(world.workers("normal", "bulk", env=sink.env))
        with sender(world, mode.template, WARM_UP, sink.env) as first:
            first.go()
            wait_until_idle(world, WARM_UP, workers)
        world.empty()
        agent = stack.enter_context(sender(world, mode.template, count, sink.env))
        parts: dict[str, Sequence[Child]] = {
            "accept": [agent],
            "workers": workers,
            "sink": sink.children,
        }
        taken, before = sink.messages(), world.cpu(parts)
        if profiler:
            stack.enter_context(profiler.watching(workers[0], mode.key))
            stack.enter_context(profiler.watching(agent, f"{mode.key}-accept"))
        started = time.monotonic()
        accepted = agent.go()["seconds"]
        wait_until_idle(world, count, workers)
        seconds = time.monotonic() - started
        after, found = world.cpu(parts), sink.messages()
        if found is not None and taken is not None and found - taken != count:
            raise Failed(f"the sink took {found - taken} messages of {count}")
        figures = {
            RATE: count / seconds,
            "accepted/s": count / accepted,
            "worker MB": memory(workers) / 1e6,
            **{CPU + name: (after[name] - before[name]) / count * 1e6 for name in after},
        }
    check(world, count)
    return figures


def check(world: World, count: int) -> None:
    """Every message is sent, with one accepted attempt, and the ledger adds up."""
    sent = "SELECT count(*) FROM notifications_delivery WHERE state = 'sent'"
    attempts = "SELECT count(*) FROM notifications_attempt WHERE state = 'accepted'"
    found = world.number(sent), world.number(attempts)
    if found != (count, count):
        raise Failed(f"of {count} messages {found[0]} are sent, by {found[1]} attempts")
    world.manage("audit")


def sender(
    world: World, template: str, count: int, env: Mapping[str, str]
) -> contextlib.AbstractContextManager[Sender]:
    spec = {"count": count, "template": template}
    return world.sender("sender", "tests.performance.sender", spec, **env)


def wait_until_idle(world: World, count: int, workers: list[Child]) -> None:
    """The queue is empty exactly when nothing is left to do: its rows go with the last outcome."""
    left = "SELECT count(*) FROM (SELECT FROM notifications_work LIMIT 1) AS one"
    try:
        world.wait(lambda: not world.number(left), PATIENCE + count / SLOWEST, workers)
    except TimeoutError as error:
        raise Failed(f"{error}: {_standing(world)}") from None


def _standing(world: World) -> str:
    states = "SELECT state, count(*) FROM notifications_delivery GROUP BY 1 ORDER BY 1"
    work = "SELECT count(*), min(due_at - now()), max(claims) FROM notifications_work"
    deliveries = ", ".join(f"{n} {state}" for state, n in world.database.execute(states))
    rows, due, claims = next(iter(world.database.execute(work)))
    return f"{deliveries}; {rows} work rows, the first due in {due}, claimed {claims} times at most"
