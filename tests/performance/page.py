"""`make bench-report`: docs/performance.md, from results that are kept beside it.

Takes in the results named, or the newest of `make bench` and `make soak`; with --kept none. The same
results give the same page.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.performance import kept
from tests.performance.goals import GOALS
from tests.performance.report import RATE, Report, short, spread
from tests.performance.world import ROOT

PAGE = ROOT / "docs" / "performance.md"
MEASURED = (".data/bench/results/*.json", ".data/soak/*/20*.json")
DAY = 86_400

_HEAD = """# What was measured

Made by `make bench-report` from the results in `docs/performance/results/`: change neither by hand. What a figure means,
and how to measure again: [performance](subsystems/performance.md). A figure is the median of the rounds, with the lowest
and the highest where there were several."""

_PEERS = {
    "django-post_office": ("django-post-office", ("peers/settings.py", "peers/post_office.py")),
    "Celery": ("celery", ("peers/settings.py", "peers/celery_app.py", "peers/celery_sender.py")),
    "plain Channels, a bare broadcast": ("channels", ("peers/fanout.py",)),
    "Django's engine": ("django", ("templates.py",)),
    "sandboxed Jinja2": ("jinja2", ("templates.py",)),
    "python-liquid": ("python-liquid", ("templates.py",)),
}
"""The package whose version is in the head of the results, and where its settings are."""


def page(known: Mapping[str, Report]) -> str:
    """Markdown, of runs by the names of their files, the oldest first."""
    report = kept.merged(known)
    blocks = [_HEAD, _goals(report), _runs(known), _machine(report)]
    blocks += [section.text(report) for section in SECTIONS]
    blocks += [_others(report), _peers(report), _errors(report)]
    return "\n\n".join(filter(None, blocks)) + "\n"


# --- What is said ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """`show` makes the tables of those of `keys` that were measured."""

    title: str
    keys: tuple[str, ...]
    show: Callable[[Report, Sequence[str]], str]
    about: str = ""

    def text(self, report: Report) -> str:
        found = [key for key in self.keys if report.figures.get(key)]
        missing = [key for key in self.keys if key not in found]
        blocks = [f"## {self.title}", self.about, self.show(report, found) if found else ""]
        if missing:
            blocks.append(f"Not measured: {', '.join(f'`{key}`' for key in missing)}.")
        pictures = [name for key in found for name in report.plots.get(key, ())]
        blocks += [f"![{self.title}: {name}](images/{name})" for name in pictures]
        return "\n\n".join(filter(None, blocks))


def _goals(report: Report) -> str:
    rows, met = [], 0
    for goal in GOALS:
        value = goal.measured(report)
        verdict = "not measured"
        if value is not None:
            met += goal.is_met(value)
            verdict = "met" if goal.is_met(value) else "**missed**"
        bound = f"{'at most' if goal.is_most else 'at least'} {goal.bound:,g}"
        rows.append([goal.what, bound, "" if value is None else short(value), verdict])
    title = f"## Goals: {met} of {len(GOALS)} met"
    return f"{title}\n\n{_table(['Goal', 'Asked', 'Measured', ''], rows)}"


def _runs(known: Mapping[str, Report]) -> str:
    rows = [
        [
            f"[{run.machine['when']}](performance/results/{name})",
            run.machine["commit"],
            run.machine["processor"],
            run.machine["load before"],
            str(max((len(rounds) for rounds in run.figures.values()), default=0)),
            ", ".join(f"`{key}`" for key in run.titles),
        ]
        for name, run in known.items()
    ]
    return "## When\n\n" + _table(
        ["Measured", "Commit", "Processor", "Load before", "Rounds", "Measurements"], rows
    )


def _machine(report: Report) -> str:
    of_a_run = {"when", "commit", "processor", "load before", "seed"}
    rows = [[name, said] for name, said in report.machine.items() if name not in of_a_run]
    return "## On what\n\n" + _table(["Machine", ""], rows)


def _rates(report: Report, keys: Sequence[str]) -> str:
    rows = []
    for key in keys:
        better = report.times_better(key)
        figures = [spread(report.values(key, name)) for name in (RATE, "accepted/s", "worker MB")]
        rows.append([report.titles[key], *figures, "" if better is None else f"{better:.1f}"])
    return _table(["", "Messages/s", "Accepted/s", "Worker, MB", "Times the better peer"], rows)


def _cpu(report: Report, keys: Sequence[str]) -> str:
    of = {key: used for key in keys if (used := report.cpu(key))}
    parts = list(dict.fromkeys(part for used in of.values() for part in used))
    rows = []
    for key, used in of.items():
        shown = [f"{used[part]:.0f}" if part in used else "" for part in parts]
        ceiling = _cores(report) * 1e6 / sum(used.values())
        reached = (report.median(key, RATE) or 0) / ceiling
        row = [report.titles[key], *shown, f"{sum(used.values()):.0f}"]
        rows.append([*row, f"{ceiling:,.0f}", f"{reached:.0%}"])
    return _table(["", *parts, "All", "Ceiling, messages/s", "Reached"], rows)


def _limits(report: Report, keys: Sequence[str]) -> str:
    rates = {report.titles[key]: report.median(key, RATE) for key in keys}
    rates["One at a time, by 64 agents"] = report.median(
        "submission", "64 clients, workers send; requests/s"
    )
    rows = [
        [way, f"{rate:,.0f}", _duration(1e6 / rate), f"{rate * DAY / 1e6:,.0f} million"]
        for way, rate in rates.items()
        if rate
    ]
    takes = _table(["", "Messages/s", "A million takes", "A day of it"], rows)
    database = {report.titles[key]: report.cpu(key).get("postgres") for key in keys}
    ends = [[way, f"{used:.0f}", f"{1e6 / used:,.0f}"] for way, used in database.items() if used]
    header = ["PostgreSQL's part", "CPU us a message", "Messages/s on each of its cores"]
    return f"{takes}\n\n{_table(header, ends)}"


def _split(report: Report, keys: Sequence[str]) -> str:
    """`row, column` names as a table for each measurement."""
    return "\n\n".join(_crossed(report, key, ", ") for key in keys)


def _by_case(report: Report, keys: Sequence[str]) -> str:
    """The same of `row; column`."""
    return "\n\n".join(_crossed(report, key, "; ") for key in keys)


def _by_size(report: Report, keys: Sequence[str]) -> str:
    """The same of `row at column`."""
    return "\n\n".join(_crossed(report, key, " at ") for key in keys)


def _crossed(report: Report, key: str, separator: str) -> str:
    cells: dict[str, dict[str, str]] = {}
    for name in report.names(key):
        row, _, column = name.strip().rpartition(separator)
        cells.setdefault(row or column, {})[column if row else ""] = spread(
            report.values(key, name)
        )
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    rows = [[name, *(row.get(column, "") for column in columns)] for name, row in cells.items()]
    return _table([report.titles[key], *columns], rows)


def _beside(report: Report, keys: Sequence[str]) -> str:
    """Measurements of the same figures, a row each."""
    columns = list(dict.fromkeys(name for key in keys for name in report.names(key)))
    rows = [
        [report.titles[key], *(spread(report.values(key, name)) for name in columns)]
        for key in keys
    ]
    return _table(["", *columns], rows)


def _listed(report: Report, keys: Sequence[str]) -> str:
    return "\n\n".join(
        _table(
            [report.titles[key], ""],
            [[name, spread(report.values(key, name))] for name in report.names(key)],
        )
        for key in keys
    )


def _others(report: Report) -> str:
    """What no section has, so that nothing measured is left out."""
    known = {key for section in SECTIONS for key in section.keys}
    rest = [key for key, rounds in report.figures.items() if rounds and key not in known]
    return f"## Others\n\n{_listed(report, rest)}" if rest else ""


def _peers(report: Report) -> str:
    versions = dict(re.findall(r"([\w-]+) (\S+?)(?:,|$)", report.machine.get("packages", "")))
    folder = "tests/performance"
    rows = [
        [
            peer,
            versions.get(package, ""),
            ", ".join(f"[{file}](../{folder}/{file})" for file in files),
        ]
        for peer, (package, files) in _PEERS.items()
    ]
    return "## The peers\n\n" + _table(["Peer", "Version", "Settings and code"], rows)


def _errors(report: Report) -> str:
    said = "\n".join(f"- {error.splitlines()[0]}" for error in report.errors)
    return f"## What failed\n\n{said}" if said else ""


_OURS = ("a", "b", "b50", "c", "d")
_HTTP = ("post-office-http", "celery-http", "celery-durable-http")
_SMTP = ("post-office-smtp", "celery-smtp", "celery-durable-smtp")
_END_TO_END = ("a", *_HTTP, "b", "b50", "post-office-http50", "c", *_SMTP, "d")

SECTIONS = [
    Section("End to end, beside others", _END_TO_END, _rates),
    Section(
        "Where the CPU goes",
        _END_TO_END,
        _cpu,
        "Microseconds a message, and what that allows on all cores if nothing ever waited. `accept` is the\n"
        "agent, which checks and stores; `sink` stands for the provider.",
    ),
    Section(
        "What one machine takes",
        _OURS,
        _limits,
        "With agents, servers and sinks on the same cores, and all of it on. The second table says when a\n"
        "database that has its cores to itself is full: [many machines](deployment/MANY-MACHINES.md).",
    ),
    Section("One at a time: `POST notifications`", ("submission",), _by_case),
    Section("An urgent message during a bulk", ("urgent",), _listed),
    Section("A batch of a million rows", ("million",), _listed),
    Section("The limits of what is measured with", ("copy", "http-sink", "smtp-sink"), _listed),
    Section("Templates", ("templates",), _split),
    Section("Fan-out to sockets", ("fanout", "fanout-channels", "fanout-websockets"), _beside),
    Section("Sockets that hear nothing", ("sockets",), _listed),
    Section("Conversations", ("chat", "history"), _listed),
    Section("Events, in and out", ("events-in", "events-out"), _split),
    Section("Pages of the console", ("console",), _listed),
    Section("Analytics of ten million messages", ("dashboard",), _split),
    Section("Growth", ("growth",), _by_size),
    Section("Soak", ("soak",), _listed),
]


# --- How it is said ----------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cores(report: Report) -> int:
    found = re.search(r"(\d+) cores", report.machine["processor"])
    return int(found[1]) if found else 1


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-report", description=__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="results to take in, as JSON")
    parser.add_argument("--kept", action="store_true", help="take none in")
    options = parser.parse_args()
    newest = [max(found) for where in MEASURED if (found := list(ROOT.glob(where)))]
    kept.take([] if options.kept else options.results or newest)
    PAGE.write_text(page(kept.runs()))
    sys.stdout.write(f"Written: {PAGE.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
