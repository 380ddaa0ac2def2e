"""Curves as SVG. The same figures give the same file, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

WIDTH, HEIGHT = 4.4, 3.0
"""Of one panel, in inches."""

_COLOURS = ("#2f6fdd", "#c2410c", "#15803d", "#7e22ce", "#0e7490", "#ca8a04", "#be123c", "#4b5563")
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "commsproject",  # else ids of elements are drawn by lot
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9ca3af",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e5e7eb",
    "xtick.color": "#4b5563",
    "ytick.color": "#4b5563",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Curve:
    """Measured points. `drawn_on` are points that a fit says: dashed, in the same colour."""

    label: str
    points: Sequence[tuple[float, float]]
    drawn_on: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Panel:
    """Curves that share a unit."""

    title: str
    unit: str
    curves: Sequence[Curve]
    goal: float | None = None
    """A line across, where something was promised."""
    has_log_y: bool = False


def save(
    path: Path, panels: Sequence[Panel], x_label: str, *, columns: int = 2, has_log_x: bool = False
) -> None:
    """One picture of all `panels`, in rows of `columns`, over the same x."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows), layout="constrained")
        for number, panel in enumerate(panels, 1):
            axes = figure.add_subplot(rows, columns, number)
            _draw(axes, panel)
            axes.set_xlabel(x_label)
            if has_log_x:
                axes.set_xscale("log")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})


def _draw(axes: Axes, panel: Panel) -> None:
    for curve, colour in zip(panel.curves, _COLOURS * len(panel.curves), strict=False):
        marker = "o" if len(curve.points) < 30 else ""
        axes.plot(
            *_split(curve.points),
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.4,
            label=curve.label,
        )
        axes.plot(*_split(curve.drawn_on), color=colour, linestyle="--", linewidth=1.2)
    if panel.goal is not None:
        axes.axhline(panel.goal, color="#111827", linestyle=":", linewidth=1)
    axes.set_title(panel.title)
    axes.set_ylabel(panel.unit)
    if panel.has_log_y:
        axes.set_yscale("log")
    else:
        room = 1 + 0.1 * len(panel.curves)  # for the legend
        axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * room)
    if any(curve.label for curve in panel.curves):
        axes.legend()


def _split(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
