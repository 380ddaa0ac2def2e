"""Sign-ins that stand: each has a row, and ends with it.

After STAFF_SESSION_IDLE_MINUTES without a look, STAFF_SESSION_HOURS after it began, when it is ended by hand
and at a new password.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from commsproject.common.models import StaffSession
from commsproject.common.staff import factors

KEY = "staff_session"
"""In Django's session: the key of ours."""

_NOBODYS = str(UUID(int=0))
_NOTED = timedelta(minutes=1)
"""How exact `seen_at` is: a write for each request would be too many."""


def idle() -> timedelta:
    return timedelta(minutes=settings.STAFF_SESSION_IDLE_MINUTES)


def longest() -> timedelta:
    return timedelta(hours=settings.STAFF_SESSION_HOURS)


def standing() -> QuerySet[StaffSession]:
    now = timezone.now()
    return StaffSession.objects.filter(seen_at__gt=now - idle(), began_at__gt=now - longest())


def begin(request: HttpRequest, user: AbstractBaseUser) -> None:
    row = StaffSession.objects.create(
        user_id=user.pk,
        address=request.META.get("REMOTE_ADDR") or None,
        browser=request.headers.get("User-Agent", "").replace("\0", "")[:200],
    )
    request.session[KEY] = str(row.id)


def verify(request: HttpRequest) -> None:
    """The second factor was shown."""
    StaffSession.objects.filter(id=_id(request.session)).update(is_verified=True)


def current(session: SessionBase, user_id: Any) -> StaffSession | None:
    """None where it has ended, or lacks the second factor that is demanded of a person who has one."""
    row = standing().filter(id=_id(session), user_id=user_id).select_related("user").first()
    if row is None or (not row.is_verified and factors.has(row.user)):
        return None
    return row


def lacks_factor(row: StaffSession) -> bool:
    """Whether this person has to set a second factor up first."""
    return settings.STAFF_TWO_FACTOR and not row.is_verified


def holds(session: SessionBase, user_id: Any) -> bool:
    row = current(session, user_id)
    return row is not None and not lacks_factor(row)


def note(row: StaffSession) -> None:
    """Somebody looks."""
    now = timezone.now()
    if now - row.seen_at > _NOTED:
        StaffSession.objects.filter(id=row.id).update(seen_at=now)


def of(user: AbstractBaseUser) -> QuerySet[StaffSession]:
    return standing().filter(user_id=user.pk).order_by("-seen_at")


def others(request: HttpRequest) -> QuerySet[StaffSession]:
    """Those of this person, but for the one that the request comes in."""
    theirs = StaffSession.objects.filter(user_id=str(request.user.pk))
    return theirs.exclude(id=_id(request.session))


def end(rows: QuerySet[StaffSession]) -> int:
    return rows.delete()[0]


def _id(session: SessionBase) -> UUID:
    """Nobody's where there is none."""
    return UUID(session.get(KEY) or _NOBODYS)
