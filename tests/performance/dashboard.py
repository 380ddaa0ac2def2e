"""What a person waits for who looks at the analytics page of 10 million messages. Prints figures.

python -m tests.performance.dashboard
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import django

from tests.performance.report import percentile
from tests.performance.world import World

DAYS = 30
MESSAGES = 10_000_000
TEMPLATES, AGENTS, CATEGORIES, COUNTRIES = 60, 12, 15, 25
TIMES = 100


def main() -> None:
    with TemporaryDirectory() as directory, World(Path(directory)) as world:
        world.prepare()
        os.environ.update(
            DJANGO_SETTINGS_MODULE="tests.performance.settings",
            DATABASE_URL=world.database_url,
            REDIS_URL=world.redis_url,
            LOG_LEVEL="WARNING",
        )
        django.setup()
        gc.collect()  # as the web process does: commsproject/asgi.py
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        _fill()
        for name, ask in _questions().items():
            took = sorted(_timed(ask) for _ in range(TIMES))
            p50, p99 = (percentile(took, part) * 1e3 for part in (0.5, 0.99))
            sys.stdout.write(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms\n")


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _fill() -> None:
    """A month in which every template goes out in every hour, by two providers: rollups only."""
    from django.db import connection
    from django.utils import timezone

    from tests.factories import TemplateVersionFactory
    from tracking.models import Rollup
    from tracking.services import folding

    for number in range(TEMPLATES):
        TemplateVersionFactory.create(id=_id(3, number))
    end = timezone.now().replace(minute=0, second=0, microsecond=0)
    for day in range(DAYS):
        folding.add(_day(end - timedelta(days=DAYS - day)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE tracking_rollup")
    grains = {grain: Rollup.objects.filter(grain=grain).count() for grain in folding.GRAINS}
    sys.stdout.write(f"rows: {grains}\n")


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
