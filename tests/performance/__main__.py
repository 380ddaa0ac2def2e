"""The benchmarks: `make bench`, or `make bench ARGS="--only d --count 20000 --rounds 1"`.

Exits non-zero where messages were lost or the ledger does not add up, never because of a speed.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.performance import latency, limits, others, ours, report, sinks
from tests.performance.profiler import Profiler
from tests.performance.world import ROOT, Failed, World


@dataclass(frozen=True)
class Measurement:
    """`run` makes it once; `peers` are the keys of those that it is compared with."""

    key: str
    title: str
    run: Callable[[], report.Figures]
    peers: tuple[str, ...] = ()


def measurements(
    world: World, count: int | None, rows: int, profiler: Profiler | None
) -> list[Measurement]:
    """All there are, ours and theirs in turn: a machine's moods meet both."""
    found = []
    for mode in ours.MODES:
        peers = [other for other in others.OTHERS if other.sink == mode.sink]
        run = partial(ours.measure, world, mode, count or mode.count, profiler)
        keys = tuple(other.key for other in peers)
        found.append(Measurement(mode.key, mode.title, run, keys))
        found += [
            Measurement(other.key, other.title, partial(others.measure, world, other, other.count))
            for other in peers
            if not any(one.key == other.key for one in found)
        ]
    return [
        *found,
        Measurement("copy", "COPY into the tables", partial(limits.copy, world)),
        Measurement("http-sink", "The HTTP sink itself", partial(limits.http_sink, world)),
        Measurement("smtp-sink", "The SMTP sink itself", partial(limits.smtp_sink, world)),
        Measurement("submission", "POST notifications", partial(latency.submission, world)),
        Measurement("urgent", "Urgent during a bulk of 50,000", partial(latency.urgent, world)),
        Measurement("million", "A batch in NDJSON", partial(latency.million, world, rows)),
    ]


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and everything with it
    with World(options.directory.absolute()) as world:
        world.prepare()
        profiler = Profiler(world.directory / "profiles") if options.profile else None
        chosen = _chosen(measurements(world, options.count, options.rows, profiler), options.only)
        results = report.Report(
            report.machine() | world.versions | {"HTTP sink": sinks.description(world.directory)}
        )
        for number in range(options.rounds):
            for one in chosen:
                _measure(one, results, f"{number + 1}/{options.rounds}")
        path = results.save(world.directory / "results")
    sys.stdout.write(f"\n{results.text()}\nKept in {path} and beside it as JSON.\n")
    return 1 if results.errors else 0


def _chosen(found: list[Measurement], keys: list[str] | None) -> list[Measurement]:
    unknown = set(keys or ()) - {one.key for one in found}
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(unknown)}. Known: {', '.join(m.key for m in found)}")
    return [one for one in found if not keys or one.key in keys]


def _measure(one: Measurement, results: report.Report, round_: str) -> None:
    """A measurement that fails is told of and does not stop the others."""
    results.titles[one.key] = one.title
    results.peers[one.key] = one.peers
    sys.stderr.write(f"{round_} {one.key}: ")
    sys.stderr.flush()
    try:
        figures = one.run()
    except (Failed, TimeoutError) as error:
        results.errors.append(f"{one.key}: {error}")
        sys.stderr.write(f"FAILED: {error}\n")
    else:
        results.figures[one.key].append(figures)
        shown = (f"{name} {value:,.6g}" for name, value in figures.items())
        sys.stderr.write(f"{', '.join(shown)}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", metavar="KEY", help="the measurements to make (default: all)")
    add("--count", type=int, help="messages of each of our measurements (default: its own)")
    add(
        "--rows", type=int, default=latency.ROWS, help="rows of the huge batch (default: 1,000,000)"
    )
    add("--rounds", type=int, default=3)
    add("--profile", action="store_true", help="where the first worker spends its time")
    add("--directory", type=Path, default=ROOT / ".data" / "bench", help="servers, logs, results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
