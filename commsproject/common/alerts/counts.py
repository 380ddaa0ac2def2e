"""How many of what in each minute: what rules look at instead of counting messages.

Writers only add rows, one for each thing of a transaction; a job folds them into minutes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from commsproject.common.models import AlertCount, AlertDelta

KEEP = timedelta(days=8)
"""A week, and the longest window."""


class What(StrEnum):
    """What is counted, of one subject each."""

    TAKEN = "taken"  # deliveries that a provider took, by channel
    FAILED = "failed"  # deliveries that ended without, by channel
    DEAD = "dead"  # those of them that were given up, by channel
    CALL_TAKEN = "call_taken"  # messages in calls that went well, by provider
    CALL_FAILED = "call_failed"  # in those that went wrong for a reason of the provider's
    RECEIPT = "receipt"  # the first of the reports on a message, by provider
    BOUNCED = "bounced"  # by provider
    COMPLAINED = "complained"  # by provider
    FLOODED = "flooded"  # text messages beyond the limit of a prefix, by prefix


Counts = Mapping[tuple[What, str], int]
"""By what and subject."""


def note(counted: Counts) -> None:
    """Add to the counts of this minute, in the caller's transaction."""
    now = timezone.now()
    AlertDelta.objects.bulk_create(
        [
            AlertDelta(what=what.value, subject=subject[:64], n=n, at=now)
            for (what, subject), n in counted.items()
            if n
        ]
    )


_FOLD = """
WITH gone AS (DELETE FROM common_alertdelta RETURNING *)
INSERT INTO common_alertcount AS kept (minute, what, subject, n)
SELECT date_trunc('minute', at), what, subject, sum(n) FROM gone GROUP BY 1, 2, 3
ON CONFLICT (minute, what, subject) DO UPDATE SET n = kept.n + EXCLUDED.n
"""


def fold() -> None:
    """Move what was noted into its minutes, and forget what is too old."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLD)
    AlertCount.objects.filter(minute__lt=timezone.now() - KEEP).delete()


def between(begin: datetime, end: datetime) -> dict[What, dict[str, int]]:
    """What was counted in the minutes that began after `begin` and up to `end`, by what and
    subject.
    """
    rows = (
        AlertCount.objects.filter(minute__gt=begin, minute__lte=end)
        .order_by()
        .values_list("what", "subject")
        .annotate(Sum("n"))
    )
    found: dict[What, dict[str, int]] = defaultdict(dict)
    for what, subject, n in rows:
        found[What(what)][subject] = n
    return found
