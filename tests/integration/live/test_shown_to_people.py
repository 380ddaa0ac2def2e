"""How the team shares its work is its own: people see no assignment, and of the status what is theirs."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from commsproject.common.live.people import Kind as PersonKind
from commsproject.common.live.people import Person
from conversations import selectors
from conversations.live import NEW, SKIP
from conversations.models import Conversation
from conversations.services import entries, marks, start, support
from conversations.types import Actor, Kind, Status, Who
from tests.integration.conversations.people import V1, call, person, read
from tests.integration.conversations.test_support import staff
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import Client, connected, user

ADA = Actor(Who.USER, "ada")
BODIES = {1: "Where is it?", 3: "On its way.", 7: "It never came."}
EVENTS = {
    5: {"type": "status", "people": [], "status": "closed"},
    6: {"type": "status", "people": [], "status": "open"},
}


def busy(one: Actor, two: Actor) -> UUID:
    """A conversation about which the team does all it can: 2, 4 and 8 are its own."""
    id_ = start.start(ADA, Kind.SUPPORT, [])[0].id
    entries.post(ADA, id_, BODIES[1])
    support.assign(one, id_, two.id)
    entries.post(one, id_, BODIES[3])
    support.set_status(one, id_, Status.OPEN)  # it waited for the person
    support.set_status(one, id_, Status.CLOSED)
    support.set_status(one, id_, Status.PENDING)
    entries.post(ADA, id_, BODIES[7])
    support.assign(one, id_, None)
    return id_


def told(some: Any) -> dict[int, Any]:
    return {one["seq"]: one["event"] or one["body"] for one in some}


@pytest.mark.django_db
def test_people_read_nothing_of_it() -> None:
    one, two = staff("one"), staff("two")
    id_ = busy(one, two)
    ada, chat = person("ada"), {"id": id_}
    shown = {**BODIES, **EVENTS}
    whole = read(ada, chat)
    assert told(whole["results"]) == shown
    assert (whole["last_seq"], whole["previous"]) == (8, None)
    of_the_team = [entry["author"] for entry in whole["results"] if entry["event"]]
    assert of_the_team == [{"kind": "staff", "id": ""}] * 2

    for places in ("after=0", "from=1", f"around={whole['results'][2]['id']}"):
        assert told(read(ada, chat, f"?{places}")["results"]) == shown
    pages, url = [], f"{V1}/{id_}/entries?after=0&limit=1"
    while url:  # a page is never empty for what is left out
        page = ada.get(url).json()
        pages += page["results"]
        url = page["next"]
        assert page["results"]
    assert told(pages) == shown
    hidden = Conversation.objects.get(id=id_).entries.get(seq=2)
    call(ada, "get", f"/{id_}/entries?around={hidden.id}", status=404)
    for form in ("json", "ndjson", "txt"):
        answer = ada.get(f"{V1}/{id_}/export?format={form}")
        text = b"".join(answer).decode()
        assert "assigned" not in text
        assert "closed" in text

    support.assign(one, id_, two.id)
    seen = call(ada, "get", f"/{id_}")
    assert seen["assignee"] is None
    people = {(who["kind"], who["id"]) for who in seen["participants"]}
    assert people == {("user", "ada"), ("staff", one.id)}  # and not who has only been assigned
    assert call(ada, "get", f"/{id_}/participants") == seen["participants"]

    kept, _ = selectors.history(Conversation.objects.get(id=id_), one, limit=50)
    theirs = selectors.as_seen(one, kept)
    assert told(theirs)[2] == {"type": "assigned", "people": [two.id]}
    assert told(theirs)[5]["was"] == "open"
    assert {entry["author"]["id"] for entry in theirs if entry["event"]} == {one.id}


@pytest.mark.django_db
def test_it_is_nothing_new_to_people() -> None:
    one = staff("one")
    id_ = start.start(ADA, Kind.SUPPORT, [])[0].id
    entries.post(ADA, id_, "Where is it?")
    marks.archive(ADA, id_, on=True)
    before = call(person("ada"), "get", f"/{id_}")
    support.assign(one, id_, one.id)
    support.set_status(one, id_, Status.PENDING)
    after = call(person("ada"), "get", f"/{id_}")
    assert after["last_seq"] == before["last_seq"] + 2
    assert {**after, "last_seq": 1, "status": "open"} == before
    assert after["me"]["unread"] == 0
    support.set_status(one, id_, Status.CLOSED)
    closed = call(person("ada"), "get", f"/{id_}")
    assert closed["me"]["unread"] == 1
    assert closed["active_at"] > before["active_at"]


def test_sockets_go_on_by_number(live: Run) -> None:
    def begun() -> tuple[Actor, UUID]:
        one, two = staff("one"), staff("two")
        try:
            return one, busy(one, two)
        finally:
            connections.close_all()

    async def frames(client: Client, id_: UUID, after: int, until: int) -> list[dict[str, Any]]:
        await client.ask(type="subscribe", conversations={str(id_): after})
        found = [await client.frame() for _ in range(after, until)]
        assert [frame["seq"] for frame in found] == list(range(after + 1, until + 1))
        for frame in found:
            (SKIP if frame["type"] == "skip" else NEW).check(frame)
        return found

    async def story() -> None:
        one, id_ = await asyncio.to_thread(begun)
        team = Person(PersonKind.STAFF, one.id)
        async with connected(user("ada")) as ada, connected(team) as grace:
            hers = await frames(ada, id_, 0, 8)
            assert [frame["seq"] for frame in hers if frame["type"] == "skip"] == [2, 4, 8]
            shown = [frame["entry"] for frame in hers if frame["type"] == "entry"]
            assert told(shown) == {**BODIES, **EVENTS}
            assert {entry["author"]["id"] for entry in shown if entry["event"]} == {""}
            assert all(len(frame) == 3 for frame in hers if frame["type"] == "skip")

            ours = await frames(grace, id_, 0, 8)
            events = [frame["entry"]["event"] for frame in ours if frame["entry"]["event"]]
            assert [event["type"] for event in events] == [
                *("assigned", "status", "status", "status", "assigned")
            ]
            assert {frame["entry"]["author"]["id"] for frame in ours} == {"ada", one.id}

            await app(support.assign, one, id_, one.id)  # as it happens
            assert (await ada.frame())["type"] == "skip"
            assert (await grace.frame("entry"))["entry"]["event"]["people"] == [one.id]
        async with connected(user("ada")) as ada:  # and after a break
            await app(entries.post, one, id_, "Here it is.")
            last = await frames(ada, id_, 7, 10)
            assert [frame["type"] for frame in last] == ["skip", "skip", "entry"]

    live(story())
