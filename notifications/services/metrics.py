"""How the queue stands and moves: by lane and agent, sampled each minute. Counts are deliveries."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, CharField, Count, Min, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from commsproject.common.ids import floor
from notifications import retry
from notifications.models import Attempt, DeadLetter, QueueSample, Work
from notifications.types import Lane

MINUTE = timedelta(minutes=1)
KEEP_SAMPLES = timedelta(days=14)

_STANDING = Case(
    When(lease_until__gt=Now(), then=Value("in_flight")),
    When(held=True, then=Value("held")),
    When(due_at__gt=Now(), throttled_since__isnull=False, then=Value("throttled")),
    When(due_at__gt=Now(), then=Value("later")),
    default=Value("due"),
    output_field=CharField(),
)
"""Where a row of the queue belongs, as one of the first five of `Figures`."""

# A chunk has one lane and one agent: one of its deliveries tells both. So a minute of bulk costs
# a few thousand look-ups and not one for each of its calls.
_CALLS = """
SELECT notification.priority, notification.client_id,
       sum(chunk.sent)::bigint, sum(chunk.retried)::bigint
FROM (
    SELECT any_value(delivery_id) AS delivery_id,
           count(*) FILTER (WHERE state = 'accepted') AS sent,
           count(*) FILTER (WHERE number > 1) AS retried
    FROM notifications_attempt WHERE id >= %s GROUP BY work_id
) AS chunk
JOIN notifications_delivery AS delivery ON delivery.id = chunk.delivery_id
JOIN notifications_notification AS notification ON notification.id = delivery.notification_id
GROUP BY notification.priority, notification.client_id
"""


@dataclass(frozen=True)
class Figures:
    """Of a lane, or of one agent in it. Each waiting delivery is in one of the first five counts.

    `suspects` are among those. `oldest_seconds` is how long the first of `due` waits,
    `throttled_seconds` the first of `throttled`, for leave of a limit. The last three are of the
    last minute: calls accepted, calls that were not a delivery's first, deliveries given up.
    """

    due: int = 0
    in_flight: int = 0
    throttled: int = 0
    later: int = 0
    held: int = 0
    suspects: int = 0
    oldest_seconds: float = 0.0
    throttled_seconds: float = 0.0
    sent: int = 0
    retried: int = 0
    dead: int = 0

    @property
    def waiting(self) -> int:
        """That would go out if there were room for it, those that do among them."""
        return self.due + self.in_flight + self.throttled

    def __add__(self, other: Figures) -> Figures:
        both = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        }
        for age in ("oldest_seconds", "throttled_seconds"):
            both[age] = max(getattr(self, age), getattr(other, age))
        return Figures(**both)


Share = tuple[Lane, UUID]
"""A lane, and the id of an agent."""


def depths() -> dict[Share, Figures]:
    """What waits: one pass over the queue. An agent that has nothing in a lane has no entry."""
    rows = (
        Work.objects.order_by()
        .values("lane", "client_id", standing=_STANDING)
        .annotate(
            n=Sum("size"),
            suspects=Sum("size", filter=Q(suspect=True), default=0),
            first_due=Min("due_at"),
            first_throttled=Min("throttled_since"),
        )
    )
    now = timezone.now()
    return _added(((Lane(row["lane"]), row["client_id"]), _standing(row, now)) for row in rows)


def dead_rows() -> int:
    """Rows of the queue that are done and not cleared away: each claim steps over them, and they stay
    for as long as somebody's transaction is open.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = %s::regclass",
            [Work._meta.db_table],  # noqa: SLF001 - documented API
        )
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def _standing(row: Mapping[str, Any], now: datetime) -> Figures:
    figures = {row["standing"]: row["n"], "suspects": row["suspects"]}
    match row["standing"]:
        case "due":
            figures["oldest_seconds"] = _seconds(now - row["first_due"])
        case "throttled":
            figures["throttled_seconds"] = _seconds(now - row["first_throttled"])
    return Figures(**figures)


def _seconds(wait: timedelta) -> float:
    """Never negative: PostgreSQL's clock, which says what is due, may be ahead of ours."""
    return max(round(wait.total_seconds(), 3), 0.0)


def rates() -> dict[Share, Figures]:
    """What was done in the last minute: calls that began in it, deliveries that were given up."""
    since = floor(timezone.now() - MINUTE)
    with connection.cursor() as cursor:
        cursor.execute(_CALLS, [since])
        calls = cursor.fetchall()
    shares = [((Lane(row[0]), row[1]), Figures(sent=row[2], retried=row[3])) for row in calls]
    lane, agent = "delivery__notification__priority", "delivery__notification__client_id"
    dead = DeadLetter.objects.filter(id__gte=since).order_by().values(lane, agent)
    shares += [
        ((Lane(row[lane]), row[agent]), Figures(dead=row["n"]))
        for row in dead.annotate(n=Count("id"))
    ]
    return _added(shares)


KEPT_SECONDS = 5.0
_kept: tuple[float, dict[Share, Figures]] | None = None


def shares() -> dict[Share, Figures]:
    """What waits now, and what was done up to `KEPT_SECONDS` ago, by lane and agent.

    A minute's calls are many rows: who asks for them each second must not cost the database that.
    """
    global _kept
    if _kept is None or time.monotonic() - _kept[0] > KEPT_SECONDS:
        _kept = time.monotonic(), rates()
    return _added([*depths().items(), *_kept[1].items()])


def by_lane(parts: Mapping[Share, Figures], *, agent: UUID | None = None) -> dict[Lane, Figures]:
    """Every lane, the empty ones too: of all agents together, or of one."""
    found = dict.fromkeys(Lane, Figures())
    for (lane, owner), figures in parts.items():
        if agent in (None, owner):
            found[lane] += figures
    return found


def by_agent(parts: Mapping[Share, Figures]) -> dict[UUID, Figures]:
    """Every agent of which anything waits or was done, over all lanes."""
    found: dict[UUID, Figures] = {}
    for (_, owner), figures in parts.items():
        found[owner] = found.get(owner, Figures()) + figures
    return found


def _added(parts: Iterable[tuple[Share, Figures]]) -> dict[Share, Figures]:
    found: dict[Share, Figures] = {}
    for share, figures in parts:
        found[share] = found.get(share, Figures()) + figures
    return found


def calls() -> dict[tuple[str, Attempt.State], int]:
    """Calls that began in the last minute, by provider and outcome."""
    rows = (
        Attempt.objects.filter(id__gte=floor(timezone.now() - MINUTE))
        .order_by()
        .values_list("provider", "state")
        .annotate(n=Count("id"))
    )
    return {(provider, Attempt.State(state)): n for provider, state, n in rows}


def unmapped() -> dict[tuple[str, str], int]:
    """Calls of the last minute that ended with a code no table knows, by provider and code."""
    rows = (
        Attempt.objects.filter(
            id__gte=floor(timezone.now() - MINUTE), code__startswith=retry.UNMAPPED
        )
        .order_by()
        .values_list("provider", "code")
        .annotate(n=Count("id"))
    )
    return {(provider, code.removeprefix(retry.UNMAPPED)): n for provider, code, n in rows}


def sample() -> None:
    """Write down how each lane stands, and forget what is older than a fortnight."""
    now = timezone.now()
    samples = []
    for lane, figures in by_lane(shares()).items():
        known = {name: n for name, n in vars(figures).items() if name != "suspects"}
        samples.append(QueueSample(at=now, lane=lane, **known))
    QueueSample.objects.bulk_create(samples)
    QueueSample.objects.filter(at__lt=now - KEEP_SAMPLES).delete()


def samples(span: timedelta) -> QuerySet[QueueSample]:
    """Those of the last `span`, of all lanes, oldest first."""
    since = timezone.now() - span
    return QueueSample.objects.filter(lane__in=Lane.values, at__gt=since).order_by("at")
