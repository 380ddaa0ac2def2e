"""A bulk request comes in: rows in commits of 5,000, and none of them is sent before the last."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Protocol

import orjson
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from commsproject.common import clock
from commsproject.common.copy import copy_rows
from commsproject.common.errors import CommsError, FieldError, InvalidInput
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications import addresses
from notifications.errors import KeyInFlight, KeyReused, UploadStopped
from notifications.models import Batch, BatchDelta, BatchRejection, Notification, Work
from notifications.services import batches, goals, keys, submit
from notifications.services.asked import Row, Terms
from notifications.services.plan import Planned, Shared, plan_rows, share

ROWS = 5000
"""Rows of one commit, at most."""
BYTES = 4 * 1024 * 1024
"""Of their data as JSON, roughly: large rows must not fill the memory."""

SILENT = timedelta(seconds=60)
"""An upload that stores nothing for so long has lost its process: a commit takes half a second."""


@dataclass(frozen=True)
class Canary:
    """`percent` of the messages go first; `wait` seconds after they were tried the rest follows,
    unless more than `max_failures` percent of them failed.
    """

    percent: float
    wait: float
    max_failures: float


@dataclass(frozen=True, kw_only=True, repr=False)
class BatchRequest(Terms):
    """What a batch is asked for with, but for its rows. `parameters` is a digest of all of it."""

    pace: float | None = None
    canary: Canary | None = None
    approval: bool = False
    composer: str = ""
    """The member of staff who composed it; none: an agent asked for it."""
    parameters: bytes = b""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is wrong by itself."""

    number: int
    errors: Sequence[FieldError]
    reference: str = ""


class Upload(Protocol):
    """Rows that are read once, in order."""

    def rows(self) -> Iterator[Row | Rejected]:
        """Raises `CommsError` where the upload cannot be read on."""
        ...

    def digest(self) -> bytes:
        """Of the whole content; reads what `rows` has not."""
        ...


def receive(client: ApiClient, request: BatchRequest, upload: Upload) -> tuple[Batch, bool]:
    """The batch, and whether it is an earlier one with the same key.

    Raises what is wrong with the request as a whole, before a row is read; later, what is wrong
    with the upload: then all of it is removed, and the key may be used again.
    """
    if request.idempotency_key and (known := _known(client, request, upload)):
        return known, True
    now = clock.now()
    batch = Batch(client=client, idempotency_key=request.idempotency_key, heard_at=now)
    shared = share(client, request, batch.id)
    if not _open(batch, request, shared):  # somebody was quicker with this key
        raise _in_flight()
    try:
        _take(batch, request, shared, upload)
        return _close(batch, request, upload), False
    except BaseException as error:
        detail = error.detail if isinstance(error, CommsError) else "it broke off"
        abort(batch, detail[:200])
        raise


def abort(batch: Batch, reason: str) -> None:
    """End an upload, and remove its rows."""
    with transaction.atomic():
        mine = Batch.objects.filter(id=batch.id, state=Batch.State.RECEIVING)
        if mine.update(state=Batch.State.ABORTED, reason=reason):
            batches.free_key(batch)
    _remove_rows(batch)


def abort_dead() -> None:
    """Uploads whose process is gone, and what was left of those that were aborted."""
    unfinished = Batch.objects.filter(finished_at=None)
    silent = clock.now() - SILENT
    for batch in unfinished.filter(state=Batch.State.RECEIVING, heard_at__lt=silent):
        abort(batch, "its upload broke off")
    for batch in unfinished.filter(state=Batch.State.ABORTED):
        _remove_rows(batch)


# --- Idempotency -------------------------------------------------------------------------------


def _known(client: ApiClient, request: BatchRequest, upload: Upload) -> Batch | None:
    """The batch that this key was used for, where the parameters and all rows are the same."""
    key = IdempotencyKey.objects.filter(client=client, key=request.idempotency_key).first()
    if key is None:
        return None
    made = (key.response or {}).get("batch", "")
    batch = Batch.objects.filter(id=made).first() if made else None
    if batch is None:
        raise KeyReused("This key was used for something else than a batch.")
    if batch.state == Batch.State.RECEIVING:
        raise _in_flight()
    keys.check(key, _fingerprint(request, upload))
    return batch


def _in_flight() -> KeyInFlight:
    return KeyInFlight("The first request with this key is still being received.", retry_after=1)


def _fingerprint(request: BatchRequest, upload: Upload) -> bytes:
    return hashlib.sha256(request.parameters + upload.digest()).digest()


# --- Rows --------------------------------------------------------------------------------------


def _open(batch: Batch, request: BatchRequest, shared: Shared) -> bool:
    """Store the batch and its key; false if the key is taken."""
    for name in ("locale", "priority", "agent_id", "reference", "reply_to", "send_at", "composer"):
        setattr(batch, name, getattr(request, name))
    batch.expires_at, batch.pace, batch.data = request.expires_at, request.pace, request.data
    batch.tags, batch.channels = list(request.tags), list(request.channels)
    batch.metadata = dict(request.metadata)
    batch.category, batch.template_version = shared.category, shared.version
    batch.content = None if shared.version else shared.content
    batch.canary = asdict(request.canary) if request.canary else None
    with transaction.atomic():
        batch.save(force_insert=True)
        if not request.idempotency_key:
            return True
        key = IdempotencyKey(
            client=batch.client,
            key=request.idempotency_key,
            fingerprint=b"",  # the content is not known yet
            response={"batch": str(batch.id)},
        )
        IdempotencyKey.objects.bulk_create([key], ignore_conflicts=True)
        if not IdempotencyKey.objects.filter(id=key.id).exists():
            transaction.set_rollback(True)
            return False
    return True


def _take(batch: Batch, request: BatchRequest, shared: Shared, upload: Upload) -> None:
    for some in _commits(upload.rows()):
        _store(batch, request, shared, some)
    if not Batch.objects.filter(id=batch.id, received__gt=0).exists():
        raise InvalidInput.of("rows", "required", "There are no rows.")


def _commits(rows: Iterable[Row | Rejected]) -> Iterator[list[Row | Rejected]]:
    """What is stored together."""
    seen: set[int] = set()
    some: list[Row | Rejected] = []
    size = 0
    for row in rows:
        if isinstance(row, Row):
            data = orjson.dumps(row.data, option=orjson.OPT_SORT_KEYS)
            size += len(data)
            some.append(_unless_seen(row, data, seen))
        else:
            some.append(row)
        if len(some) == ROWS or size > BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _unless_seen(row: Row, data: bytes, seen: set[int]) -> Row | Rejected:
    """A row that says the same as an earlier one, reference and all, is an accident."""
    to = row.to
    given = tuple(to.addresses.get(channel) for channel in addresses.FIELDS.values())
    # 64 bits: two of a million different rows are taken for one once in 40 million uploads.
    mark = hash((to.user_id, given, row.reference, data))
    if mark in seen:
        error = FieldError("", "duplicate", "An earlier row is the same in all fields.")
        return Rejected(row.number or 0, [error], row.reference)
    seen.add(mark)
    return row


@transaction.atomic
def _store(
    batch: Batch, request: BatchRequest, shared: Shared, received: Sequence[Row | Rejected]
) -> None:
    planned: list[Planned] = []
    rejections: list[BatchRejection] = []
    results = plan_rows(shared, [row for row in received if isinstance(row, Row)])
    for row in received:  # keys ascend with the rows' numbers: results are listed by key
        result = next(results) if isinstance(row, Row) else row
        if isinstance(result, Planned):
            planned.append(result)
        else:
            rejections.append(_rejection(batch, row, result))
    if batch.canary:  # the first chunks go first: they must not be the first rows
        random.shuffle(planned)
    # A chunk is what goes out at once: a second's worth, where there is a pace.
    chunk = min(Work.LIMIT, max(1, int(request.pace))) if request.pace else Work.LIMIT
    submit.write(planned, chunk=chunk, held=True)
    copy_rows(BatchRejection, rejections)
    mine = Batch.objects.filter(id=batch.id, state=Batch.State.RECEIVING)
    if not mine.update(
        received=F("received") + len(received),
        rejected=F("rejected") + len(rejections),
        heard_at=clock.now(),
    ):
        raise UploadStopped("The batch was cancelled while it was being received.")


def _rejection(batch: Batch, row: Row | Rejected, why: Rejected | CommsError) -> BatchRejection:
    errors = why.errors
    if isinstance(why, CommsError) and not errors:
        errors = [FieldError("", why.code, why.detail)]
    return BatchRejection(
        batch=batch,
        row=row.number or 0,
        reference=row.reference,
        errors=[vars(error) for error in errors],
    )


@transaction.atomic
def _close(batch: Batch, request: BatchRequest, upload: Upload) -> Batch:
    """All rows are here: let them go, or wait for approval."""
    batch = Batch.objects.select_for_update(no_key=True).get(id=batch.id)
    if batch.state != Batch.State.RECEIVING:
        raise UploadStopped("The batch was cancelled while it was being received.")
    if request.idempotency_key:
        key = IdempotencyKey.objects.filter(client=batch.client_id, key=request.idempotency_key)
        key.update(fingerprint=_fingerprint(request, upload))
    if request.approval:
        batch.state = Batch.State.AWAITING_APPROVAL
        batch.save(update_fields=["state"])
    else:
        batches.start(batch)
    return batch


_REMOVE = (
    """DELETE FROM notifications_event AS event USING notifications_delivery AS delivery
    WHERE event.delivery_id = delivery.id AND delivery.notification_id = ANY(%s)""",
    "DELETE FROM notifications_delivery WHERE notification_id = ANY(%s)",
    "DELETE FROM notifications_notification WHERE id = ANY(%s)",
)
"""Django itself would load every row first."""


PIECES = 4
"""Pieces of `ROWS` that are removed at a time: about half a second's work."""


def _remove_rows(batch: Batch) -> None:
    """Nothing of it was sent: its work was held. What is left is for the scheduler's next turn."""
    Work.objects.filter(batch=batch).delete()
    rows = Notification.objects.filter(batch=batch).order_by("id").values_list("id", flat=True)
    for _ in range(PIECES):
        ids = list(rows[:ROWS])
        with transaction.atomic(), connection.cursor() as cursor:
            variants = Notification.objects.filter(id__in=ids, variant__isnull=False)
            goals.assigned(variants.values_list("variant", flat=True), sign=-1)
            for statement in _REMOVE:
                cursor.execute(statement, [ids])
    if rows.exists():
        return
    BatchRejection.objects.filter(batch=batch).delete()
    BatchDelta.objects.filter(batch=batch).delete()
    Batch.objects.filter(id=batch.id).update(
        finished_at=timezone.now(), counts={}, received=0, rejected=0
    )
