"""The heads of inboxes. Whoever writes a person's items holds that person's head: takes a number of
it for each, and moves its counts, in the same transaction.

Set-wise: a few statements, however many people. Heads are locked before anything else of an inbox
and in the order of their keys, so that no two writers wait for each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection

from commsproject.common.arrays import uuids
from commsproject.common.live import publish
from notifications.models import InboxItem

FEED = "inbox"
"""What the socket calls it."""


@dataclass(slots=True, eq=False)
class Head:
    """A head that this transaction holds. `moved` and `tags` are what its counts move by."""

    recipient_id: UUID
    user_id: str
    seq: int
    moved: Counter[str] = field(default_factory=Counter)
    tags: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def put_in(self, item: InboxItem, was: Collection[str] = ()) -> None:
        """Number and count an item that is new, or has changed and `was` counted as that before."""
        now = counted_as(item)
        for name in {*was, *now}:
            by = (name in now) - (name in was)
            self.moved[name] += by
            if by and name != "snoozed":
                for tag in item.tags:
                    self.tags[tag][name] += by
        self.seq += 1
        item.seq = self.seq


def counted_as(item: InboxItem) -> Sequence[str]:
    """The counts that an item is part of."""
    match item.place:
        case InboxItem.Place.INBOX:
            marks = {"unseen": item.seen_at, "unread": item.read_at}
            return [name for name, moment in marks.items() if moment is None]
        case InboxItem.Place.SNOOZED:
            return ["snoozed"]
    return []


_MAKE = """
INSERT INTO notifications_inbox (recipient_id, seq, floor, unseen, unread, snoozed)
SELECT id, 0, 0, 0, 0, 0 FROM notifications_recipient AS recipient
WHERE id = ANY(%s::uuid[])
  AND NOT EXISTS (SELECT FROM notifications_inbox WHERE recipient_id = recipient.id)
ORDER BY id ON CONFLICT DO NOTHING
"""
_LOCK = """
SELECT recipient_id, user_id, seq FROM notifications_inbox
JOIN notifications_recipient AS recipient ON recipient.id = recipient_id
WHERE recipient_id = ANY(%s::uuid[])
ORDER BY recipient_id FOR NO KEY UPDATE OF notifications_inbox
"""
# First all that are missing, then the locks: a head that is made between two locks would break
# their order.


def lock(recipient_ids: Collection[UUID]) -> dict[UUID, Head]:
    """The heads of these people, made where there are none; without those who do not exist."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, [uuids(recipient_ids)])
        cursor.execute(_LOCK, [uuids(recipient_ids)])
        return {row[0]: Head(*row) for row in cursor.fetchall()}


_COUNTS = ("unseen", "unread", "snoozed")

_WRITE = """
UPDATE notifications_inbox AS inbox
SET seq = new.seq, unseen = inbox.unseen + new.unseen, unread = inbox.unread + new.unread,
    snoozed = inbox.snoozed + new.snoozed
FROM unnest(%s::uuid[], %s::bigint[], %s::int[], %s::int[], %s::int[])
    AS new (id, seq, unseen, unread, snoozed)
WHERE inbox.recipient_id = new.id
"""
_TAGS = """
INSERT INTO notifications_inboxtag AS count (recipient_id, tag, unseen, unread)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[])
ON CONFLICT (recipient_id, tag) DO UPDATE
SET unseen = count.unseen + excluded.unseen, unread = count.unread + excluded.unread
"""
_NO_TAGS = """
DELETE FROM notifications_inboxtag AS count
USING unnest(%s::uuid[], %s::text[]) AS old (id, tag)
WHERE count.recipient_id = old.id AND count.tag = old.tag AND unseen = 0 AND unread = 0
"""


def write(heads: Iterable[Head]) -> None:
    """Keep the numbers and counts of `heads`, and tell the sockets after the commit."""
    changed = list(dict.fromkeys(heads))
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE,
            [
                uuids(head.recipient_id for head in changed),
                [head.seq for head in changed],
                *([head.moved[name] for head in changed] for name in _COUNTS),
            ],
        )
        tags = [(head.recipient_id, *one) for head in changed for one in sorted(head.tags.items())]
        if tags:
            keys: list[Any] = [uuids(id_ for id_, _, _ in tags), [tag for _, tag, _ in tags]]
            moves = [[move[name] for _, _, move in tags] for name in ("unseen", "unread")]
            cursor.execute(_TAGS, [*keys, *moves])
            if any(by < 0 for move in moves for by in move):
                cursor.execute(_NO_TAGS, keys)
    publish.advanced(FEED, {head.user_id: head.seq for head in changed})


_STATE = {
    "seq": "bigint",
    "place": "text",
    "seen_at": "timestamptz",
    "read_at": "timestamptz",
    "archived_at": "timestamptz",
    "snoozed_until": "timestamptz",
    "shown_at": "timestamptz",
}
"""All that changes of an item, but what was pressed."""

_SAVE = f"""
UPDATE notifications_inboxitem AS item
SET {", ".join(f"{name} = new.{name}" for name in _STATE)}
FROM unnest(%s::uuid[], {", ".join(f"%s::{kind}[]" for kind in _STATE.values())})
    AS new (id, {", ".join(_STATE)})
WHERE item.id = new.id
"""  # noqa: S608 - names of columns


def save(items: Sequence[InboxItem]) -> None:
    """Write the states of items whose heads are held, in one statement."""
    columns: list[list[Any]] = [[getattr(item, name) for item in items] for name in _STATE]
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, [uuids(item.id for item in items), *columns])
