"""Processes that are stopped and go on later, with all that they held: a machine that was moved, a
disk that hung.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from commsproject import embedded
from notifications.models import DeadLetter, Delivery
from notifications.states import State
from tests.fakes.behaviours import Answer
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import (
    PATIENCE,
    Agents,
    accept,
    all_ended,
    env,
    has_started,
    is_ready,
    reconnect,
    secret_of,
)
from tests.impatient_settings import LEASE_SECONDS
from tests.processes import eventually, free_port


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def test_workers_sleep_through_their_leases(
    moves: None, sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """Others take over what they held; once awake they write down no state that is over."""
    sendgrid.script.always(Answer(delay=0.3))
    messages, rounds = int(size["messages"]), int(size["rounds"])
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        workers = [nursery.start("worker") for _ in "ab"]
        eventually(lambda: all(has_started(worker.log) for worker in workers), PATIENCE)
        for number in range(rounds):
            before = len(sendgrid.messages)
            accept(messages, first=number * messages)
            sendgrid.ledger.wait_for(before + 1, timeout=PATIENCE)
            with frozen(workers[number % 2].pid):
                time.sleep(2 * LEASE_SECONDS)
            eventually(all_ended, PATIENCE)
        assert all(worker.runs for worker in workers)

    assert set(Delivery.objects.values_list("state", flat=True)) <= {State.SENT, State.FAILED}
    invariants.check(sendgrid.messages)


def test_postgres_freezes(
    postgres: embedded.Server, sendgrid: SendGridServer, tmp_path: Path, size: Size
) -> None:
    """It takes connections and says nothing; then it goes on where it was."""
    sendgrid.script.always(Answer(delay=0.1))
    port = free_port()
    secret = secret_of("billing")
    reconnect()
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        staff = [nursery.start("web", PORT=str(port)), *(nursery.start("worker") for _ in "ab")]
        eventually(lambda: is_ready(port), PATIENCE)
        url = f"http://127.0.0.1:{port}"
        with Agents(lambda: url, secret, pause=0.02) as agents:
            agents.more(20)
            server = psutil.Process(postgres.home.state.pid)
            with frozen(server.pid, *(child.pid for child in server.children())):
                time.sleep(size["seconds"])
            agents.more(20)
        reconnect()
        eventually(all_ended, PATIENCE)
        assert all(process.runs for process in staff)

    assert agents.statuses() <= {202, 503}
    assert not DeadLetter.objects.exists()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert len(agents.ids) == Delivery.objects.count()
    invariants.check(sendgrid.messages, answered=agents.accepted)
