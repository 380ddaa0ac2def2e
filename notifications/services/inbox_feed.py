"""A person's inbox as it is seen: pages of the feed, counts, one item in JSON.

Announcements to everyone that the person has done nothing with yet have no row of the person's: they
are put in where they belong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, TextChoices

from notifications.heads import counted_as
from notifications.models import Inbox, InboxItem, InboxTag, Recipient
from notifications.services import announcements

SCAN = 2000
"""Items that one page with a tag or category looks through, at most: it may be short, and go on."""


class Filter(TextChoices):
    ALL = "all", "All"
    UNREAD = "unread", "Unread"
    UNSEEN = "unseen", "Unseen"
    ARCHIVED = "archived", "Archived"
    SNOOZED = "snoozed", "Snoozed"


ROWS = {
    Filter.ALL: Q(place="inbox"),
    Filter.UNREAD: Q(place="inbox", read_at__isnull=True),
    Filter.UNSEEN: Q(place="inbox", seen_at__isnull=True),
    Filter.ARCHIVED: Q(place="archived"),
    Filter.SNOOZED: Q(place="snoozed"),
}


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the feed, whose order is the newest first."""

    shown_at: datetime
    id: UUID


@dataclass(frozen=True)
class Page:
    """`older` and `newer`: where to go on in each direction; None at the end."""

    items: Sequence[InboxItem]
    older: Position | None
    newer: Position | None


@dataclass(frozen=True)
class Numbers:
    """What a client subscribes to the socket with, so that it gets all that comes after."""

    inbox: int
    announcements: int


def person(user_id: str) -> UUID | None:
    """The key of the person's rows; None for somebody nobody has ever written to.

    Asked for first: joined to the people, a person's items would be sorted to find the newest.
    """
    return Recipient.objects.filter(user_id=user_id).values_list("id", flat=True).first()


def numbers(recipient_id: UUID | None) -> Numbers:
    head = Inbox.objects.filter(recipient=recipient_id).values_list("seq", flat=True).first()
    return Numbers(head or 0, announcements.last_seq())


# --- Announcements that are nobody's row yet ---------------------------------------------------


def untouched(recipient_id: UUID | None) -> list[InboxItem]:
    """The live announcements to everyone that the person has done nothing with, as items which are
    not stored: the newest first.
    """
    touched = InboxItem.objects.filter(recipient=recipient_id, announcement=OuterRef("pk"))
    rows = announcements.live_to_all().filter(~Exists(touched)).select_related("category")
    return [announcements.as_item(row) for row in rows.order_by("-starts_at", "-id")]


# --- Pages -------------------------------------------------------------------------------------


def page(
    recipient_id: UUID | None,
    which: Filter,
    *,
    limit: int,
    tag: str = "",
    category: str = "",
    older_than: Position | None = None,
    newer_than: Position | None = None,
) -> Page:
    """Up to `limit` items in the feed's order, from its top, or from a position on."""
    backwards = newer_than is not None
    start = newer_than or older_than
    rows = _of(recipient_id, which, start, backwards)
    found, end = _some(rows, tag, category, limit) if tag or category else _first(rows, limit)
    if which in {Filter.ALL, Filter.UNREAD, Filter.UNSEEN}:
        found += [
            item
            for item in untouched(recipient_id)
            if _fits(item.tags, item.category.key if item.category else "", tag, category)
            and _is_between(_position(item), start, end, backwards)
        ]
    found.sort(key=_position, reverse=not backwards)
    cut = found[:limit]
    further = _position(cut[-1]) if len(found) > limit else end
    if backwards:
        cut.reverse()
        return Page(cut, _position(cut[-1]) if cut else start, further)
    return Page(cut, further, _position(cut[0]) if cut and start else None)


def _of(
    recipient_id: UUID | None, which: Filter, start: Position | None, backwards: bool
) -> QuerySet[InboxItem]:
    rows = InboxItem.objects.filter(ROWS[which], recipient=recipient_id)
    if start and backwards:
        beyond = Q(shown_at__gt=start.shown_at) | Q(id__gt=start.id)
        rows = rows.filter(beyond, shown_at__gte=start.shown_at)
    elif start:
        beyond = Q(shown_at__lt=start.shown_at) | Q(id__lt=start.id)
        rows = rows.filter(beyond, shown_at__lte=start.shown_at)
    order = ("shown_at", "id") if backwards else ("-shown_at", "-id")
    return rows.select_related("category", "announcement").order_by(*order)


_Found = tuple[list[InboxItem], Position | None]
"""So many items as were asked for and one more; how far was looked, where that was not to the end."""


def _first(rows: QuerySet[InboxItem], limit: int) -> _Found:
    return list(rows[: limit + 1]), None


def _some(rows: QuerySet[InboxItem], tag: str, category: str, limit: int) -> _Found:
    looked = list(rows.values_list("id", "shown_at", "tags", "category__key")[:SCAN])
    hits = [id_ for id_, _, tags, key in looked if _fits(tags, key, tag, category)][: limit + 1]
    by_id = rows.in_bulk(hits)
    found = [by_id[id_] for id_ in hits if id_ in by_id]
    is_cut = len(looked) == SCAN and len(hits) <= limit
    return found, Position(looked[-1][1], looked[-1][0]) if is_cut else None


def _fits(tags: Collection[str], key: str | None, tag: str, category: str) -> bool:
    return (not tag or tag in tags) and (not category or key == category)


def _position(item: InboxItem) -> Position:
    return Position(item.shown_at, item.id)


def _is_between(
    at: Position, start: Position | None, end: Position | None, backwards: bool
) -> bool:
    if backwards:
        return (start is None or at > start) and (end is None or at <= end)
    return (start is None or at < start) and (end is None or at >= end)


# --- Counts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    unseen: int
    unread: int
    snoozed: int
    tags: dict[str, dict[str, int]]
    numbers: Numbers


def counts(recipient_id: UUID | None, tags: Collection[str] = ()) -> Counts:
    """As they are kept, and the few announcements that nobody keeps counts of for a person."""
    head = Inbox.objects.filter(recipient=recipient_id).first() or Inbox()
    by_tag = {tag: {"unseen": 0, "unread": 0} for tag in tags}
    for row in InboxTag.objects.filter(recipient=recipient_id, tag__in=by_tag):
        by_tag[row.tag] = {"unseen": row.unseen, "unread": row.unread}
    more = untouched(recipient_id)
    for item in more:
        for name in counted_as(item):
            for tag in by_tag.keys() & set(item.tags):
                by_tag[tag][name] += 1
    return Counts(
        unseen=head.unseen + len(more),
        unread=head.unread + len(more),
        snoozed=head.snoozed,
        tags=by_tag,
        numbers=Numbers(head.seq, announcements.last_seq()),
    )


# --- One item ----------------------------------------------------------------------------------


def shown(item: InboxItem) -> dict[str, Any]:
    """The item as its person's clients get it: the same over HTTP and by the socket."""
    said = item.announcement or item
    known = {"id": str(item.announcement_id or item.id), "kind": kind(item), "place": item.place}
    if item.place == InboxItem.Place.GONE:
        return known
    return {
        **known,
        "title": said.title,
        "body": said.body,
        "link": said.link,
        "image": said.image,
        "category": item.category.key if item.category else "",
        "tags": list(item.tags),
        "actions": [
            {
                "key": action["key"],
                "label": action["label"],
                "link": action.get("link", ""),
                "style": action["style"],
                "pressed_at": item.pressed.get(action["key"]),
            }
            for action in said.actions
        ],
        "data": said.data,
        "priority": item.announcement.priority if item.announcement else "normal",
        "banner": bool(item.announcement and item.announcement.banner),
        **{name: as_text(getattr(item, name)) for name in _MOMENTS},
    }


EXAMPLE: dict[str, Any] = {
    "id": "019a0000-0000-7000-8000-000000000002",
    "kind": "notification",
    "place": "inbox",
    "title": "Your order",
    "body": "It is on its way.",
    "link": "/orders/1042",
    "image": "",
    "category": "orders",
    "tags": ["order"],
    "actions": [
        {
            "key": "track",
            "label": "Track",
            "link": "/t/1042",
            "style": "primary",
            "pressed_at": None,
        }
    ],
    "data": {"order": "1042"},
    "priority": "normal",
    "banner": False,
    "created_at": "2026-11-22T09:00:00Z",
    "shown_at": "2026-11-22T09:00:00Z",
    "seen_at": None,
    "read_at": None,
    "archived_at": None,
    "snoozed_until": None,
    "expires_at": "2027-02-20T09:00:00Z",
}
"""What `shown` gives, as it is published."""

_MOMENTS = (
    *("created_at", "shown_at", "seen_at", "read_at", "archived_at", "snoozed_until"),
    "expires_at",
)


def kind(item: InboxItem) -> str:
    return "announcement" if item.announcement_id else "notification"


def as_text(moment: datetime | None) -> str | None:
    """RFC 3339, in UTC."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
