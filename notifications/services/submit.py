"""The one way in: a list of messages, accepted together or each refused with its reason.

A result means committed: the rows, their work and the idempotency keys are one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.utils import OperationalError
from psycopg.errors import LockNotAvailable

from commsproject.common.copy import copy_rows
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications import queue
from notifications.errors import KeyInFlight, KeyReused
from notifications.models import Address, Delivery, Notification, Recipient, Work
from notifications.services import complete, status
from notifications.services.plan import Planned, Submission, plan
from notifications.services.status import StatusChange
from notifications.states import PENDING, State, furthest
from notifications.types import Channel, Lane

CHUNK = 500
"""Deliveries in one Work row, at most."""

KEY_LOCK_MS = 2000
"""How long a second request with the same key waits for the first before it is told 409."""


@dataclass(frozen=True)
class Accepted:
    """A message that is committed (or would be: `dry_run`), and the answer its sender gets."""

    response: Mapping[str, Any]
    replayed: bool = False
    dry_run: bool = False


Result = Accepted | CommsError


def accept(client: ApiClient, submissions: Sequence[Submission]) -> list[Result]:
    """Accept each of `submissions` or say what is wrong with it, in the same order.

    One transaction for all. Errors of single messages are returned, never raised; the database's
    own errors are raised and nothing is stored. `KeyInFlight` is returned for every message whose
    key another transaction holds for longer than two seconds.
    """
    results: dict[int, Result] = {}
    with transaction.atomic():
        results.update(_replays(client, submissions))
        fresh = [index for index in range(len(submissions)) if index not in results]
        planned: dict[int, Planned] = {}
        for index, item in zip(
            fresh, plan(client, [submissions[index] for index in fresh]), strict=True
        ):
            if isinstance(item, Planned) and not item.submission.dry_run:
                planned[index] = item
            else:
                results[index] = (
                    Accepted(_response(item), dry_run=True) if isinstance(item, Planned) else item
                )
        results.update(_claim_keys(client, planned))
        _write([item for index, item in planned.items() if index not in results])
        for index, item in planned.items():
            results.setdefault(index, Accepted(_response(item)))
    return [results[index] for index in range(len(submissions))]


# --- Idempotency -----------------------------------------------------------------------------


def _replays(client: ApiClient, submissions: Sequence[Submission]) -> dict[int, Result]:
    """What was answered before, for the keys that are known."""
    wanted = {s.idempotency_key for s in submissions if s.idempotency_key and not s.dry_run}
    if not wanted:
        return {}
    known = {row.key: row for row in IdempotencyKey.objects.filter(client=client, key__in=wanted)}
    return {
        index: _replay(known[s.idempotency_key], s)
        for index, s in enumerate(submissions)
        if s.idempotency_key in known and not s.dry_run
    }


def _replay(row: IdempotencyKey, submission: Submission) -> Result:
    if bytes(row.fingerprint) != submission.fingerprint:
        return KeyReused("Use a new key for a new request, or repeat the first one unchanged.")
    return Accepted(row.response or {}, replayed=True)


def _claim_keys(client: ApiClient, planned: Mapping[int, Planned]) -> dict[int, Result]:
    """Write the keys with their answers; the result of those that somebody else wrote first.

    Sorted, so that two lists with the same keys wait for each other instead of deadlocking.
    """
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, item in planned.items():
        if item.submission.idempotency_key:
            by_key[item.submission.idempotency_key].append(index)
    results: dict[int, Result] = {}
    for indexes in by_key.values():  # the same key twice in one list: the first one counts
        for later in indexes[1:]:
            results[later] = KeyReused("This key occurs twice in the same request.")
    rows = [_key_row(client, planned[by_key[key][0]]) for key in sorted(by_key)]
    if not rows:
        return results
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {KEY_LOCK_MS}")
            IdempotencyKey.objects.bulk_create(rows, ignore_conflicts=True)
            cursor.execute("SET LOCAL lock_timeout = 0")
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        in_flight = KeyInFlight("The first request with this key is not done yet.", retry_after=1)
        return {index: in_flight for indexes in by_key.values() for index in indexes}
    mine = {row.id for row in rows}
    for row in IdempotencyKey.objects.filter(client=client, key__in=list(by_key)):
        if row.id not in mine:
            index = by_key[row.key][0]
            results[index] = _replay(row, planned[index].submission)
    return results


def _key_row(client: ApiClient, item: Planned) -> IdempotencyKey:
    return IdempotencyKey(
        client=client,
        key=item.submission.idempotency_key,
        fingerprint=item.submission.fingerprint,
        response=_response(item),
    )


# --- Rows ------------------------------------------------------------------------------------


def _write(planned: Sequence[Planned]) -> None:
    if not planned:
        return
    _link_recipients(planned)
    copy_rows(Notification, (item.notification for item in planned))
    copy_rows(Delivery, (delivery for item in planned for delivery in item.deliveries))
    work = list(_work(planned))
    copy_rows(Work, work)
    _tell_refused([delivery for item in planned for delivery in item.deliveries])
    for lane in {Lane(row.lane) for row in work}:
        transaction.on_commit(partial(queue.ring, lane), robust=True)


def _tell_refused(deliveries: Iterable[Delivery]) -> None:
    """What may not be sent ends here, with its event, and is announced like any other end."""
    refused = [delivery for delivery in deliveries if delivery.state not in PENDING]
    if refused:
        complete.tell_ends((one, State(one.state), one.reason) for one in refused)
        changes = [
            StatusChange(one.id, one.notification_id, one.state, one.reason) for one in refused
        ]
        transaction.on_commit(partial(status.announce, changes), robust=True)


def _link_recipients(planned: Sequence[Planned]) -> None:
    """Make the people and addresses that are new, and point the notifications at them."""
    by_user = {item.submission.to.user_id for item in planned if item.submission.to.user_id}
    if not by_user:
        return
    rows = [Recipient(user_id=user_id) for user_id in sorted(by_user)]
    Recipient.objects.bulk_create(rows, ignore_conflicts=True)
    ids = dict(Recipient.objects.filter(user_id__in=by_user).values_list("user_id", "id"))
    given: set[tuple[str, Channel, str]] = set()
    for item in planned:
        to = item.submission.to
        if to.user_id:
            item.notification.recipient_id = ids[to.user_id]
            given.update((to.user_id, channel, value) for channel, value in to.addresses.items())
    Address.objects.bulk_create(
        [
            Address(recipient_id=ids[user_id], channel=channel, value=value)
            for user_id, channel, value in sorted(given)
        ],
        ignore_conflicts=True,
    )


def _work(planned: Iterable[Planned]) -> Iterator[Work]:
    """The pending deliveries in chunks of one lane, channel and due time."""
    chunks: dict[tuple[UUID, str, str, datetime], list[Delivery]] = defaultdict(list)
    for item in planned:
        created = item.notification.created_at
        due = max(item.notification.send_at or created, created)  # the past is no way to the front
        for delivery in item.deliveries:
            if delivery.state in PENDING:
                asked = item.notification
                key = (asked.client_id, asked.priority, delivery.channel, due)
                chunks[key].append(delivery)
    for (client_id, lane, channel, due), deliveries in chunks.items():
        for start in range(0, len(deliveries), CHUNK):
            yield Work(
                lane=lane,
                channel=channel,
                client_id=client_id,
                flow=client_id,
                due_at=due,
                ids=[delivery.id for delivery in deliveries[start : start + CHUNK]],
            )


def _response(item: Planned) -> dict[str, Any]:
    deliveries = [
        {
            "id": None if item.submission.dry_run else str(delivery.id),
            "channel": str(delivery.channel),
            "to": delivery.address,
            "status": str(delivery.state),
            "reason": delivery.reason,
        }
        for delivery in item.deliveries
    ]
    return {
        "id": None if item.submission.dry_run else str(item.notification.id),
        "status": str(furthest(State(delivery.state) for delivery in item.deliveries)),
        "deliveries": deliveries,
    }
