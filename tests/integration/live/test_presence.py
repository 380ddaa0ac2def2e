"""Who is there, who writes, who may know; and all of it right again after Valkey was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common import valkey
from commsproject.common.identity import issuer
from commsproject.common.live import registry
from commsproject.common.live.hub import hubs
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.presence import last_seen, selectors, store, watching
from commsproject.common.models import LastSeen
from tests.fakes.proxy import TcpProxy
from tests.integration.live.conftest import HOUR, Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user


async def told(client: Client, seconds: float = 30) -> tuple[str, str]:
    frame = await client.frame("presence", seconds=seconds)
    return frame["user_id"], frame["state"]


def online(user_ids: Collection[str]) -> set[str]:
    """Those with an open socket."""
    return {person.id for person, does in store.read(store.users(user_ids)).items() if does}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "GONE_SECONDS", 0.5)
    monkeypatch.setattr(watching, "TOGETHER_SECONDS", 0.02)


def test_those_who_may_are_told_who_comes_and_goes(
    live: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with connected(user("watcher")) as watcher:
            await until(lambda: online(["watcher"]))
            answer = await watcher.ask(type="presence.watch", users=["u-1", "private-2", "watcher"])
            assert answer["refused"] == ["private-2"]
            first = {await told(watcher) for _ in range(2)}
            assert first == {("u-1", "offline"), ("watcher", "active")}
            async with connected(user("u-1")) as phone:
                assert await told(watcher) == ("u-1", "active")
                async with connected(user("u-1")) as page:
                    await phone.ask(type="presence", state="away")
                    assert await watcher.nothing(0.8)  # the page is still in use
                    await page.ask(type="presence", state="away")
                    assert await told(watcher) == ("u-1", "away")
                    await page.ask(type="presence", state="active")
                    assert await told(watcher) == ("u-1", "active")
            frame = await watcher.frame("presence")
            assert (frame["user_id"], frame["state"]) == ("u-1", "offline")
            assert frame["last_seen"]
            async with connected(user("u-1")):
                assert await told(watcher) == ("u-1", "active")
                monkeypatch.setattr(watching, "GONE_SECONDS", 30)
            async with connected(user("u-1")):  # loaded anew: not seen to blink
                assert await watcher.nothing(0.5)
            await watcher.ask(type="presence.watch", users=[])
            async with connected(user("u-1")):
                assert await watcher.nothing(0.3)

    live(story())


def test_a_right_to_watch_that_ends(live: Run) -> None:
    async def story() -> None:
        async with connected(user("watcher")) as watcher, connected(user("u-1")):
            await until(lambda: online(["u-1"]))
            await watcher.ask(type="presence.watch", users=["u-1"])
            assert await told(watcher) == ("u-1", "active")
            policy = registry.watch_policies.pop()
            try:
                await hubs.get().validate()
            finally:
                registry.watch_policies.append(policy)
        assert not hubs.get().presence._watchers
        assert not hubs.get().presence._known

    live(story())


def test_what_somebody_looks_at_is_known_to_policies(live: Run) -> None:
    async def story() -> None:
        everybody = ["u-1", "u-2", "u-3"]
        async with connected(user("u-1")) as looks, connected(user("u-2")) as elsewhere:
            for client in (looks, elsewhere):
                await client.ask(type="subscribe", rooms={"open": 0}, notes=0)
            await looks.ask(type="presence", state="active", looking_at={"rooms": ["open"]})
            await elsewhere.ask(type="presence", state="away", looking_at={"rooms": ["open"]})
            await until(lambda: selectors.looking_at("rooms", "open", everybody) == {"u-1"})
            assert await app(online, everybody) == {"u-1", "u-2"}
            await looks.ask(type="presence", state="active", looking_at={"notes": True})
            await until(lambda: selectors.looking_at("notes", "notes-u-1", everybody) == {"u-1"})
            answer = await looks.ask(
                type="presence", state="active", looking_at={"notes": True, "rooms": ["open"]}
            )
            assert answer["code"] == "invalid"
        await until(lambda: not online(everybody))
        async with connected(Person(Kind.STAFF, "7")):
            assert await app(online, ["7"]) == set()  # no end user

    live(story())


def test_presence_is_right_again_within_a_heartbeat(live: Run, broker: TcpProxy) -> None:
    async def story() -> None:
        async with connected(user("watcher")) as watcher, connected(user("u-1")):
            await until(lambda: online(["u-1"]))
            await watcher.ask(type="presence.watch", users=["u-1", "u-2"])
            assert {(await told(watcher)) for _ in range(2)} == {
                ("u-1", "active"),
                ("u-2", "offline"),
            }
            await app(flush)
            assert not await app(online, ["u-1"])
            await until(lambda: online(["u-1"]) == {"u-1"})
            broker.refuse()
            async with connected(user("u-2")):
                assert await app(selectors.looking_at, "rooms", "open", ["u-2"]) == set()
                broker.accept()
                while await told(watcher) != ("u-2", "active"):
                    pass

    live(story())


def flush() -> None:
    valkey.client().flushdb()


async def until(condition: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await app(condition):  # noqa: ASYNC110 - Valkey tells nobody
            await asyncio.sleep(0.05)


def test_the_time_of_the_last_visit_can_be_hidden(db: None) -> None:
    last_seen.note(["u-1", "u-2", "u-2"])
    first = last_seen.of(["u-1", "u-2", "u-3"])
    assert first.keys() == {"u-1", "u-2"}
    last_seen.note(["u-1"])
    assert last_seen.of(["u-1"])["u-1"] > first["u-1"]

    person = APIClient()
    person.credentials(HTTP_AUTHORIZATION=f"Bearer {issuer.issue('u-1', HOUR)}")
    assert person.get("/api/v1/presence").json() == {"hide_last_seen": False}
    hidden = person.put("/api/v1/presence", {"hide_last_seen": True}, format="json")
    assert hidden.json() == {"hide_last_seen": True}
    last_seen.note(["u-1"])
    assert not last_seen.of(["u-1"])
    assert LastSeen.objects.get(user_id="u-1").seen_at is None  # nothing is kept either
    assert person.put("/api/v1/presence", {"hide": True}, format="json").status_code == 400
    person.put("/api/v1/presence", {"hide_last_seen": False}, format="json")
    last_seen.note(["u-1"])
    assert last_seen.of(["u-1"])


def test_an_agent_has_no_presence(api: APIClient) -> None:
    assert api.get("/api/v1/presence").status_code == 403
    assert APIClient().put("/api/v1/presence").status_code == 401


def test_typing_is_told_to_the_others_and_not_too_often(live: Run) -> None:
    async def story() -> None:
        async with connected(user("u-1")) as writes, connected(user("u-2")) as reads:
            for client in (writes, reads):
                await client.ask(type="subscribe", rooms={"open": None, "open-2": None})
            for _ in range(3):
                assert (await writes.ask(type="room.typing", room="open"))["type"] == "ack"
            await writes.ask(type="room.typing", room="open-2")
            for room in ("open", "open-2"):
                assert await reads.frame() == {
                    "type": "room.typing",
                    "room": room,
                    "person": {"kind": "user", "id": "u-1"},
                    "lasts_ms": 6000,
                }
            assert await reads.nothing()
            assert await writes.nothing()  # one's own is not told

    live(story())


def test_what_is_kept_of_presence_ends_by_itself(live: Run) -> None:
    """A process that died left it behind."""

    async def story() -> None:
        async with connected(user("u-1")):
            await until(lambda: online(["u-1"]))
            ttl: Any = await app(lambda: valkey.client().pttl("comms:presence:user:u-1"))
            assert 0 < ttl <= 3000

    live(story())
