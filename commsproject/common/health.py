"""Is it alive, is it ready? Each part with its state and how long it took to answer.

`ready` fails (503) only for what nothing works without: the database and its migrations. Without
the broker or the scheduler messages still flow, later, and a database that takes no writes can be
read: that is `degraded`, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from datetime import timedelta
from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from commsproject.common import valkey
from commsproject.common.models import ScheduledJob

BEAT_LIMIT = timedelta(seconds=30)

_REQUIRED = {"database", "migrations"}

_UNKNOWN: dict[str, object] = {
    "status": "failing",
    "ms": 0.0,
    "detail": "Not to be known without the database.",
}


class _Failing(Exception):
    """A part does not work; the text says what to do."""


class HealthMiddleware:
    """Answers `/health...` before anything asks for the host: probes call by address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.answers = {"/health": ready, "/health/ready": ready, "/health/live": live}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.answers.get(request.path, self.get_response)(request)


def live(_request: HttpRequest) -> JsonResponse:
    """The process answers. Never looks further: a restart would not mend the database."""
    return JsonResponse({"status": "ok"})


def ready(_request: HttpRequest) -> JsonResponse:
    """Whether requests can be served."""
    checks = parts()
    failing = {name for name, part in checks.items() if part["status"] != "ok"}
    status = "failing" if failing & _REQUIRED else "degraded" if failing else "ok"
    return JsonResponse(
        {"status": status, "checks": checks}, status=503 if status == "failing" else 200
    )


def parts() -> dict[str, dict[str, object]]:
    """Each part by name: its `status`, the `ms` it took to answer and, if it fails, the `detail`."""
    database = _ask(_database)
    there = database["status"] == "ok"
    return {
        "database": database,
        "migrations": _ask(_migrations) if there else _UNKNOWN,
        "writes": _ask(_writes) if there else _UNKNOWN,
        "broker": _ask(_broker),
        "scheduler": _ask(_scheduler) if there else _UNKNOWN,
    }


def _ask(check: Callable[[], None]) -> dict[str, object]:
    started = time.perf_counter()
    problem = ""
    try:
        check()
    except _Failing as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - any answer but a good one is the finding
        problem = type(error).__name__
    took = round((time.perf_counter() - started) * 1000, 1)
    part: dict[str, object] = {"status": "failing" if problem else "ok", "ms": took}
    return {**part, "detail": problem} if problem else part


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    if not _known_migrations() <= MigrationRecorder(connection).applied_migrations().keys():
        raise _Failing("Migrations are missing: run manage.py migrate.")


@cache
def _known_migrations() -> Set[tuple[str, str]]:
    """(app, name) of those in the code. Read once: probes come often, and from anybody."""
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).graph.nodes)


def _writes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone() != ("off",):
            raise _Failing(
                "The database takes no writes: it is a standby, or its host has stopped them."
            )


def _broker() -> None:
    """A replica, and one that is full, answer a ping."""
    valkey.client().set("comms:health", b"", ex=60)


def _scheduler() -> None:
    beat = ScheduledJob.objects.filter(name="beat").values_list("last_run_at", flat=True).first()
    if beat is None or timezone.now() - beat > BEAT_LIMIT:
        raise _Failing("The scheduler is not running: start manage.py scheduler.")
