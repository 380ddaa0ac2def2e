"""What runs beside a process's own work, in a thread of its own: apps register it in `ready()`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum

Serve = Callable[[threading.Event], None]


class Beside(Enum):
    """The kind of process."""

    SCHEDULER = "scheduler"
    WORKER = "worker"


_services: dict[str, tuple[Beside, Serve]] = {}


def register(name: str, beside: Beside, serve: Serve) -> None:
    """`serve` runs until its event is set, whatever happens; several processes may run it at once."""
    _services[name] = beside, serve


def start(beside: Beside, stopping: threading.Event) -> list[threading.Thread]:
    """Start what belongs beside such a process. The threads end with it at the latest."""
    threads = [
        threading.Thread(target=serve, args=[stopping], name=name, daemon=True)
        for name, (place, serve) in _services.items()
        if place is beside
    ]
    for thread in threads:
        thread.start()
    return threads
