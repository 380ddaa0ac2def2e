"""What people do with their inboxes, and what time does. Set-wise, bounded, safe to repeat.

Each change of an item is a function that changes it in memory and says whether it did; one writer
moves the numbers and counts for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from commsproject.common import clock
from commsproject.common.arrays import uuids
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.ids import new_id
from notifications import heads
from notifications.errors import AlreadyAnswered
from notifications.heads import Head
from notifications.models import Announcement, Delivery, Event, InboxItem, Recipient
from notifications.services import announcements, goals, inbox_feed
from notifications.types import EventType

MOST_IDS = 500
"""Named in one call."""

_AT_ONCE = 1000
_MOST = 10
"""Transactions of one call, each with so many items."""

Place = InboxItem.Place

Change = Callable[[InboxItem, datetime], bool]
"""Changes the item, at a moment. False, and nothing changed, where it was so already."""


# --- The changes -------------------------------------------------------------------------------


def see(item: InboxItem, now: datetime) -> bool:
    if item.seen_at:
        return False
    item.seen_at = now
    return True


def read(item: InboxItem, now: datetime) -> bool:
    if item.read_at:
        return False
    item.read_at = now
    item.seen_at = item.seen_at or now
    return True


def unread(item: InboxItem, _now: datetime) -> bool:
    if item.read_at is None:
        return False
    item.read_at = None
    return True


def archive(item: InboxItem, now: datetime) -> bool:
    return _place(item, Place.ARCHIVED, archived_at=now)


def snooze(until: datetime) -> Change:
    def change(item: InboxItem, _now: datetime) -> bool:
        return _place(item, Place.SNOOZED, snoozed_until=until)

    return change


def put_back(place: InboxItem.Place) -> Change:
    """Out of `place`, as it was before."""

    def change(item: InboxItem, _now: datetime) -> bool:
        return item.place == place and _place(item, Place.INBOX)

    return change


def _wake(item: InboxItem, now: datetime) -> bool:
    """It comes back at the top, as new."""
    item.seen_at = item.read_at = None
    item.shown_at = now
    return _place(item, Place.INBOX)


def _expire(item: InboxItem, _now: datetime) -> bool:
    return _place(item, Place.GONE)


def _place(
    item: InboxItem,
    place: InboxItem.Place,
    *,
    archived_at: datetime | None = None,
    snoozed_until: datetime | None = None,
) -> bool:
    if item.place == place and item.snoozed_until == snoozed_until:
        return False
    item.place, item.archived_at, item.snoozed_until = place.value, archived_at, snoozed_until
    return True


# --- By people ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """`more`: not all of them yet, call again. `unknown`: those of the ids that the person has no
    item of.
    """

    changed: int
    more: bool = False
    unknown: Sequence[UUID] = ()


def change_some(user_id: str, ids: Collection[UUID], change: Change) -> Changed:
    """The items and announcements with these ids. Raises `NotFound` where there is none of them."""
    with transaction.atomic():
        head = _head(user_id)
        now = clock.now()
        found = _named(head, ids)
        if not found:
            raise NotFound("Nothing of this is in the inbox.")
        changed = _apply(head, found.values(), change, now)
    return Changed(changed, unknown=[id_ for id_ in ids if id_ not in found])


def change_all(
    user_id: str,
    which: inbox_feed.Filter,
    change: Change,
    *,
    before: datetime | None = None,
    tag: str = "",
) -> Changed:
    """All of a filter that came until `before` (now, where it is None), the newest first."""
    before = before or clock.now()
    total = 0
    for _ in range(_MOST):
        with transaction.atomic():
            head = _head(user_id)
            found, more = _waiting(head, which, before, tag)
            done = _apply(head, found, change, clock.now())
        total += done
        if not more or not done:
            return Changed(total)
    return Changed(total, more=True)


def act(user_id: str, item_id: UUID, key: str) -> InboxItem:
    """Press one of an item's buttons, which also reads it. Safe to repeat.

    Links may all be opened; of the others one is the answer. Raises `NotFound`, `InvalidInput`,
    `AlreadyAnswered`.
    """
    with transaction.atomic():
        head = _head(user_id)
        item = _named(head, [item_id]).get(item_id)
        if item is None:
            raise NotFound("Nothing of this is in the inbox.")
        actions = {one["key"]: one for one in (item.announcement or item).actions}
        if key not in actions:
            raise InvalidInput.of("action", "unknown_action", "This item has no such action.")
        answers = {name for name, action in actions.items() if not action.get("link")}
        if key in answers and item.pressed.keys() & (answers - {key}):
            raise AlreadyAnswered("Another button was pressed before.")
        if _apply(head, [item], partial(_press, key), clock.now()):
            InboxItem.objects.filter(id=item.id).update(pressed=item.pressed)
            _tell([item], EventType.CLICKED, key)
    return item


def _press(key: str, item: InboxItem, now: datetime) -> bool:
    is_read = read(item, now)
    if key in item.pressed:
        return is_read
    item.pressed = {**item.pressed, key: inbox_feed.as_text(now)}
    return True


def _head(user_id: str) -> Head:
    """The person's head, held. Who was never written to is made: there may be announcements."""
    key = inbox_feed.person(user_id)
    if key is None:
        Recipient.objects.bulk_create([Recipient(user_id=user_id)], ignore_conflicts=True)
        key = Recipient.objects.values_list("id", flat=True).get(user_id=user_id)
    return heads.lock([key])[key]


def _rows(head: Head) -> QuerySet[InboxItem]:
    return InboxItem.objects.filter(recipient=head.recipient_id).select_related("announcement")


def _named(head: Head, ids: Collection[UUID]) -> dict[UUID, InboxItem]:
    """What the person has of these, by the ids that clients know."""
    rows = _rows(head).exclude(place=Place.GONE)
    own, announced = rows.filter(id__in=ids, announcement=None), rows.filter(announcement__in=ids)
    found = {row.announcement_id or row.id: row for row in (*own, *announced)}
    if len(found) < len(set(ids)):
        more = [item for item in inbox_feed.untouched(head.recipient_id) if item.id in ids]
        found.update({item.announcement_id or item.id: item for item in _own(head, more)})
    return found


def _waiting(
    head: Head, which: inbox_feed.Filter, before: datetime, tag: str
) -> tuple[list[InboxItem], bool]:
    """Some of them, and whether there may be more."""
    rows = _rows(head).filter(inbox_feed.ROWS[which], shown_at__lte=before)
    if tag:
        rows = rows.filter(tags__contains=[tag])
    found = list(rows.order_by("-shown_at", "-id")[:_AT_ONCE])
    more = [
        item
        for item in inbox_feed.untouched(head.recipient_id)
        if item.shown_at <= before and (not tag or tag in item.tags)
    ]
    return [*found, *_own(head, more)], len(found) == _AT_ONCE


def _own(head: Head, items: Collection[InboxItem]) -> list[InboxItem]:
    """Announcements' items as rows that can become the person's, without those that end just now."""
    lasting = announcements.hold([item.id for item in items], Announcement.State.LIVE)
    kept = [item for item in items if item.id in lasting]
    for item in kept:
        item.id = new_id()
        item.recipient_id = head.recipient_id
    return kept


def _apply(head: Head, items: Iterable[InboxItem], change: Change, now: datetime) -> int:
    """Change them and write what has changed; how many have."""
    new: list[InboxItem] = []
    old: list[InboxItem] = []
    opened: list[InboxItem] = []
    for item in items:
        is_new = item._state.adding  # noqa: SLF001 - documented API
        was, was_read = () if is_new else heads.counted_as(item), item.read_at
        if change(item, now):
            head.put_in(item, was)
            (new if is_new else old).append(item)
            if item.read_at and not was_read:
                opened.append(item)
    if new or old:
        heads.save(old)
        InboxItem.objects.bulk_create(new)
        heads.write([head])
        _tell(opened, EventType.OPENED)
    return len(new) + len(old)


def _tell(items: Iterable[InboxItem], event: EventType, code: str = "") -> None:
    """On the timelines of their messages, where those are still kept. Each is told once."""
    now = clock.now()
    asked = [item.id for item in items if item.announcement_id is None]
    kept = Delivery.objects.filter(id__in=asked).values_list("id", flat=True) if asked else []
    Event.objects.bulk_create(
        [
            Event(
                delivery_id=id_,
                type=event,
                at=now,
                code=code,
                dedupe=":".join(filter(None, [str(id_), event.value, code])),
            )
            for id_ in kept
        ],
        ignore_conflicts=True,
    )
    goals.reached([(id_, goals.BY_EVENT[event]) for id_ in kept])


# --- By time -----------------------------------------------------------------------------------

KEEP_GONE = timedelta(days=7)
"""For how long a client that was away is told that an item is gone; after that, to ask anew."""


def tend() -> None:
    """Bring back what was snoozed, take out what has expired, forget what is gone for long."""
    now = clock.now()
    due = InboxItem.objects.filter(place=Place.SNOOZED, snoozed_until__lte=now)
    _sweep(due.order_by("snoozed_until"), _wake)
    over = InboxItem.objects.exclude(place=Place.GONE).filter(expires_at__lte=now)
    _sweep(over.order_by("expires_at"), _expire)
    _forget(InboxItem.objects.filter(place=Place.GONE, expires_at__lte=now - KEEP_GONE))


def _sweep(rows: QuerySet[InboxItem], change: Change) -> None:
    while some := dict(rows.values_list("id", "recipient_id")[:_AT_ONCE]):
        with transaction.atomic():
            held = heads.lock(set(some.values()))
            now = clock.now()
            items = list(rows.filter(id__in=some, recipient__in=list(held)))
            for item in items:
                was = heads.counted_as(item)
                change(item, now)
                held[item.recipient_id].put_in(item, was)
            heads.save(items)
            heads.write(held[item.recipient_id] for item in items)
            gone = [item.id for item in items if item.place == Place.GONE]
            InboxItem.objects.filter(id__in=gone).update(**_NOTHING)


_NOTHING = {
    "title": "",
    "body": "",
    "link": "",
    "image": "",
    "actions": [],
    "data": {},
    "pressed": {},
}
"""All that a person could read in an item."""

_RAISE_FLOOR = """
UPDATE notifications_inbox AS inbox SET floor = greatest(inbox.floor, old.seq)
FROM unnest(%s::uuid[], %s::bigint[]) AS old (id, seq) WHERE inbox.recipient_id = old.id
"""


def _forget(rows: QuerySet[InboxItem]) -> None:
    """Who was away since before the last of these starts anew: nothing tells that they are gone."""
    while some := list(rows.values_list("id", "recipient_id", "seq")[:_AT_ONCE]):
        last: dict[UUID, int] = {}
        for _, recipient_id, seq in some:
            last[recipient_id] = max(seq, last.get(recipient_id, 0))
        with transaction.atomic():
            held = sorted(heads.lock(last))
            with connection.cursor() as cursor:
                cursor.execute(_RAISE_FLOOR, [uuids(held), [last[id_] for id_ in held]])
            InboxItem.objects.filter(id__in=[id_ for id_, _, _ in some]).delete()
