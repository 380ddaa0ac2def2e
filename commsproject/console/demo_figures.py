"""Two made-up weeks of figures, so that a newcomer's first look at the analytics shows something."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.utils import timezone

from commsproject.common.models import ApiClient
from notifications.models import Category
from templates_app.models import TemplateVersion
from tracking.models import Rollup
from tracking.services import folding, histogram
from tracking.services.folding import Noted
from tracking.services.rollups import ARRIVED, HANDED, Key

DAYS = 14


@dataclass(frozen=True)
class _Stream:
    """Messages of one kind: so many in a busy hour; whether people read them mostly by day."""

    channel: str
    category: str
    busy: int
    bounces: float
    opens: float
    country: str = ""
    has_template: bool = False


_STREAMS = (
    _Stream("email", "account", 240, 0.004, 0.55, has_template=True),
    _Stream("email", "orders", 900, 0.006, 0.48),
    _Stream("email", "newsletter", 1600, 0.015, 0.24),
    _Stream("sms", "account", 130, 0.003, 0, "US"),
    _Stream("sms", "account", 90, 0.004, 0, "GB"),
)


def seed(agent: ApiClient) -> None:
    """Where nothing has been counted yet."""
    if not Rollup.objects.exists():
        folding.add(_figures(agent, timezone.now()))


def _figures(agent: ApiClient, now: datetime) -> Iterator[Noted]:
    draw = Random(1)  # noqa: S311 - a picture, no secret; the same at each first run
    categories = dict(Category.objects.values_list("key", "id"))
    version = TemplateVersion.objects.filter(template__key="welcome").first()
    end = now.replace(minute=0, second=0, microsecond=0)
    for hours in range(DAYS * 24, 0, -1):
        hour = end - timedelta(hours=hours)
        for stream in _STREAMS:
            words = Key(
                stream.channel,
                "simulator",
                agent.id,
                category=categories.get(stream.category),
                version=version.id if version and stream.has_template else None,
                country=stream.country,
            )
            for name, count in _hour(stream, hour, draw).items():
                yield hour, words, name, count


def _hour(stream: _Stream, hour: datetime, draw: Random) -> Counter[str]:
    """Most at noon, little at night, half at the weekend; newsletters on Tuesdays only."""
    day = 0.55 - 0.45 * math.cos((hour.hour - 1) / 24 * 2 * math.pi)
    part = day * (0.5 if hour.weekday() > 4 else 1) * draw.uniform(0.85, 1.15)
    if stream.category == "newsletter":
        part = part if (hour.weekday(), hour.hour // 4) == (1, 2) else 0
    accepted = int(stream.busy * part)
    failed = int(accepted * draw.uniform(0, 0.006))
    sent = accepted - failed - int(accepted * 0.004)
    bounced = int(sent * stream.bounces * draw.uniform(0.5, 1.5))
    delivered = sent - bounced
    opened = int(delivered * stream.opens * draw.uniform(0.9, 1.1))
    found = Counter(
        accepted=accepted,
        suppressed=accepted - failed - sent,
        calls=sent + failed,
        calls_failed=failed,
        failed_permanent_recipient=failed,
        sent=sent,
        delivered=delivered,
        bounced=bounced,
        complained=int(opened * 0.001),
        opened=opened,
        opened_machine=opened // 3,
        clicked=int(opened * 0.17),
        segments=sent if stream.channel == "sms" else 0,
    )
    for _ in range(20):  # twenty samples stand for all
        found[f"{HANDED}{histogram.bucket(draw.lognormvariate(-1, 0.9))}"] += sent // 20
        found[f"{ARRIVED}{histogram.bucket(draw.lognormvariate(1, 1))}"] += delivered // 20
    return found
