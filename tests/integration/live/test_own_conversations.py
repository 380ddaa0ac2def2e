"""Who is brought into a conversation hears of it at once, and nobody else does."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from commsproject.common.live.people import Kind as PersonKind
from commsproject.common.live.people import Person
from conversations.live import JOINED
from conversations.models import Conversation
from conversations.services import entries, marks, own, start
from conversations.types import Actor, Kind, Who
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user

ADA = Actor(Who.USER, "ada")


async def joined(client: Client) -> tuple[str, int]:
    frame = await client.frame()
    JOINED.check(frame)
    return frame["conversation"], frame["seq"]


def test_who_is_brought_in_is_told(live: Run) -> None:
    async def story() -> None:
        async with connected(user("bob")) as bob, connected(user("eve")) as eve:
            for client in (bob, eve):
                answer = await client.ask(type="subscribe", own_conversations=None)
                assert "refused" not in answer or answer["refused"] == []
            pair, _ = await app(start.start, ADA, Kind.DIRECT, ["bob"])
            assert await joined(bob) == (str(pair.id), 0)
            await app(start.start, ADA, Kind.DIRECT, ["bob"])  # the same
            group, _ = await app(start.start, ADA, Kind.GROUP, [], title="Trip")
            await app(entries.post, ADA, group.id, "Before")
            await app(start.add, ADA, group.id, ["eve", "ada"])
            assert await joined(eve) == (str(group.id), 2)  # what was said, and that she came
            await app(start.leave, Actor(Who.USER, "eve"), group.id)
            await app(start.add, ADA, group.id, ["eve"])
            assert await joined(eve) == (str(group.id), 4)
            # What it tells leads to the conversation itself, and to nobody else's.
            answer = await eve.ask(
                type="subscribe", conversations={str(group.id): 3, str(pair.id): 0}
            )
            assert answer["refused"] == [{"feed": "conversations", "key": str(pair.id)}]
            assert (await eve.frame("entry"))["seq"] == 4
            assert await bob.nothing()
            assert await eve.nothing()

    live(story())


def test_what_comes_out_of_the_archive_is_told(live: Run) -> None:
    bob_, eve_ = Actor(Who.USER, "bob"), Actor(Who.USER, "eve")

    async def story() -> None:
        async with connected(user("bob")) as bob, connected(user("ada")) as ada:
            for client in (ada, bob):
                await client.ask(type="subscribe", own_conversations=None)
            group, _ = await app(start.start, ADA, Kind.GROUP, ["bob", "eve"], title="Trip")
            for client in (ada, bob):
                assert await joined(client) == (str(group.id), 0)
            for actor in (ADA, bob_, eve_):
                await app(marks.archive, actor, group.id, on=True)
            await app(marks.mute, eve_, group.id, timezone.now() + timedelta(days=1))
            entry, _ = await app(entries.post, ADA, group.id, "Still there?")
            for client in (ada, bob):  # her own other devices, too
                assert await joined(client) == (str(group.id), entry.seq)
            await app(entries.post, ADA, group.id, "Anybody?")  # it is in the list already
            await app(marks.archive, bob_, group.id, on=True)
            await app(start.rename, ADA, group.id, "A trip")  # which is no text
            for client in (ada, bob):
                assert await client.nothing()

    live(story())


def test_what_wakes_after_a_silence_is_told_once(live: Run) -> None:
    """Who has more conversations than one connection follows misses none of them."""

    async def story() -> None:
        group, _ = await app(start.start, ADA, Kind.GROUP, ["bob", "eve"], title="Trip")
        await app(marks.mute, Actor(Who.USER, "eve"), group.id, timezone.now() + timedelta(days=1))
        await app(entries.post, ADA, group.id, "First")
        async with connected(user("bob")) as bob, connected(user("eve")) as eve:
            for client in (bob, eve):
                await client.ask(type="subscribe", own_conversations=None)
            await app(entries.post, ADA, group.id, "Second")
            assert await bob.nothing()
            earlier = timezone.now() - own.QUIET - timedelta(seconds=1)
            await app(Conversation.objects.filter(id=group.id).update, active_at=earlier)
            entry, _ = await app(entries.post, ADA, group.id, "Still there?")
            await app(entries.post, ADA, group.id, "Anybody?")
            assert await joined(bob) == (str(group.id), entry.seq)
            for client in (bob, eve):
                assert await client.nothing()

    live(story())


def test_it_is_each_persons_own(live: Run) -> None:
    """Staff have none; a key of somebody else's cannot be named."""

    async def story() -> None:
        async with connected(user("bob")) as bob:
            answer = await bob.ask(type="subscribe", own_conversations={"ada": 0})
            assert answer["code"] == "invalid"
            await bob.ask(type="subscribe", own_conversations=None)
            await bob.ask(type="unsubscribe", own_conversations=True)
            await app(start.start, ADA, Kind.DIRECT, ["bob"])
            assert await bob.nothing()
        async with connected(Person(PersonKind.STAFF, "1")) as staff:
            answer = await staff.ask(type="subscribe", own_conversations=None)
            assert [one["feed"] for one in answer["refused"]] == ["own_conversations"]

    live(story())
