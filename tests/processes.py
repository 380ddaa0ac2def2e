"""Real processes of the service, on the test's own database: for what only a kill can show."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from django.conf import settings
from django.db import connection

from tests import canaries

ROOT = Path(__file__).resolve().parent.parent


def environment(**changes: str) -> dict[str, str]:
    """The environment in which a process finds this test's database and broker."""
    return {
        **os.environ,  # with xdist's worker number: the same broker database
        "DJANGO_SETTINGS_MODULE": "commsproject.settings.test",
        "DATABASE_URL": _database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def _database_url() -> str:
    values = connection.settings_dict
    user, password = quote(values["USER"]), quote(values["PASSWORD"])
    return f"postgres://{user}:{password}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


class Process:
    """One `manage.py` command, until it is stopped or killed."""

    def __init__(self, *command: str, log: Path, **env: str) -> None:
        self._log = log.open("ab")
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *command],
            env=environment(**env),
            stdout=self._log,
            stderr=self._log,
            cwd=ROOT,
        )

    def kill(self) -> None:
        """kill -9."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        self._read()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(seconds)
        self._read()
        return code

    def _read(self) -> None:
        self._log.close()
        assert not canaries.found(Path(self._log.name).read_text(errors="replace"))

    @property
    def runs(self) -> bool:
        return self.popen.poll() is None


@contextmanager
def running(*command: str, log: Path, **env: str) -> Iterator[Process]:
    """A process that is gone at the end of the block, however that is left."""
    process = Process(*command, log=log, **env)
    try:
        yield process
        if process.runs:
            process.stop()
    finally:
        if process.runs:
            process.kill()


SCRAPER = "scrape-me"
"""What `METRICS_TOKEN` is, for `scraped`."""


def scraped(port: int) -> str:
    """What the process that tells its metrics there says."""
    headers = {"Authorization": f"Bearer {SCRAPER}"}
    asked = Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urlopen(asked, timeout=60) as answer:
        return str(answer.read().decode())


def free_port() -> int:
    """A port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait until `condition` holds; fails loudly when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.05)


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
