"""The inbox on the socket: devices of one person agree, and nobody sees another's."""

from __future__ import annotations

from datetime import timedelta

from commsproject.common import clock
from notifications.models import InboxItem
from notifications.services import announcements, inbox
from tests.inboxes import announce, deliver
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user


async def _told(client: Client) -> tuple[int, str, bool]:
    """The next frame's number, and what it says: the title, and whether it was read."""
    frame = await client.frame("notification", "announcement")
    item = frame.get("notification") or frame["announcement"]
    return frame["seq"], item.get("title", "gone"), bool(item.get("read_at"))


def test_all_devices_of_a_person_agree(live: Run) -> None:
    async def story() -> None:
        first = await app(deliver, "ada", parts={"title": "first"})
        async with connected(user("ada")) as phone, connected(user("bob")) as other:
            everything = {"inbox": 0, "announcements": 0}
            answer = await phone.ask(type="subscribe", **everything)
            assert answer["heads"] == {"inbox": 1, "announcements": 0}
            await other.ask(type="subscribe", **everything)
            assert await _told(phone) == (1, "first", False)
            async with connected(user("ada")) as desk:
                await desk.ask(type="subscribe", inbox=1)
                await app(inbox.change_some, "ada", [first.id], inbox.read)
                assert await _told(phone) == await _told(desk) == (2, "first", True)
                second = await app(deliver, "ada", parts={"title": "second"})
                frame = await desk.frame("notification")
                assert frame["counts"] == {"unseen": 1, "unread": 1, "snoozed": 0}
                assert await _told(phone) == (3, "second", False)
            row = await app(announce, title="To all")
            await app(announcements.tend)
            assert await _told(phone) == await _told(other) == (1, "To all", False)
            await app(inbox.change_some, "ada", [row.id], inbox.read)
            assert await _told(phone) == (4, "To all", True)
            await app(announcements.end, row)
            assert await _told(other) == (2, "gone", False)
            assert await other.nothing()
        # Away since the first: what changed meanwhile comes once, under its last number; also what
        # time did, such as a snooze that ended.
        later = inbox.snooze(clock.now() + timedelta(hours=1))
        await app(inbox.change_some, "ada", [second.id], later)
        await app(lambda: InboxItem.objects.filter(id=first.id).update(expires_at=first.created_at))
        await app(
            lambda: InboxItem.objects.filter(id=second.id).update(snoozed_until=second.created_at)
        )
        await app(inbox.tend)
        async with connected(user("ada")) as again:
            await again.ask(type="subscribe", inbox=1)
            frames = [await again.frame("notification") for _ in range(6)]
            assert [frame["seq"] for frame in frames] == [2, 3, 4, 5, 6, 7]
            items = [frame["notification"] for frame in frames]
            assert [item and item.get("title") for item in items] == [
                *(None, None, "To all", None, "second", None)
            ]
            assert (items[4]["place"], items[4]["seen_at"]) == ("inbox", None)
            assert items[5] == {"id": str(first.id), "kind": "notification", "place": "gone"}
            assert frames[5]["counts"] == {"unseen": 1, "unread": 1, "snoozed": 0}

    live(story())
