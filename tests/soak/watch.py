"""What the service uses, and how well it does, looked at every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import psycopg
import redis

from tests.performance.world import Child, World
from tests.soak import service

EVERY = 10.0
MB = 1e6

_QUEUE = """
SELECT coalesce(sum(size) FILTER (WHERE kind = 'send' AND due_at <= now() AND NOT held), 0),
    coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE kind = 'send' AND NOT held)), 0),
    coalesce(extract(epoch FROM now() - min(due_at) FILTER
        (WHERE kind = 'send' AND NOT held AND lane = 'urgent')), 0),
    coalesce(sum(size), 0)
FROM notifications_work
"""

_TABLES = """
SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup
FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 14
"""

_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_DISK = """
SELECT pg_database_size(current_database()), (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()),
    (SELECT count(*) FROM common_outboxevent),
    (SELECT count(*) FROM tracking_webhookreceipt WHERE processed_at IS NULL),
    (SELECT count(*) FROM tracking_webhookdelivery WHERE delivered_at IS NULL)
"""


class Watch:
    """`samples` are JSON. A part that cannot be looked at, as its server is away, is left out."""

    def __init__(
        self,
        world: World,
        supervisor: Child,
        port: int,
        vendors: Collection[int],
        more: Callable[[], dict[str, Any]],
    ) -> None:
        """`port` is the web process's, `vendors` are theirs. `more`: what the load knows of the time
        since it was asked last.
        """
        self.samples: list[dict[str, Any]] = []
        self.failed: BaseException | None = None
        self._world, self._supervisor, self._more = world, supervisor, more
        self._port, self._vendors = port, vendors
        self._over = Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        thread = Thread(target=self._keep, name="watch")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self.failed:
            raise self.failed

    def _keep(self) -> None:
        began = time.monotonic()
        try:
            for number in range(10**9):
                if self._over.wait(max(0.0, began + number * EVERY - time.monotonic())):
                    return
                sample = {"at": round(time.monotonic() - began, 1), "processes": self.processes()}
                sample |= self._database() | self._valkey() | self._more()
                self.samples.append(sample)
        except BaseException as error:
            self.failed = error

    def processes(self) -> dict[str, dict[str, float]]:
        """`calls` are connections to vendors, `callers` those of clients, `files` all else that is
        open.
        """
        found = {}
        for kind, process in service.alive(self._supervisor).items():
            with suppress(psutil.Error):
                memory = process.memory_full_info()
                open_ones = [one for one in process.net_connections("tcp") if one.raddr]
                calls = sum(one.raddr.port in self._vendors for one in open_ones)
                callers = sum(one.laddr.port == self._port for one in open_ones)
                found[kind] = {
                    "pid": process.pid,
                    "rss": memory.rss / MB,
                    "pss": memory.pss / MB,
                    "own": memory.uss / MB,
                    "files": process.num_fds() - calls - callers,
                    "calls": calls,
                    "callers": callers,
                    "threads": process.num_threads(),
                    "cpu": sum(process.cpu_times()[:2]),
                }
        return found

    def _database(self) -> dict[str, Any]:
        try:
            with psycopg.connect(self._world.database_url, connect_timeout=2) as look:
                depth, oldest, urgent, all_ = _row(look, _QUEUE)
                size, wal, events, receipts, webhooks = _row(look, _DISK)
                return {
                    "queue": {"due": int(depth), "all": int(all_)},
                    "age": {"oldest": float(max(oldest, 0)), "urgent": float(max(urgent, 0))},
                    "behind": {"events": events, "receipts": receipts, "webhooks": webhooks},
                    "connections": {"PostgreSQL": _row(look, _CONNECTIONS)[0]},
                    "disk": {"database": size / MB, "WAL": int(wal) / MB},
                    "tables": {
                        name: {"MB": bytes_ / MB, "live": live, "dead": dead}
                        for name, bytes_, live, dead in look.execute(_TABLES)
                    },
                }
        except psycopg.Error:
            return {}

    def _valkey(self) -> dict[str, Any]:
        try:
            with redis.Redis.from_url(self._world.redis_url, socket_timeout=2) as look:
                info: Mapping[str, Any] = look.info()
                return {
                    "valkey": {
                        "clients": info["connected_clients"],
                        "memory": info["used_memory"] / MB,
                        "keys": look.dbsize(),
                    }
                }
        except (redis.RedisError, OSError):
            return {}


def _row(look: psycopg.Connection[Any], query: str) -> Any:
    row = look.execute(query.encode()).fetchone()
    assert row is not None
    return row


def files_of(directory: Path) -> float:
    """Megabytes on the disk."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()) / MB
