"""What the floor itself knows of people, and what of it grows old."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from commsproject.common.audit.purge import open_door
from commsproject.common.models import (
    Alert,
    AuditEvent,
    PersonalDataJob,
    SignInTry,
    StaffSession,
)
from commsproject.common.outbox import brokers
from commsproject.common.personal_data.registry import (
    PAGE_ROWS,
    Erased,
    Gone,
    Holder,
    Person,
    Purge,
    digest,
    pseudonym,
    register,
)
from commsproject.common.personal_data.rows import STEP_SECONDS, limited, older
from commsproject.common.staff import sessions, throttle


def exports(person: Person, _after: str) -> Erased:
    """Documents that agents or staff had made of the person."""
    made = PersonalDataJob.objects.filter(
        kind=PersonalDataJob.Kind.EXPORT, subject=digest(person.user_id)
    )
    return Erased(made.delete()[0])


def events(person: Person, _after: str) -> Erased:
    """Events that nobody has fetched yet are told of somebody without a name."""
    instead = _quoted(pseudonym(person.user_id))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE common_outboxevent SET items = regexp_replace(items::text, %(any)s, %(to)s, 'g')::jsonb
            WHERE items::text ~ %(any)s""",
            {
                "any": _any_of([person.user_id, *(value for _, value in person.names)]),
                "to": instead,
            },
        )
        return Erased(cursor.rowcount)


def stream(person: Person, after: str) -> Erased:
    """Those in the stream that name the person, a thousand entries at a time."""
    if not brokers.has_stream(settings.EVENTS_URL):  # what RabbitMQ has is its consumers'
        return Erased()
    with redis.Redis.from_url(
        settings.EVENTS_URL, socket_connect_timeout=1, socket_timeout=5
    ) as it:
        page: list[Any] = it.xrange(
            brokers.STREAM, min=f"({after}" if after else "-", count=_ENTRIES
        )
        named = _quoted(person.user_id).encode()
        gone = [key for key, entry in page if any(named in value for value in entry.values())]
        if gone:
            it.xdel(brokers.STREAM, *gone)
    return Erased(len(gone), page[-1][0].decode() if len(page) == _ENTRIES else "")


_ENTRIES = 1000


def _any_of(values: list[str]) -> str:
    """A pattern for any of these as a string of JSON, in the form that `jsonb` writes."""
    return "|".join("".join(_literal(one) for one in _quoted(value)) for value in values)


def _literal(character: str) -> str:
    return character if character.isalnum() or character in ' "_' else f"\\{character}"


def _quoted(value: str) -> str:
    return orjson.dumps(value).decode()


# --- What grows old ------------------------------------------------------------------------------


def _statistics_age() -> timedelta:
    return timedelta(days=settings.STATISTICS_DAYS)


def _expired(now: datetime) -> QuerySet[PersonalDataJob]:
    """Documents after a week; receipts of erasures as long as statistics."""
    old = Q(kind=PersonalDataJob.Kind.ERASURE, finished_at__lt=now - _statistics_age())
    return PersonalDataJob.objects.filter(Q(expires_at__lt=now) | old)


def _forget_jobs(now: datetime) -> Gone:
    with transaction.atomic():
        limited(STEP_SECONDS)
        found = list(_expired(now).values_list("id", flat=True)[:PAGE_ROWS])
        PersonalDataJob.objects.filter(id__in=found).delete()
    return Gone(len(found), len(found) == PAGE_ROWS)


def _trail_age() -> timedelta:
    return timedelta(days=settings.AUDIT_DAYS)


def _through_the_door(purge: Purge) -> Purge:
    """Of a table whose trigger refuses deletions."""

    def step(now: datetime) -> Gone:
        with transaction.atomic():
            open_door()
            return purge.step(now)

    return replace(purge, step=step)


HOLDER = Holder(
    name="common",
    erasures={"exports": exports, "events": events, "event stream": stream},
    purges=(
        Purge(
            "common_personaldatajob",
            "exports after 7 days, receipts after STATISTICS_DAYS",
            lambda now: _expired(now).count(),
            _forget_jobs,
        ),
        older(
            Alert, _statistics_age, "older than STATISTICS_DAYS", where="resolved_at IS NOT NULL"
        ),
        _through_the_door(older(AuditEvent, _trail_age, "older than AUDIT_DAYS")),
        older(StaffSession, sessions.longest, "sign-ins that have ended"),
        older(SignInTry, lambda: throttle.WINDOW, "tries to sign in"),
    ),
)


def registered() -> None:
    register(HOLDER)
