"""The queue: claims on Work rows, and the doorbell that says there are some.

PostgreSQL's clock is the only clock of leases. Each function is one statement or one short
transaction; whoever completes a claim must still hold its token.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from commsproject.common import doorbell
from notifications.models import Work
from notifications.types import Channel, Lane

_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM notifications_work
    WHERE lane = %(lane)s AND NOT held AND due_at <= statement_timestamp()
      AND (lease_until IS NULL OR lease_until < statement_timestamp())
    ORDER BY due_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications_work AS work
SET lease_until = statement_timestamp() + %(seconds)s * interval '1 second',
    token = work.token + 1, claims = work.claims + 1
FROM due WHERE work.id = due.id
RETURNING work.id, work.kind, work.lane, work.channel, work.client_id, work.batch_id, work.ids,
          work.token, work.claims
"""

_RENEW = """
WITH free AS MATERIALIZED (
    SELECT work.id FROM notifications_work AS work
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS mine (id, token)
      ON work.id = mine.id AND work.token = mine.token
    FOR UPDATE OF work SKIP LOCKED
)
UPDATE notifications_work AS work
SET lease_until = statement_timestamp() + %(seconds)s * interval '1 second'
FROM free WHERE work.id = free.id
RETURNING work.id
"""

_HOLD = "SELECT 1 FROM notifications_work WHERE id = %s AND token = %s FOR UPDATE"


class LeaseLost(Exception):
    """Another process has claimed this work since: nothing may be written for it any more."""


@dataclass(eq=False)
class Lease:
    """A claim on one Work row.

    `deadline` is on this process's monotonic clock, in seconds. `follow_ups` holds the seconds
    after which the work that this claim left behind falls due.
    """

    id: UUID
    kind: Work.Kind
    lane: Lane
    channel: Channel
    client_id: UUID
    batch_id: UUID | None
    ids: Sequence[UUID]
    token: int
    claims: int
    deadline: float = 0.0
    follow_ups: list[float] = field(default_factory=list)

    def holds(self) -> bool:
        """Whether no other process can have claimed this yet."""
        return time.monotonic() < self.deadline


def claim(lane: Lane, limit: int) -> list[Lease]:
    """Up to `limit` chunks that are due in `lane`, the longest due first.

    A lease that ran out is claimed like work that was never claimed.
    """
    deadline = (
        time.monotonic() + settings.LEASE_SECONDS
    )  # before the query: never later than theirs
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM, {"lane": lane.value, "limit": limit, "seconds": settings.LEASE_SECONDS}
        )
        rows = cursor.fetchall()
    return [
        Lease(
            id=row[0],
            kind=Work.Kind(row[1]),
            lane=Lane(row[2]),
            channel=Channel(row[3]),
            client_id=row[4],
            batch_id=row[5],
            ids=row[6],
            token=row[7],
            claims=row[8],
            deadline=deadline,
        )
        for row in rows
    ]


def renew(leases: Iterable[Lease]) -> None:
    """Extend every lease that is still ours; the others' deadline stays and so runs out.

    A row that a window of ours holds locked is left for the next beat: waiting for one would let
    all the others run out.
    """
    held = {lease.id: lease for lease in leases}
    deadline = time.monotonic() + settings.LEASE_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, _mine(held.values()) | {"seconds": settings.LEASE_SECONDS})
        for (work_id,) in cursor.fetchall():
            held[work_id].deadline = deadline


def hold_token(lease: Lease) -> None:
    """Lock the Work row until the end of the caller's transaction; raises `LeaseLost`."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [lease.id, lease.token])
        if cursor.fetchone() is None:
            raise LeaseLost(str(lease.id))


def _mine(leases: Iterable[Lease]) -> dict[str, list[Any]]:
    pairs = [(lease.id, lease.token) for lease in leases]
    return {"ids": [pair[0] for pair in pairs], "tokens": [pair[1] for pair in pairs]}


def ring(lane: Lane) -> None:
    """Tell the workers that `lane` has work. Best effort: they also look by themselves."""
    from notifications import tasks  # the one import upwards: tasks call services, services ring

    doorbell.ring(lane.value, lambda: tasks.wake(lane))


def answer_bell(lane: Lane) -> None:
    """Before claiming."""
    doorbell.answer(lane.value)
