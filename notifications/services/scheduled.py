"""What a schedule sends at a run: its request as a message, or as a batch.

The request is kept in the form that `POST /notifications` or `POST /batches` takes, with all
addresses in their normal form. The idempotency key of a run is schedule and time, whatever the
request has become since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from commsproject.common.errors import CommsError, FieldError
from commsproject.common.ids import new_id
from notifications import addresses
from notifications.models import Schedule
from notifications.services import bulk, submit
from notifications.services.asked import Row, Submission, Target
from notifications.services.bulk import BatchRequest, Canary
from notifications.services.plan import plan_rows, share
from notifications.types import Channel, Lane


def rehearse(schedule: Schedule) -> None:
    """Raise what a run would be refused for if it came now, with the fields' paths in the schedule.

    Stricter than a batch: each of its rows has to be right.
    """
    if schedule.kind == Schedule.Kind.BATCH:
        _rehearse_batch(schedule)
        return
    asked = replace(_submission(schedule.request), dry_run=True)
    (result,) = submit.accept(schedule.client, [asked])
    if isinstance(result, CommsError):
        raise _under(result, "notification")


def send(schedule: Schedule, runs: Sequence[datetime]) -> list[CommsError | None]:
    """Submit one message or batch for each of `runs`; what is wrong with it, or None."""
    if schedule.kind == Schedule.Kind.BATCH:
        return [_send_batch(schedule, key(schedule, run)) for run in runs]
    results = submit.accept(schedule.client, [_of_run(schedule, run) for run in runs])
    return [result if isinstance(result, CommsError) else None for result in results]


def key(schedule: Schedule, run: datetime) -> str:
    """The idempotency key of `run`, which is in UTC."""
    return f"schedule:{schedule.id}:{run.isoformat()}"


def _under(error: CommsError, field: str) -> CommsError:
    errors = [replace(one, field=f"{field}.{one.field}".strip(".")) for one in error.errors]
    return type(error)(error.detail, errors=errors or [FieldError(field, error.code, error.detail)])


# --- A message -------------------------------------------------------------------------------


def _of_run(schedule: Schedule, run: datetime) -> Submission:
    name = key(schedule, run)
    asked = _submission(schedule.request)
    return replace(asked, idempotency_key=name, fingerprint=hashlib.sha256(name.encode()).digest())


def _submission(request: Mapping[str, Any]) -> Submission:
    return Submission(**{**_terms(request), "to": _target(request["to"])})


def _terms(request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **request,
        "channels": [Channel(name) for name in request.get("channels", [])],
        "priority": Lane(request["priority"]),
    }


def _target(to: Mapping[str, str]) -> Target:
    given = {channel: to[name] for name, channel in addresses.FIELDS.items() if to.get(name)}
    return Target(to.get("user_id", ""), given)


# --- A batch ---------------------------------------------------------------------------------


class _Rows:
    """The stored rows as an upload. They take no part in the key: a run is a run."""

    def __init__(self, stored: Sequence[Mapping[str, Any]]) -> None:
        self._stored = stored

    def rows(self) -> Iterator[Row]:
        for number, row in enumerate(self._stored, 1):
            yield Row(_target(row["to"]), row.get("data"), row.get("reference", ""), number)

    def digest(self) -> bytes:
        return b""


def _rehearse_batch(schedule: Schedule) -> None:
    asked, upload = _batch(schedule.request)
    try:
        shared = share(schedule.client, asked, new_id())
    except CommsError as error:
        raise _under(error, "batch") from None
    for index, result in enumerate(plan_rows(shared, list(upload.rows()))):
        if isinstance(result, CommsError):
            raise _under(result, f"batch.rows.{index}")


def _send_batch(schedule: Schedule, name: str) -> CommsError | None:
    """One row that is refused by now does not stop the others: the batch's results tell of it."""
    asked, upload = _batch(schedule.request, name)
    try:
        with transaction.atomic():
            bulk.receive(schedule.client, asked, upload)
    except CommsError as error:
        return error
    return None


def _batch(request: Mapping[str, Any], name: str = "") -> tuple[BatchRequest, _Rows]:
    terms = _terms(request)
    rows, canary = terms.pop("rows"), terms.pop("canary", None)
    asked = BatchRequest(**terms, canary=Canary(**canary) if canary else None, idempotency_key=name)
    return asked, _Rows(rows)
