"""What /health says when a part is really away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from commsproject import embedded
from commsproject.common import valkey
from commsproject.common.health import BEAT_LIMIT
from commsproject.common.models import ScheduledJob
from tests.fakes.net import ReservedPort

PARTS = ["database", "migrations", "writes", "broker", "scheduler"]


def ready(path: str = "/health") -> tuple[int, dict[str, Any]]:
    answer = Client().get(path)
    return answer.status_code, answer.json()


def failing(body: dict[str, Any]) -> list[str]:
    return [name for name, part in body["checks"].items() if part["status"] != "ok"]


@pytest.fixture
def beat(db: None) -> ScheduledJob:
    return ScheduledJob.objects.create(name="beat", last_run_at=timezone.now())


@pytest.fixture
def no_database(django_db_blocker) -> Iterator[None]:
    """This thread's connection leads to a port where nobody listens."""
    port = ReservedPort()
    real = connections["default"]
    options = {**real.settings_dict, "HOST": "127.0.0.1", "PORT": str(port.number)}
    pool = {**options["OPTIONS"]["pool"], "timeout": 0.5}
    options["OPTIONS"] = {**options["OPTIONS"], "pool": pool}
    away = DatabaseWrapper(options, alias="away")
    connections["default"] = away
    with django_db_blocker.unblock():
        yield
        away.close()
        away.close_pool()
    connections["default"] = real
    port.close()


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_all_is_well_and_each_part_says_how_long_it_took(beat, path):
    status, body = ready(path)
    assert (status, body["status"]) == (200, "ok"), body
    assert list(body["checks"]) == PARTS
    assert all(0 <= part["ms"] < 5000 for part in body["checks"].values())
    assert not any("detail" in part for part in body["checks"].values())


@pytest.mark.parametrize("mode", ["refuse", "blackhole", "reset"])
def test_without_the_broker_it_is_degraded_and_soon_said(beat, broker, mode):
    assert ready()[1]["status"] == "ok"
    with broker.fault(mode):
        started = time.monotonic()
        status, body = ready()
        assert time.monotonic() - started < 2
    assert (status, body["status"], failing(body)) == (200, "degraded", ["broker"])
    assert body["checks"]["broker"]["detail"].endswith("Error")
    assert body["checks"]["broker"]["ms"] >= 0
    assert ready()[1]["status"] == "ok"


def test_a_database_that_only_reads_is_degraded(beat):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
    status, body = ready()
    assert (status, body["status"], failing(body)) == (200, "degraded", ["writes"])
    assert "takes no writes" in body["checks"]["writes"]["detail"]


@pytest.fixture
def own_broker(settings, tmp_path) -> Iterator[None]:
    """One that no other test uses, at this time or later."""
    server = embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False)
    settings.REDIS_URL = server.start()
    valkey.client.cache_clear()
    yield
    valkey.client().close()
    valkey.client.cache_clear()
    server.stop()


@pytest.mark.usefixtures("own_broker")
def test_a_broker_that_takes_no_writes_is_degraded(beat):
    assert ready()[1]["status"] == "ok"
    valkey.client().config_set("min-replicas-to-write", 1)
    status, body = ready()
    assert (status, body["status"], failing(body)) == (200, "degraded", ["broker"])


def test_without_a_scheduler_it_is_degraded(db):
    status, body = ready()
    assert (status, body["status"], failing(body)) == (200, "degraded", ["scheduler"])
    assert "manage.py scheduler" in body["checks"]["scheduler"]["detail"]


@pytest.mark.parametrize(
    ("age", "is_well"),
    [(timedelta(0), True), (BEAT_LIMIT / 2, True), (BEAT_LIMIT * 1.1, False)],
)
def test_a_beat_that_is_too_old_is_no_beat(beat, age, is_well):
    ScheduledJob.objects.update(last_run_at=timezone.now() - age)
    assert ready()[1]["checks"]["scheduler"]["status"] == ("ok" if is_well else "failing")


def test_a_job_that_never_ran_is_no_beat(beat):
    ScheduledJob.objects.update(last_run_at=None)
    assert failing(ready()[1]) == ["scheduler"]


def test_missing_migrations_are_not_ready_and_say_what_to_do(beat):
    MigrationRecorder.Migration.objects.filter(app="tracking").delete()
    status, body = ready()
    assert (status, body["status"], failing(body)) == (503, "failing", ["migrations"])
    assert "manage.py migrate" in body["checks"]["migrations"]["detail"]


def test_without_the_database_it_is_not_ready_but_alive(no_database):
    status, body = ready()
    assert (status, body["status"]) == (503, "failing")
    assert failing(body) == ["database", "migrations", "writes", "scheduler"]
    assert all(part["ms"] >= 0 for part in body["checks"].values())
    assert "127.0.0.1" not in str(body)
    live = Client().get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})


def test_being_alive_asks_nobody(broker):
    with broker.fault("refuse"):  # nor the database: this test may not use it
        assert Client().get("/health/live").status_code == 200
