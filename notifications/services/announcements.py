"""Announcements: made as a draft, published, live for a time, ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from commsproject.common import clock
from commsproject.common.arrays import uuids
from commsproject.common.errors import InvalidInput, NotFound
from commsproject.common.ids import new_id
from commsproject.common.live import publish as live
from commsproject.common.models import ApiClient
from notifications import heads
from notifications.errors import AnnouncementState, TooManyAnnouncements
from notifications.models import (
    Announcement,
    Category,
    InboxItem,
    Recipient,
    Topic,
    TopicMember,
)

FEED = "announcements"
"""What the socket calls it: one sequence for everybody, under the key `EVERYONE`."""
EVERYONE = "all"

MOST_CURRENT = 100
"""Published or live at a time: everybody's feed and counts look at all of them."""
MOST_PEOPLE = 10_000
"""On a list."""
USUAL_TIME = timedelta(days=30)
LONGEST_TIME = timedelta(days=366)
TIME_RULE = f"It ends after it starts, within {LONGEST_TIME.days} days."
_AT_ONCE = 500
_CALLED_BACK_AT_ONCE = 10_000
_A_MOMENT = timedelta(microseconds=1)
_SEQ_LOCK = 0x616E6E6F  # "anno"

State = Announcement.State
Audience = Announcement.Audience


def of_client(client: ApiClient | None) -> QuerySet[Announcement]:
    """An agent's own; all of them for staff."""
    rows = Announcement.objects.select_related("category", "client")
    return rows if client is None else rows.filter(client=client)


def get(client: ApiClient | None, announcement_id: UUID) -> Announcement:
    """Raises `NotFound`, also for another agent's."""
    found = of_client(client).filter(id=announcement_id).first()
    if found is None:
        raise NotFound("There is no such announcement, or it is not yours.")
    return found


def as_item(announcement: Announcement) -> InboxItem:
    """What a person's item of it is, before anything is done with it. Not stored, and nobody's."""
    return InboxItem(
        id=announcement.id,
        announcement=announcement,
        category=announcement.category,
        tags=announcement.tags,
        shown_at=announcement.starts_at,
        created_at=announcement.starts_at,
        expires_at=announcement.ends_at,
    )


def live_to_all() -> QuerySet[Announcement]:
    return Announcement.objects.filter(state=State.LIVE, audience=Audience.ALL)


def hold(ids: Collection[UUID], state: State) -> set[UUID]:
    """Those of these that are in `state`. They stay in it until this transaction is over, so that
    nobody is given something which was called back a moment before.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [uuids(ids), state.value])
        return {id_ for (id_,) in cursor.fetchall()}


_HOLD = """
SELECT id FROM notifications_announcement WHERE id = ANY(%s::uuid[]) AND state = %s
ORDER BY id FOR SHARE
"""


def last_seq() -> int:
    """Of everybody's announcements."""
    return Announcement.objects.aggregate(last=Max("seq"))["last"] or 0


# --- Drafts ------------------------------------------------------------------------------------


def make(client: ApiClient | None, fields: Mapping[str, Any]) -> Announcement:
    """A draft. Raises `InvalidInput`."""
    draft = Announcement(client=client, starts_at=clock.now())
    _fill(draft, fields)
    draft.save()
    return draft


def edit(announcement: Announcement, fields: Mapping[str, Any]) -> Announcement:
    """Change a draft. Raises `InvalidInput`, `AnnouncementState`."""
    return _moved(announcement, {State.DRAFT}, lambda row: _fill(row, fields))


def discard(announcement: Announcement) -> None:
    """Delete a draft. Raises `AnnouncementState`."""
    with transaction.atomic():
        _locked(announcement, {State.DRAFT}).delete()


def _fill(row: Announcement, fields: Mapping[str, Any]) -> None:
    known = {name: value for name, value in fields.items() if name not in {"category", "to"}}
    for name, value in known.items():
        setattr(row, name, value)
    if "category" in fields:
        row.category = _category(fields["category"])
    if "to" in fields:
        row.audience = fields["to"]["audience"]
        row.user_ids = list(dict.fromkeys(fields["to"].get("user_ids", ())))
        row.topic = _topic(fields["to"].get("topic", ""))
    if "ends_at" not in fields and ("starts_at" in fields or row.ends_at is None):
        row.ends_at = row.starts_at + USUAL_TIME
    if not is_time(row.starts_at, row.ends_at):
        raise InvalidInput.of("ends_at", "bad_time", TIME_RULE)


def _topic(key: str) -> str:
    if key and not Topic.objects.filter(key=key).exists():
        raise InvalidInput.of("to.topic", "unknown_topic", f"There is no topic {key!r}.")
    return key


def is_time(starts_at: datetime, ends_at: datetime) -> bool:
    """Whether an announcement may be live for so long."""
    return timedelta(0) < ends_at - starts_at <= LONGEST_TIME


def _category(key: str) -> Category | None:
    if not key:
        return None
    found = Category.objects.filter(key=key).first()
    if found is None:
        raise InvalidInput.of("category", "unknown_category", f"There is no category {key!r}.")
    return found


# --- From draft to end -------------------------------------------------------------------------


def publish(announcement: Announcement) -> Announcement:
    """Let it go live at its time, which may be now. Safe to repeat.

    Raises `AnnouncementState`, `TooManyAnnouncements`, `InvalidInput` where its time is over.
    """

    def act(row: Announcement) -> None:
        if row.state != State.DRAFT:
            return
        if row.ends_at <= clock.now():
            raise InvalidInput.of("ends_at", "in_the_past", "Its time is over.")
        current = Announcement.objects.filter(state__in=[State.PUBLISHED, State.LIVE])
        if len(current.values_list("id")[:MOST_CURRENT]) == MOST_CURRENT:
            raise TooManyAnnouncements(f"There are {MOST_CURRENT} already: end one first.")
        row.state = State.PUBLISHED

    return _moved(announcement, {State.DRAFT, State.PUBLISHED, State.LIVE}, act)


def end(announcement: Announcement) -> Announcement:
    """Take it out of every inbox. Safe to repeat. Raises `AnnouncementState` for a draft."""
    return _moved(announcement, {State.PUBLISHED, State.LIVE, State.ENDED}, _end)


def _end(row: Announcement) -> None:
    if row.state == State.ENDED:
        return
    if row.state == State.LIVE and row.audience == Audience.ALL:
        _take_seq(row)
    row.state = State.ENDED
    # By the clock of this host it may not have begun yet, while another's has given it already.
    row.ends_at = min(row.ends_at, max(clock.now(), row.starts_at + _A_MOMENT))


def _moved(
    announcement: Announcement, allowed: Collection[str], act: Callable[[Announcement], None]
) -> Announcement:
    with transaction.atomic():
        row = _locked(announcement, allowed)
        act(row)
        row.save()
    return row


def _locked(announcement: Announcement, allowed: Collection[str]) -> Announcement:
    rows = Announcement.objects.select_for_update(of=("self",), no_key=True)
    row = rows.select_related("category", "client").filter(id=announcement.id).first()
    if row is None:
        raise NotFound("There is no such announcement, or it is not yours.")
    if row.state not in allowed:
        names = ", ".join(name.value for name in State if name in allowed)
        raise AnnouncementState(f"It is {row.state}; this can be done while it is: {names}.")
    return row


def _take_seq(row: Announcement) -> None:
    """The next number of everybody's. One transaction at a time, until it is committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SEQ_LOCK])
    row.seq = last_seq() + 1
    live.advanced(FEED, {EVERYONE: row.seq})


# --- Time --------------------------------------------------------------------------------------


def tend() -> None:
    """Those whose time has come go live, those whose time is over end."""
    now = clock.now()
    for row in Announcement.objects.filter(state=State.PUBLISHED, starts_at__lte=now):
        _start(row)
    for row in Announcement.objects.filter(
        state__in=[State.PUBLISHED, State.LIVE], ends_at__lte=now
    ):
        end(row)
    _call_back()


def _call_back() -> None:
    """What people have of announcements that ended expires with them, however long ago that was.

    Nobody is given more of them: see `hold`.
    """
    for row in Announcement.objects.filter(state=State.ENDED, is_called_back=False):
        late = InboxItem.objects.filter(announcement=row, expires_at__gt=row.ends_at)
        while some := list(late.values_list("id", flat=True)[:_CALLED_BACK_AT_ONCE]):
            InboxItem.objects.filter(id__in=some).update(expires_at=row.ends_at)
        Announcement.objects.filter(id=row.id).update(is_called_back=True)


def _start(announcement: Announcement) -> None:
    for people in _people(announcement):
        _give(announcement, people)

    def act(row: Announcement) -> None:
        row.state = State.LIVE
        if row.audience == Audience.ALL:
            _take_seq(row)

    with suppress(AnnouncementState):  # ended meanwhile
        _moved(announcement, {State.PUBLISHED}, act)


def _people(announcement: Announcement) -> Iterator[Sequence[UUID]]:
    """Those that it is given to, some at a time; nobody where it is for everyone. People of a list
    who are unknown so far are made.
    """
    if announcement.audience == Audience.LIST:
        for start in range(0, len(announcement.user_ids), _AT_ONCE):
            user_ids = announcement.user_ids[start : start + _AT_ONCE]
            new = [Recipient(user_id=user_id) for user_id in sorted(user_ids)]
            Recipient.objects.bulk_create(new, ignore_conflicts=True)
            known = Recipient.objects.filter(user_id__in=user_ids)
            yield list(known.values_list("id", flat=True))
    if announcement.audience == Audience.TOPIC:
        members = TopicMember.objects.filter(topic__key=announcement.topic).order_by("id")
        some = list(members[:_AT_ONCE])
        while some:
            yield [member.recipient_id for member in some]
            some = list(members.filter(id__gt=some[-1].id)[:_AT_ONCE])


@transaction.atomic
def _give(announcement: Announcement, recipient_ids: Sequence[UUID]) -> None:
    """An item for each of them that has none, in a few statements."""
    held = heads.lock(recipient_ids)
    if not hold([announcement.id], State.PUBLISHED):
        return
    has = InboxItem.objects.filter(announcement=announcement, recipient__in=list(held))
    done = set(has.values_list("recipient_id", flat=True))
    items = []
    for id_, head in held.items():
        if id_ not in done:
            item = as_item(announcement)
            item.id, item.recipient_id = new_id(), id_
            head.put_in(item)
            items.append(item)
    InboxItem.objects.bulk_create(items)
    heads.write(held[item.recipient_id] for item in items)
