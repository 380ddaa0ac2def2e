"""What a measurement happens in: servers of its own, child processes, and their CPU and memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from commsproject import embedded
from commsproject.embedded.system import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
WORKERS = 2
STOP_SECONDS = 10.0
SETTINGS = "tests.performance.settings"
PEERS = "tests.performance.peers.settings"

_HOT = (
    "notifications_batch, notifications_batchdelta, notifications_notification, notifications_work, "
    "notifications_delivery, notifications_attempt, notifications_recipient,"
    " notifications_providerstate, common_idempotencykey, tracking_webhookreceipt"
)
"""Emptied between measurements, with all that refers to them."""


class Failed(Exception):
    """A measurement that is worth nothing: messages lost, the ledger wrong, a program dead."""


class Child:
    """A process of the service or of a peer. Its output goes to a file of its name."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], logs: Path, **pipes: Any
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        with self.log.open("ab") as log:
            # A group of its own: a program that forks is stopped with its children.
            self.popen = subprocess.Popen(
                command,
                env=env,
                cwd=ROOT,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
                **{"stdin": subprocess.DEVNULL, "stdout": log, **pipes},
            )

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.popen.pid)
            return [own, *own.children(recursive=True)]
        return []

    def check(self) -> None:
        if (code := self.popen.poll()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-15:]
            raise Failed("\n".join([f"{self.name} ended with {code}. Its log:", *lines]))

    def stop(self) -> None:
        if self.popen.stdin:
            self.popen.stdin.close()
        family = self.processes()
        if self.popen.poll() is None:
            self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_SECONDS)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.popen.wait()


class Sender(Child):
    """A child that gets ready, waits for `go`, works, and reports in one line of JSON."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._line()

    def go(self) -> dict[str, Any]:
        assert self.popen.stdin is not None
        self.popen.stdin.write(b"go\n")
        self.popen.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _line(self) -> bytes:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            self.popen.wait()
            self.check()
        return bytes(line)


class World:
    """One PostgreSQL (fsync on) and one Valkey, with an empty database, for a whole run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.iterdir():
            old.unlink()
        self.postgres = embedded.Server(embedded.Postgres, directory / "postgres")
        self.valkey = embedded.Server(embedded.Valkey, directory / "valkey")

    def __enter__(self) -> Self:
        self.redis_url = self.valkey.start()
        self.broker = redis.Redis.from_url(self.redis_url)
        admin = self.postgres.start()
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
            connection.execute("CREATE DATABASE bench")
        self.database_url = urlsplit(admin)._replace(path="/bench").geturl()
        self.database = psycopg.connect(self.database_url, autocommit=True)
        return self

    def prepare(self) -> None:
        """The schema, ours and the peers', and what has to be stored before anything can be sent."""
        self.manage("migrate", "--verbosity", "0", DJANGO_SETTINGS_MODULE=PEERS)
        self.api_key = self.module("tests.performance.prepare")

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self.broker.close()
        self.postgres.stop()
        self.valkey.stop()

    def environment(self, **changes: str) -> dict[str, str]:
        """What a child finds: nothing of the caller's own settings of the service."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
            **changes,
        }

    @contextlib.contextmanager
    def running(self, name: str, command: Sequence[str], **env: str) -> Iterator[Child]:
        child = Child(name, command, self.environment(PGAPPNAME=name, **env), self.logs)
        try:
            yield child
            child.check()
        finally:
            child.stop()

    @contextlib.contextmanager
    def sender(self, name: str, module: str, spec: object, **env: str) -> Iterator[Sender]:
        command = [sys.executable, "-m", module, json.dumps(spec)]
        child = Sender(name, command, self.environment(PGAPPNAME=name, **env), self.logs)
        try:
            yield child
        finally:
            child.stop()

    @contextlib.contextmanager
    def workers(
        self, *lanes: str, env: Mapping[str, str], count: int = WORKERS
    ) -> Iterator[list[Child]]:
        """Worker processes as `make run` starts them, looking for work already."""
        command = [*MANAGE, "worker", *(word for lane in lanes for word in ("--lane", lane))]
        names = [f"worker-{lanes[0]}-{number}" for number in range(count)]
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(self.running(name, command, **env)) for name in names]
            self.wait(lambda: self._connected(names), 60, children)
            yield children

    def _connected(self, names: Sequence[str]) -> bool:
        query = (
            "SELECT count(DISTINCT application_name) FROM pg_stat_activity"
            " WHERE application_name = ANY(%s)"
        )
        return self.number(query, list(names)) == len(names)

    def manage(self, *words: str, **env: str) -> str:
        """What a `manage.py` command says; raises `Failed` where it fails."""
        return self.output([*MANAGE, *words], env)

    def module(self, name: str) -> str:
        """What a Python module says when it is run as a program; raises `Failed` where it fails."""
        return self.output([sys.executable, "-m", name], {})

    def output(self, command: Sequence[str], env: Mapping[str, str]) -> str:
        done = subprocess.run(
            command, env=self.environment(**env), cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise Failed(f"{' '.join(command[1:])} failed.\n{said}")
        return done.stdout

    def number(self, query: str, *values: object) -> int:
        row = self.database.execute(query.encode(), values).fetchone()
        assert row is not None
        return int(row[0])

    def another_connection(self) -> psycopg.Connection[Any]:
        """For another thread."""
        return psycopg.connect(self.database_url, autocommit=True)

    def empty(self) -> None:
        """No messages, no memory of how providers did."""
        self.broker.flushdb()
        self.database.execute(f"TRUNCATE {_HOT} CASCADE".encode())
        self.database.execute("CHECKPOINT")

    def wait(
        self, done: Callable[[], bool], seconds: float, children: Iterable[Child] = ()
    ) -> None:
        """Until `done`. Raises `TimeoutError`, or `Failed` when a child has died."""
        children = list(children)
        deadline = time.monotonic() + seconds
        while not done():
            for child in children:
                child.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:.0f} s")
            time.sleep(0.01)

    def cpu(self, parts: Mapping[str, Iterable[Child]]) -> dict[str, float]:
        """CPU seconds so far of the named children and of the two servers."""
        used = {
            name: sum(_cpu(process) for child in children for process in child.processes())
            for name, children in parts.items()
        }
        used["postgres"] = _server_cpu(self.postgres)
        used["valkey"] = _server_cpu(self.valkey)
        return used

    @property
    def versions(self) -> dict[str, str]:
        row = self.database.execute("SHOW server_version").fetchone()
        assert row is not None
        server = cast("dict[str, str]", self.broker.info("server"))
        return {
            "PostgreSQL": f"{row[0]}, on loopback, fsync on",
            "Valkey": server["valkey_version"],
        }


def memory(children: Iterable[Child]) -> int:
    """The resident bytes of the largest process."""
    sizes = [0]
    for child in children:
        for process in child.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_info().rss)
    return max(sizes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cpu(process: psutil.Process) -> float:
    """With the children that have ended: whose times it has inherited."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _server_cpu(server: embedded.Server) -> float:
    main = psutil.Process(server.home.state.pid)
    return sum(_cpu(process) for process in [main, *main.children(recursive=True)])
