"""The scheduler on the real database, where there can be two of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection, connections
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules
from typing_extensions import override

from commsproject.common import scheduler
from commsproject.common.models import ScheduledJob
from commsproject.embedded.system import wait_until

autodiscover_modules("jobs")  # what the service's own jobs are, before the tests put theirs instead


@pytest.fixture
def jobs(monkeypatch) -> dict[str, scheduler.Job]:
    """No jobs but those of the test."""
    own: dict[str, scheduler.Job] = {}
    monkeypatch.setattr(scheduler, "_jobs", own)
    return own


class Runs:
    """A job that notes its runs."""

    def __init__(self, name: str, every: timedelta = timedelta(hours=1)) -> None:
        self.count = 0
        self.threads: set[str] = set()
        scheduler.job(name, every=every)(self.run)

    def run(self) -> None:
        self.count += 1
        self.threads.add(threading.current_thread().name)


def failing(error: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        error()

    return run


def row(name: str) -> ScheduledJob:
    return ScheduledJob.objects.get(name=name)


def make_due(name: str) -> None:
    ScheduledJob.objects.filter(name=name).update(next_run_at=timezone.now())


@pytest.mark.django_db
class TestJobs:
    def test_what_is_due_waits_where_it_is_time_to_stop(self, jobs):
        """After a pause every job is due; to run them all would take longer than a stop may."""
        first, second = Runs("a"), Runs("b")
        assert len(scheduler.run_due(lambda: bool(first.count + second.count))) == 1
        assert first.count + second.count == 1
        assert len(scheduler.run_due()) == 1
        assert (first.count, second.count) == (1, 1)

    def test_a_due_job_runs_once_and_then_waits_for_its_time(self, jobs):
        job = Runs("a", timedelta(minutes=5))
        before = timezone.now()
        assert scheduler.run_due() == ["a"]
        assert scheduler.run_due() == []
        assert job.count == 1
        noted: Any = row("a")
        assert noted.last_run_at >= before
        assert noted.next_run_at == noted.last_run_at + timedelta(minutes=5)
        assert noted.last_duration_ms >= 0
        assert noted.last_error == ""

    def test_a_job_runs_again_when_it_is_due_again(self, jobs):
        job = Runs("a")
        scheduler.run_due()
        make_due("a")
        assert scheduler.run_due() == ["a"]
        assert job.count == 2

    def test_missed_runs_are_not_caught_up(self, jobs):
        job = Runs("a")
        scheduler.run_due()
        ScheduledJob.objects.update(next_run_at=timezone.now() - timedelta(days=3))
        for _ in range(3):
            scheduler.run_due()
        assert job.count == 2

    def test_an_error_is_recorded_and_does_not_stop_the_others(self, jobs):
        scheduler.job("a", every=timedelta(hours=1))(failing(lambda: 1 / 0))
        job = Runs("b")
        assert scheduler.run_due() == ["a", "b"]
        assert job.count == 1
        assert row("a").last_error == "ZeroDivisionError"
        assert row("a").next_run_at > timezone.now()
        assert scheduler.run_due() == []

    def test_a_job_that_works_again_has_no_error(self, jobs):
        scheduler.job("a", every=timedelta(hours=1))(failing(lambda: 1 / 0))
        scheduler.run_due()
        Runs("a")
        make_due("a")
        scheduler.run_due()
        assert row("a").last_error == ""

    def test_a_row_of_a_job_that_is_gone_is_left_alone(self, jobs):
        ScheduledJob.objects.create(name="of an older version")
        Runs("a")
        assert scheduler.run_due() == ["a"]

    def test_the_service_has_its_jobs(self):
        assert {"beat", "ingest webhooks", "simulator receipts"} <= set(scheduler._jobs)


def bad_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def slow_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '50ms'")
        try:
            cursor.execute("SELECT pg_sleep(5)")
        finally:
            cursor.execute("SET statement_timeout = DEFAULT")


def lose_connection() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def find_it_closed() -> None:
    """What Django raises where the connection was lost in a transaction: no `DatabaseError`."""
    connection.close()
    raise InterfaceError("connection already closed")


LOSSES = [(lose_connection, OperationalError), (find_it_closed, InterfaceError)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "name"), [(bad_sql, "DataError"), (slow_sql, "OperationalError")]
)
def test_an_error_of_one_jobs_sql_does_not_stop_the_others(jobs, error, name):
    scheduler.job("a", every=timedelta(hours=1))(failing(error))
    job = Runs("b")
    assert scheduler.run_due() == ["a", "b"]
    assert job.count == 1
    assert row("a").last_error == name


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("lose", "error"), LOSSES)
def test_a_lost_connection_ends_the_round_because_the_lock_is_lost_with_it(jobs, lose, error):
    scheduler.job("a", every=timedelta(hours=1))(failing(lose))
    job = Runs("b")
    with pytest.raises(error):
        scheduler.run_due()
    assert job.count == 0
    connection.close()


class Scheduler(threading.Thread):
    """A scheduler in a thread, as its own process would be: with its own connection."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()

    @override
    def run(self) -> None:
        try:
            scheduler.serve(self.stopping)
        finally:
            connections.close_all()

    def stop(self) -> None:
        self.stopping.set()
        self.join(10)
        assert not self.is_alive()


@pytest.fixture
def start(transactional_db) -> Iterator[Callable[[str], Scheduler]]:
    running: list[Scheduler] = []

    def begin(name: str) -> Scheduler:
        running.append(Scheduler(name))
        running[-1].start()
        return running[-1]

    yield begin
    for each in running:
        each.stop()


def lock_is_free() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [scheduler._LOCK])
        (taken,) = cursor.fetchone()
        if taken:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [scheduler._LOCK])
    return bool(taken)


def test_a_second_scheduler_waits_until_the_first_stops(jobs, start):
    job = Runs("a", timedelta(0))
    first = start("first")
    assert wait_until(lambda: job.threads == {"first"}, 45)
    start("second")
    seen = job.count
    assert wait_until(lambda: job.count > seen + 1, 45)
    assert job.threads == {"first"}
    first.stop()
    assert wait_until(lambda: "second" in job.threads, 45)


def test_a_scheduler_that_stops_gives_the_lock_up(jobs, start):
    job = Runs("a")
    only = start("only")
    assert wait_until(lambda: job.count == 1, 45)
    assert not lock_is_free()
    only.stop()
    assert lock_is_free()


@pytest.mark.parametrize(("lose", "_"), LOSSES)
def test_a_scheduler_whose_connection_was_cut_leads_again(jobs, start, lose, _):
    job = Runs("a", timedelta(0))
    cut = threading.Event()

    def lose_it_once() -> None:
        if not cut.is_set():
            cut.set()
            lose()

    scheduler.job("b", every=timedelta(0))(lose_it_once)
    start("only")
    assert cut.wait(10)
    seen = job.count
    assert wait_until(lambda: job.count > seen + 1, 45)
