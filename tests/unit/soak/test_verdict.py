"""What a soak says of its figures: flat, growing, or that it was too short to tell."""

from __future__ import annotations

from typing import Any

from tests.soak import verdict
from tests.soak.service import KINDS


def figures(seconds: int, *, leak: float = 0.0, born: int = 0) -> dict[str, Any]:
    """A run whose web process takes `leak` MB more an hour, and was last started at `born`."""
    steady = {"own": 150.0, "files": 30, "threads": 20}
    samples = [
        {
            "at": at,
            "processes": {
                kind: {
                    "pid": int(at >= born),
                    **steady,
                    "own": 150.0 + leak * at / 3600 * (kind == "web"),
                }
                for kind in KINDS
            },
            "connections": {"PostgreSQL": 30},
            "valkey": {"clients": 30},
        }
        for at in range(0, seconds, 10)
    ]
    rest = {kind: {"calls": 1, "threads": 20} for kind in KINDS}
    return {
        "load seconds": seconds,
        "wrong": [],
        "findings": [],
        "samples": samples,
        "at rest": rest,
    }


def test_what_stays_what_it_is_is_flat() -> None:
    assert verdict.wrong(figures(3600)) == []
    assert None not in verdict.trends(figures(1800)).values()


def test_what_grows_is_named() -> None:
    (line,) = verdict.wrong(figures(3600, leak=60))
    assert line.startswith("web: private memory, MB grows: +")


def test_a_short_run_says_that_it_cannot_tell() -> None:
    short = figures(600, leak=600)
    assert verdict.wrong(short) == []
    assert "too short to tell" in verdict.verdict(short)
    assert "stays flat" not in verdict.verdict(short)


def test_a_long_run_has_to_tell_of_everything() -> None:
    restarted = verdict.wrong(figures(1800, born=1100))
    assert len(restarted) == 3 * len(KINDS)
    assert all(line.endswith("too short to tell whether it grows") for line in restarted)


def test_connections_that_are_kept_are_named() -> None:
    kept = figures(600)
    kept["at rest"]["web"]["calls"] = 21
    assert verdict.wrong(kept) == ["web: 21 connections to vendors at rest, for 20 threads"]
