"""What of a soak's figures must not be: made from the figures alone, without pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tests.soak.service import KINDS
from tests.soak.steady import Sample, Trend, trend

Figures: TypeAlias = "dict[str, Any]"

BOUNDS: Mapping[str, tuple[float, float]] = {
    "own": (0.1, 15.0),
    "files": (0.1, 24.0),
    "threads": (0.1, 6.0),
    "PostgreSQL": (0.15, 6.0),
    "clients": (0.15, 10.0),
}
"""How much each may grow while it is looked at: a share of its mean, or so much. Connections are not
among the files: to vendors as many are kept as the last burst needed, and at rest all must have
gone; clients' are theirs.
"""

TELLING = 1750.0
"""Seconds from which on a soak is to tell of all of them."""

_NAMES = {
    "own": "private memory, MB",
    "files": "open files but vendors' and clients' connections",
    "threads": "threads",
    "PostgreSQL": "connections to PostgreSQL",
    "clients": "connections to Valkey",
}


def trends(figures: Figures) -> dict[str, Trend | None]:
    """Of all that must not grow, by what it is; from a third of the time on. None: too short to
    tell.
    """
    seconds = figures["load seconds"]
    since = seconds / 3
    samples = [one for one in figures["samples"] if one["at"] <= seconds]
    found: dict[str, Trend | None] = {}
    for kind in KINDS:
        for what in ("own", "files", "threads"):
            taken = [
                Sample(one["at"], process["pid"], process[what])
                for one in samples
                if (process := one["processes"].get(kind))
            ]
            found[f"{kind}: {_NAMES[what]}"] = _trend(taken, what, since)
    for place, what in (("connections", "PostgreSQL"), ("valkey", "clients")):
        taken = [Sample(one["at"], 0, one[place][what]) for one in samples if place in one]
        found[_NAMES[what]] = _trend(taken, what, since)
    return found


def _trend(taken: Sequence[Sample], what: str, since: float) -> Trend | None:
    share, least = BOUNDS[what]
    return trend(taken, since=since, share=share, least=least)


def wrong(figures: Figures) -> list[str]:
    """All that must not be, a line each.

    At rest a thread may still hold a connection (`providers.common.http_thread`), a loop none.
    """
    return [
        *figures["wrong"],
        *figures["findings"],
        *(
            f"{name} grows: {one.growth:+.1f} in {one.seconds / 60:.0f} min, at most {one.bound:.1f}"
            for name, one in trends(figures).items()
            if one is not None and not one.is_flat
        ),
        *(
            f"{name}: too short to tell whether it grows"
            for name, one in trends(figures).items()
            if one is None and figures["load seconds"] >= TELLING
        ),
        *(
            f"{kind}: {one['calls']} connections to vendors at rest, for {one['threads']} threads"
            for kind, one in figures["at rest"].items()
            if one["calls"] > one["threads"]
        ),
    ]


def verdict(figures: Figures) -> str:
    """A sentence or two."""
    if bad := wrong(figures):
        return f"{len(bad)} things are wrong."
    if None in trends(figures).values():
        return "Everything adds up. It was too short to tell whether anything grows."
    return "Everything adds up and stays flat."
