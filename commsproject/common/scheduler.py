"""Periodic jobs: rows say when each is due, one process at a time runs them.

A job is a function with `@job(name, every=...)` in an app's `jobs.py`. Missed runs are not caught
up: each run does all there is to do. Jobs are safe to repeat.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import Value
from django.db.models.functions import Now
from django.utils.module_loading import autodiscover_modules

from commsproject.common import heartbeat
from commsproject.common.models import ScheduledJob

log = structlog.get_logger(__name__)

_LOCK = 0x636F6D6D73  # "comms": the advisory lock of the leader
_TICK_SECONDS = 0.5
_DATABASE_ERRORS = (DatabaseError, InterfaceError)
"""Django's `InterfaceError` ("connection already closed") is no `DatabaseError`."""


@dataclass(frozen=True)
class Job:
    name: str
    every: timedelta
    run: Callable[[], object]


_jobs: dict[str, Job] = {}


def job(name: str, *, every: timedelta) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register a function of no arguments to be run every `every`, counted from its last start."""

    def register(function: Callable[[], object]) -> Callable[[], object]:
        _jobs[name] = Job(name, every, function)
        return function

    return register


@job("beat", every=timedelta(seconds=5))
def _beat() -> None:
    """The scheduler's own sign of life, for /health."""


def serve(stopping: threading.Event) -> None:
    """Run jobs as they fall due, until `stopping`. A second scheduler waits for the first to end."""
    autodiscover_modules("jobs")
    while not stopping.is_set():
        heartbeat.beat()
        try:
            close_old_connections()
            if _is_leader():
                _lead(stopping)
        except _DATABASE_ERRORS as error:
            log.warning("scheduler waits for the database", error=type(error).__name__)
        stopping.wait(2.0)


def _is_leader() -> bool:
    """The lock belongs to this thread's connection and dies with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _lead(stopping: threading.Event) -> None:
    log.info("scheduler leads", jobs=sorted(_jobs))
    try:
        # Django opens a lost connection again by itself where a job has a transaction of its own:
        # the lock is gone then, and somebody else may lead.
        while not stopping.is_set() and _still_leads():
            run_due(stopping.is_set)
            stopping.wait(_TICK_SECONDS)
    finally:
        _give_up_lock()


def _still_leads() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND pid = pg_backend_pid() AND (classid::bigint << 32) + objid::bigint = %s"
            " AND objsubid = 1)",
            [_LOCK],
        )
        return bool(cursor.fetchone()[0])


def _give_up_lock() -> None:
    """Closing is not enough: the pool would keep the session, and the session the lock."""
    with contextlib.suppress(*_DATABASE_ERRORS), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
    connection.close()


def run_due(is_stopping: Callable[[], bool] = lambda: False) -> list[str]:
    """Run every job that is due, as long as it is not time to stop, and return their names. One job's
    error never stops another.
    """
    known = set(ScheduledJob.objects.values_list("name", flat=True))
    ScheduledJob.objects.bulk_create(
        [ScheduledJob(name=name, next_run_at=Now()) for name in _jobs if name not in known],
        ignore_conflicts=True,
    )
    due = ScheduledJob.objects.filter(name__in=_jobs, next_run_at__lte=Now())
    ran = []
    for name in list(due.values_list("name", flat=True)):
        if is_stopping():  # after a pause all of them are due, which takes its time
            break
        _run(_jobs[name])
        ran.append(name)
    return ran


def _run(one: Job) -> None:
    heartbeat.beat()
    clock = time.monotonic()
    error = ""
    try:
        one.run()
    except Exception as caught:  # recorded on the job's row and logged
        if isinstance(caught, _DATABASE_ERRORS) and not connection.is_usable():
            raise  # the connection is gone, and the lock with it
        error = type(caught).__name__
        log.exception("job failed", job=one.name)
    # By the database's clock alone: the next leader's may be another one.
    started = Now() - Value(timedelta(seconds=time.monotonic() - clock))
    ScheduledJob.objects.filter(name=one.name).update(
        next_run_at=started + Value(one.every),
        last_run_at=started,
        last_duration_ms=round((time.monotonic() - clock) * 1000),
        last_error=error,
    )
