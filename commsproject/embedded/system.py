"""What the rest needs of the operating system."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOOPBACK = "127.0.0.1"
# A server does not get our own environment: it has secrets, and PG* variables that change things.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}

pause = threading.Event().wait


class EmbeddedError(RuntimeError):
    """An embedded server cannot run. The text says why, and what to do."""


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends the child this signal when the thread that forked it ends.

    Only Linux can; elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return lambda: None
    parent, prctl, set_death_signal = os.getpid(), ctypes.CDLL(None).prctl, 1

    def ask() -> None:
        prctl(set_death_signal, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), number)

    return ask


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return True
    except OSError:
        return False


def new_port() -> int:
    """A free port of the loopback interface. Raises EmbeddedError."""
    # Below the ports which the kernel gives to outgoing connections: a client that keeps calling a
    # stopped server there would, now and then, connect to itself and so take its port.
    candidates = random.sample(range(20_000, 32_000), 100)
    for port in candidates:
        if port_is_free(port):
            return port
    raise EmbeddedError(f"No port is free on {LOOPBACK}: tried 100, {candidates[0]} for example.")


def package(name: str, variable: str) -> Path:
    """The directory of an installed package, else EmbeddedError."""
    spec = importlib.util.find_spec(name)  # found, not imported: we want none of its machinery
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed. Run `pip install -r requirements/local.txt`, or"
            f" set {variable} to a server of yours."
        )
    return Path(spec.submodule_search_locations[0])


def try_lock(descriptor: int) -> bool:
    """Lock a file for this process alone, if nobody else has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in this time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause(0.02)
    return True


def inhabitants(directory: Path) -> list[int]:
    """The processes that work in a directory, as a server and its children do. Linux alone tells."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if link.samefile(directory):
                found.append(int(link.parent.name))
    return found


def exists(pid: int) -> bool:
    """Whether a process has this number, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
