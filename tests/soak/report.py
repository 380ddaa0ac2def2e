"""What a soak found: JSON, Markdown and pictures, made from the figures alone.

python -m tests.soak.report FOLDER makes all of it again from FOLDER/soak.json.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.performance import plots
from tests.performance.plots import Curve, Panel
from tests.performance.report import Report
from tests.soak.service import KINDS
from tests.soak.verdict import Figures, trends, verdict, wrong

GOAL = 100_000
"""Messages an hour."""


def save(folder: Path, figures: Figures) -> str:
    """Write everything; the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(json.dumps(figures, indent=1))
    (folder / f"{folder.name}.json").write_text(result(figures).json())
    text = _text(figures)
    (folder / "soak.md").write_text(text)
    draw(folder, figures)
    return text


def result(figures: Figures) -> Report:
    """What `make bench-report` takes of it."""
    seconds = figures["load seconds"]
    looked_at = [one for one in trends(figures).values() if one is not None]
    told = {
        "minutes": seconds / 60,
        "messages/hour": figures["messages"] / seconds * 3600,
        "faults": len(figures["faults"]),
        "seconds until all was done after the load": figures["drain seconds"],
        "memory, files, threads, connections looked at": len(looked_at),
        "of them growing": sum(not one.is_flat for one in looked_at),
        "things wrong": len(wrong(figures)),
        **{
            f"{name}, {share} ms": values[share] * 1e3
            for name, values in figures["seconds"].items()
            for share in ("p50", "p95", "p99")
            if values
        },
    }
    made = Report(figures["machine"], {"soak": "With faults"})
    made.figures["soak"].append(told)
    made.plots["soak"] = ["soak-resources.svg", "soak-service.svg"]
    return made


# --- Text ----------------------------------------------------------------------------------------


def _text(figures: Figures) -> str:
    bad = wrong(figures)
    parts = [
        f"# Soak of {figures['load seconds'] / 60:.0f} minutes\n\n{verdict(figures)}",
        *([_list("Wrong", bad[:100])] if bad else []),
        _table("Run", ["", ""], figures["machine"].items()),
        _table("What was done", ["", ""], _done(figures)),
        _table("Seconds", ["", "p50", "p95", "p99", "max"], _times(figures)),
        _table("Ends", ["channel", "state", "messages"], figures["states"]),
        _table(
            "Does it grow?",
            ["", "mean", "an hour", "while looked at", "may be", ""],
            _growth(figures),
        ),
        _table("Faults", ["minute", "seconds", "what"], _faults(figures)),
        _table("Tables at the end", ["", "MB", "rows", "dead rows"], _tables(figures)),
        _table("Log lines (warnings and errors)", ["process", "line", "times"], figures["log"]),
    ]
    return "\n\n".join(parts) + "\n"


def _done(figures: Figures) -> Iterator[tuple[str, str]]:
    per_hour = figures["messages"] / figures["load seconds"] * 3600
    yield "messages accepted", f"{figures['messages']:,} ({per_hour:,.0f} an hour)"
    for name, value in figures["counts"].items():
        yield name, f"{value:,}"
    yield "answers by status", ", ".join(f"{k}: {v:,}" for k, v in figures["statuses"].items())
    yield "seconds until all was done after the load", f"{figures['drain seconds']:.0f}"


def _times(figures: Figures) -> Iterator[tuple[str, ...]]:
    for name, values in figures["seconds"].items():
        yield name, *(f"{values[key]:.3f}" for key in ("p50", "p95", "p99", "max") if values)


def _growth(figures: Figures) -> Iterator[tuple[str, ...]]:
    for name, one in trends(figures).items():
        if one is None:
            yield name, "", "", "", "", "too short to tell"
            continue
        yield (
            name,
            f"{one.mean:.1f}",
            f"{one.per_hour:+.1f}",
            f"{one.growth:+.1f}",
            f"{one.bound:.1f}",
            "flat" if one.is_flat else "GROWS",
        )


def _faults(figures: Figures) -> Iterator[tuple[str, ...]]:
    for one in figures["faults"]:
        yield f"{one['at'] / 60:.1f}", f"{one['until'] - one['at']:.0f}", one["kind"]


def _tables(figures: Figures) -> Iterator[tuple[str, ...]]:
    known = [one["tables"] for one in figures["samples"] if "tables" in one]
    for name, one in known[-1].items() if known else ():
        yield name, f"{one['MB']:.0f}", f"{one['live']:,}", f"{one['dead']:,}"


def _list(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines)


def _table(title: str, header: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return f"## {title}\n\n" + "\n".join(lines)


# --- Pictures --------------------------------------------------------------------------------------


def draw(folder: Path, figures: Figures) -> None:
    """`soak-resources.svg` and `soak-service.svg`."""
    samples = figures["samples"]
    own = [_of_processes(what, title, unit, samples) for what, title, unit in _RESOURCES]
    plots.save(
        folder / "soak-resources.svg",
        [
            *own,
            Panel(
                "Connections",
                "connections",
                [
                    Curve("PostgreSQL", _points(samples, "connections", "PostgreSQL")),
                    Curve("Valkey", _points(samples, "valkey", "clients")),
                ],
            ),
            Panel(
                "Disk",
                "MB",
                [
                    Curve("database", _points(samples, "disk", "database")),
                    Curve("WAL", _points(samples, "disk", "WAL")),
                ],
            ),
            Panel("Dead rows", "rows", _dead(samples)),
        ],
        "minutes",
    )
    plots.save(folder / "soak-service.svg", list(_service(samples)), "minutes")


_RESOURCES = (
    ("own", "Private memory of a process", "MB"),
    ("files", "Open files of a process", "files"),
    ("calls", "Connections to vendors of a process", "connections"),
    ("callers", "Connections of clients to a process", "connections"),
    ("threads", "Threads of a process", "threads"),
)


def _service(samples: list[Figures]) -> Iterator[Panel]:
    yield Panel(
        "Messages",
        "a second",
        [
            Curve("accepted", _points(samples, "rate", "accepted")),
            Curve("taken by vendors", _points(samples, "rate", "taken")),
        ],
    )
    yield Panel(
        "Queue",
        "messages",
        [
            Curve("due", _points(samples, "queue", "due")),
            Curve("all", _points(samples, "queue", "all")),
        ],
    )
    for key, title in (("submit", "Answer to a message"), ("urgent", "Urgent, to its vendor")):
        yield Panel(
            title,
            "seconds",
            [Curve(name, _points(samples, key, name)) for name in ("p50", "p95")],
            has_log_y=True,
        )


def _of_processes(what: str, title: str, unit: str, samples: list[Figures]) -> Panel:
    curves = [Curve(kind, _points(samples, "processes", kind, what)) for kind in KINDS]
    return Panel(title, unit, curves)


def _dead(samples: list[Figures]) -> list[Curve]:
    names = {name for one in samples for name in one.get("tables", {})}
    most = sorted(
        names,
        key=lambda name: statistics.fmean(
            one["tables"].get(name, {"dead": 0})["dead"] for one in samples if "tables" in one
        ),
    )
    return [
        Curve(name.partition("_")[2], _points(samples, "tables", name, "dead"))
        for name in most[-5:]
    ]


def _points(samples: list[Figures], *path: str) -> list[tuple[float, float]]:
    """Minute and figure of those samples that have it."""
    found = []
    for one in samples:
        value: Any = one
        for name in path:
            value = value.get(name, {})
        if value != {}:
            found.append((one["at"] / 60, float(value)))
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    sys.stdout.write(save(folder, json.loads((folder / "soak.json").read_text())))


if __name__ == "__main__":
    main()
