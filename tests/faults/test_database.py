"""PostgreSQL crashes, is away for a while, or is held up by somebody's long transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest
from django.conf import settings
from django.db import connection

from commsproject import embedded
from notifications import queue
from notifications.models import DeadLetter, Delivery, Work
from notifications.services import metrics
from notifications.states import State
from notifications.types import Lane
from tests.fakes.behaviours import Answer
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.sendgrid_events import SendGridWebhook, event
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Infant, Nursery
from tests.faults.world import (
    PATIENCE,
    TLS,
    Agents,
    accept,
    all_ended,
    env,
    is_ready,
    percentile,
    reconnect,
    secret_of,
    tell,
)
from tests.processes import eventually, free_port, frozen

_STAFF = "staff"
_OTHERS = b"""
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> 'staff'
"""


@contextmanager
def outlived(sendgrid: SendGridServer, directory: Path) -> Iterator[Agents]:
    """The web process and two workers, while agents post. After what the block does to them all of it
    is sent, nobody was told anything but 202 or 503, and no process had to be started again.
    """
    sendgrid.script.always(Answer(delay=0.1))
    port = free_port()
    secret = secret_of("billing")
    reconnect()
    with Nursery(directory, **env(sendgrid)) as nursery:
        staff = [nursery.start("web", PORT=str(port)), *(nursery.start("worker") for _ in "ab")]
        eventually(lambda: is_ready(port), PATIENCE)
        with Agents(lambda: f"http://127.0.0.1:{port}", secret, pause=0.02) as agents:
            agents.more(20)
            yield agents
            agents.more(20)
        reconnect()
        eventually(all_ended, PATIENCE)
        assert all(process.runs for process in staff)
        logs = "".join(process.log.read_text() for process in staff)

    assert agents.statuses() <= {202, 503}
    assert "suspect" not in logs
    assert not DeadLetter.objects.exists()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert len(agents.ids) == Delivery.objects.count()
    invariants.check(sendgrid.messages, answered=agents.accepted)


def test_postgres_crashes(
    postgres: embedded.Server, sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """G5: it is killed under load and recovers; so does everybody else, without a restart."""
    with outlived(sendgrid, tmp_path) as agents:
        for _ in range(int(size["crashes"])):
            postgres.kill()
            agents.more(20)


def test_postgres_freezes(
    postgres: embedded.Server, sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """It takes connections and says nothing, as on a disk that hangs; then it goes on where it was.
    Who asks meanwhile is told so soon.
    """
    with outlived(sendgrid, tmp_path) as agents:
        server = psutil.Process(postgres.home.state.pid)
        with frozen(server.pid, *(child.pid for child in server.children())):
            started = time.monotonic()
            new = agents.once("new")
            took = time.monotonic() - started
            time.sleep(max(0, size["seconds"] - took))
    assert (new.status, took < 25) == (503, True), new


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
    refusing: Callable[[str], AbstractContextManager[None]],
    postgres: embedded.Server,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
) -> None:
    """It answers, and takes no writes, or has no session left."""
    with outlived(sendgrid, tmp_path) as agents:
        for _ in range(int(size["times"])):
            with refusing(postgres.url):
                agents.refused(20)
            agents.more(20)


def test_postgres_is_down(
    postgres: embedded.Server, sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """G6: 503 with Retry-After for everybody, nobody runs in circles, no message is blamed."""
    sendgrid.script.always(Answer(delay=0.5))
    webhook = SendGridWebhook()
    port = free_port()
    secret = secret_of("billing")
    accept(30)
    known = env(sendgrid, SENDGRID_WEBHOOK_PUBLIC_KEY=webhook.public_key)
    with Nursery(tmp_path, **known) as nursery, _Door(port, secret) as door:
        nursery.start("web", PORT=str(port))
        workers = [nursery.start("worker"), nursery.start("worker")]
        eventually(lambda: is_ready(port), PATIENCE)
        sendgrid.ledger.wait_for(30, timeout=PATIENCE)
        assert door.knock().status_code == 202
        reconnect()
        with postgres.down():
            refused = [door.knock(), door.report(webhook, sendgrid)]
            page = door.look("/admin/")
            refused.append(door.look("/api/v1/whoami"))
            share = _busy(workers, size["seconds"])
        eventually(lambda: door.knock().status_code == 202, PATIENCE)
        eventually(lambda: door.report(webhook, sendgrid).status_code == 200, PATIENCE)
        eventually(all_ended, PATIENCE)

    tell("answers without PostgreSQL", [answer.elapsed.total_seconds() for answer in refused])
    assert [answer.status_code for answer in [*refused, page]] == [503] * 4
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in [*refused, page])
    assert all(answer.json()["code"] == "unavailable" for answer in refused)
    assert share < 0.5
    assert not DeadLetter.objects.exists()
    assert "suspect" not in "".join(worker.log.read_text() for worker in workers)
    invariants.check(sendgrid.messages)


class _Door(httpx2.Client):
    """The API and the webhooks, as one agent and one provider see them; pages, as staff do."""

    def __init__(self, port: int, secret: str) -> None:
        super().__init__(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {secret}"},
            timeout=30,
            trust_env=False,
            verify=TLS,
        )

    def knock(self) -> httpx2.Response:
        body = {"to": {"email": "ada@example.org"}, "content": {"subject": "s", "text": "t"}}
        return self.post("/api/v1/notifications", json=body)

    def report(self, webhook: SendGridWebhook, sendgrid: SendGridServer) -> httpx2.Response:
        post = webhook.post(event(sendgrid.messages[0], "open"))
        return self.post("/webhooks/sendgrid/", content=post.body, headers=post.headers)

    def look(self, path: str) -> httpx2.Response:
        """By a browser with a session, which is looked up before any view is asked."""
        return self.get(path, headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={'x' * 32}"})


def _busy(processes: list[Infant], seconds: float) -> float:
    """The part of a processor that the busiest of them uses for so long."""
    before, started = [one.cpu for one in processes], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - started
    used = [one.cpu - was for one, was in zip(processes, before, strict=True)]
    return max(used) / took


def test_long_transaction(
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """G22: somebody's transaction keeps every dead row alive; claims stay quick.

    It is the rows that slow a claim down, not the time: the transaction lasts until as much has
    flowed as in the minute of the fault's description, and no row of it has been cleared away.
    """
    count, singles, chunk = int(size["messages"]), int(size["singles"]), 50
    took: list[float] = []
    done = threading.Event()
    with Nursery(tmp_path, **env(sendgrid)) as nursery, _long_transaction():
        probe = threading.Thread(target=_probe, args=(took, done))
        probe.start()
        nursery.start("worker")
        for first in range(0, count, chunk):
            accept(chunk, first=first)
        for _ in range(singles):  # many small works
            accept(1)
        eventually(all_ended, PATIENCE)
        done.set()
        probe.join()
        eventually(lambda: metrics.dead_rows() >= count // chunk + singles)  # which raises an alert

    tell("claims beside a long transaction", took)
    assert len(took) > 20
    assert percentile(took, 0.95) < within(0.05)
    invariants.check(sendgrid.messages)


_WORK = Work._meta.db_table


@contextmanager
def _long_transaction() -> Iterator[None]:
    """As a report would hold it open: its snapshot is from before everything."""
    values = connection.settings_dict
    with psycopg.connect(
        host=values["HOST"],
        port=values["PORT"],
        user=values["USER"],
        password=values["PASSWORD"],
        dbname=values["NAME"],
    ) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute(f"SELECT count(*) FROM {_WORK}")
        yield
        session.rollback()


def _probe(took: list[float], done: threading.Event) -> None:
    """Claim and give back, over and over, and note how long a claim takes."""
    try:
        while not done.wait(0.05):
            started = time.monotonic()
            leases = queue.claim(Lane.NORMAL, 1)
            took.append(time.monotonic() - started)
            queue.give_back(leases)
    finally:
        connection.close()
