from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import ReadOnlyAdmin, Tone, ago, badge
from notifications.admin import badges
from notifications.models import QueueSample, Work
from notifications.services import metrics
from notifications.services.metrics import Figures
from notifications.types import Lane

CHART_MINUTES = 60
CHART_HEIGHT = 24
LATE_SECONDS = {Lane.URGENT: 5, Lane.NORMAL: 60, Lane.BULK: 3600}
"""How long the first of a lane may wait before its card says so."""


@dataclass(frozen=True)
class Bar:
    """One minute: `x` from the left, `y` from the top to its upper end."""

    x: int
    y: str
    height: str
    value: int
    at: datetime


@dataclass(frozen=True)
class Chart:
    """One figure of a lane over the last hour."""

    name: str
    tone: str
    peak: int
    bars: Sequence[Bar]


@dataclass(frozen=True)
class LaneCard:
    """What the page says of one lane. `last` is its newest sample, if that is of these minutes."""

    lane: Lane
    name: SafeString
    figures: Figures
    waiting: SafeString
    last: QueueSample | None
    charts: Sequence[Chart]


@admin.register(Work)
class WorkAdmin(ReadOnlyAdmin[Work]):
    """The queue as it stands: a row is gone when it is done."""

    list_display = (
        "due",
        "state",
        "lane_badge",
        "kind",
        "channel",
        "deliveries",
        "agent",
        "claims",
    )
    list_filter = (
        "lane",
        "kind",
        "channel",
        "held",
        "suspect",
        ("client", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("client",)
    list_before_template = "notifications/admin/queues.html"
    nothing = "The queue is empty"
    begin = "What is accepted waits here for its turn: just now nothing does."
    fields = (
        "due", "state", "lane_badge", "kind", "channel", "agent", "deliveries", "claims", "leased",
    )  # fmt: skip

    @override
    def named(self, row: Work) -> str:
        return f"{row.get_kind_display()}: {row.get_channel_display()}, {row.get_lane_display()}"

    @override
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "cards": _cards()})

    @admin.display(description="Due")
    def due(self, work: Work) -> SafeString:
        return ago(work.due_at)

    @admin.display(description="State")
    def state(self, work: Work) -> SafeString:
        now = timezone.now()
        if work.lease_until is not None and work.lease_until > now:
            return badge("Being sent", Tone.BUSY)
        if work.held:
            return badge("Held", Tone.WARN)
        if work.suspect:
            return badge("Suspect", Tone.BAD)
        if work.due_at <= now:
            return badge("Due", Tone.GOOD)
        return badge("Throttled", Tone.WARN) if work.throttled_since else badge("Later", Tone.QUIET)

    @admin.display(description="Lane")
    def lane_badge(self, work: Work) -> SafeString:
        return badges.lane(Lane(work.lane))

    @admin.display(description="Agent")
    def agent(self, work: Work) -> str:
        return work.client.name

    @admin.display(description="Deliveries")
    def deliveries(self, work: Work) -> int:
        return len(work.ids)

    @admin.display(description="Claimed until")
    def leased(self, work: Work) -> SafeString:
        return ago(work.lease_until)


def _cards() -> list[LaneCard]:
    now = timezone.now()
    samples = list(metrics.samples(timedelta(minutes=CHART_MINUTES)))
    return [
        _card(lane, figures, [sample for sample in samples if sample.lane == lane], now)
        for lane, figures in metrics.by_lane(metrics.depths()).items()
    ]


def _card(lane: Lane, figures: Figures, samples: Sequence[QueueSample], now: datetime) -> LaneCard:
    recent = bool(samples) and samples[-1].at > now - 2 * metrics.MINUTE
    return LaneCard(
        lane=lane,
        name=badges.lane(lane),
        figures=figures,
        waiting=_waiting(lane, figures),
        last=samples[-1] if recent else None,
        charts=[
            _chart("Due", "busy", [(sample.at, sample.due) for sample in samples], now),
            _chart("Sent a minute", "good", [(sample.at, sample.sent) for sample in samples], now),
        ],
    )


def _waiting(lane: Lane, figures: Figures) -> SafeString:
    if not figures.due:
        return badge("Nothing waits", Tone.GOOD)
    late = figures.oldest_seconds > LATE_SECONDS[lane]
    text = f"Oldest waits {duration(figures.oldest_seconds)}"
    return badge(text, Tone.BAD if late else Tone.QUIET)


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min`, `5 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min" if seconds < 7200 else f"{seconds // 3600:.0f} h"


def _chart(name: str, tone: str, points: Sequence[tuple[datetime, int]], now: datetime) -> Chart:
    """A bar for each point, at the minute it is of; a minute without a sample stays empty."""
    peak = max((value for _, value in points), default=0)
    bars = []
    for at, value in points:
        age = int((now - at) / metrics.MINUTE)
        height = CHART_HEIGHT * value / (peak or 1)
        x = CHART_MINUTES - 1 - age
        bars.append(Bar(x, f"{CHART_HEIGHT - height:.2f}", f"{height:.2f}", value, at))
    return Chart(name, tone, peak, bars)
