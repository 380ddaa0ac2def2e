"""The queue: claims on Work rows, and the doorbell that says there are some.

PostgreSQL's clock is the only clock of leases. Each function is one statement or one short
transaction; whoever completes a claim must still hold its token.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from commsproject.common import clock, doorbell
from commsproject.common.copy import copy_rows
from notifications.models import Batch, Delivery, Work
from notifications.states import PENDING
from notifications.types import Channel, Lane

# Work-conserving and fair: whoever has the fewest messages in flight comes first, among agents and
# among the flows of an agent (batches, and all that is in none). Of those with as many the small
# come before the large, by lot: a message goes before a chunk of 500 in all but one of 501 cases,
# so however many there are nobody waits for ever. (By age a large batch, all of it due at the same
# old time, would always have gone before what came later.) The index is
# (lane, client, flow, due_at), and `flows` jumps from one flow to the next in it. Only the form
# `id = ANY(ARRAY(...))` makes the planner read just those rows (measured: 3-4 ms with 200 agents
# and 300,000 rows waiting; a join did not end).
_CLAIM = """
WITH RECURSIVE flows AS (
    (SELECT client_id, flow FROM notifications_work
     WHERE lane = %(lane)s AND NOT held AND NOT suspect
     ORDER BY client_id, flow LIMIT 1)
    UNION ALL
    SELECT next.client_id, next.flow FROM flows CROSS JOIN LATERAL (
        SELECT client_id, flow FROM notifications_work
        WHERE lane = %(lane)s AND NOT held AND NOT suspect
          AND (client_id, flow) > (flows.client_id, flows.flow)
        ORDER BY client_id, flow LIMIT 1
    ) AS next
), flying AS MATERIALIZED (
    SELECT * FROM unnest(%(clients)s::uuid[], %(flows)s::uuid[], %(sizes)s::int[])
        AS flying (client_id, flow, size)
), heads AS (
    SELECT flows.client_id, head.id, head.size, -ln(1 - random()) * head.size AS lot,
           coalesce(flying.size, 0) - head.size
           + sum(head.size) OVER (PARTITION BY flows.client_id, flows.flow
                                  ORDER BY head.due_at, head.id) AS served
    FROM flows
    LEFT JOIN flying ON flying.client_id = flows.client_id AND flying.flow = flows.flow
    CROSS JOIN LATERAL (
        SELECT id, due_at, size FROM notifications_work
        WHERE lane = %(lane)s AND NOT held AND NOT suspect
          AND client_id = flows.client_id AND flow = flows.flow
          AND due_at <= statement_timestamp()
          AND (lease_until IS NULL OR lease_until < statement_timestamp())
        ORDER BY due_at LIMIT greatest(4, %(chunks)s / (SELECT count(*) FROM flows))
    ) AS head
), agents AS (
    SELECT id, size, lot, client_id = ANY(%(noisy)s::uuid[]) AS noisy,
           coalesce((SELECT sum(size) FROM flying WHERE flying.client_id = heads.client_id), 0)
           + sum(size) OVER (PARTITION BY client_id ORDER BY served, lot) - size AS served
    FROM heads
), line AS MATERIALIZED (
    SELECT id, noisy, sum(size) OVER (ORDER BY noisy, served, lot) - size AS before,
           sum(size) OVER (PARTITION BY noisy ORDER BY served, lot) AS with_alike
    FROM agents
)
UPDATE notifications_work AS work
SET lease_until = statement_timestamp() + %(seconds)s * interval '1 second',
    token = work.token + 1, claims = work.claims + 1
WHERE work.id = ANY(ARRAY(
    SELECT id FROM notifications_work
    WHERE id = ANY(ARRAY(
              SELECT id FROM line
              WHERE before < %(room)s AND (NOT noisy OR with_alike <= %(noisy_room)s)
              ORDER BY before LIMIT %(chunks)s))
      AND NOT held AND (lease_until IS NULL OR lease_until < statement_timestamp())
    FOR UPDATE SKIP LOCKED
))
RETURNING work.id, work.kind, work.lane, work.channel, work.client_id, work.batch_id, work.ids,
          work.token, work.claims, work.due_at, work.suspect, work.throttled_since
"""

_CLAIM_SUSPECT = """
UPDATE notifications_work AS work
SET lease_until = statement_timestamp() + %(seconds)s * interval '1 second',
    token = work.token + 1, claims = work.claims + 1
WHERE work.id = ANY(ARRAY(
    SELECT id FROM notifications_work
    WHERE lane = ANY(%(lanes)s) AND suspect AND NOT held AND due_at <= statement_timestamp()
      AND (lease_until IS NULL OR lease_until < statement_timestamp())
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
))
RETURNING work.id, work.kind, work.lane, work.channel, work.client_id, work.batch_id, work.ids,
          work.token, work.claims, work.due_at, work.suspect, work.throttled_since
"""

_RENEW = """
WITH free AS MATERIALIZED (
    SELECT work.id FROM notifications_work AS work
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS mine (id, token)
      ON work.id = mine.id AND work.token = mine.token
    WHERE work.lease_until IS NOT NULL
    FOR UPDATE OF work SKIP LOCKED
)
UPDATE notifications_work AS work
SET lease_until = statement_timestamp() + %(seconds)s * interval '1 second'
FROM free WHERE work.id = free.id
RETURNING work.id, work.token
"""

_GIVE_BACK = """
UPDATE notifications_work AS work SET lease_until = NULL, claims = work.claims - 1
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS mine (id, token)
WHERE work.id = mine.id AND work.token = mine.token AND work.lease_until IS NOT NULL
"""
"""Safe to repeat: a claim is given back once."""

_PROGRESS = """
UPDATE notifications_work AS work SET claims = 1
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS mine (id, token)
WHERE work.id = mine.id AND work.token = mine.token
"""

_HOLD = """
SELECT work.id
FROM notifications_work AS work
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS mine (id, token)
  ON work.id = mine.id AND work.token = mine.token
ORDER BY work.id FOR UPDATE OF work
"""

CHUNKS = 256
"""Work rows of one claim, at most."""

SUSPECT_AT = 2
"""Claims without completion after which a chunk is taken apart."""

QUARANTINE_AT = 3
"""Claims without completion after which a single message is quarantined."""


class LeaseLost(Exception):
    """Another process has claimed this work since: nothing may be written for it any more."""


@dataclass(eq=False)
class Lease:
    """A claim on one Work row.

    `deadline` and `seen` (when it last made progress) are on this process's monotonic clock, in
    seconds. `follow_ups` holds the seconds after which the work that this claim left behind falls
    due.
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
    due_at: datetime
    is_suspect: bool = False
    throttled_since: datetime | None = None
    deadline: float = 0.0
    seen: float = field(default_factory=time.monotonic)
    follow_ups: list[float] = field(default_factory=list)
    batch_state: str = ""
    pace: float | None = None
    """State and pace of its batch, as `look_at_batches` last saw them."""

    def holds(self) -> bool:
        """Whether no other process can have claimed this yet."""
        return time.monotonic() < self.deadline

    @property
    def flow(self) -> UUID:
        """What takes turns with the other flows of its agent."""
        return self.batch_id or self.client_id  # of what is sent

    @property
    def paced(self) -> UUID | None:
        """Its batch, if that has a pace to keep to."""
        return self.batch_id if self.pace else None

    @property
    def is_first(self) -> bool:
        """Nobody has ever claimed these deliveries before: work that follows keeps its token."""
        return self.token == 1


def claim(
    lane: Lane,
    room: int,
    *,
    chunks: int = CHUNKS,
    in_flight: Mapping[tuple[UUID, UUID], int] | None = None,
    noisy: Collection[UUID] = (),
    noisy_room: int | None = None,
) -> list[Lease]:
    """Chunks that are due in `lane` while there is `room` (messages), in fair turns.

    The last chunk may exceed the room. `in_flight` are the messages that are being sent, by agent
    and flow. `noisy` agents come after all others and get `noisy_room` at most. A lease that ran
    out is claimed like work that was never claimed.
    """
    flying = in_flight or {}
    values = {
        "clients": [client for client, _ in flying],
        "flows": [flow for _, flow in flying],
        "sizes": list(flying.values()),
        "lane": lane.value,
        "room": room,
        "chunks": chunks,
        "noisy": list(noisy),
        "noisy_room": room if noisy_room is None else noisy_room,
    }
    return _claimed(_CLAIM, values)


def claim_suspect(lanes: Iterable[Lane]) -> list[Lease]:
    """One message that two workers died with, if there is one: only for a process that holds
    nothing else.
    """
    return _claimed(_CLAIM_SUSPECT, {"lanes": [lane.value for lane in lanes]})


def has_suspect(lanes: Iterable[Lane]) -> bool:
    """Whether `claim_suspect` is worth the emptying of a process."""
    suspects = Work.objects.filter(
        suspect=True, held=False, lane__in=list(lanes), due_at__lte=Now()
    )
    return suspects.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=Now())).exists()


def _claimed(query: str, values: dict[str, Any]) -> list[Lease]:
    clock.now()  # what is claimed is carried out on a loop, where the time cannot be asked for
    # Before the query: never later than theirs.
    deadline = time.monotonic() + settings.LEASE_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(query, values | {"seconds": settings.LEASE_SECONDS})
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
            due_at=row[9],
            is_suspect=row[10],
            throttled_since=row[11],
            deadline=deadline,
        )
        for row in rows
    ]


def renew(leases: Iterable[Lease]) -> None:
    """Extend every lease that is still ours; the others' deadline stays and so runs out.

    A row that a window of ours holds locked is left for the next beat: waiting for one would let
    all the others run out.
    """
    # By token too: this process may have lost a work and claimed it again.
    held = {(lease.id, lease.token): lease for lease in leases}
    deadline = time.monotonic() + settings.LEASE_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, _mine(held.values()) | {"seconds": settings.LEASE_SECONDS})
        for key in cursor.fetchall():
            held[key].deadline = deadline


def give_back(leases: Iterable[Lease]) -> None:
    """Undo claims that came to nothing through no fault of their work: due again at once."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, _mine(leases))


def note_progress(leases: Iterable[Lease]) -> None:
    """Claims that died before this are no sign of a message that kills its workers."""
    again = [lease for lease in leases if lease.claims > 1]
    if again:
        with connection.cursor() as cursor:
            cursor.execute(_PROGRESS, _mine(again))
        transaction.on_commit(partial(_forget_claims, again))  # what is rolled back is said again


def _forget_claims(leases: Iterable[Lease]) -> None:
    for lease in leases:
        lease.claims = 1


def hold(leases: Collection[Lease]) -> set[UUID]:
    """Lock the Work rows that are still ours until the end of the caller's transaction.

    Returns their ids.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, _mine(leases))
        return {work_id for (work_id,) in cursor.fetchall()}


def look_at_batches(leases: Iterable[Lease]) -> None:
    """Note in each lease that is held how its batch stands now.

    In a statement of its own, after `hold`: a statement sees what was there when it began, so one
    that had to wait for a row would not know of a batch that was cancelled meanwhile.
    """
    of_batches = [lease for lease in leases if lease.batch_id]
    if not of_batches:
        return
    rows = Batch.objects.filter(id__in={lease.batch_id for lease in of_batches})
    found: dict[UUID | None, Batch] = {row.id: row for row in rows.only("state", "pace")}
    for lease in of_batches:
        if batch := found.get(lease.batch_id):
            lease.batch_state, lease.pace = batch.state, batch.pace


def _mine(leases: Iterable[Lease]) -> dict[str, list[Any]]:
    pairs = [(lease.id, lease.token) for lease in leases]
    return {"ids": [pair[0] for pair in pairs], "tokens": [pair[1] for pair in pairs]}


@transaction.atomic
def take_apart(lease: Lease) -> None:
    """Make each delivery of a chunk that two workers died with a work of its own, to be claimed
    alone. Raises `LeaseLost`.
    """
    if not hold([lease]):
        raise LeaseLost(str(lease.id))
    rest = Delivery.objects.filter(id__in=lease.ids, state__in=PENDING)
    pending = sorted(rest.values_list("id", flat=True))
    Work.objects.filter(id=lease.id).delete()
    copy_rows(
        Work,
        (
            Work(
                kind=lease.kind,
                lane=lease.lane,
                channel=lease.channel,
                client_id=lease.client_id,
                batch_id=lease.batch_id,
                flow=lease.flow,
                ids=[delivery_id],
                due_at=lease.due_at,
                suspect=True,
                token=lease.token,
                claims=SUSPECT_AT,
            )
            for delivery_id in pending
        ),
    )


def ring(lane: Lane) -> None:
    """Tell the workers that `lane` has work. Best effort: they also look by themselves."""
    from notifications import tasks  # the one import upwards: tasks call services, services ring

    doorbell.ring(lane.value, lambda: tasks.wake(lane))


def answer_bell(lane: Lane) -> None:
    """Before claiming."""
    doorbell.answer(lane.value)
