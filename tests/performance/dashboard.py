"""What a person waits for who looks at the analytics page of 10 million messages.

python -m tests.performance.dashboard
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import django

from commsproject.common.garbage import collect_less
from tests.performance.report import Figures, percentile
from tests.performance.world import World

DAYS = 30
MESSAGES = 10_000_000
TEMPLATES, AGENTS, CATEGORIES, COUNTRIES = 60, 12, 15, 25
TIMES = 100
_EMPTY = b"TRUNCATE tracking_rollup"


def measure(world: World) -> Figures:
    """Each question's p50 and p99, and the slowest p99, in milliseconds."""
    world.database.execute(_EMPTY)
    figures: Figures = json.loads(world.module("tests.performance.dashboard"))
    world.database.execute(_EMPTY)
    return figures


def main() -> None:
    django.setup()
    collect_less()
    _fill()
    figures: dict[str, float] = {}
    for name, ask in _questions().items():
        took = [_timed(ask) for _ in range(TIMES)]
        figures[f"{name}, p50 ms"] = percentile(took, 0.5) * 1e3
        figures[f"{name}, p99 ms"] = percentile(took, 0.99) * 1e3
    slowest = max(value for name, value in figures.items() if name.endswith(", p99 ms"))
    sys.stdout.write(json.dumps({**figures, "the slowest, p99 ms": slowest}))


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _fill() -> None:
    """A month in which every template goes out in every hour, by two providers: rollups only."""
    from django.db import connection
    from django.utils import timezone

    from templates_app.models import TemplateVersion
    from tests.factories import TemplateVersionFactory
    from tracking.services import folding

    known = TemplateVersion.objects.filter(id__in=[_id(3, number) for number in range(TEMPLATES)])
    if not known.exists():  # a round before has made them
        for number in range(TEMPLATES):
            TemplateVersionFactory.create(id=_id(3, number))
    end = timezone.now().replace(minute=0, second=0, microsecond=0)
    for day in range(DAYS):
        folding.add(_day(end - timedelta(days=DAYS - day)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE tracking_rollup")


def _day(start: datetime) -> Iterator[Any]:
    from tracking.services.rollups import ARRIVED, HANDED, Key

    draw = Random(start.toordinal())
    each = MESSAGES // (DAYS * 24 * TEMPLATES * 2)
    for hour in range(24):
        for template in range(TEMPLATES):
            for provider in ("one", "two"):
                is_text = template % 6 == 0
                words = Key(
                    "sms" if is_text else "email",
                    provider,
                    _id(1, template % AGENTS),
                    category=_id(2, template % CATEGORIES),
                    version=_id(3, template),
                    country=f"C{chr(65 + draw.randrange(COUNTRIES))}" if is_text else "",
                )
                at = start + timedelta(hours=hour)
                for name in ("accepted", "calls", "sent", "delivered", "opened"):
                    yield at, words, name, each
                for name in (HANDED, ARRIVED):
                    for bucket in range(4, 8):
                        yield at, words, f"{name}{bucket}", each // 4


def _id(kind: int, number: int) -> str:
    return f"019a0000-0000-7000-8000-{kind:04d}{number:08d}"


def _questions() -> dict[str, Callable[[], object]]:
    from django.utils import timezone

    from commsproject.console.analytics import _all_of
    from tracking.services import analytics
    from tracking.services.analytics import Dimension, Granularity, Question

    now, zone = timezone.now(), ZoneInfo("Europe/Berlin")
    month = Question(now - timedelta(days=DAYS), now, zone)
    own = Question(now - timedelta(days=DAYS), now, zone, client=_id(1, 3))  # type: ignore[arg-type]
    return {
        "summary of a month": lambda: analytics.summary(month),
        "series of a month by day": lambda: analytics.series(month, Granularity.DAY),
        "series of a month by hour": lambda: analytics.series(month, Granularity.HOUR),
        "providers of a month": lambda: analytics.top(month, Dimension.PROVIDER, "sent", 10),
        "templates of a month": lambda: analytics.top(month, Dimension.TEMPLATE, "sent", 10),
        "templates of one agent": lambda: analytics.top(own, Dimension.TEMPLATE, "sent", 10),
        "the whole page, a month": lambda: _all_of(month, Granularity.DAY),
    }


if __name__ == "__main__":
    main()
