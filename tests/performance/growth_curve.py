"""What the figures of `growth` say of more messages than were stored, and a picture of them."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.performance.plots import Curve, Panel, save
from tests.performance.report import Figures

FAR = 500_000_000
"""Messages to which the curves are drawn on."""

Points = Sequence[tuple[float, float]]

_PANELS: Mapping[str, tuple[str, Sequence[str], float | None]] = {
    "Claim": (
        "ms",
        (
            *("claim of one p50 ms", "claim of one p95 ms"),
            *("claim among 300,000 p50 ms", "claim among 300,000 p95 ms"),
        ),
        20.0,
    ),
    "Engine": (
        "ms, p50",
        (
            *("submit one p50 ms", "open a window of 500 p50 ms"),
            *("record 500 answers p50 ms", "apply 100 events p50 ms"),
        ),
        None,
    ),
    "API": (
        "ms, p50",
        (
            *("list, first page p50 ms", "list, half a year back p50 ms"),
            *("list by status dead p50 ms", "list by reference p50 ms"),
            *("list since a minute p50 ms", "one message p50 ms"),
        ),
        None,
    ),
    "Console": (
        "ms, p50",
        (
            *("console, messages p50 ms", "console, page 20 p50 ms", "console, failed p50 ms"),
            *("console, search an address p50 ms", "console, one message p50 ms"),
        ),
        None,
    ),
    "Retention": ("messages/s", ("erase, messages/s", "delete, messages/s"), None),
    "Disk": ("GB", ("tables GB", "indexes GB"), None),
    "Background": ("s", ("vacuum s", "audit s"), None),
}
"""What is drawn: title to unit, figures, and a bound."""


@dataclass(frozen=True)
class Fit:
    """`name` is the function of the number of messages that the points are read as."""

    name: str
    at: Callable[[float], float]


def by_name(rounds: Sequence[Figures]) -> dict[str, Points]:
    """Each figure's curve over the messages stored, medians of the rounds."""
    values: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for figures in rounds:
        for name, value in figures.items():
            if found := re.fullmatch(r"(.+) at ([\d,]+)", name):
                values[found[1]][float(found[2].replace(",", ""))].append(value)
    return {
        name: sorted((size, statistics.median(some)) for size, some in sizes.items())
        for name, sizes in values.items()
    }


def fit(name: str, points: Points) -> Fit:
    """Disk, and what reads all of it, is a straight line. What goes through a B-tree is one of the
    tree's height, which is a logarithm; never less than at the last point.
    """
    if name.endswith((" GB", " s")):
        return _line("linear", points, lambda x: x)
    found = _line("log", points, math.log2)
    last = points[-1][1]
    is_rate = name.endswith("/s")
    return Fit("log", lambda x: (min if is_rate else max)(last, found.at(x)))


def _line(name: str, points: Points, scale: Callable[[float], float]) -> Fit:
    """Least squares over `scale(x)`."""
    if len({x for x, _ in points}) < 2:
        return Fit(name, lambda _: points[-1][1])
    xs, ys = [scale(x) for x, _ in points], [y for _, y in points]
    slope, start = statistics.linear_regression(xs, ys)
    return Fit(name, lambda x: start + slope * scale(x))


def drawn_on(figures: Figures) -> Figures:
    """What the fits say of `FAR`, named as the figures are."""
    return {
        f"{name} at {FAR:,}, drawn on": fit(name, points).at(FAR)
        for name, points in by_name([figures]).items()
    }


def draw(rounds: Sequence[Figures], path: Path) -> None:
    """One SVG of all panels, the number of messages on a logarithmic axis."""
    curves = by_name(rounds)
    panels = [
        Panel(
            title,
            unit,
            [_curve(name, curves[name]) for name in names if name in curves],
            goal,
            has_log_y=unit in ("GB", "s"),
        )
        for title, (unit, names, goal) in _PANELS.items()
    ]
    save(path, panels, "messages stored", columns=3, has_log_x=True)


def _curve(name: str, points: Points) -> Curve:
    found, first = fit(name, points), points[-1][0]
    steps = [first * (FAR / first) ** (step / 20) for step in range(21)]
    label = name.removesuffix(" ms").removesuffix(", messages/s")
    return Curve(label, points, [(x, found.at(x)) for x in steps])
