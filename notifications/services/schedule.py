"""Messages and batches that are sent again and again. What a schedule owes is said by `timetable`.

A run is submitted and noted in one transaction that holds the schedule's row, under an idempotency
key made of schedule and time: no crash and no second scheduler can send it twice. The clock is
PostgreSQL's, so schedulers whose clocks differ agree.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications.errors import NameTaken
from notifications.models import Schedule
from notifications.services import keys, scheduled
from notifications.services.keys import Once
from notifications.timetable import MOST_CAUGHT_UP, Missed, owed

log = structlog.get_logger(__name__)

SECONDS = 0.4
"""After so long a round of the job begins with no further schedule: all jobs share a thread, and one
run may store thousands of messages. The longest due go first.
"""


# --- What agents and staff do ----------------------------------------------------------------


def of_client(client: ApiClient) -> QuerySet[Schedule]:
    """The agent's own. Every read of an agent starts here."""
    return Schedule.objects.filter(client=client)


def get(client: ApiClient, schedule_id: UUID) -> Schedule:
    """Raises `NotFound`, also for another agent's."""
    return _found(of_client(client), schedule_id)


def _found(rows: QuerySet[Schedule], schedule_id: UUID) -> Schedule:
    row = rows.filter(id=schedule_id).first()
    if row is None:
        raise NotFound("There is no schedule of yours with this id.")
    return row


def next_runs(schedule: Schedule) -> Iterator[datetime]:
    """In its own time zone; none while it is paused, or over."""
    if schedule.next_at is not None:
        zone = ZoneInfo(schedule.time_zone)
        for run in chain([schedule.next_at], schedule.timetable.after(schedule.next_at)):
            yield run.astimezone(zone)


def create(
    client: ApiClient, fields: Mapping[str, Any], once: Once | None = None
) -> tuple[Schedule, bool]:
    """The schedule, and whether it is the one that the same request made before.

    `fields` are those of `Schedule`, checked for form. Raises `NameTaken`, `InvalidInput` where it
    would never run, what `submit` would refuse the message for if it were sent now, and what `keys`
    raise.
    """
    once = once or Once()
    if first := keys.known(client, once):
        return _made_with(first), True
    schedule = Schedule(client=client, **fields)
    schedule.next_at = _next(schedule)
    scheduled.rehearse(schedule)
    with transaction.atomic():
        if first := keys.claim(client, once, {"schedule": str(schedule.id)}):
            return _made_with(first), True
        _save(schedule, force_insert=True)
    return schedule, False


def _made_with(key: IdempotencyKey) -> Schedule:
    """As it is now. Raises `NotFound` where it was deleted since."""
    row = Schedule.objects.filter(id=(key.response or {})["schedule"]).first()
    if row is None:
        raise NotFound("The schedule that was made with this key is deleted; use a new key.")
    return row


def change(client: ApiClient, schedule_id: UUID, fields: Mapping[str, Any]) -> Schedule:
    """As `create`. Missed runs of a schedule that was paused or got another time are not caught up."""
    with transaction.atomic():
        schedule = _found(of_client(client).select_for_update(no_key=True), schedule_id)
        was = (schedule.timetable, schedule.enabled)
        for name, value in fields.items():
            setattr(schedule, name, value)
        if was != (schedule.timetable, schedule.enabled):
            schedule.next_at = _next(schedule)
        if "request" in fields:
            scheduled.rehearse(schedule)
        _save(schedule)
    return schedule


def _next(schedule: Schedule) -> datetime | None:
    if not schedule.enabled:
        return None
    found = schedule.timetable.next(_now())
    if found is None:
        field = "ends_at" if schedule.ends_at else "cron"
        raise InvalidInput.of(field, "never", "With these times it would never run.")
    return found


def _save(schedule: Schedule, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            schedule.save(force_insert=force_insert)
    except IntegrityError:
        raise NameTaken(f"There is a schedule {schedule.name!r}; names are unique.") from None


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


# --- What the scheduler does -----------------------------------------------------------------


def run_due() -> None:
    """Carry out schedules that are due, each for itself, so that none can stop the others; those that
    there is no time for stay due.

    Raises the database's errors where the connection is lost.
    """
    until = time.monotonic() + SECONDS
    for schedule_id in list(_due().order_by("next_at", "id").values_list("id", flat=True)):
        try:
            _run(schedule_id)
        except (OperationalError, InterfaceError, _Later) as error:
            if not connection.is_usable():
                raise
            log.warning("schedule waits", schedule=str(schedule_id), error=type(error).__name__)
            continue  # it stays due: those behind it must have their turn
        except Exception as error:
            log.exception("schedule is defective", schedule=str(schedule_id))
            _pass_over(schedule_id, error)
        if time.monotonic() > until:
            return


class _Later(Exception):
    """A run could not be submitted yet; it stays due."""


def _due() -> QuerySet[Schedule]:
    return Schedule.objects.filter(enabled=True, next_at__lte=Now())


def _take(schedule_id: UUID) -> tuple[Schedule, datetime, datetime] | None:
    """The schedule, locked, with its first run and the time it is now; None where it is another
    scheduler's, or no longer due.
    """
    rows = _due().filter(id=schedule_id).select_related("client").annotate(now=Now())
    row = rows.select_for_update(skip_locked=True, of=("self",), no_key=True).first()
    return None if row is None or row.next_at is None else (row, row.next_at, row.now)


@transaction.atomic
def _run(schedule_id: UUID) -> None:
    taken = _take(schedule_id)
    if taken is None:
        return
    schedule, first, now = taken
    owes = owed(schedule.timetable, first, now, Missed(schedule.missed))
    schedule.next_at = owes.then
    schedule.last_error = _too_many(owes.runs) if owes.dropped else None
    if owes.runs:
        _send(schedule, owes.runs)
    schedule.save(update_fields=["next_at", "last_at", "last_error"])


def _send(schedule: Schedule, runs: Sequence[datetime]) -> None:
    """A run that is refused is noted and does not come again."""
    if not schedule.client.is_active:
        schedule.last_error = _error(runs[-1], "agent_inactive", "The agent is inactive.")
        return
    for run, error in zip(runs, scheduled.send(schedule, runs), strict=True):
        if error is None:
            schedule.last_at = run
        elif error.retry_after is not None:
            raise _Later from error
        else:
            schedule.last_error = _error(run, error.code, error.detail)
            log.warning("schedule was refused", schedule=str(schedule.id), code=error.code)


def _too_many(runs: Sequence[datetime]) -> dict[str, str]:
    message = f"Too many were missed: only the last {MOST_CAUGHT_UP} of seven days were sent."
    return _error(runs[0], "too_many_missed", message)


def _error(run: datetime, code: str, message: str) -> dict[str, str]:
    return {"run": run.isoformat(), "code": code, "message": message}


def _pass_over(schedule_id: UUID, error: Exception) -> None:
    """Go on with the next run, where there is a way to tell when that is."""
    with transaction.atomic():
        taken = _take(schedule_id)
        if taken is None:
            return
        schedule, first, now = taken
        schedule.last_error = _error(first, "internal", type(error).__name__)
        try:
            schedule.next_at = schedule.timetable.next(now)
        except (ValueError, KeyError):  # the zone is no longer known
            schedule.next_at = None
        schedule.save(update_fields=["next_at", "last_error"])
