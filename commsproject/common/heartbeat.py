"""A sign of life in a file, for probes of processes that have no port.

A process touches the file of `HEARTBEAT_FILE` while its work goes round, whether or not the database
answers: a restart would not mend that. `python -m commsproject.common.heartbeat` ends with 1 where
that is too long ago. It loads no Django, as it runs every few seconds in each container.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

EVERY = 5.0
"""Seconds between two beats, about."""

SILENT_FOR = 120.0
"""Seconds after which a process counts as stuck. A periodic job may take half of it."""


def beat() -> None:
    """Say that this process works. A disk that is full costs the beat, not the work."""
    if path := os.environ.get("HEARTBEAT_FILE"):
        with contextlib.suppress(OSError):
            Path(path).touch()


def trouble(path: str | None, now: float) -> str:
    """What is wrong at `now` (seconds of the epoch) with who beats in `path`; empty if nothing is."""
    if not path:
        return "HEARTBEAT_FILE is not set."
    try:
        silent = now - Path(path).stat().st_mtime
    except OSError as error:
        return f"There is no heartbeat yet ({type(error).__name__})."
    return f"No heartbeat for {silent:.0f} s." if silent > SILENT_FOR else ""


if __name__ == "__main__":
    sys.exit(trouble(os.environ.get("HEARTBEAT_FILE"), time.time()) or 0)
