"""Processes of the service that start at once: forked from one that has imported everything.

For tests that kill faster than Python starts. A child is a process like any other; only its imports
are older than itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import mock

from tests import canaries
from tests.faults import hosts
from tests.faults.hosts import Host
from tests.processes import environment, eventually


class Infant:
    """A `manage.py` command, or `web`, in a process of its own."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log

    def kill(self) -> None:
        """kill -9."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def stop(self, seconds: float = 60) -> None:
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
        self._line, hers = _CRADLE.Pipe()
        log = self._logs / "nursery.log"
        self._mother = _CRADLE.Process(target=_mother, args=(hers, _unmeasured(self._env), log))
        with mock.patch.dict(os.environ, _unmeasured({}), clear=True):
            self._mother.start()
        hers.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill_all()
        self._line.close()
        self._mother.join(10)
        self._mother.close()
        told = {path.name: canaries.found(path.read_text()) for path in self._logs.glob("*.log")}
        assert not any(told.values()), told

    def kill_all(self) -> None:
        """kill -9."""
        for infant in self._infants:
            infant.kill()
        eventually(lambda: not any(infant.runs for infant in self._infants))

    def start(self, *command: str, on: Host | None = None, **env: str) -> Infant:
        """Returns at once; what it says goes to its `log`."""
        log = self._logs / f"{command[0]}-{len(self._infants)}.log"
        self._line.send((command, env, log, on.namespace if on else ""))
        try:
            infant = Infant(self._line.recv(), log)
        except (EOFError, ConnectionError):
            raise AssertionError((self._logs / "nursery.log").read_text()[-3000:]) from None
        self._infants.append(infant)
        return infant


_CRADLE = multiprocessing.get_context("forkserver")
_CRADLE.set_forkserver_preload(
    [
        "aiohttp",
        "boto3",
        "django.db.models",
        "dns.asyncresolver",
        "email_validator",
        "httpx2",
        "jsonschema",
        "jwt",
        "psycopg_pool",
        "redis.asyncio",
        "requests",
        "rest_framework.fields",
        "structlog.dev",
        "uvicorn.main",
    ]
)
"""Mothers are forked too: from a process that has imported what needs no settings and takes long."""


def warm_up() -> None:
    """Start that process here and now, for whoever is about to leave this network."""
    with mock.patch.dict(os.environ, _unmeasured({}), clear=True):
        forkserver.ensure_running()


def _unmeasured(env: Mapping[str, str]) -> dict[str, str]:
    """An environment without coverage: what is killed could not say what it ran."""
    return {name: v for name, v in environment(**env).items() if not name.startswith("COVERAGE_")}


def _mother(line: Connection, env: Mapping[str, str], log: Path) -> None:
    """Receives command, environment, log and namespace; answers with the process that does it."""
    _grow_up(log)
    os.environ.clear()
    os.environ.update(env)
    import django

    django.setup()
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with contextlib.suppress(EOFError):
        while True:
            command, changes, its_log, namespace = line.recv()
            pid = os.fork()
            if pid == 0:
                line.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _grow_up(its_log)
                os.environ.update(changes)
                if namespace:
                    hosts.enter(namespace)
                _work(command)
                os._exit(0)
            line.send(pid)


def _import_all() -> None:
    from django.urls import get_resolver

    import commsproject.asgi
    import commsproject.common.management.commands.web  # noqa: F401
    import notifications.management.commands.worker  # noqa: F401
    from notifications.providers import registry

    assert get_resolver().url_patterns
    assert registry.enabled()


def _grow_up(log: Path) -> None:
    """Own output, and none of the mother's pipes."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(out, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _work(command: Sequence[str]) -> None:
    from django.core.management import call_command

    call_command(*command)
