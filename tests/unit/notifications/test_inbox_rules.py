"""What happens to an inbox, in any order: counts stay true, and who follows by number misses nothing."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from commsproject.common import clock
from commsproject.common.errors import CommsError
from notifications.models import Announcement, Inbox, InboxItem, InboxTag
from notifications.services import announcements, audit, inbox, inbox_feed
from notifications.services.inbox_feed import Filter
from tests.inboxes import Follower, announce, deliver, snapshot, truth

pytestmark = pytest.mark.django_db

ACTIONS = ({"key": "yes", "label": "Yes", "style": "primary"},)
TAGS = ("order", "news", "")


def test_a_head_is_made_with_the_first_item_and_counts() -> None:
    deliver(tags=["order", "order"])
    deliver(tags=["order", "news"])
    deliver("bob")
    head = Inbox.objects.get(recipient__user_id="ada")
    assert (head.seq, head.unseen, head.unread, head.snoozed) == (2, 2, 2, 0)
    tags = InboxTag.objects.filter(recipient__user_id="ada").values_list("tag", "unread")
    assert dict(tags) == {"order": 2, "news": 1}


def _steps() -> st.SearchStrategy[list[tuple[str, int, str]]]:
    names = ["deliver", "announce", "end", "read", "unread", "see", "archive", "unarchive"]
    names += ["snooze", "wake", "read_all", "see_all", "archive_all", "act", "expire", "time"]
    return st.lists(
        st.tuples(st.sampled_from(names), st.integers(0, 5), st.sampled_from(TAGS)),
        min_size=4,
        max_size=14,
    )


class _World:
    """One person's inbox and all that may be done to it."""

    def __init__(self) -> None:
        self.known: list[Any] = []

    def do(self, name: str, number: int, tag: str) -> None:
        getattr(self, name)(number, tag)

    def deliver(self, number: int, tag: str) -> None:
        item = deliver(tags=[tag] if tag else [])
        if number % 2:
            InboxItem.objects.filter(id=item.id).update(actions=list(ACTIONS))
        self.known.append(item.id)

    def announce(self, number: int, tag: str) -> None:
        to = {"audience": "list", "user_ids": ["ada"]} if number == 0 else {}
        row = announce(tags=[tag] if tag else [], actions=list(ACTIONS), **to)
        announcements.tend()
        self.known.append(row.id)

    def end(self, number: int, _tag: str) -> None:
        live = Announcement.objects.filter(state="live").order_by("id")
        if rows := live[number % 2 : number % 2 + 1]:
            announcements.end(rows[0])
            announcements.tend()
            inbox.tend()

    def _some(self, number: int, change: inbox.Change) -> None:
        ids = self.known[number : number + 2]
        if ids:
            inbox.change_some("ada", ids, change)

    def read(self, number: int, _tag: str) -> None:
        self._some(number, inbox.read)

    def unread(self, number: int, _tag: str) -> None:
        self._some(number, inbox.unread)

    def see(self, number: int, _tag: str) -> None:
        self._some(number, inbox.see)

    def archive(self, number: int, _tag: str) -> None:
        self._some(number, inbox.archive)

    def unarchive(self, number: int, _tag: str) -> None:
        self._some(number, inbox.put_back(InboxItem.Place.ARCHIVED))

    def snooze(self, number: int, _tag: str) -> None:
        self._some(number, inbox.snooze(clock.now() + timedelta(hours=number + 1)))

    def wake(self, number: int, _tag: str) -> None:
        self._some(number, inbox.put_back(InboxItem.Place.SNOOZED))

    def read_all(self, _number: int, tag: str) -> None:
        inbox.change_all("ada", Filter.UNREAD, inbox.read, tag=tag)

    def see_all(self, _number: int, tag: str) -> None:
        inbox.change_all("ada", Filter.UNSEEN, inbox.see, tag=tag)

    def archive_all(self, _number: int, tag: str) -> None:
        inbox.change_all("ada", Filter.ALL, inbox.archive, tag=tag)

    def act(self, number: int, _tag: str) -> None:
        if self.known:
            inbox.act("ada", self.known[number % len(self.known)], "yes")

    def expire(self, number: int, _tag: str) -> None:
        if self.known:
            past = clock.now() - timedelta(hours=1)
            id_ = self.known[number % len(self.known)]
            InboxItem.objects.filter(id=id_, announcement=None).update(expires_at=past)
            inbox.tend()

    def time(self, _number: int, _tag: str) -> None:
        """The snoozes are over."""
        snoozed = InboxItem.objects.filter(place="snoozed")
        snoozed.update(snoozed_until=clock.now() - timedelta(seconds=1))
        inbox.tend()


@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(steps=_steps(), looks=st.integers(1, 4))
def test_counts_are_true_and_who_follows_misses_nothing(
    steps: list[tuple[str, int, str]], looks: int
) -> None:
    with transaction.atomic():
        deliver("bob", tags=["order"])
        world = _World()
        for first in ("deliver", "deliver", "announce", "deliver"):
            world.do(first, len(world.known), "order")
        always, late = Follower(), Follower()
        for number, step in enumerate(steps):
            with suppress(CommsError):  # not there any more, or answered: nothing has changed
                world.do(*step)
            if number % looks == 0:
                always.catch_up()
        now = snapshot()
        for follower in (always, late):
            follower.catch_up()
            assert follower.items == now
            assert follower.catch_up() == 0
        _check_counts(now)
        if late.counts:
            assert late.counts == truth(now.values())
        assert _broken() == []
        transaction.set_rollback(True)


def _broken() -> list[Any]:
    """What the audit says of inboxes."""
    found: list[Any] = []
    for rule, query in audit._RULES.items():
        if "inbox" in rule:
            with connection.cursor() as cursor:
                cursor.execute(query)
                found += cursor.fetchall()
    return found


def _check_counts(now: dict[str, Any]) -> None:
    counts = inbox_feed.counts(inbox_feed.person("ada"), ["order", "news"])
    told = {"unseen": counts.unseen, "unread": counts.unread, "snoozed": counts.snoozed}
    assert told == truth(now.values())
    for tag, of_tag in counts.tags.items():
        assert {**of_tag, "snoozed": 0} == {**truth(now.values(), tag), "snoozed": 0}
