"""What was measured: medians and ranges over the rounds, as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self, TypeVar

import psutil

T = TypeVar("T")
Figures = Mapping[str, float]
"""What one measurement gave: name with unit to value."""

RATE = "messages/s"
CPU = "CPU us "
"""Before the name of a part: microseconds a message."""


@dataclass
class Report:
    """All measurements of a run, by their keys. `peers` is what each of ours is compared with, `plots`
    are names of pictures in docs/images. An error starts with its key.
    """

    machine: Mapping[str, str]
    titles: dict[str, str] = field(default_factory=dict)
    peers: dict[str, Sequence[str]] = field(default_factory=dict)
    figures: dict[str, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    plots: dict[str, Sequence[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))

    def only(self, keys: Collection[str]) -> Self:
        """The same run with these measurements."""
        return type(self)(
            self.machine,
            _of(self.titles, keys),
            _of(self.peers, keys),
            _of(self.figures, keys),
            _of(self.plots, keys),
            [error for error in self.errors if error.partition(":")[0] in keys],
        )

    def text(self) -> str:
        blocks = ["\n".join(f"{name}: {value}" for name, value in self.machine.items())]
        blocks += [self._rates(), self._cpu(), self._rest()]
        blocks += ["\n".join(["ERRORS", *self.errors])] if self.errors else []
        return "\n\n".join(filter(None, blocks)) + "\n"

    def json(self) -> str:
        return json.dumps(vars(self), indent=1) + "\n"

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
                spread(self.values(key, RATE)),
                spread(self.values(key, "accepted/s")),
                "" if (better := self.times_better(key)) is None else f"{better:.1f}",
                spread(self.values(key, "worker MB")),
            ]
            for key in keys
        ]
        return _table(["END TO END", RATE, "accepted/s", "x better peer", "worker MB"], rows)

    def times_better(self, key: str) -> float | None:
        """Our rate divided by that of the fastest peer on the same sink."""
        peers = [self.median(peer, RATE) for peer in self.peers.get(key, ())]
        best = max((rate for rate in peers if rate), default=None)
        own = self.median(key, RATE)
        return own / best if best and own else None

    def _cpu(self) -> str:
        measured = [key for key in self.figures if self.cpu(key)]
        parts = list(dict.fromkeys(part for key in measured for part in self.cpu(key)))
        rows = []
        for key in measured:
            used = self.cpu(key)
            shown = [f"{used[part]:.0f}" if part in used else "" for part in parts]
            rows.append([self.titles[key], *shown, f"{sum(used.values()):.0f}"])
        return _table(["CPU, us a message", *parts, "all"], rows)

    def cpu(self, key: str) -> dict[str, float]:
        """Median microseconds a message in each part."""
        return {
            name.removeprefix(CPU): statistics.median(self.values(key, name))
            for name in self.names(key)
            if name.startswith(CPU)
        }

    def _rest(self) -> str:
        """Each measurement that is no rate of messages, in lines of its own."""
        rows = [
            [self.titles[key], name, spread(self.values(key, name))]
            for key, rounds in self.figures.items()
            if RATE not in rounds[0]
            for name in self.names(key)
        ]
        return _table(["LIMITS, LATENCY, MEMORY", "", ""], rows)

    def names(self, key: str) -> list[str]:
        return list(self.figures[key][0]) if self.figures.get(key) else []

    def values(self, key: str, name: str) -> list[float]:
        return [one[name] for one in self.figures.get(key, []) if name in one]

    def median(self, key: str, name: str) -> float | None:
        values = self.values(key, name)
        return statistics.median(values) if values else None


def _of(values: Mapping[str, T], keys: Collection[str]) -> dict[str, T]:
    return {key: value for key, value in values.items() if key in keys}


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
        "system": f"{platform.system()} {_version(platform.release())}, {' '.join(platform.libc_ver())}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _version(release: str) -> str:
    """`6.12` of a kernel's `6.12.4-cloud-amd64`."""
    return ".".join(release.split(".")[:2])


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


def spread(values: Sequence[float]) -> str:
    """`9,876 (9,000-10,100)`."""
    if not values:
        return ""
    middle = statistics.median(values)
    if len(values) == 1:
        return short(middle)
    return f"{short(middle)} ({short(min(values))}-{short(max(values))})"


def short(value: float) -> str:
    """`12,345`, `0.123`: what a person compares."""
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
