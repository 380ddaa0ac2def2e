"""What was measured: medians and ranges over the rounds, as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

Figures = Mapping[str, float]
"""What one measurement gave: name with unit to value."""

RATE = "messages/s"
CPU = "CPU us "
"""Before the name of a part: microseconds a message."""


@dataclass
class Report:
    """All measurements of a run. `peers` is what each of ours is compared with."""

    machine: Mapping[str, str]
    titles: dict[str, str] = field(default_factory=dict)
    peers: dict[str, Sequence[str]] = field(default_factory=dict)
    figures: dict[str, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)

    def text(self) -> str:
        blocks = ["\n".join(f"{name}: {value}" for name, value in self.machine.items())]
        blocks += [self._rates(), self._cpu(), self._rest()]
        blocks += ["\n".join(["ERRORS", *self.errors])] if self.errors else []
        return "\n\n".join(filter(None, blocks)) + "\n"

    def json(self) -> str:
        values = {
            "machine": self.machine,
            "titles": self.titles,
            "figures": self.figures,
            "peers": self.peers,
            "errors": self.errors,
        }
        return json.dumps(values, indent=1)

    def save(self, directory: Path) -> Path:
        """Write both; the text's path."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.txt"
        path.write_text(self.text())
        path.with_suffix(".json").write_text(self.json())
        return path

    def _rates(self) -> str:
        keys = [key for key, rounds in self.figures.items() if RATE in rounds[0]]
        rows = [
            [
                self.titles[key],
                _spread(self._values(key, RATE)),
                _spread(self._values(key, "accepted/s")),
                self._ratio(key),
                _spread(self._values(key, "worker MB")),
            ]
            for key in keys
        ]
        return _table(["END TO END", RATE, "accepted/s", "x better peer", "worker MB"], rows)

    def _ratio(self, key: str) -> str:
        peers = [self._median(peer, RATE) for peer in self.peers.get(key, ())]
        best = max((rate for rate in peers if rate), default=None)
        own = self._median(key, RATE)
        return f"{own / best:.1f}" if best and own else ""

    def _cpu(self) -> str:
        measured = [key for key in self.figures if any(CPU in name for name in self._names(key))]
        parts = list(
            dict.fromkeys(
                name.removeprefix(CPU)
                for key in measured
                for name in self._names(key)
                if name.startswith(CPU)
            )
        )
        rows = []
        for key in measured:
            medians = [self._median(key, CPU + part) for part in parts]
            known = [value for value in medians if value is not None]
            shown = ["" if value is None else f"{value:.0f}" for value in medians]
            rows.append([self.titles[key], *shown, f"{sum(known):.0f}"])
        return _table(["CPU, us a message", *parts, "all"], rows)

    def _rest(self) -> str:
        """Each measurement that is no rate of messages, in lines of its own."""
        rows = [
            [self.titles[key], name, _spread(self._values(key, name))]
            for key, rounds in self.figures.items()
            if RATE not in rounds[0]
            for name in self._names(key)
        ]
        return _table(["LIMITS, LATENCY, MEMORY", "", ""], rows)

    def _names(self, key: str) -> list[str]:
        return list(self.figures[key][0])

    def _values(self, key: str, name: str) -> list[float]:
        return [one[name] for one in self.figures.get(key, []) if name in one]

    def _median(self, key: str, name: str) -> float | None:
        values = self._values(key, name)
        return statistics.median(values) if values else None


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` (0 to 1) of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def machine() -> dict[str, str]:
    memory = psutil.virtual_memory().total / 2**30
    packages = (
        *("django", "psycopg", "django-post-office", "celery", "django-anymail"),
        *("minijinja", "jinja2", "python-liquid", "babel"),
    )
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _spread(values: Sequence[float]) -> str:
    """`9,876 (9,000-10,100)`."""
    if not values:
        return ""
    middle = statistics.median(values)
    if len(values) == 1:
        return _short(middle)
    return f"{_short(middle)} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
