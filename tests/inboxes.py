"""People with inboxes for tests, the truth about them, and a client that follows by numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from rest_framework.test import APIClient

from commsproject.common import clock
from commsproject.common.identity import issuer
from commsproject.common.ids import new_id
from notifications.live import AnnouncementFeed, InboxFeed
from notifications.models import Announcement, InboxItem, Recipient
from notifications.providers.inapp import InApp
from notifications.services import inbox_feed
from notifications.types import Channel, Outbound

DAY = timedelta(days=1)


def message(user_id: str = "ada", **fields: Any) -> Outbound:
    known: dict[str, Any] = {"parts": {"title": "Hi"}, "tags": (), **fields}
    return Outbound(
        attempt_id=new_id(),
        delivery_id=new_id(),
        notification_id=new_id(),
        channel=Channel.INAPP,
        to=user_id,
        **known,
    )


def deliver(user_id: str = "ada", **fields: Any) -> InboxItem:
    """A message in the inbox of a person, who is made."""
    Recipient.objects.get_or_create(user_id=user_id)
    one = message(user_id, **fields)
    InApp("inapp").send(one)
    return InboxItem.objects.get(id=one.delivery_id)


def announce(**fields: Any) -> Announcement:
    """Published to everyone; live with the next `announcements.tend()`."""
    now = clock.now()
    known: dict[str, Any] = {"title": "Hear, hear", "starts_at": now, "ends_at": now + DAY}
    state = Announcement.State.PUBLISHED
    return Announcement.objects.create(**{**known, "state": state, **fields})


def person(user_id: str = "ada") -> APIClient:
    """A person's own client."""
    client = APIClient()
    token = issuer.issue(user_id, DAY)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def snapshot(user_id: str = "ada") -> dict[str, Any]:
    """All that is in the person's inbox now, by id, as clients get it."""
    key = inbox_feed.person(user_id)
    rows = InboxItem.objects.filter(recipient=key).exclude(place="gone")
    stored = rows.select_related("category", "announcement")
    return {
        shown["id"]: shown
        for item in [*stored, *inbox_feed.untouched(key)]
        for shown in [inbox_feed.shown(item)]
    }


def truth(items: Iterable[dict[str, Any]], tag: str = "") -> dict[str, int]:
    """What there is to count, by looking at each."""
    of_tag = [item for item in items if not tag or tag in item["tags"]]
    here = [item for item in of_tag if item["place"] == "inbox"]
    return {
        "unseen": sum(item["seen_at"] is None for item in here),
        "unread": sum(item["read_at"] is None for item in here),
        "snoozed": sum(item["place"] == "snoozed" for item in of_tag),
    }


class Follower:
    """A client that keeps what it has been told, and asks for what came since."""

    def __init__(self, user_id: str = "ada") -> None:
        self.user_id = user_id
        self.items = snapshot(user_id)
        numbers = inbox_feed.numbers(inbox_feed.person(user_id))
        self.seq, self.announced = numbers.inbox, numbers.announcements
        self.counts: dict[str, int] = {}

    def catch_up(self, limit: int = 1000) -> int:
        """How many frames there were. Raises AssertionError for a number that is missing or double."""
        frames = list(AnnouncementFeed().read({"all": self.announced}, limit))
        for _, seq, frame in frames:
            assert seq == frame["seq"] == self.announced + 1
            self.announced = seq
            self._take(frame["announcement"], is_new_only=True)
        own = list(InboxFeed().read({self.user_id: self.seq}, limit))
        for key, seq, frame in own:
            assert (key, seq) == (self.user_id, self.seq + 1)
            self.seq = seq
            self._take(frame["notification"])
            self.counts = frame.get("counts", self.counts)
        return len(frames) + len(own)

    def _take(self, item: dict[str, Any] | None, *, is_new_only: bool = False) -> None:
        if item is None:
            return
        if item["place"] == "gone":
            self.items.pop(item["id"], None)
        elif not (is_new_only and item["id"] in self.items):
            self.items[item["id"]] = item
