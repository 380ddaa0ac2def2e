"""The few numbers of the dashboard. Each query reads a bounded number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet
from django.utils import timezone

from commsproject.common.ids import floor
from notifications.models import DeadLetter, Delivery, ProviderState, Work
from notifications.providers import registry
from notifications.services import metrics
from notifications.states import State
from notifications.types import Channel, Lane
from tracking.services import analytics
from tracking.services.analytics import Figures, Granularity, Question

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
    """Deliveries that wait for their time: throttled, scheduled, retried or held."""


def queue_depth() -> list[LaneDepth]:
    """Every lane, the empty ones too."""
    found = metrics.by_lane(metrics.depths())
    return [
        LaneDepth(lane, one.due, one.throttled + one.later + one.held)
        for lane, one in found.items()
    ]


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
class Bar:
    """One hour: its messages, and how high it and its failures stand, in percent of the highest."""

    at: datetime
    accepted: int
    failed: int
    height: float
    failed_height: float


@dataclass(frozen=True)
class Traffic:
    """The last 24 hours. `on_time` is 0 to 1, None where nothing was due."""

    on_time: float | None
    accepted: int
    delivered: int
    failed: int
    bars: Sequence[Bar]


def traffic() -> Traffic:
    now = timezone.now()
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    question = Question(since, now + timedelta(hours=1), _zone())
    figures = analytics.summary(question)
    steps = analytics.series(question, Granularity.HOUR)[:24]
    hours = [(at, one["accepted"], _lost(one)) for at, one in steps]
    highest = max((max(accepted, failed) for _, accepted, failed in hours), default=0) or 1
    return Traffic(
        on_time=figures["handed"]["within_10s"],
        accepted=figures["accepted"],
        delivered=figures["delivered"],
        failed=_lost(figures),
        bars=[
            Bar(at, accepted, failed, 100 * accepted / highest, 100 * failed / highest)
            for at, accepted, failed in hours
        ],
    )


def _zone() -> ZoneInfo:
    """The viewer's."""
    return ZoneInfo(timezone.get_current_timezone_name())


def _lost(figures: Figures) -> int:
    return int(figures["failed"]["total"] + figures["bounced"])


def dead_letters() -> Sequence[DeadLetter]:
    """The last that nobody has replayed."""
    rows = DeadLetter.objects.filter(replayed_at__isnull=True).order_by("-id")
    return list(rows.select_related("delivery")[:6])


def blocked() -> Sequence[ProviderState]:
    """Providers whose breaker is open."""
    return list(ProviderState.objects.filter(breaker=ProviderState.Breaker.OPEN))


def providers() -> Sequence[tuple[ProviderState, str]]:
    """Those that carry something, each with the channels."""
    carried: dict[str, list[str]] = {}
    for channel in Channel:
        for provider in registry.for_channel(channel):
            carried.setdefault(provider.name, []).append(channel.label)
    rows = {row.name: row for row in ProviderState.objects.filter(name__in=carried)}
    return [
        (rows.get(name) or ProviderState(name=name), ", ".join(channels))
        for name, channels in carried.items()
    ]


def dead_letter_count() -> int:
    """Those that nobody has replayed, up to CAP."""
    return DeadLetter.objects.filter(replayed_at__isnull=True).order_by()[:CAP].count()


def oldest_due() -> datetime | None:
    """Since when the longest waiting work is due; None: nothing is due."""
    overdue = Work.objects.filter(held=False, due_at__lte=timezone.now()).order_by("due_at")
    return overdue.values_list("due_at", flat=True).first()
