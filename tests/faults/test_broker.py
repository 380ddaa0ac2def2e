"""Valkey killed, emptied, or silent: a doorbell less, and nothing else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis

from commsproject import embedded
from notifications.models import Delivery
from tests.fakes.proxy import Mode, TcpProxy
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import (
    PATIENCE,
    Agents,
    all_ended,
    env,
    is_ready,
    percentile,
    secret_of,
    tell,
)
from tests.processes import eventually, free_port

IN_VAIN = 0.6
"""Seconds that asking a broker which is away may cost a request: 0.3 to connect and 0.3 for an
answer (`common.valkey`); then nobody of its process asks for a second.
"""

AT_MOST = 1.0
"""Seconds for any request. The slowest of 300 took 0.67 on two cores with a load of eight (measured)."""


def test_valkey_is_gone(
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """G3: killed for a while, back with nothing in it."""
    valkey = embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False)
    port = free_port()
    with valkey, Nursery(tmp_path, **env(sendgrid, REDIS_URL=valkey.url)) as nursery:
        nursery.start("web", PORT=str(port))
        nursery.start("worker")
        eventually(lambda: is_ready(port), PATIENCE)
        url = f"http://127.0.0.1:{port}"
        with Agents(lambda: url, secret_of("billing"), pause=0.02) as agents:
            agents.more(20)
            since, before = time.monotonic(), len(sendgrid.messages)
            with valkey.down():
                shutil.rmtree(valkey.home.data / "appendonlydir")
                time.sleep(size["seconds"])
                eventually(lambda: len(sendgrid.messages) > before + 5, PATIENCE)
            agents.more(20)
        eventually(all_ended, PATIENCE)

    assert_in_time(agents, since, within)
    assert len(sendgrid.messages) == Delivery.objects.count()
    invariants.check(sendgrid.messages, answered=agents.accepted)


def test_valkey_is_a_black_hole(
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """G4: it takes connections and never answers. The provider's limit holds all the while."""
    count, seconds = 80, 3.0
    port = free_port()
    with (
        embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False) as valkey,
        TcpProxy(int(valkey.url.rpartition(":")[2].partition("/")[0])) as broker,
    ):
        redis_url = valkey.url.replace(f":{broker.upstream[1]}/", f":{broker.port}/")
        limited = env(sendgrid, REDIS_URL=redis_url, SENDGRID_LIMIT=f"{count}/{seconds:g}")
        with Nursery(tmp_path, **limited) as nursery:
            nursery.start("web", PORT=str(port))
            nursery.start("worker")
            nursery.start("worker")
            eventually(lambda: is_ready(port), PATIENCE)
            url = f"http://127.0.0.1:{port}"
            with Agents(lambda: url, secret_of("billing"), pause=0.1) as agents:
                agents.more(20)
                since, before = time.monotonic(), len(sendgrid.messages)
                with broker.fault(Mode.BLACKHOLE):
                    time.sleep(size["seconds"])
                    agents.more(20)
                    eventually(lambda: len(sendgrid.messages) > before + 5, PATIENCE)
                agents.more(10)
            eventually(all_ended, PATIENCE)

    assert_in_time(agents, since, within)
    calls = [request.at for request in sendgrid.ledger]
    # The fake notes a call a little late where the machine is busy, and two of them seem closer.
    assert most_in(calls, seconds * 0.7) <= count
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


def assert_in_time(agents: Agents, since: float, within: Callable[[float], float]) -> None:
    """All are accepted, and soon: as one usually was before the fault, but for asking in vain.

    What the machine's other work costs is in both. The first requests of a process are slow, so
    the median stands for those before.
    """
    before = [answer.seconds for answer in agents.answers if answer.at < since]
    during = [answer.seconds for answer in agents.answers if answer.at >= since]
    tell("requests with Valkey", before)
    tell("requests without Valkey", during)
    assert agents.statuses() == {202}
    assert percentile(during, 0.95) < percentile(before, 0.5) + within(IN_VAIN)
    assert max(during) < within(AT_MOST)


def most_in(moments: Sequence[float], seconds: float) -> int:
    """The most of them in any `seconds`."""
    ranked = sorted(moments)
    most, first = 0, 0
    for last, moment in enumerate(ranked):
        while moment - ranked[first] > seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
