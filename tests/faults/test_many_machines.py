"""Hosts that vanish from the network: nobody is told, no connection ends, and later they are back."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from commsproject.common.live import publish
from notifications.models import DeadLetter, Notification, Schedule, Work
from notifications.types import Lane
from tests.fakes.behaviours import Answer
from tests.fakes.net import LoopThread
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.wire import Request
from tests.faults import hosts, invariants, test_schedulers
from tests.faults.conftest import Size
from tests.faults.crowd import Crowd, Follower
from tests.faults.hosts import Host
from tests.faults.installation import (
    PORT,
    Installation,
    answers,
    installed,
    url,
    wait_for,
    web,
    worker,
)
from tests.faults.nursery import Infant, Nursery
from tests.faults.test_live import ROOMS, Writer, heads
from tests.faults.test_schedulers import make_due
from tests.faults.world import KEY, PATIENCE, Agents, accept, all_ended, moved_to, secret_of, tell
from tests.live_feed import rooms
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WEB = ["web-a", "web-b"]
WORKERS = ["workers-a", "workers-b", "bulk"]

AGENT = "billing"

GONE = 10.0
"""Seconds without an answer after which a host is gone, and what it had locked is free: settings."""

LEASE = 10.0


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None
) -> Iterator[Installation]:
    if missing := hosts.why_not():
        pytest.skip(missing)
    with installed(tmp_path_factory.mktemp("servers"), *WEB, *WORKERS) as installation:
        yield installation


@pytest.fixture
def many(everything: Installation) -> Iterator[Installation]:
    """Empty, with the test's own thread outside."""
    publish.post([])  # its thread serves all tests of this process: it must not be born outside
    with everything.outside.here(), moved_to(everything.database_url):
        eventually(is_connected, PATIENCE)
        rooms.create_tables()
        with invariants.moves_recorded():
            yield everything
        rooms.drop_tables()
        call_command("flush", verbosity=0, interactive=False)
    eventually(lambda: not everything.outside.strays(), PATIENCE)


def is_connected() -> bool:
    """A pool gives up after 2 s, which a busy machine may take for the first connection."""
    with contextlib.suppress(OperationalError):
        connection.ensure_connection()
        return True
    return False


@pytest.fixture
def vendor(many: Installation) -> Iterator[SendGridServer]:
    """A provider that all hosts reach."""

    class Reachable(SendGridServer):
        host = many.outside.address

    with Reachable(api_key=KEY) as server:
        yield server


@pytest.fixture
def nursery(
    many: Installation, vendor: SendGridServer, tmp_path: Path, at_full_size: bool
) -> Iterator[Nursery]:
    waits = {} if at_full_size else {"SHORT_WAITS": "1"}
    with Nursery(tmp_path, **many.env(vendor, **waits)) as found:
        yield found


def test_a_host_of_workers_vanishes(
    many: Installation,
    vendor: SendGridServer,
    nursery: Nursery,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """It is cut off from the servers, not from the provider. Others have its work when its leases run
    out, and PostgreSQL lets go of what it had open. As soon as it is back it is of use again.
    """
    vendor.script.always(Answer(delay=0.3))
    pair, bulk = [many.network[name] for name in WORKERS[:2]], many.network["bulk"]
    staff = [worker(nursery, host, "urgent", "normal") for host in pair]
    staff.append(worker(nursery, bulk, "bulk"))
    wait_for(*staff)
    accept(20, agent="news", lane=Lane.BULK)
    took = [
        lose_a_host(many, vendor, pair, int(size["messages"]), 100_000 * number)
        for number in range(1, int(size["rounds"]) + 1)
    ]
    all_is_well(nursery, staff, vendor)
    tell("until all work of a lost host was taken by another", took)
    assert max(took) < within(LEASE + GONE)
    assert {caller(vendor, f"user-{number}@") for number in range(20)} == {bulk.address}
    assert not DeadLetter.objects.exists()


def all_is_well(
    nursery: Nursery, staff: Sequence[Infant], vendor: SendGridServer, *agents: Agents
) -> None:
    """Nobody has ended, and with nobody at work any more the books are right."""
    eventually(all_ended, PATIENCE)
    assert all(process.runs for process in staff)
    nursery.kill_all()
    assert all(one.statuses() <= {0, 202, 503} for one in agents)
    invariants.check(vendor.messages, answered=[id_ for one in agents for id_ in one.accepted])


def lose_a_host(
    many: Installation, vendor: SendGridServer, pair: Sequence[Host], count: int, first: int
) -> float:
    """That of the pair which sends `count` messages, and then the other; the seconds until all that
    was claimed when the first was lost was claimed again or done.
    """
    accept(count, first=first)
    lost = next(host for host in pair if host.address == caller(vendor, f"user-{first}@"))
    [other] = [host for host in pair if host is not lost]
    held = set(Work.objects.filter(lease_until__isnull=False).values_list("id", "token"))
    with many.network.cut(lost, many.data):
        took = seconds_until(lambda: not held & set(Work.objects.values_list("id", "token")))
        eventually(lambda: is_forgotten(lost), PATIENCE)
        eventually(all_ended, PATIENCE)
    with many.network.cut(other, many.data):
        accept(20, first=first + count)
        eventually(all_ended, PATIENCE)
    return took


def caller(vendor: SendGridServer, recipient: str) -> str:
    """The address of the host that calls the provider for this one. Waits for the call."""

    def is_it(call: Request) -> bool:
        return any(name.startswith(recipient) for name in call.recipients)

    return vendor.ledger.wait_for(1, timeout=PATIENCE, where=is_it)[0].peer


def seconds_until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    eventually(condition, PATIENCE)
    return time.monotonic() - began


def is_forgotten(host: Host) -> bool:
    """Whether PostgreSQL has ended all its sessions. One that was just being opened holds nothing, and
    is waited for as long as `authentication_timeout` says: a minute.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_stat_activity WHERE client_addr = %s AND state <> 'starting'",
            [host.address],
        )
        return not cursor.fetchall()


def test_a_host_of_web_and_of_the_leader_vanishes(
    many: Installation,
    vendor: SendGridServer,
    nursery: Nursery,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """Agents and sockets go to the other one, and miss nothing. The other scheduler leads: each run of
    each schedule is sent once.
    """
    lost, left = (many.network[name] for name in WEB)
    count = int(size["schedules"])
    test_schedulers.make(count)
    took = []
    schedulers = {lost: nursery.start("scheduler", on=lost)}
    eventually(lambda: terms(schedulers[lost]) == 1, PATIENCE)
    schedulers[left] = nursery.start("scheduler", on=left)
    staff = [*schedulers.values(), *(web(nursery, host) for host in (lost, left))]
    staff.append(worker(nursery, many.network["workers-a"], "urgent", "normal"))
    with in_use(int(size["people"]), lost, left) as (agents, crowd):
        for number in range(1, int(size["rounds"]) + 1):
            next_one = partial(terms, schedulers[left])
            with many.network.cut(lost):
                make_due(count)
                took.append(seconds_until_more(next_one))
                eventually(partial(have_run, count * number), PATIENCE)
                eventually(partial(all_at, left, crowd), PATIENCE)
                eventually(partial(is_forgotten, lost), PATIENCE)
                agents.more(10)
            with agents_of(lost) as again:
                again.more(5)
            lost, left = left, lost

    all_is_well(nursery, staff, vendor, agents)
    tell("until another scheduler led", took)
    assert max(took) < within(GONE + 5)
    assert not Schedule.objects.exclude(last_error=None).exists()


def test_the_host_of_the_servers_vanishes(
    many: Installation,
    vendor: SendGridServer,
    nursery: Nursery,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """PostgreSQL and Valkey, for all processes: nobody ends, and all go on when it is back."""
    vendor.script.always(Answer(delay=0.1))
    doors = [many.network[name] for name in WEB]
    others = [*doors, *(many.network[name] for name in WORKERS)]
    staff = [web(nursery, host) for host in doors]
    staff += [worker(nursery, many.network[name], "urgent", "normal") for name in WORKERS]
    wait_for(*staff[2:])
    with in_use(int(size["people"]), *doors) as (agents, _):
        with many.network.cut(many.data, *others):
            time.sleep(size["seconds"])
            eventually(lambda: all(is_forgotten(host) for host in others), PATIENCE)
        took = [seconds_until_open(host) for host in doors]
        agents.more(20)

    all_is_well(nursery, staff, vendor, agents)
    tell("until a web host took messages again", took)
    assert max(took) < within(2 * GONE)
    assert not DeadLetter.objects.exists()


def terms(scheduler: Infant) -> int:
    """How often it has begun to lead."""
    log = scheduler.log
    return log.read_text().count("scheduler leads") if log.exists() else 0


def seconds_until_more(count: Callable[[], int]) -> float:
    before = count()
    return seconds_until(lambda: count() > before)


def have_run(runs: int) -> bool:
    """Whether so many runs of schedules have been sent, and not one more."""
    sent = Notification.objects.exclude(client__name=AGENT).count()
    assert sent <= runs
    return sent == runs


def all_at(host: Host, crowd: Crowd) -> bool:
    return all(one.is_in and one.server == (host.address, PORT) for one in crowd.followers)


def seconds_until_open(host: Host) -> float:
    with agents_of(host) as agents:
        return seconds_until(lambda: 202 in agents.statuses())


@contextmanager
def in_use(people: int, *doors: Host) -> Iterator[tuple[Agents, Crowd]]:
    """Agents post, and so many people follow what is written, all of which they get in the end."""
    eventually(lambda: all(answers(host) for host in doors), PATIENCE)
    with agents_of(*doors) as agents, crowd_of(people, *doors) as crowd, Writer(0.05):
        agents.more(10)
        yield agents, crowd


@contextmanager
def agents_of(*doors: Host) -> Iterator[Agents]:
    """They ask one after the other, and wait for 3 s."""
    turns = itertools.cycle(doors)
    with Agents(lambda: url(next(turns)), secret_of(AGENT), pause=0.02, timeout=3) as agents:
        yield agents


class Restless(Follower):
    """A client that takes the silence of a few heartbeats for the end, as ours do."""

    patience = 5.0


@contextmanager
def crowd_of(people: int, *doors: Host) -> Iterator[Crowd]:
    """Sockets from the beginning to the end, and then each has all that was said, in order."""
    servers = [(host.address, PORT) for host in doors]
    crowd = Crowd([Restless(n, servers, [ROOMS[n % len(ROOMS)]]) for n in range(people)])
    loop = LoopThread("crowd")
    try:
        loop.call(crowd.__aenter__(), PATIENCE)
        eventually(lambda: crowd.connected == people, PATIENCE)
        yield crowd
        loop.call(crowd.until_all_have(heads(), PATIENCE), PATIENCE + 10)
        loop.call(crowd.__aexit__(), PATIENCE)
    finally:
        loop.stop()
