"""The fault tests: how large each is, what they share, and the check after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from commsproject import embedded
from notifications.services import audit
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.vendors import Vendors, vendors_running
from tests.faults.world import KEY, moved_to

Size = Mapping[str, float]

SIZES: dict[str, tuple[Size, Size]] = {
    # test: the short form of `make test`, the full form of `make faults`
    "workers_die": ({"messages": 300, "kills": 6}, {"messages": 1500, "kills": 40}),
    "bulk_workers_die": ({"messages": 200, "kills": 4}, {"messages": 1000, "kills": 20}),
    "web_dies": ({"kills": 3}, {"kills": 20}),
    "rolling_restart": ({"rounds": 1}, {"rounds": 3}),
    "valkey_is_gone": ({"seconds": 2}, {"seconds": 10}),
    "valkey_is_a_black_hole": ({"seconds": 2}, {"seconds": 12}),
    "postgres_crashes": ({"crashes": 2}, {"crashes": 3}),
    "postgres_is_down": ({"seconds": 3}, {"seconds": 20}),
    "postgres_refuses": ({"times": 1}, {"times": 4}),
    "valkey_refuses": ({"messages": 20}, {"messages": 300}),
    "workers_sleep_through_their_leases": (
        {"messages": 20, "rounds": 2},
        {"messages": 200, "rounds": 6},
    ),
    "postgres_freezes": ({"seconds": 6}, {"seconds": 25}),
    "flood": ({"bulk": 3_000, "urgent": 30}, {"bulk": 50_000, "urgent": 200}),
    "poison": ({"messages": 40}, {"messages": 150}),
    "poison_at_the_call": ({"messages": 20}, {"messages": 28}),  # 60 retries a minute
    "conversations_lose_nothing": ({"people": 40, "kills": 2}, {"people": 400, "kills": 12}),
    "skewed_workers": ({"messages": 100}, {"messages": 500}),
    "retries_of_skewed_workers": ({"messages": 8}, {"messages": 48}),  # 60 retries a minute
    "every_schedule_keeps_the_ledger": (
        {"schedules": 120, "processes": 1},
        {"schedules": 2_000, "processes": 2},
    ),
    "races": (
        {"interleavings": 60, "processes": 1},
        {"interleavings": 1_000, "processes": 2},
    ),
    "what_is_over_the_limit_waits_its_turn": (
        {"messages": 200, "limit": 100, "window": 2, "seen": 1.4, "late": 10},
        {"messages": 5_000, "limit": 1_000, "window": 6, "seen": 6, "late": 0},
    ),
    "what_is_over_the_limit_goes_to_the_next_provider": (
        {"messages": 300, "limit": 100, "window": 10, "seen": 7, "late": 10},
        {"messages": 5_000, "limit": 1_000, "window": 10, "seen": 10, "late": 0},
    ),
    "a_flush_of_valkey_gives_no_second_limit": (
        {"messages": 200, "limit": 100, "window": 2, "seen": 1.4, "late": 10},
        {"messages": 3_000, "limit": 1_000, "window": 6, "seen": 6, "late": 0},
    ),
    "without_valkey_each_process_keeps_to_its_share": (
        {"messages": 200, "limit": 100, "window": 2, "seen": 1.4, "late": 10},
        {"messages": 3_000, "limit": 1_000, "window": 6, "seen": 6, "late": 0},
    ),
    "a_host_of_workers_vanishes": (
        {"messages": 300, "rounds": 1},
        {"messages": 2_000, "rounds": 3},
    ),
    "a_host_of_web_and_of_the_leader_vanishes": (
        {"people": 10, "schedules": 20, "rounds": 1},
        {"people": 200, "schedules": 150, "rounds": 2},
    ),
    "the_host_of_the_servers_vanishes": (
        {"people": 10, "seconds": 4},
        {"people": 200, "seconds": 20},
    ),
    "rotation": ({"rotations": 2}, {"rotations": 10}),
    "a_key_that_is_changed_too_late_costs_seconds": ({"messages": 20}, {"messages": 200}),
    "a_provider_refuses_connections": (
        {"rate": 100, "before": 1, "seconds": 4},
        {"rate": 500, "before": 6, "seconds": 30},
    ),
    "an_outage": ({"rate": 50, "seconds": 3}, {"rate": 100, "seconds": 30}),
    "a_provider_is_a_black_hole": (
        {"rate": 50, "seconds": 2, "times": 0.1, "bound": 6},
        {"rate": 50, "seconds": 12, "times": 1, "bound": 30},
    ),
    "a_brownout": (
        {"rate": 30, "seconds": 9, "times": 0.3, "bound": 3},
        {"rate": 30, "seconds": 20, "times": 1, "bound": 3},
    ),
    "a_provider_refuses_a_country": ({"rate": 20, "seconds": 2}, {"rate": 50, "seconds": 10}),
    "what_is_known_of_providers_survives_valkey": ({"messages": 200}, {"messages": 1_000}),
    "calls_without_an_answer": ({"messages": 90}, {"messages": 300}),
    "weights": ({"messages": 2_000, "trouble": 200}, {"messages": 10_000, "trouble": 1_000}),
    "valid_addresses_are_reached": (
        {"email": 40, "sms": 20, "seconds": 2, "times": 0.1},
        {"email": 60, "sms": 30, "seconds": 10, "times": 1},
    ),
    "no_message_reaches_a_suppressed_address": ({"histories": 100}, {"histories": 2_000}),
    "an_erasure_survives_its_process": (
        {"messages": 600, "kills": 1},
        {"messages": 10_000, "kills": 8},
    ),
    "a_crowd_loses_nothing": (
        {"sockets": 200, "slow": 2, "seconds": 2},
        {"sockets": 2_000, "slow": 20, "seconds": 10},
    ),
    "an_idle_socket_stays": ({"seconds": 6}, {"seconds": 65}),
    "pace": ({"seconds": 6, "pause": 1, "seen": 1.0}, {"seconds": 20, "pause": 4, "seen": 1.4}),
    "long_transaction": (
        {"messages": 2_000, "singles": 100},
        {"messages": 20_000, "singles": 1_500},
    ),
}
"""Numbers of messages and faults, and seconds that a fault lasts. `seen`: a little less than the
time of a limit, for calls that come late where the machine is busy, and so seem closer; `late`: how
many may come later still.
"""

TIMEOUT = 600
"""Seconds. A machine that does other work may be several times as slow."""

SLACK = 10.0
"""Times as long as its goal a thing may take in the short form: beside four workers, on any machine."""

HERE = Path(__file__).parent

DATABASES = ("transactional_db", "postgres")
"""Fixtures by which a test has rows, beside the mark. Where both are used the last has them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    """The sizes of this test, by its name."""
    short, full = SIZES[request.node.originalname.removeprefix("test_")]
    return full if request.config.getoption("full_faults") else short


@pytest.fixture
def at_full_size(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("full_faults"))


@pytest.fixture
def within(at_full_size: bool) -> Callable[[float], float]:
    """The seconds that a goal of so many means here: `make faults` has the machine for itself."""
    return lambda seconds: seconds if at_full_size else SLACK * seconds


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with SendGridServer(api_key=KEY) as server:
        yield server


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with vendors_running() as found:
        yield found


@pytest.fixture
def moves(transactional_db: None) -> Iterator[None]:
    """What `invariants.check` needs."""
    with invariants.moves_recorded():
        yield


@pytest.fixture(autouse=True)
def _audited(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test whose rows there are, whatever it looked at itself."""
    used = [name for name in DATABASES if name in request.fixturenames]
    for name in used:
        request.getfixturevalue(name)
    yield
    if used or request.node.get_closest_marker("django_db"):
        found = [f"{one.rule}: {one.row}: {one.detail}" for one in audit.findings()]
        assert not found, f"the audit found {len(found)}:\n" + "\n".join(found[:20])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    directory = tmp_path_factory.mktemp("postgres")
    with embedded.Server(embedded.Postgres, directory, durable=False) as server:
        yield server


@pytest.fixture
def postgres(
    server: embedded.Server, django_db_blocker: DjangoDbBlocker
) -> Iterator[embedded.Server]:
    """A PostgreSQL that no other test has, so that it may die; empty."""
    with django_db_blocker.unblock(), moved_to(server.url):
        call_command("migrate", verbosity=0)
        with invariants.moves_recorded():
            yield server
        call_command("flush", verbosity=0, interactive=False)
