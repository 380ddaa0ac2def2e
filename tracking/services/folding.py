"""Adds up what `rollups` has noted: into hours and days, for each way that is asked about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from commsproject.common import clock
from commsproject.common.live import publish
from tracking.models import Rollup
from tracking.services.rollups import COST, PLACES, Key

GRAINS: Mapping[str, Sequence[str]] = {
    "total": (),
    "agent": ("client",),
    "category": ("category",),
    "template": ("version", "variant"),
    "country": ("country",),
    "batch": ("client", "batch"),
    "all": ("client", "category", "version", "variant", "country"),
}
"""What each tells apart beside channel and provider. A question is answered by the first that tells
apart all it asks for: the fewer, the fewer rows.
"""

OF_DAY = "/d"
"""Behind the name of a grain: the same, of days in UTC. Sums over long times read those."""

_TAKE = """
WITH gone AS (DELETE FROM tracking_rollupdelta RETURNING hour, groups)
SELECT hour, alike.key, one.key, sum(one.value::bigint)::bigint
FROM gone, jsonb_each(groups) AS alike, jsonb_each_text(alike.value) AS one
GROUP BY 1, 2, 3
"""

_ADD = """
INSERT INTO tracking_rollup AS kept (
    id, hour, grain, channel, provider, client_id, batch_id, category_id, version_id, variant_id,
    country, counts, cost)
VALUES (uuidv7(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (grain, hour, channel, provider, client_id, batch_id, category_id, version_id,
             variant_id, country)
DO UPDATE SET cost = kept.cost + EXCLUDED.cost, counts = (
    SELECT array_agg(coalesce(old, 0) + coalesce(new, 0) ORDER BY place)
    FROM unnest(kept.counts, EXCLUDED.counts) WITH ORDINALITY AS both_of (old, new, place))
"""

_Row = tuple[datetime, str, Key]

Noted = tuple[datetime, Key, str, int]
"""An hour, what the messages have in common, a name of `PLACES` or `COST`, and how many."""


def fold() -> None:
    """Add up what was noted since. Safe to run at the same time as another."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_TAKE)
            noted = [
                (hour, Key.of_text(words), name, count)
                for hour, words, name, count in cursor.fetchall()
            ]
        if noted:
            add(noted)
            _tell(noted)


@transaction.atomic
def add(noted: Iterable[Noted]) -> None:
    """Add counts to the rollups of every grain."""
    rows = _by_grain(noted)
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, [_values(*row, rows[row]) for row in sorted(rows, key=str)])


def _by_grain(noted: Iterable[Noted]) -> dict[_Row, Counter[str]]:
    rows: dict[_Row, Counter[str]] = defaultdict(Counter)
    for hour, key, name, count in noted:
        for grain, kept in GRAINS.items():
            if grain != "batch" or key.batch:
                words = {word: getattr(key, word) for word in kept}
                kept_as = Key(key.channel, key.provider, **words)
                rows[hour, grain, kept_as][name] += count
                rows[hour.astimezone(UTC).replace(hour=0), grain + OF_DAY, kept_as][name] += count
    return rows


def _values(hour: datetime, grain: str, key: Key, counts: Counter[str]) -> list[Any]:
    sums = [counts[name] for name in PLACES]
    return [hour, grain, *key, sums, counts[COST]]


# --- Live ----------------------------------------------------------------------------------------

FEED, NOW = "analytics", "now"

LIVE = ("accepted", "sent", "delivered", "failed", "bounced")


def _tell(noted: Iterable[Noted]) -> None:
    """Whoever looks at the dashboard sees what has just been added."""
    added: Counter[str] = Counter()
    for _, _, name, count in noted:
        added["failed" if name.startswith("failed_") else name] += count
    frame = {"type": FEED, "at": clock.now().isoformat(), **{name: added[name] for name in LIVE}}
    publish.ephemeral(FEED, [NOW], frame)


# --- Retention -----------------------------------------------------------------------------------

KEEP = timedelta(days=800)
KEEP_BATCHES = timedelta(days=90)


def forget() -> None:
    """What is older than two years; of single batches, than three months."""
    now = clock.now()
    Rollup.objects.filter(hour__lt=now - KEEP).delete()
    Rollup.objects.filter(
        grain__in=["batch", "batch" + OF_DAY], hour__lt=now - KEEP_BATCHES
    ).delete()
