"""How many deliveries of each batch are in which state: insert-only, so that writers never wait."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from uuid import UUID

from commsproject.common.copy import copy_rows
from notifications.models import BatchDelta

Move = tuple[UUID | None, str, str]
"""A delivery's batch, the state it was in ("" for a new one) and the state it is in now."""


def move(moves: Iterable[Move]) -> None:
    """Note the moves of deliveries that belong to a batch, in the caller's transaction."""
    add(Counter(moves).items())


def add(moves: Iterable[tuple[Move, int]]) -> None:
    """As `move`, with how many of each there are."""
    changes: dict[UUID, Counter[str]] = defaultdict(Counter)
    for (batch_id, was, now), count in moves:
        if batch_id is not None and was != now:
            changes[batch_id][now] += count
            if was:
                changes[batch_id][was] -= count
    copy_rows(
        BatchDelta,
        (
            BatchDelta(batch_id=batch_id, counts={state: n for state, n in counts.items() if n})
            for batch_id, counts in changes.items()
        ),
    )
