"""The inbox on the socket: each person's own sequence, and everybody's of announcements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db import connection
from typing_extensions import override

from commsproject.common.live.frames import MOMENT, SEQ, UUID, Schema, ServerFrame
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.registry import OwnFeed
from notifications import heads
from notifications.models import Announcement, InboxItem
from notifications.services import announcements, inbox_feed

_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"], "format": "date-time"}
_ACTION: Schema = {
    "type": "object",
    "properties": {
        "key": _TEXT,
        "label": _TEXT,
        "link": _TEXT,
        "style": {"enum": ["primary", "secondary", "danger"]},
        "pressed_at": _MAYBE,
    },
    "required": ["key", "label", "link", "style", "pressed_at"],
    "additionalProperties": False,
}
ITEM: Schema = {
    "type": ["object", "null"],
    "description": "As `GET inbox` gives it; only its first three fields once it is gone. Null: "
    "what had this number has changed since, and comes under a later one.",
    "properties": {
        "id": UUID,
        "kind": {"enum": ["notification", "announcement"]},
        "place": {"enum": InboxItem.Place.values},
        **dict.fromkeys(("title", "body", "link", "image", "category"), _TEXT),
        "tags": {"type": "array", "items": _TEXT},
        "actions": {"type": "array", "items": _ACTION},
        "data": {"type": "object"},
        "priority": {"enum": Announcement.Priority.values},
        "banner": {"type": "boolean"},
        **dict.fromkeys(("created_at", "shown_at", "expires_at"), MOMENT),
        **dict.fromkeys(("seen_at", "read_at", "archived_at", "snoozed_until"), _MAYBE),
    },
    "required": ["id", "kind", "place"],
    "additionalProperties": False,
}

NOTIFICATION = ServerFrame(
    "notification",
    "An item of the inbox is new or has changed. The last one so far brings the counts.",
    {
        "seq": SEQ,
        "notification": ITEM,
        "counts": {
            "type": "object",
            "description": "As `GET inbox/counts`, without tags.",
            "properties": {"unseen": _COUNT, "unread": _COUNT, "snoozed": _COUNT},
            "required": ["unseen", "unread", "snoozed"],
            "additionalProperties": False,
        },
    },
    {
        "type": "notification",
        "seq": 18,
        "notification": inbox_feed.EXAMPLE,
        "counts": {"unseen": 1, "unread": 3, "snoozed": 0},
    },
    optional=("counts",),
)

ANNOUNCEMENT = ServerFrame(
    "announcement",
    "An announcement to everyone went live, or is gone: one more, or one less, to see and to read "
    "for who has done nothing with it.",
    {"seq": SEQ, "announcement": ITEM},
    {
        "type": "announcement",
        "seq": 3,
        "announcement": {
            **inbox_feed.EXAMPLE,
            "id": "019a0000-0000-7000-8000-000000000008",
            "kind": "announcement",
            "title": "Maintenance on Sunday",
            "banner": True,
            "actions": [],
        },
    },
)

_ADDED = """
SELECT count(*) FROM notifications_announcement AS announcement
WHERE announcement.state = 'live' AND announcement.audience = 'all'
  AND NOT EXISTS (SELECT FROM notifications_inboxitem
                  WHERE recipient_id = inbox.recipient_id AND announcement_id = announcement.id)
"""
_READ = f"""
SELECT asked.user_id, number.seq, item.id, number.seq = inbox.seq,
       inbox.unseen, inbox.unread, inbox.snoozed,
       CASE WHEN number.seq = inbox.seq THEN ({_ADDED}) END
FROM unnest(%s::text[], %s::bigint[]) AS asked (user_id, after)
JOIN notifications_recipient AS recipient ON recipient.user_id = asked.user_id
JOIN notifications_inbox AS inbox ON inbox.recipient_id = recipient.id
CROSS JOIN LATERAL generate_series(
    greatest(asked.after, inbox.floor) + 1,
    least(greatest(asked.after, inbox.floor) + %s, inbox.seq)) AS number (seq)
LEFT JOIN notifications_inboxitem AS item
       ON item.recipient_id = recipient.id AND item.seq = number.seq
ORDER BY 1, 2
"""  # noqa: S608 - ours


class InboxFeed(OwnFeed):
    name = heads.FEED
    frames = (NOTIFICATION,)

    @override
    def key(self, person: Person) -> str | None:
        return person.id if person.kind is Kind.USER else None

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT user_id, seq FROM notifications_inbox JOIN notifications_recipient"
                " ON id = recipient_id WHERE user_id = ANY(%s)",
                [list(keys)],
            )
            return dict(cursor.fetchall())

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        """Two queries: what has a number, and those items. One that has changed between them comes
        under its later number.
        """
        with connection.cursor() as cursor:
            cursor.execute(_READ, [list(after), list(after.values()), limit])
            rows = cursor.fetchall()
        items = InboxItem.objects.select_related("category", "announcement")
        known = items.in_bulk([row[2] for row in rows if row[2]])
        for user_id, seq, item_id, is_last, *counted in rows:
            item = known.get(item_id)
            frame: dict[str, Any] = {
                "type": NOTIFICATION.type,
                "seq": seq,
                "notification": inbox_feed.shown(item) if item and item.seq == seq else None,
            }
            if is_last:
                frame["counts"] = _counts(*counted)
            yield user_id, seq, frame


def _counts(unseen: int, unread: int, snoozed: int, untouched: int) -> dict[str, int]:
    return {"unseen": unseen + untouched, "unread": unread + untouched, "snoozed": snoozed}


class AnnouncementFeed(OwnFeed):
    """One key for everybody: one read, one frame, however many are connected."""

    name = announcements.FEED
    frames = (ANNOUNCEMENT,)

    @override
    def key(self, person: Person) -> str | None:
        return announcements.EVERYONE if person.kind is Kind.USER else None

    @override
    def heads(self, keys: Collection[str]) -> Mapping[str, int]:
        return dict.fromkeys(keys, announcements.last_seq())

    @override
    def read(
        self, after: Mapping[str, int], limit: int
    ) -> Iterable[tuple[str, int, Mapping[str, Any]]]:
        for key, start in after.items():
            last = min(start + limit, announcements.last_seq())
            rows = Announcement.objects.select_related("category")
            by_seq = {row.seq: row for row in rows.filter(seq__gt=start, seq__lte=last)}
            for seq in range(start + 1, last + 1):
                yield key, seq, _announced(seq, by_seq.get(seq))


def _announced(seq: int, row: Announcement | None) -> Mapping[str, Any]:
    shown = None
    if row is not None:
        item = announcements.as_item(row)
        if row.state == Announcement.State.ENDED:
            item.place = InboxItem.Place.GONE.value
        shown = inbox_feed.shown(item)
    return {"type": ANNOUNCEMENT.type, "seq": seq, "announcement": shown}
