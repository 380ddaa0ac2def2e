"""The few numbers of the dashboard. Each query reads a bounded number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet
from django.utils import timezone

from commsproject.common.ids import floor
from notifications.models import DeadLetter, Delivery, ProviderState, Work
from notifications.services import metrics
from notifications.states import State
from notifications.types import Lane

WINDOW = timedelta(hours=24)
CAP = 10_000
"""Deliveries looked at, the newest of the window."""

_TROUBLE = [State.FAILED, State.DEAD, State.BOUNCED, State.COMPLAINED]


@dataclass(frozen=True)
class LaneDepth:
    lane: Lane
    due: int
    """Deliveries that could be sent now."""
    later: int
    """Deliveries that wait for their time: scheduled, retried or held."""


def queue_depth() -> list[LaneDepth]:
    """Every lane, the empty ones too."""
    found = metrics.by_lane(metrics.depths())
    return [LaneDepth(lane, one.due, one.later + one.held) for lane, one in found.items()]


@dataclass(frozen=True)
class Recent:
    """The deliveries of the last 24 hours, or the newest of them where `capped`."""

    by_state: Mapping[State, int]
    capped: bool
    failures: Sequence[Delivery]

    @property
    def total(self) -> int:
        return sum(self.by_state.values())


def recent() -> Recent:
    newest = _newest().values("id")
    rows = Delivery.objects.filter(id__in=newest).order_by().values("state")
    counts = {State(row["state"]): row["n"] for row in rows.annotate(n=Count("id"))}
    failures = Delivery.objects.filter(id__in=newest, state__in=_TROUBLE).order_by("-id")
    return Recent(
        by_state={state: counts[state] for state in State if state in counts},
        capped=sum(counts.values()) >= CAP,
        failures=list(failures[:6]),
    )


def _newest() -> QuerySet[Delivery]:
    since = floor(timezone.now() - WINDOW)
    return Delivery.objects.filter(id__gte=since).order_by("-id")[:CAP]


@dataclass(frozen=True)
class Trouble:
    """What somebody should look at."""

    dead_letters: int
    blocked: Sequence[ProviderState]
    """Providers whose breaker is open."""
    oldest_due: datetime | None
    """Since when the longest waiting work is due; None: nothing is due."""


def trouble() -> Trouble:
    unanswered = DeadLetter.objects.filter(replayed_at__isnull=True).order_by()
    overdue = Work.objects.filter(held=False, due_at__lte=timezone.now()).order_by("due_at")
    return Trouble(
        dead_letters=unanswered[:CAP].count(),
        blocked=list(ProviderState.objects.filter(breaker=ProviderState.Breaker.OPEN)),
        oldest_due=overdue.values_list("due_at", flat=True).first(),
    )
