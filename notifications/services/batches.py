"""The life of a batch once its rows are here: released, paused, judged by its canary, done."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from commsproject.common import clock
from commsproject.common.ids import new_id
from commsproject.common.models import IdempotencyKey
from notifications import queue
from notifications.errors import BatchState, SecondPerson
from notifications.models import Attempt, Batch, BatchDelta, Work
from notifications.states import PENDING, State
from notifications.types import Lane

FAILURES = (State.BOUNCED, State.COMPLAINED, State.FAILED, State.DEAD, State.UNCONFIRMED)
"""What counts against a canary."""

_ENDED_OR_SENT = (State.SENT, State.DELIVERED, *FAILURES)


# --- Moves -------------------------------------------------------------------------------------


def act(batch: Batch, action: Batch.Action, *, reason: str = "", by: str = "") -> Batch:
    """Carry out `action`. Raises `BatchState` where the batch's state does not allow it, and
    `SecondPerson` where it is for another member of staff than `by`.

    `reason` says why it is paused or cancelled; it may be empty. A cancelled batch is returned, or
    the caller's transaction is over, when the calls that were about to be made are, or after
    `SETTLE_SECONDS`.
    """
    if action is Batch.Action.APPROVE and needs_another(batch, by):
        raise SecondPerson(
            f"More than {settings.SOLO_SEND_LIMIT:,} messages wait for another member of staff "
            f"than the one who composed them."
        )
    batch = _move(batch, action, reason)
    if batch.state == Batch.State.CANCELLED:
        transaction.on_commit(partial(_settle, batch))  # until then nobody else sees it
    return batch


def needs_another(batch: Batch, by: str) -> bool:
    """Whether a batch that staff composed is too large to be approved by `by`; the agent in whose
    name it goes out is nobody here.
    """
    is_large = batch.received - batch.rejected > settings.SOLO_SEND_LIMIT
    return bool(batch.composer) and is_large and by in ("", batch.composer)


SETTLE_SECONDS = 5.0


def _settle(batch: Batch) -> None:
    """Wait for the windows that were opened before the batch was cancelled, and for their calls."""
    with transaction.atomic():
        leased = Work.objects.filter(batch=batch, lease_until__gt=Now())
        rows = leased.select_for_update(no_key=True).order_by("id")  # a window holds its own
        ids = [id_ for some in rows.values_list("ids", flat=True) for id_ in some]
    calling = Attempt.objects.filter(delivery__in=ids, state=Attempt.State.CALLING)
    give_up = time.monotonic() + SETTLE_SECONDS
    while ids and calling.exists() and time.monotonic() < give_up:
        threading.Event().wait(0.1)


@transaction.atomic
def _move(batch: Batch, action: Batch.Action, reason: str) -> Batch:
    batch = Batch.objects.select_for_update(no_key=True).get(id=batch.id)
    was = Batch.State(batch.state)
    now = Batch.MOVES[action].get(was)
    if now is None:
        allowed = ", ".join(state.value for state in Batch.MOVES[action])
        raise BatchState(f"The batch is {was.value}; {action.value} is for one that is {allowed}.")
    batch.state, batch.reason = now, reason
    if now is Batch.State.RUNNING:
        start(batch)
        return batch
    batch.save(update_fields=["state", "reason"])
    if now is Batch.State.PAUSED:
        _hold(batch)
    elif now is Batch.State.CANCELLED:  # the engine ends them: who holds the work, ends it
        _hasten(batch)
    else:
        free_key(batch)
    return batch


def start(batch: Batch) -> None:
    """Let a batch run, in the caller's transaction that holds its row: its canary first."""
    batch.state = Batch.State.RUNNING
    batch.started_at = batch.started_at or clock.now()
    batch.canary_until = None
    batch.save(update_fields=["state", "reason", "started_at", "canary_until"])
    if _canary_is_out(batch):
        _release(batch, only=_draw(batch))
    else:
        _release(batch)


def free_key(batch: Batch) -> None:
    """An upload that broke off did not use its key up."""
    if batch.idempotency_key:
        IdempotencyKey.objects.filter(
            client=batch.client_id, key=batch.idempotency_key, response__batch=str(batch.id)
        ).delete()


# Rows that are locked are in the hands of a window: it reads the batch's state and holds or ends
# them itself. `tend` finds what crossed.

_HOLD = """
UPDATE notifications_work SET held = true, lease_until = NULL WHERE id IN (
    SELECT id FROM notifications_work
    WHERE batch_id = %s AND NOT held
      AND (lease_until IS NULL OR lease_until < statement_timestamp())
    FOR UPDATE SKIP LOCKED)
"""

_HASTEN = """
UPDATE notifications_work
SET held = false, due_at = CASE kind WHEN 'send' THEN statement_timestamp() ELSE due_at END
WHERE id IN (
    SELECT id FROM notifications_work
    WHERE batch_id = %s AND (held OR kind = 'send' AND due_at > statement_timestamp())
      AND (lease_until IS NULL OR lease_until < statement_timestamp())
    FOR UPDATE SKIP LOCKED)
"""
"""For a batch that was cancelled: the sooner its work is claimed, the sooner it is ended. What
went out without an answer has its whole wait.
"""

_RELEASE = """
WITH waiting AS MATERIALIZED (
    SELECT id, due_at, size FROM notifications_work
    WHERE batch_id = %(batch)s AND held AND (%(only)s::uuid[] IS NULL OR id = ANY(%(only)s))
    FOR UPDATE SKIP LOCKED
), line AS (
    SELECT id, sum(size) OVER (ORDER BY due_at, id) - size AS before,
           greatest(min(due_at) OVER (), statement_timestamp()) AS start
    FROM waiting
)
UPDATE notifications_work AS work
SET held = false, due_at = greatest(
    work.due_at, line.start + line.before * %(gap)s * interval '1 second')
FROM line WHERE work.id = line.id
"""
"""Each chunk falls due when those before it have had their time: after a pause too, nothing that
waited comes at once.
"""


def _hold(batch: Batch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [batch.id])


def _release(batch: Batch, only: list[UUID] | None = None) -> None:
    gap = 1 / batch.pace if batch.pace else 0.0
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, {"batch": batch.id, "only": only, "gap": gap})
    transaction.on_commit(partial(queue.ring, Lane(batch.priority)), robust=True)


def _hasten(batch: Batch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_HASTEN, [batch.id])
    transaction.on_commit(partial(queue.ring, Lane(batch.priority)), robust=True)


# --- Canary ------------------------------------------------------------------------------------


def _canary_is_out(batch: Batch) -> bool:
    """Whether the rest still waits for what the canary tells."""
    return batch.canary is not None and "passed" not in batch.canary


def _draw(batch: Batch) -> list[UUID]:
    """Work of as many deliveries as the canary has, taken at random; a chunk is cut for it."""
    waiting = Work.objects.filter(batch=batch, held=True)
    sizes = list(waiting.order_by("?").values_list("id", "size"))
    wanted = math.ceil((batch.canary or {})["percent"] / 100 * sum(size for _, size in sizes))
    drawn: list[UUID] = []
    for work_id, size in sizes:
        if wanted <= 0:
            break
        if size > wanted and not _cut(work_id, wanted):
            continue
        drawn.append(work_id)
        wanted -= size
    return drawn


def _cut(work_id: UUID, keep: int) -> bool:
    """Leave `keep` deliveries in the chunk; the others wait in a new one. False: it is in use, by
    who held it before the batch was.
    """
    work = Work.objects.select_for_update(skip_locked=True).filter(id=work_id).first()
    if work is None or work.size <= keep:
        return work is not None
    rest = work.ids[keep:]
    Work.objects.filter(id=work_id).update(ids=work.ids[:keep])
    Work.objects.create(
        id=new_id(),
        kind=work.kind,
        lane=work.lane,
        channel=work.channel,
        client_id=work.client_id,
        batch_id=work.batch_id,
        flow=work.flow,
        due_at=work.due_at,
        held=True,
        token=work.token,
        ids=rest,
    )
    return True


_UNTRIED = """
SELECT EXISTS (
    SELECT 1 FROM notifications_work AS work
    JOIN notifications_delivery AS delivery ON delivery.id = ANY(work.ids)
    WHERE work.batch_id = %s AND NOT work.held AND work.kind = 'send'
      AND delivery.attempts_made = 0)
"""

_NOT_TAKEN = """
SELECT coalesce(sum(size), 0) FROM notifications_work WHERE batch_id = %s AND NOT held
"""
"""Those of the canary that were tried and are still waiting: for another try, or for an answer."""


@transaction.atomic
def _watch_canary(batch_id: UUID) -> None:
    """Start the wait once each was tried; judge when it is over."""
    batch = Batch.objects.select_for_update(no_key=True).get(id=batch_id)
    if batch.state != Batch.State.RUNNING or not _canary_is_out(batch):
        return
    now = clock.now()
    if batch.canary_until is None:
        with connection.cursor() as cursor:
            cursor.execute(_UNTRIED, [batch_id])
            if cursor.fetchone()[0]:
                return
        batch.canary_until = now + timedelta(seconds=(batch.canary or {})["wait"])
        batch.save(update_fields=["canary_until"])
    if batch.canary_until <= now:
        _judge(batch)


def _judge(batch: Batch) -> None:
    canary = batch.canary or {}
    by_state = counts([batch])[batch.id]
    with connection.cursor() as cursor:
        cursor.execute(_NOT_TAKEN, [batch.id])
        (waiting,) = cursor.fetchone()
    tried = waiting + sum(by_state[state.value] for state in _ENDED_OR_SENT)
    if not tried and (others := _draw(batch)):  # it told nothing: all had opted out, say
        batch.canary_until = None
        batch.save(update_fields=["canary_until"])
        _release(batch, only=others)
        return
    failed = waiting + sum(by_state[state.value] for state in FAILURES)
    passed = 100 * failed <= canary["max_failures"] * tried
    batch.canary = {**canary, "tried": tried, "failed": failed, "passed": passed}
    if passed:
        _release(batch)
    else:
        batch.state = Batch.State.HALTED
        batch.reason = (
            f"{failed} of the first {tried} messages failed or were not taken;"
            f" at most {canary['max_failures']:g} % may"
        )
    batch.save(update_fields=["canary", "state", "reason"])


# --- Counts ------------------------------------------------------------------------------------


@transaction.atomic
def fold_counts() -> None:
    """Add the deltas to their batches; in one transaction, so that none counts twice."""
    with connection.cursor() as cursor:
        cursor.execute(_GONE)
        news: dict[UUID, Counter[str]] = defaultdict(Counter)
        for batch_id, counts in cursor.fetchall():
            news[batch_id].update(json.loads(counts))
    for batch in Batch.objects.select_for_update(no_key=True).filter(id__in=news).order_by("id"):
        total = Counter(batch.counts)
        total.update(news[batch.id])
        batch.counts = {state: n for state, n in total.items() if n}
        batch.save(update_fields=["counts"])


_GONE = """
DELETE FROM notifications_batchdelta WHERE id IN (
    SELECT id FROM notifications_batchdelta ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)
RETURNING batch_id, counts
"""


def counts(several: Iterable[Batch]) -> Mapping[UUID, Counter[str]]:
    """Deliveries by state of each batch, with what is not folded yet."""
    found = {batch.id: Counter[str](batch.counts) for batch in several}
    for batch_id, delta in BatchDelta.objects.filter(batch__in=found).values_list(
        "batch_id", "counts"
    ):
        found[batch_id].update(delta)
    return {id_: Counter({k: n for k, n in by.items() if n}) for id_, by in found.items()}


def progress(batch: Batch, by_state: Mapping[str, int]) -> float:
    """The part of its deliveries that is sent or at an end, 0 to 1."""
    if batch.state in (Batch.State.RECEIVING, Batch.State.ABORTED):
        return 0.0
    total = sum(by_state.values())
    waiting = sum(by_state.get(state.value, 0) for state in PENDING)
    return round((total - waiting) / total, 4) if total else 1.0


# --- Jobs --------------------------------------------------------------------------------------

_FINISH = """
UPDATE notifications_batch AS batch
SET state = CASE WHEN state = 'running' THEN 'done' ELSE state END, finished_at = now()
WHERE finished_at IS NULL AND state IN ('running', 'cancelled')
  AND NOT EXISTS (SELECT 1 FROM notifications_work AS work WHERE work.batch_id = batch.id)
"""


def _left(batch: Batch) -> bool:
    """Whether there is work that waits without need: a race left it held, or due much later."""
    work = Work.objects.filter(batch=batch)
    if batch.state == Batch.State.CANCELLED:
        later = Q(kind=Work.Kind.SEND, due_at__gt=clock.now())
        return work.filter(Q(held=True) | later).exists()
    return not _canary_is_out(batch) and work.filter(held=True).exists()


def tend() -> None:
    """What is due: canaries, work that a race left held, batches that are done."""
    unfinished = Batch.objects.filter(finished_at=None)
    for batch in unfinished.filter(state=Batch.State.RUNNING):
        if _canary_is_out(batch):
            _watch_canary(batch.id)
    for batch in unfinished.filter(state__in=[Batch.State.RUNNING, Batch.State.CANCELLED]):
        if _left(batch):
            _release_left(batch.id)
    with connection.cursor() as cursor:
        cursor.execute(_FINISH)


@transaction.atomic
def _release_left(batch_id: UUID) -> None:
    batch = Batch.objects.select_for_update(no_key=True).get(id=batch_id)
    if batch.state == Batch.State.CANCELLED:
        _hasten(batch)
    elif batch.state == Batch.State.RUNNING and not _canary_is_out(batch):
        _release(batch)
