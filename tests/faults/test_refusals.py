"""Servers that answer, and refuse: PostgreSQL without room or without writes, Valkey likewise.

A standby that was promoted too late, a managed database whose disk is full, too many sessions: all
of it ends some time, and nothing may be lost or blamed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import redis

from commsproject import embedded
from notifications.models import DeadLetter, Delivery
from notifications.states import State
from tests.fakes.behaviours import Answer
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, Agents, all_ended, env, is_ready, reconnect, secret_of
from tests.processes import eventually, free_port

Refusing = Callable[[str], AbstractContextManager[None]]

_STAFF = "staff"
_OTHERS = b"""
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> 'staff'
"""


@contextmanager
def without_writes(url: str) -> Iterator[None]:
    """As a standby, or where a host of databases stops a disk from getting full. Sessions stay."""
    with psycopg.connect(url, autocommit=True) as staff:
        _set(staff, "default_transaction_read_only = on")
        try:
            yield
        finally:
            _set(staff, "default_transaction_read_only = off")


def _set(staff: psycopg.Connection, setting: str) -> None:
    staff.execute(f"ALTER SYSTEM SET {setting}".encode())
    staff.execute("SELECT pg_reload_conf()")


@contextmanager
def without_room(url: str) -> Iterator[None]:
    """Staff have taken all the sessions, and ended ours."""
    with ExitStack() as staff:
        first = _session(staff, url)
        while first.execute(_OTHERS).fetchall():
            first.execute(b"SELECT pg_terminate_backend(pid) FROM (%s) AS other" % _OTHERS)
            with suppress(psycopg.OperationalError):
                while True:
                    _session(staff, url)
        yield


def _session(staff: ExitStack, url: str) -> psycopg.Connection:
    session = psycopg.connect(url, autocommit=True, application_name=_STAFF)
    staff.callback(session.close)
    return session


@pytest.mark.parametrize("refusing", [without_writes, without_room])
def test_postgres_refuses(
    refusing: Refusing,
    postgres: embedded.Server,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
) -> None:
    """503 while it does; the answers of calls that are out are kept; all goes on by itself."""
    sendgrid.script.always(Answer(delay=0.3))
    port = free_port()
    secret = secret_of("billing")
    reconnect()
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        web = nursery.start("web", PORT=str(port))
        staff = [web, nursery.start("worker"), nursery.start("worker")]
        eventually(lambda: is_ready(port), PATIENCE)
        with Agents(lambda: f"http://127.0.0.1:{port}", secret, pause=0.02) as agents:
            for _ in range(int(size["times"])):
                agents.more(20)
                with refusing(postgres.url):
                    agents.refused(20)
            agents.more(20)
        reconnect()
        eventually(all_ended, PATIENCE)
        assert all(process.runs for process in staff)

    assert agents.statuses() <= {202, 503}
    assert not DeadLetter.objects.exists()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert not invariants.copies(sendgrid.messages.all())
    assert "suspect" not in "".join(process.log.read_text() for process in staff)
    assert "Traceback" not in web.log.read_text()
    invariants.check(sendgrid.messages, answered=agents.accepted)


def _full(valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory-policy", "noeviction")
    valkey.config_set("maxmemory", "1")


def _replica(valkey: redis.Redis) -> None:
    valkey.replicaof("127.0.0.1", "1")


def _locked(valkey: redis.Redis) -> None:
    valkey.config_set("requirepass", "somebody changed it")


@pytest.mark.parametrize("refuse", [_full, _replica, _locked])
def test_valkey_refuses(
    refuse: Callable[[redis.Redis], None],
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
) -> None:
    """Nobody notices: it is full, a replica of nobody, or has another password."""
    port = free_port()
    valkey = embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False)
    with valkey, Nursery(tmp_path, **env(sendgrid, REDIS_URL=valkey.url)) as nursery:
        staff = [nursery.start("web", PORT=str(port)), nursery.start("worker")]
        eventually(lambda: is_ready(port), PATIENCE)
        url = f"http://127.0.0.1:{port}"
        with Agents(lambda: url, secret_of("billing"), pause=0.02) as agents:
            agents.more(20)
            with redis.Redis.from_url(valkey.url) as client:
                refuse(client)
                client.connection_pool.disconnect()
            before = len(sendgrid.messages)
            agents.more(int(size["messages"]))
            eventually(lambda: len(sendgrid.messages) > before + 10, PATIENCE)
        eventually(all_ended, PATIENCE)
        assert all(process.runs for process in staff)

    assert agents.statuses() == {202}
    assert len(sendgrid.messages) == Delivery.objects.count()
    invariants.check(sendgrid.messages, answered=agents.accepted)
