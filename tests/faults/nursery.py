"""Processes of the service that start at once: forked from one that has imported everything.

For tests that kill faster than Python starts. A child is a process like any other; only its imports
are older than itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.processes import ROOT, environment, eventually


class Infant:
    """A `manage.py` command, or `web`, in a process of its own."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    def kill(self) -> None:
        """kill -9."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def stop(self, seconds: float = 10) -> None:
        """SIGTERM; it must be gone in time."""
        os.kill(self.pid, signal.SIGTERM)
        eventually(lambda: not self.runs, seconds)

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def runs(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()


class Nursery:
    """Makes infants with one environment. At its end all of them are gone."""

    def __init__(self, logs: Path, **env: str) -> None:
        self._logs, self._env = logs, env
        self._infants: list[Infant] = []

    def __enter__(self) -> Self:
        with (self._logs / "nursery.log").open("ab") as log:
            self._mother = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery"],
                env=environment(**self._env),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_all()
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        self._mother.stdin.close()
        self._mother.stdout.close()
        self._mother.wait(10)

    def kill_all(self) -> None:
        """kill -9."""
        for infant in self._infants:
            infant.kill()
        eventually(lambda: not any(infant.runs for infant in self._infants))

    def start(self, *command: str, **env: str) -> Infant:
        """Returns at once; what it says goes to its `log`."""
        log = self._logs / f"{command[0]}-{len(self._infants)}.log"
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        self._mother.stdin.write(json.dumps([command, env, str(log)]) + "\n")
        self._mother.stdin.flush()
        pid = self._mother.stdout.readline()
        assert pid, (self._logs / "nursery.log").read_text()[-3000:]
        infant = Infant(int(pid), log)
        self._infants.append(infant)
        return infant


def _mother() -> None:
    """A line of JSON on stdin: command, environment, log. On stdout: the process that does it."""
    import django

    django.setup()
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        command, env, log = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _grow_up(log)
            os.environ.update(env)
            _work(command)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _import_all() -> None:
    import uvicorn  # noqa: F401
    from django.urls import get_resolver

    import commsproject.asgi  # noqa: F401
    import notifications.management.commands.worker  # noqa: F401
    from notifications.providers import registry

    assert get_resolver().url_patterns
    assert registry.enabled()


def _grow_up(log: str) -> None:
    """Own output, and none of the mother's pipes."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(out, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _work(command: list[str]) -> None:
    import uvicorn
    from django.core.management import call_command

    if command[0] == "web":
        port = int(os.environ["PORT"])
        uvicorn.run("commsproject.asgi:application", port=port, lifespan="off")
    else:
        call_command(*command)


if __name__ == "__main__":
    _mother()
