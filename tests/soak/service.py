"""The processes of `make run`, started again when they die; and who of them is who.

python -m tests.soak.service
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

import psutil

from commsproject.common.supervisor import Console, Service, Supervisor
from tests.performance.world import MANAGE, Child

KINDS: Mapping[str, Sequence[str]] = {
    "web": ("web",),
    "urgent worker": ("worker", "--lane", "urgent"),
    "bulk worker": ("worker", "--lane", "normal", "--lane", "bulk"),
    "scheduler": ("scheduler",),
}


def main() -> None:
    services = [Service(kind, [*MANAGE, *words]) for kind, words in KINDS.items()]
    Supervisor(services, Console([service.name for service in services])).run()


def alive(supervisor: Child) -> dict[str, psutil.Process]:
    """Each kind's process now. One that is just being started again is missing."""
    found: dict[str, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(supervisor.popen.pid).children():
            with contextlib.suppress(psutil.Error):
                words = tuple(process.cmdline()[2:])
                found |= {kind: process for kind, known in KINDS.items() if words == tuple(known)}
    return found


def kill(supervisor: Child, kind: str) -> None:
    """kill -9, with all that it has forked."""
    if process := alive(supervisor).get(kind):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
