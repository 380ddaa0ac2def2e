"""What is too old: first what messages say and where they went, much later the messages themselves.

Old messages are found by their keys, which are times. A mark for each category says how far the
erasing has come, so that no index is needed that acceptance would have to keep; what is due while
it still has to be sent is held in a table of its own until it is at an end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from commsproject.common import clock, ids
from commsproject.common.models import IdempotencyKey
from commsproject.common.personal_data.registry import Gone, Purge
from commsproject.common.personal_data.rows import STEP_SECONDS, limited, older
from notifications.models import (
    Batch,
    BatchRejection,
    Category,
    ContentHold,
    ContentMark,
    Delivery,
    Digest,
    DigestEntry,
    Notification,
    ProviderChange,
    SimulatedMessage,
    Work,
)
from notifications.services import erase
from notifications.states import PENDING

Stage = ContentMark.Stage

AT_ONCE = 1000
"""Messages in a step, which are about five times as many rows."""

SETTLED = timedelta(minutes=3)
"""A message that is older than this is committed, so that no mark passes one that is not."""

KEEP_KEYS = timedelta(days=7)
"""Then an idempotency key may be used again."""

_LOCK = 0x72657461
"""One process erases at a time: marks only go forward."""

_LEAST = {Stage.CONTENT: SETTLED, Stage.LATE: clock.SKEW + SETTLED, Stage.ALL: SETTLED}
"""A host whose clock is behind makes keys that a mark has passed. So what goes at once is walked a
second time, as far behind as a clock may be.
"""

_ERASE = {
    Stage.CONTENT: erase.content,
    Stage.LATE: erase.content,
    Stage.ALL: erase.content_and_addresses,
}


def content_age() -> timedelta:
    """Of what belongs to no category."""
    return timedelta(days=settings.CONTENT_DAYS)


def statistics_age() -> timedelta:
    return timedelta(days=settings.STATISTICS_DAYS)


def log_age() -> timedelta:
    return timedelta(days=settings.LOG_DAYS)


# --- What messages say -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Range:
    """Messages of `categories` (None: of no category) that are due, none of them seen yet."""

    stage: Stage
    days: int
    categories: frozenset[UUID | None]
    after: UUID
    before: UUID


def _ranges(now: datetime) -> list[_Range]:
    """Categories that have come equally far are walked together."""
    known = {(mark.category_id, mark.stage): mark for mark in ContentMark.objects.all()}
    alike: dict[tuple[Stage, int, UUID], set[UUID | None]] = defaultdict(set)
    for (category, stage), days in _days().items():
        mark = known.get((category, stage))
        upto = mark.upto if mark and mark.days == days else None
        alike[stage, days, upto or UUID(int=0)].add(category)
    ranges = [
        _Range(stage, days, frozenset(categories), after, ids.floor(now - _due_after(stage, days)))
        for (stage, days, after), categories in alike.items()
    ]
    return [one for one in ranges if one.after < one.before]


def _due_after(stage: Stage, days: int) -> timedelta:
    return max(timedelta(days=days), _LEAST[stage])


def _days() -> Mapping[tuple[UUID | None, Stage], int]:
    found: dict[tuple[UUID | None, Stage], int] = {(None, Stage.ALL): settings.CONTENT_DAYS}
    for category in Category.objects.all():
        found[category.id, Stage.ALL] = category.content_days
        if category.is_sensitive:
            found[category.id, Stage.CONTENT] = found[category.id, Stage.LATE] = 0
    return found


def _in(one: _Range) -> QuerySet[Notification]:
    return Notification.objects.filter(id__gt=one.after, id__lt=one.before).order_by("id")


def _count_content(now: datetime) -> int:
    return sum(
        _in(one).filter(_of(one.categories)).exclude(_spent(one.stage)).count()
        for one in _ranges(now)
        if one.stage is not Stage.LATE  # nearly all of which the first walk counts
    )


def _of(categories: Collection[UUID | None]) -> Q:
    wanted = Q(category__in=[one for one in categories if one])
    return wanted | Q(category=None) if None in categories else wanted


def _spent(stage: Stage) -> Q:
    """Erased before: by this stage, or with its person."""
    if stage is not Stage.ALL:
        return Q(erased_at__isnull=False)
    kept = Delivery.objects.filter(notification=OuterRef("pk")).exclude(address="")
    return Q(~Exists(kept), erased_at__isnull=False)


def _erase_content(now: datetime) -> Gone:
    with transaction.atomic():
        limited(STEP_SECONDS)
        found = _ranges(now) if _alone() else []
        if not found:
            return Gone(0, is_more=False)
        rows = _walk(found[0])
    return Gone(rows, is_more=True)


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _walk(one: _Range) -> int:
    """A step of a range; how many messages were erased."""
    seen = list(_in(one).values_list("id", "category_id", "erased_at")[:AT_ONCE])
    due = {
        id_
        for id_, category, erased_at in seen
        if category in one.categories and (one.stage is Stage.ALL or erased_at is None)
    }
    waiting = set(
        Delivery.objects.filter(notification__in=due, state__in=PENDING).values_list(
            "notification_id", flat=True
        )
    )
    hold = Stage.CONTENT if one.stage is Stage.LATE else one.stage
    ContentHold.objects.bulk_create(
        [ContentHold(notification_id=id_, stage=hold) for id_ in sorted(waiting)],
        ignore_conflicts=True,
    )
    _ERASE[one.stage](due - waiting)
    _mark(one, seen[-1][0] if len(seen) == AT_ONCE else one.before)
    return len(due - waiting)


def _mark(one: _Range, upto: UUID) -> None:
    known = Category.objects.in_bulk([key for key in one.categories if key])
    for key in one.categories:
        category = known[key] if key else None
        ContentMark.objects.update_or_create(
            category=category, stage=one.stage, defaults={"days": one.days, "upto": upto}
        )


def _held() -> QuerySet[ContentHold]:
    """Those that are at an end by now."""
    waiting = Delivery.objects.filter(notification=OuterRef("notification_id"), state__in=PENDING)
    return ContentHold.objects.exclude(Exists(waiting))


def _erase_held(_now: datetime) -> Gone:
    with transaction.atomic():
        limited(STEP_SECONDS)
        found = list(_held().select_for_update(skip_locked=True)[:AT_ONCE])
        for stage in Stage:
            of_stage = [hold.notification_id for hold in found if hold.stage == stage]
            if of_stage:
                _ERASE[stage](of_stage)
        ContentHold.objects.filter(id__in=[hold.id for hold in found]).delete()
    return Gone(len(found), len(found) == AT_ONCE)


# --- What batches say ------------------------------------------------------------------------


def _old_batches(now: datetime) -> QuerySet[Batch]:
    """Done for as long as their category's content is kept, and nothing of them is sent again."""
    due = Q(category=None, finished_at__lt=now - content_age())
    for category in Category.objects.all():
        days = 0 if category.is_sensitive else category.content_days
        age = max(timedelta(days=days), SETTLED)
        due |= Q(category=category, finished_at__lt=now - age)
    again = Work.objects.filter(batch=OuterRef("pk"))
    return Batch.objects.filter(due, erased_at=None).exclude(Exists(again)).order_by("id")


def _erase_batches(now: datetime) -> Gone:
    with transaction.atomic():
        limited(STEP_SECONDS)
        found = list(_old_batches(now).values_list("id", flat=True)[:AT_ONCE])
        Batch.objects.filter(id__in=found).update(
            content=None, data=None, metadata={}, reply_to="", erased_at=Now()
        )
    return Gone(len(found), len(found) == AT_ONCE)


# --- The rows themselves ---------------------------------------------------------------------


def _old_messages(now: datetime) -> QuerySet[Notification]:
    waiting = Delivery.objects.filter(notification=OuterRef("pk"), state__in=PENDING)
    old = Notification.objects.filter(id__lt=ids.floor(now - statistics_age()))
    return old.exclude(Exists(waiting)).order_by("id")


def _delete_messages(now: datetime) -> Gone:
    """With all that hangs on them, so that what is left adds up at any time."""
    return _delete(_old_messages(now))


def _empty_batches(now: datetime) -> QuerySet[Batch]:
    rows = Notification.objects.filter(batch=OuterRef("pk"))
    old = Batch.objects.filter(id__lt=ids.floor(now - statistics_age()), finished_at__isnull=False)
    return old.exclude(Exists(rows)).order_by("id")


def _delete_batches(now: datetime) -> Gone:
    return _delete(_empty_batches(now))


def _delete(rows: QuerySet[Notification] | QuerySet[Batch]) -> Gone:
    with transaction.atomic():
        limited(STEP_SECONDS)
        found = list(rows.values_list("id", flat=True)[:AT_ONCE])
        rows.model._default_manager.filter(id__in=found).delete()  # noqa: SLF001 - documented API
    return Gone(len(found), len(found) == AT_ONCE)


# --- All of it -------------------------------------------------------------------------------


def purges() -> Iterator[Purge]:
    yield Purge(
        "notifications_notification",
        "what it said is older than its category keeps it",
        _count_content,
        _erase_content,
    )
    yield Purge(
        "notifications_contenthold",
        "what it said was due while it had to be sent",
        lambda _now: _held().count(),
        _erase_held,
    )
    yield Purge(
        "notifications_batch",
        "what it said is older than its category keeps it",
        lambda now: _old_batches(now).count(),
        _erase_batches,
    )
    yield older(IdempotencyKey, lambda: KEEP_KEYS, "older than seven days")
    yield older(SimulatedMessage, log_age, "older than LOG_DAYS")
    yield older(BatchRejection, content_age, "older than CONTENT_DAYS")
    yield older(ProviderChange, statistics_age, "older than STATISTICS_DAYS")
    yield Purge(
        "notifications_notification",
        "older than STATISTICS_DAYS, with all that hangs on it",
        lambda now: _old_messages(now).count(),
        _delete_messages,
    )
    yield older(
        Digest,
        statistics_age,
        "older than STATISTICS_DAYS",
        where="carried_by IS NOT NULL AND NOT EXISTS ("
        f"SELECT FROM {DigestEntry._meta.db_table} AS entry"  # noqa: SLF001
        " WHERE entry.digest_id = notifications_digest.id)",
    )
    yield Purge(
        "notifications_batch",
        "older than STATISTICS_DAYS",
        lambda now: _empty_batches(now).count(),
        _delete_batches,
    )
