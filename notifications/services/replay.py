"""Dead letters: what was given up, mended and sent again.

A replay is a new delivery of the same message that points back to the old one. Nothing that was
stored of the old one changes: an edited address is the new delivery's own, edited data stay in the
dead letter, where the window finds them by `data_of`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery, prefetch_related_objects

from commsproject.common import clock
from commsproject.common.copy import copy_rows
from commsproject.common.errors import CommsError, InvalidInput, NotFound
from commsproject.common.models import ApiClient
from notifications import addresses, queue
from notifications.errors import (
    AlreadyReplayed,
    BatchStopped,
    ContentErased,
    MessageExpired,
    NoLongerDead,
)
from notifications.models import Batch, DeadLetter, Delivery, Event, Notification, Work
from notifications.services import counts, plan, render
from notifications.states import State
from notifications.types import Channel, ErrorClass, EventType, Lane
from templates_app.types import Reader

LIMIT = 500
"""Replays in one call, which is also what one Work row names at most."""

QUARANTINED = "quarantined"
"""The code of messages that workers died with."""

_GIVEN_UP = (State.DEAD, State.UNCONFIRMED)
_STOPPED = (Batch.State.CANCELLED, Batch.State.ABORTED)


# --- Reads -----------------------------------------------------------------------------------


def of_client(client: ApiClient) -> QuerySet[DeadLetter]:
    """The agent's own dead letters. Every read and replay of an agent starts here."""
    return DeadLetter.objects.filter(delivery__notification__client=client)


def told(rows: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
    """`rows` with what is told of each; `replayed_as` is the delivery its replay made."""
    made = Delivery.objects.filter(replay_of=OuterRef("delivery_id")).values("id")[:1]
    return rows.select_related(
        "delivery__notification__category",
        "delivery__notification__template_version__template",
    ).annotate(replayed_as=Subquery(made))


_LOOKUPS = {
    "error_class": "error_class",
    "code": "code",
    "provider": "providers__overlap",
    "channel": "delivery__channel",
    "category": "delivery__notification__category__key",
    "template": "delivery__notification__template_version__template__key",
    "batch": "delivery__notification__batch",
    "since": "created_at__gte",
    "until": "created_at__lt",
}


def matching(rows: QuerySet[DeadLetter], wanted: Mapping[str, Any]) -> QuerySet[DeadLetter]:
    """Those that have all of `wanted`: names of `_LOOKUPS` to values."""
    found = {
        _LOOKUPS[name]: [value] if name == "provider" else value for name, value in wanted.items()
    }
    return rows.filter(**found)


def replayable(rows: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
    """Those that a replay would not refuse now."""
    return (
        rows.filter(
            replayed_at=None,
            delivery__state__in=_GIVEN_UP,
            delivery__notification__erased_at=None,
        )
        .exclude(delivery__expires_at__lte=clock.now())
        .exclude(delivery__notification__batch__state__in=_STOPPED)
    )


def data_of(deliveries: Iterable[Delivery]) -> dict[UUID, Mapping[str, Any]]:
    """What replays with edited data say instead of their message's data, by delivery."""
    replays = {one.replay_of_id: one.id for one in deliveries if one.replay_of_id}
    if not replays:
        return {}
    edited = DeadLetter.objects.filter(delivery__in=replays, data__isnull=False)
    return {replays[letter.delivery_id]: letter.data or {} for letter in edited}


def next_data(letter: DeadLetter) -> Mapping[str, Any] | None:
    """What a replay would say: the edited data, or what the delivery itself said."""
    if letter.data is not None:
        return letter.data  # type: ignore[no-any-return]  # a JSON field's value is Any
    return data_of([letter.delivery]).get(letter.delivery_id, letter.delivery.notification.data)


# --- Editing ---------------------------------------------------------------------------------


@transaction.atomic
def edit(rows: QuerySet[DeadLetter], letter_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change where a replay goes (`to`) and what it says (`data`); None: as before.

    Checked as at submission. Raises `NotFound`, `InvalidInput`, and what a replay would be refused
    for: nothing more is kept of a message that was erased.
    """
    found = _locked(rows, [letter_id])
    if refusal := _refusal(next(iter(found), None), clock.now()):
        raise refusal
    (letter,) = found
    for name, value in checked(letter, changes).items():
        setattr(letter, name, value)
    letter.save(update_fields=["address", "data"])


def checked(letter: DeadLetter, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What `edit` would store for `changes`. Raises `InvalidInput`."""
    found: dict[str, Any] = {}
    if "to" in changes:
        found["address"] = _address(Channel(letter.delivery.channel), changes["to"])
    if "data" in changes:
        if changes["data"] is not None:
            _check_data(letter.delivery, changes["data"])
        found["data"] = changes["data"]
    return found


def _address(channel: Channel, value: str | None) -> str:
    try:
        return "" if value is None else addresses.normalise(channel, value)
    except addresses.BadAddress as error:
        raise InvalidInput.of("to", "bad_address", str(error)) from None


def _check_data(delivery: Delivery, data: Mapping[str, Any]) -> None:
    notification = delivery.notification
    shared = notification.batch.data if notification.batch else None
    channel = Channel(delivery.channel)
    source = render.of_message(notification, channel)
    if source is None:
        raise InvalidInput.of("data", "no_content", "The content of this message is gone.")
    both = {**(shared or {}), **data}
    reader = Reader(notification.locale, notification.time_zone)
    plan.check_renders(channel, source, both, reader, notification.category)


# --- Replaying -------------------------------------------------------------------------------


@transaction.atomic
def replay(
    rows: QuerySet[DeadLetter], ids: Collection[UUID], *, by: str
) -> dict[UUID, Delivery | CommsError]:
    """Send again those of `rows` that `ids` name: the new delivery of each, or why there is none.

    `by` says who asked, for the timeline. Two calls at the same time wait for each other: only
    one of them replays a letter.
    """
    now = clock.now()
    letters = {letter.id: letter for letter in _locked(rows, ids)}
    refusals = {key: _refusal(letters.get(key), now) for key in ids}
    accepted = [letters[key] for key, refusal in refusals.items() if refusal is None]
    made = {letter.id: _delivery(letter, now) for letter in accepted}
    _write(accepted, list(made.values()), by, now)
    return {key: refusal or made[key] for key, refusal in refusals.items()}


@transaction.atomic
def resend(deliveries: QuerySet[Delivery], *, by: str) -> int:
    """Send again those of `deliveries` that ended `unconfirmed`, LIMIT at most; how many.

    Each gets a dead letter of its own, so that it, too, is sent again only once.
    """
    unsettled = deliveries.filter(state=State.UNCONFIRMED, dead_letter=None)
    in_time = unsettled.exclude(expires_at__lte=clock.now())
    chosen = list(in_time.order_by("id")[:LIMIT])
    DeadLetter.objects.bulk_create(
        [
            DeadLetter(
                delivery=one,
                error_class=ErrorClass.AMBIGUOUS,
                code=State.UNCONFIRMED,
                reason=one.reason,
                providers=[one.provider] if one.provider else [],
            )
            for one in chosen
        ],
        ignore_conflicts=True,
    )
    letters = DeadLetter.objects.filter(delivery__in=chosen, replayed_at=None)
    results = replay(DeadLetter.objects.all(), letters.values_list("id", flat=True), by=by)
    return sum(isinstance(result, Delivery) for result in results.values())


def _locked(rows: QuerySet[DeadLetter], ids: Collection[UUID]) -> Sequence[DeadLetter]:
    """With their deliveries, in the order in which the engine locks those; their messages are read
    after that, as they are by then: one may have been erased while we waited.
    """
    letters = list(
        rows.filter(id__in=ids)
        .select_related("delivery")
        .select_for_update(of=("self", "delivery"), no_key=True)
        .order_by("delivery_id")
    )
    messages = Notification.objects.select_related("batch", "template_version")
    prefetch_related_objects(letters, Prefetch("delivery__notification", messages))
    return letters


def _refusal(letter: DeadLetter | None, now: datetime) -> CommsError | None:
    if letter is None:
        return NotFound("There is no dead letter of yours with this id.")
    delivery, batch = letter.delivery, letter.delivery.notification.batch
    if letter.replayed_at is not None:
        return AlreadyReplayed("`replayed_as` of the dead letter names the delivery it made.")
    if delivery.state not in _GIVEN_UP:
        return NoLongerDead(f"The provider has reported it {delivery.state}.")
    if delivery.notification.erased_at is not None:
        return ContentErased("Send a new message.")
    if delivery.expires_at is not None and delivery.expires_at <= now:
        return MessageExpired(f"It expired at {delivery.expires_at.isoformat()}. Send a new one.")
    if batch is not None and batch.state in _STOPPED:
        return BatchStopped(f"The batch is {batch.state}. Send a new message.")
    return None


def _delivery(letter: DeadLetter, now: datetime) -> Delivery:
    old = letter.delivery
    address = letter.address or old.address
    return Delivery(
        notification=old.notification,
        replay_of=old,
        channel=old.channel,
        address=address,
        address_hash=addresses.digest(Channel(old.channel), address),
        expires_at=old.expires_at,
        created_at=now,
        updated_at=now,
    )


def _write(
    letters: Sequence[DeadLetter], deliveries: Sequence[Delivery], by: str, now: datetime
) -> None:
    copy_rows(Delivery, deliveries)
    counts.move((one.notification.batch_id, "", State.QUEUED) for one in deliveries)
    copy_rows(Event, (_event(letter, by, now) for letter in letters))
    said = data_of(letter.delivery for letter in letters)
    for letter in letters:
        letter.replayed_at = now
        if letter.data is None:  # a replay of a replay says what that one said
            letter.data = said.get(letter.delivery_id)
    DeadLetter.objects.bulk_update(letters, ["replayed_at", "data"])
    copy_rows(Work, work := _work(letters, deliveries, now))
    for lane in {Lane(row.lane) for row in work}:
        transaction.on_commit(partial(queue.ring, lane), robust=True)


def _event(letter: DeadLetter, by: str, now: datetime) -> Event:
    changed = [
        *(["to another address"] if letter.address else []),
        *(["with other data"] if letter.data is not None else []),
    ]
    return Event(
        delivery=letter.delivery,
        type=EventType.REPLAYED,
        at=now,
        dedupe=f"{letter.delivery_id}:replayed",
        detail=", ".join([f"by {by}", *changed]),
    )


def _work(
    letters: Sequence[DeadLetter], deliveries: Sequence[Delivery], now: datetime
) -> list[Work]:
    """In chunks of what belongs together; what workers died with goes alone."""
    chunks: dict[tuple[Any, ...], list[Delivery]] = defaultdict(list)
    for letter, delivery in zip(letters, deliveries, strict=True):
        asked = delivery.notification
        alone = letter.id if letter.code == QUARANTINED else None
        key = (asked.priority, delivery.channel, asked.client_id, asked.batch_id, alone)
        chunks[key].append(delivery)
    return [
        Work(
            lane=lane,
            channel=channel,
            client_id=client_id,
            batch_id=batch_id,
            flow=batch_id or client_id,
            due_at=now,
            ids=[delivery.id for delivery in alike],
            suspect=alone is not None,
            claims=queue.SUSPECT_AT if alone else 0,
        )
        for (lane, channel, client_id, batch_id, alone), alike in chunks.items()
    ]
