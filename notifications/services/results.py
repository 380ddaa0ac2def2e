"""What became of each row of a batch, in the order of the upload."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.db.models import QuerySet

from notifications.models import Batch, BatchRejection, Delivery, Notification

PIECE = 2000
"""Rows of one query of a download."""

Status = Literal["accepted", "rejected"]


@dataclass(frozen=True)
class Result:
    """`number` is the row's place in the upload, from 1; `id` orders the rows alike."""

    id: UUID
    number: int
    reference: str
    status: Status
    errors: Sequence[Mapping[str, str]] = ()
    notification_id: UUID | None = None
    deliveries: Sequence[Mapping[str, Any]] = ()


def some(
    batch: Batch,
    limit: int,
    *,
    status: Status | None = None,
    after: UUID | None = None,
    before: UUID | None = None,
) -> list[Result]:
    """Up to `limit` rows after (or the last ones before) the row with that id."""
    found: list[Result] = []
    if status != "rejected":
        found += _accepted(_slice(Notification.objects.filter(batch=batch), limit, after, before))
    if status != "accepted":
        rows = _slice(BatchRejection.objects.filter(batch=batch), limit, after, before)
        found += [
            Result(row.id, row.row, row.reference, "rejected", errors=row.errors) for row in rows
        ]
    found.sort(key=lambda result: result.id)
    return found[-limit:] if before else found[:limit]


def everything(batch: Batch, status: Status | None = None) -> Iterator[list[Result]]:
    """All rows, piece by piece, however many there are."""
    after = None
    while piece := some(batch, PIECE, status=status, after=after):
        yield piece
        after = piece[-1].id


def _slice(
    rows: QuerySet[Any], limit: int, after: UUID | None, before: UUID | None
) -> QuerySet[Any]:
    if before is not None:
        return rows.filter(id__lt=before).order_by("-id")[:limit]
    return (rows if after is None else rows.filter(id__gt=after)).order_by("id")[:limit]


def _accepted(rows: QuerySet[Notification]) -> list[Result]:
    found = list(rows.values_list("id", "row", "reference"))
    deliveries: dict[UUID, list[Mapping[str, Any]]] = defaultdict(list)
    for notification_id, *one in (
        Delivery.objects.filter(notification__in=[id_ for id_, _, _ in found])
        .order_by("id")
        .values_list("notification_id", "id", "channel", "address", "state", "reason")
    ):
        names = ("id", "channel", "to", "status", "reason")
        deliveries[notification_id].append(dict(zip(names, one, strict=True)))
    return [
        Result(
            id_,
            number or 0,
            reference,
            "accepted",
            notification_id=id_,
            deliveries=deliveries[id_],
        )
        for id_, number, reference in found
    ]
