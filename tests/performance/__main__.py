"""The benchmarks: `make bench`, or `make bench ARGS="--only d --count 20000 --rounds 1"`.

Exits non-zero where messages were lost or the ledger does not add up, never because of a speed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from tests.performance import (
    console,
    conversations,
    dashboard,
    events,
    events_out,
    fanout,
    growth,
    growth_curve,
    latency,
    limits,
    others,
    ours,
    report,
    sinks,
    templates,
)
from tests.performance.profiler import Profiler
from tests.performance.world import ROOT, Failed, World


@dataclass(frozen=True)
class Measurement:
    """`run` makes it once; `peers` are the keys of those that it is compared with, `plots` draw all
    rounds, by the names of their files. One that `takes_long` is made when asked for, and once.
    """

    title: str
    run: Callable[[], report.Figures]
    peers: tuple[str, ...] = ()
    plots: Mapping[str, Callable[[Sequence[report.Figures], Path], None]] = field(
        default_factory=dict
    )
    takes_long: bool = False


def measurements(
    world: World, count: int | None, rows: int, sizes: Sequence[int], profiler: Profiler | None
) -> dict[str, Measurement]:
    """All there are, ours and theirs in turn: a machine's moods meet both."""
    has_smtp = sinks.smtp_sink(world.directory) is not None
    if not has_smtp:
        sys.stderr.write("Without smtp-sink nothing of SMTP is measured.\n")
    found: dict[str, Measurement] = {}
    for mode in ours.MODES:
        if mode.sink == "smtp" and not has_smtp:
            continue
        peers = [other for other in others.OTHERS if other.sink == mode.sink]
        run = partial(ours.measure, world, mode, count or mode.count, profiler)
        found[mode.key] = Measurement(mode.title, run, tuple(other.key for other in peers))
        for other in peers:
            run = partial(others.measure, world, other, other.count)
            found.setdefault(other.key, Measurement(other.title, run))
    found["copy"] = Measurement("COPY into the tables", partial(limits.copy, world))
    found["http-sink"] = Measurement("The HTTP sink", partial(limits.http_sink, world))
    if has_smtp:
        found["smtp-sink"] = Measurement("The SMTP sink", partial(limits.smtp_sink, world))
    found["submission"] = Measurement(
        "POST notifications", partial(latency.submission, world, profiler)
    )
    found["urgent"] = Measurement("Urgent during a bulk", partial(latency.urgent, world))
    found["events-in"] = Measurement("Webhooks in", partial(events.measure, world, profiler))
    found["events-out"] = Measurement("Events out", partial(events_out.measure, world))
    found["templates"] = Measurement("Templates", partial(templates.rendering, world))
    for server in (fanout.OURS, *fanout.PEERS):
        run = partial(fanout.measure, world, server)
        found[server.key] = Measurement(server.title, run)
    found["sockets"] = Measurement("Idle sockets", partial(fanout.idle, world))
    found["chat"] = Measurement("A conversation, live", partial(conversations.chat, world))
    found["history"] = Measurement("Five million entries", partial(conversations.history, world))
    found["console"] = Measurement("Staff pages", partial(console.measure, world))
    found["dashboard"] = Measurement("Analytics", partial(dashboard.measure, world))
    found["million"] = Measurement("A batch in NDJSON", partial(latency.million, world, rows))
    found["growth"] = Measurement(
        "Messages stored",
        partial(growth.measure, world, sizes),
        plots={"growth.svg": growth_curve.draw},
        takes_long=True,
    )
    return found


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and everything with it
    with World(options.directory.absolute()) as world:
        world.prepare()
        profiler = Profiler(world.directory / "profiles") if options.profile else None
        sizes = [round(number * 1e6) for number in options.millions]
        found = measurements(world, options.count, options.rows, sizes, profiler)
        chosen = _chosen(found, options.only)
        results = report.Report(
            report.machine() | world.versions | {"HTTP sink": sinks.description(world.directory)}
        )
        for number in range(options.rounds):
            for key, one in chosen.items():
                if number == 0 or not one.takes_long:
                    _measure(key, one, results, f"{number + 1}/{options.rounds}")
        path = results.save(world.directory / "results")
        for key, one in chosen.items():
            for name in results.plots.get(key, ()):
                one.plots[name](results.figures[key], path.parent / name)
    sys.stdout.write(f"\n{results.text()}\nKept in {path} and beside it as JSON.\n")
    return 1 if results.errors else 0


def _chosen(found: dict[str, Measurement], keys: list[str] | None) -> dict[str, Measurement]:
    if unknown := set(keys or ()) - found.keys():
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join(found)}.")
    wanted = keys or [key for key, one in found.items() if not one.takes_long]
    return {key: one for key, one in found.items() if key in wanted}


def _measure(key: str, one: Measurement, results: report.Report, round_: str) -> None:
    """A measurement that fails is told of and does not stop the others."""
    results.titles[key] = one.title
    results.peers[key] = one.peers
    sys.stderr.write(f"{round_} {key}: ")
    sys.stderr.flush()
    try:
        figures = one.run()
    except (Failed, OSError, psycopg.Error) as error:
        results.errors.append(f"{key}: {error}")
        sys.stderr.write(f"FAILED: {error}\n")
    else:
        results.figures[key].append(figures)
        results.plots[key] = list(one.plots)
        shown = (f"{name} {value:,.6g}" for name, value in figures.items())
        sys.stderr.write(f"{', '.join(shown)}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add(
        "--only",
        nargs="+",
        metavar="KEY",
        help="the measurements to make (default: all but growth)",
    )
    add("--count", type=int, help="messages of each of our measurements (default: its own)")
    add(
        "--rows", type=int, default=latency.ROWS, help="rows of the huge batch (default: 1,000,000)"
    )
    add(
        "--millions",
        type=float,
        nargs="+",
        default=[size / 1e6 for size in growth.SIZES],
        help="messages that growth stores, one size after the other (default: 1 5 20; 1.8 GB each)",
    )
    add("--rounds", type=int, default=3)
    add(
        "--profile",
        action="store_true",
        help="where the agent, a worker and the web process spend their time",
    )
    add("--directory", type=Path, default=ROOT / ".data" / "bench", help="servers, logs, results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
