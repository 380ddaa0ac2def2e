"""Requests for a person's data or its erasure: asked for, carried on step by step, answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from commsproject.common import alerts
from commsproject.common.errors import NotFound
from commsproject.common.models import ApiClient, ExportedPage, PersonalDataJob
from commsproject.common.personal_data import registry
from commsproject.common.personal_data.registry import Erased, Page, Person
from commsproject.common.personal_data.rows import STEP_SECONDS, limited

log = structlog.get_logger(__name__)

Kind = PersonalDataJob.Kind
State = PersonalDataJob.State

EXPORT_DAYS = 7
"""For so long an export is there to be fetched."""

MOST_WAIT = timedelta(hours=1)
"""Between two tries of a step that fails."""

TRIES_BEFORE_ALERT = 5


# --- Asking --------------------------------------------------------------------------------------


def ask_export(
    user_id: str, *, client: ApiClient | None = None, staff: Any = None
) -> PersonalDataJob:
    """The agent's export of this person: the one there is, or a new one.

    Raises `NotFound` where nobody knows the person.
    """
    own = _of(Kind.EXPORT, user_id).filter(client=client)
    there = own.filter(Q(state=State.RUNNING) | Q(expires_at__gt=timezone.now()))
    if found := there.first():
        return found
    if not registry.names(user_id):
        raise NotFound("There is no such person.")
    return _start(Kind.EXPORT, user_id, client=client, staff=staff)


def ask_erasure(
    user_id: str, *, client: ApiClient | None = None, staff: Any = None
) -> PersonalDataJob:
    """The erasure of this person: the one that runs, or a new one; where nobody knows them any
    longer, the last one. Raises `NotFound` where nobody ever did.
    """
    last = _of(Kind.ERASURE, user_id).first()
    if last and last.state == State.RUNNING:
        return last
    if registry.names(user_id):
        return _start(Kind.ERASURE, user_id, client=client, staff=staff)
    if last is None:
        raise NotFound("There is no such person.")
    return last


def erasure(user_id: str) -> PersonalDataJob:
    """The last one of this person. Raises `NotFound`."""
    if found := _of(Kind.ERASURE, user_id).first():
        return found
    raise NotFound("Nobody has asked for this person to be erased.")


def _of(kind: Kind, user_id: str) -> QuerySet[PersonalDataJob]:
    subject = registry.digest(user_id)
    return PersonalDataJob.objects.filter(kind=kind, subject=subject).order_by("-id")


def _start(kind: Kind, user_id: str, **by: Any) -> PersonalDataJob:
    """Two who ask at once get the same one."""
    job = PersonalDataJob(kind=kind, subject=registry.digest(user_id), user_id=user_id, **by)
    PersonalDataJob.objects.bulk_create([job], ignore_conflicts=True)
    same = _of(kind, user_id)
    return (same.filter(client=by["client"]) if kind == Kind.EXPORT else same)[:1].get()


# --- Telling -------------------------------------------------------------------------------------


def progress(job: PersonalDataJob) -> int:
    """In percent, by the parts that are done."""
    if job.state == State.DONE:
        return 100
    parts = list(_parts(job))
    return 100 * parts.index(job.part) // len(parts) if job.part in parts else 0


def document(job: PersonalDataJob) -> Iterator[bytes]:
    """An export that is done: a line of JSON for what it is, then one for each thing known."""
    about = {"what": "export", "user_id": job.user_id, "made_at": job.finished_at}
    yield orjson.dumps({**about, "rows": job.counts}, option=orjson.OPT_APPEND_NEWLINE)
    for lines in job.pages.values_list("lines", flat=True).iterator(chunk_size=10):
        yield lines.encode()


# --- Working -------------------------------------------------------------------------------------


def carry_on(seconds: float) -> None:
    """Do what is due for about so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and step():
        pass


def step() -> bool:
    """One step of one request; whether there was one to do. Whoever else works passes it over."""
    with transaction.atomic():
        due = PersonalDataJob.objects.filter(state=State.RUNNING, due_at__lte=timezone.now())
        job = due.select_for_update(skip_locked=True).order_by("due_at").first()
        if job is None:
            return False
        try:
            with transaction.atomic():
                limited(STEP_SECONDS)
                _advance(job)
        except Exception as error:  # noqa: BLE001 - it is tried again, and told
            job.refresh_from_db()
            _put_off(job, error)
        job.save()
    return True


def _advance(job: PersonalDataJob) -> None:
    parts = list(_parts(job))
    if job.part not in parts:  # at the start, or the part is no longer there
        job.names, job.part, job.after = registry.names(job.user_id), parts[0], ""
    person = Person(job.user_id, [(kind, value) for kind, value in job.names])
    rows, after, wait = _done(job, person)
    job.counts[job.part] = job.counts.get(job.part, 0) + rows
    job.tries, job.error, job.after, job.due_at = 0, "", after, timezone.now() + wait
    if not after:
        following = parts[parts.index(job.part) + 1 :]
        if following:
            job.part = following[0]
        else:
            _finish(job)


def _parts(job: PersonalDataJob) -> list[str]:
    return list(registry.exports() if job.kind == Kind.EXPORT else registry.erasures())


def _done(job: PersonalDataJob, person: Person) -> tuple[int, str, timedelta]:
    if job.kind == Kind.EXPORT:
        page = registry.exports()[job.part](person, job.after)
        _keep(job, page)
        return len(page.rows), page.after, timedelta(0)
    erased: Erased = registry.erasures()[job.part](person, job.after)
    return erased.rows, erased.after, erased.wait


def _keep(job: PersonalDataJob, page: Page) -> None:
    lines = b"".join(
        orjson.dumps({"what": job.part, **row}, default=str, option=orjson.OPT_APPEND_NEWLINE)
        for row in page.rows
    )
    if lines:
        ExportedPage.objects.create(job=job, number=job.pages.count(), lines=lines.decode())


def _finish(job: PersonalDataJob) -> None:
    now = timezone.now()
    job.state, job.part, job.finished_at, job.names = State.DONE, "", now, []
    if job.kind == Kind.EXPORT:
        job.expires_at = now + timedelta(days=EXPORT_DAYS)
    else:
        job.user_id = ""
        alerts.resolve(_alert(job))
    log.info("personal data", job=str(job.id), kind=job.kind, rows=sum(job.counts.values()))


def _put_off(job: PersonalDataJob, error: Exception) -> None:
    job.tries += 1
    job.error = type(error).__name__
    job.due_at = timezone.now() + min(timedelta(seconds=2 ** min(job.tries, 12)), MOST_WAIT)
    log.warning("personal data: step failed", job=str(job.id), part=job.part, error=job.error)
    if job.tries == TRIES_BEFORE_ALERT:
        alerts.raise_once(
            _alert(job),
            severity=alerts.Severity.CRITICAL,
            title=f"An {job.get_kind_display().lower()} of personal data does not get on",
            detail=f"Request {job.id}, at {job.part or 'its start'}: {job.error}. It goes on trying.",
        )


def _alert(job: PersonalDataJob) -> str:
    return f"personal_data.{job.id}"
