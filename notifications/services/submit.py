"""The one way in: a list of messages, accepted together or each refused with its reason.

A result means committed: the rows, their work and the idempotency keys are one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from commsproject.common import clock, tracing
from commsproject.common.copy import as_json, copy_rows, copy_values
from commsproject.common.errors import CommsError
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications import addresses, queue, sms
from notifications.errors import KeyInFlight, KeyReused
from notifications.models import (
    Address,
    Category,
    Delivery,
    FallbackStep,
    Notification,
    Recipient,
    Work,
)
from notifications.services import (
    complete,
    counts,
    digests,
    explain,
    fallback,
    goals,
    keys,
    people,
    status,
)
from notifications.services.asked import Submission
from notifications.services.keys import Claim, Name, Once
from notifications.services.people import Person
from notifications.services.plan import Planned, PlannedDelivery, Shared, plan
from notifications.services.status import StatusChange
from notifications.states import PENDING, State, furthest
from notifications.types import Channel, Lane


@dataclass(frozen=True)
class Accepted:
    """A message that is committed (or would be: `dry_run`), and the answer its sender gets."""

    response: Mapping[str, Any]
    replayed: bool = False
    dry_run: bool = False


Result = Accepted | CommsError


Asked = tuple[ApiClient, Submission]
"""A message and the agent that sends it."""


def accept(client: ApiClient, submissions: Sequence[Submission]) -> list[Result]:
    """`accept_all`, of one agent."""
    return accept_all([(client, submission) for submission in submissions])


def accept_all(asked: Sequence[Asked], *, lock_ms: int | None = None) -> list[Result]:
    """Accept each of `asked` or say what is wrong with it, in the same order.

    One transaction for all. Errors of single messages are returned, never raised; the database's
    own errors are raised and nothing is stored. `KeyInFlight` is returned for every message with a
    key where another transaction holds one of them for longer than two seconds.

    `lock_ms`: wait no longer than this for any lock, those of keys included.
    """
    results: dict[int, Result] = {}
    with transaction.atomic():
        if lock_ms is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(lock_ms)])
        planned: dict[int, Planned] = {}
        for index, item in enumerate(plan(asked)):
            if not isinstance(item, Planned):
                results[index] = item
            elif asked[index][1].dry_run:
                results[index] = Accepted(_rehearsed(item), dry_run=True)
            else:
                planned[index] = item
        # What would be refused now may have been accepted before; of all else the key itself tells.
        results.update(_replays(asked, results.keys()))
        answers = {index: _response(item) for index, item in planned.items()}
        results.update(_claim_keys(asked, answers, is_patient=lock_ms is None))
        fresh_ones = [item for index, item in planned.items() if index not in results]
        for lane in write(fresh_ones):
            transaction.on_commit(partial(queue.ring, lane), robust=True)
        committed = [item.id for item in fresh_ones]
        # No partial: Django says of a robust hook that failed what its __qualname__ is.
        transaction.on_commit(lambda: tracing.accepted(committed), robust=True)
        collected = {
            index: _response(item)
            for index, item in planned.items()
            if item.shared.has_items and index not in results
        }
        for index, answer in collected.items():  # it has got its time only now
            if name := _name(asked[index]):
                keys.amend(name, answer)
        for index, answer in {**answers, **collected}.items():
            results.setdefault(index, Accepted(answer))
    return [results[index] for index in range(len(asked))]


# --- Idempotency -----------------------------------------------------------------------------


def _name(asked: Asked) -> Name | None:
    client, submission = asked
    return (client.id, submission.idempotency_key) if submission.idempotency_key else None


def _replays(asked: Sequence[Asked], indexes: Iterable[int]) -> dict[int, Result]:
    """What was answered before to those at `indexes`, for the keys that are known."""
    names = {index: _name(asked[index]) for index in indexes if not asked[index][1].dry_run}
    known = _known({name for name in names.values() if name})
    return {
        index: _replay(known[name], asked[index][1])
        for index, name in names.items()
        if name in known
    }


def _known(names: Collection[Name]) -> dict[Name | None, IdempotencyKey]:
    if not names:
        return {}
    rows = IdempotencyKey.objects.filter(
        client__in={client for client, _ in names}, key__in={key for _, key in names}
    )
    return {(row.client_id, row.key): row for row in rows}


def _replay(row: IdempotencyKey, submission: Submission) -> Result:
    try:
        keys.check(row, submission.fingerprint)
    except KeyReused as error:
        return error
    return Accepted(row.response or {}, replayed=True)


def _claim_keys(
    asked: Sequence[Asked], answers: Mapping[int, Mapping[str, Any]], *, is_patient: bool
) -> dict[int, Result]:
    """Write the keys with their answers; the result of those that somebody else wrote first."""
    results: dict[int, Result] = {}
    first: dict[Name, int] = {}
    for index in answers:
        if (name := _name(asked[index])) and first.setdefault(name, index) != index:
            results[index] = KeyReused("This key occurs twice in the same request.")
    claims = [
        Claim(name[0], Once(name[1], asked[index][1].fingerprint), answers[index])
        for name, index in first.items()
    ]
    try:
        stored = keys.write(claims, is_patient=is_patient)
    except KeyInFlight as error:
        return {index: error for index in answers if _name(asked[index])}
    others = first.keys() - stored
    for name, row in _known(others).items():
        if name in others:
            results[first[name]] = _replay(row, asked[first[name]][1])
    return results


# --- Rows ------------------------------------------------------------------------------------

_NOTIFICATION = (
    *("id", "recipient_id", "row", "reference", "data", "locale", "time_zone"),
    *(
        "client_id",
        "batch_id",
        "category_id",
        "template_version_id",
        "variant_id",
        "content",
    ),
    *(
        "priority",
        "agent_id",
        "idempotency_key",
        "tags",
        "reply_to",
        "attachments",
        "metadata",
        "actions",
    ),
    *("send_at", "expires_at", "created_at"),
)
_DELIVERY = (
    *("id", "notification_id", "channel", "address", "address_hash", "state", "reason"),
    *("expires_at", "created_at", "updated_at", "attempts_made", "provider", "provider_ref"),
)


def write(planned: Sequence[Planned], *, chunk: int = Work.LIMIT, held: bool = False) -> set[Lane]:
    """Store `planned` in the caller's transaction with the work to do, `chunk` deliveries a piece.

    The lanes that have new work; nobody is told of it yet. `held`: not to be claimed yet.
    """
    if not planned:
        return set()
    now = clock.now()
    people = _link_recipients(planned)
    joining = _collect(planned, people, now)
    common = {id(item.shared): item.shared for item in planned}
    columns = {key: _common_columns(shared, now) for key, shared in common.items()}
    copy_values(
        Notification,
        _NOTIFICATION,
        (
            (
                item.id,
                people.get(item.row.to.user_id),
                item.row.number,
                item.row.reference,
                as_json(item.row.data),
                *item.reader,
                *columns[id(item.shared)],
            )
            for item in planned
        ),
    )
    copy_values(Delivery, _DELIVERY, _delivery_rows(planned, now))
    counts.move(
        (item.shared.batch_id, "", delivery.state.value)
        for item in planned
        for delivery in item.deliveries
    )
    goals.assigned(item.shared.variant_id for item in planned)
    digests.write(joining)
    work = list(_work(planned, now, chunk, held))
    copy_rows(Work, work)
    fallback.write(_steps(planned, work))
    status.announce_accepted(planned)
    _tell_refused(planned)
    return {Lane(row.lane) for row in work}


def _common_columns(shared: Shared, now: datetime) -> tuple[Any, ...]:
    """What a batch's messages have in common is in each row, but for what can be long."""
    terms = shared.terms
    has_own = shared.batch_id is None and shared.version is None
    return (
        shared.client.id,
        shared.batch_id,
        shared.category.id if shared.category else None,
        shared.version.id if shared.version else None,
        shared.variant_id,
        as_json(shared.content) if has_own else None,
        terms.priority.value,
        terms.agent_id,
        terms.idempotency_key if shared.batch_id is None else "",
        list(terms.tags),
        terms.reply_to,
        as_json(list(terms.attachments)),
        as_json(dict(terms.metadata)),
        as_json(list(terms.actions) or None),
        terms.send_at,
        terms.expires_at,
        now,
    )


def _delivery_rows(planned: Iterable[Planned], now: datetime) -> Iterator[tuple[Any, ...]]:
    for item in planned:
        expires_at = item.shared.terms.expires_at
        for one in item.deliveries:
            yield (
                *(one.id, item.id, one.channel.value, one.address, one.digest, one.state.value),
                *(one.reason, expires_at, now, now, 0, "", ""),
            )


def _tell_refused(planned: Iterable[Planned]) -> None:
    """What may not be sent ends here, with its event, and is announced like any other end."""
    refused = [
        (item, delivery)
        for item in planned
        for delivery in item.deliveries
        if delivery.state not in PENDING
    ]
    if refused:
        complete.tell_ends((Delivery(id=one.id), one.state, one.reason) for _, one in refused)
        changes = [
            StatusChange(one.id, item.id, one.state.value, one.reason, "") for item, one in refused
        ]
        status.announce(changes)


def _link_recipients(planned: Iterable[Planned]) -> dict[str, UUID]:
    """Make the people and addresses that are new; the key of each person by `user_id`."""
    given: dict[str, set[tuple[Channel, str]]] = defaultdict(set)
    for item in planned:
        if item.row.to.user_id:
            given[item.row.to.user_id].update(
                (channel, address)
                for channel, address in item.row.to.addresses.items()
                if channel is not Channel.PUSH  # a device is registered by itself
            )
    if not given:
        return {}
    rows = [Recipient(user_id=user_id) for user_id in sorted(given)]
    Recipient.objects.bulk_create(rows, ignore_conflicts=True)
    known = Recipient.objects.filter(user_id__in=given)
    ids: dict[str, UUID] = dict(known.values_list("user_id", "id"))
    Address.objects.bulk_create(
        [
            Address(recipient_id=ids[user_id], channel=channel, value=value)
            for user_id in sorted(given)
            for channel, value in sorted(given[user_id])
        ],
        ignore_conflicts=True,
    )
    return ids


def _collect(
    planned: Iterable[Planned], people: Mapping[str, UUID], now: datetime
) -> list[digests.Joining]:
    """What waits for others of its category, or goes at once as the first of them."""
    found: list[tuple[PlannedDelivery, digests.Joining]] = []
    categories: dict[UUID, Category] = {}
    for item in planned:
        category = item.shared.category
        for delivery in item.deliveries:
            if delivery.is_collected and delivery.state in PENDING and category is not None:
                key = (people[item.row.to.user_id], category.id, delivery.channel.value)
                found.append((delivery, digests.Joining(delivery.id, key)))
                categories[category.id] = category
    joining = [one for _, one in found]
    digests.join(joining, categories, now)
    for delivery, one in found:
        if one.due is not None:
            delivery.state, delivery.reason = State.SCHEDULED, "collected with others like it"
            delivery.due = max(one.due, delivery.due or one.due)
    return joining


def _steps(planned: Iterable[Planned], work: Iterable[Work]) -> Iterator[FallbackStep]:
    carried_by = {id_: row.id for row in work for id_ in row.ids}
    for item in planned:
        for delivery in item.deliveries:
            if delivery.place is not None and delivery.id in carried_by:
                assert delivery.due is not None  # noqa: S101 - `plan` gives each step its time
                yield FallbackStep(
                    delivery_id=delivery.id,
                    notification_id=item.id,
                    number=delivery.place.number,
                    unless=delivery.place.step.unless,
                    due_at=delivery.due,
                    work_id=carried_by[delivery.id],
                )


_Alike = tuple[UUID, UUID | None, Lane, Channel, datetime, bool]
"""Later steps are by themselves: they may be hurried."""


def _work(planned: Iterable[Planned], now: datetime, chunk: int, held: bool) -> Iterator[Work]:
    """The pending deliveries in chunks of one flow, lane, channel and due time."""
    alike: dict[_Alike, list[UUID]] = defaultdict(list)
    for item in planned:
        shared, terms = item.shared, item.shared.terms
        due = max(terms.send_at or now, now)  # the past is no way to the front
        for delivery in item.deliveries:
            if delivery.state in PENDING:
                when = max(delivery.due or due, due)
                flow = (shared.client.id, shared.batch_id, terms.priority, delivery.channel)
                alike[*flow, when, delivery.place is not None].append(delivery.id)
    for (client_id, batch_id, lane, channel, due, _), ids in alike.items():
        for start in range(0, len(ids), chunk):
            yield Work(
                lane=lane,
                channel=channel,
                client_id=client_id,
                batch_id=batch_id,
                flow=batch_id or client_id,
                due_at=due,
                held=held,
                ids=ids[start : start + chunk],
            )


def _response(item: Planned) -> dict[str, Any]:
    return {
        "id": str(item.id),
        "status": _furthest(item),
        "deliveries": [_told(delivery) for delivery in item.deliveries],
    }


def _rehearsed(item: Planned) -> dict[str, Any]:
    """The answer to a dry run: what would be stored has no ids, and says why."""
    known = people.by_user_id([item.row.to.user_id]) if item.row.to.user_id else {}
    person = known.get(item.row.to.user_id)
    return {
        "id": None,
        "status": _furthest(item),
        "deliveries": [
            {
                **_told(delivery),
                "id": None,
                **(_billed(delivery) if delivery.segments else {}),
                "trace": explain.as_json(_traced(item, delivery, person)),
            }
            for delivery in item.deliveries
        ],
    }


def _furthest(item: Planned) -> str:
    return furthest(delivery.state for delivery in item.deliveries).value


def _told(delivery: PlannedDelivery) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "channel": delivery.channel.value,
        "to": delivery.address,
        "status": delivery.state.value,
        "reason": delivery.reason,
    }


def _traced(item: Planned, delivery: PlannedDelivery, person: Person | None) -> explain.Explained:
    terms = item.shared.terms
    return explain.address(
        delivery.channel,
        delivery.address,
        delivery.digest,
        item.shared.category,
        person,
        terms.expires_at,
        has_attachments=bool(terms.attachments),
        segments=delivery.segments,
    )


def _billed(delivery: PlannedDelivery) -> dict[str, Any]:
    cost = sms.price(addresses.country(delivery.address), delivery.segments)
    return {"segments": delivery.segments, "cost": None if cost is None else str(cost)}
