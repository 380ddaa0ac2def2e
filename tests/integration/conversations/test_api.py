"""Conversations over HTTP: as people, agents and strangers."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common.env import Rate
from commsproject.common.models import OutboxEvent
from conversations.models import Conversation, Entry, Participant, Revision
from tests.integration.conversations.people import call, person, read, start, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> APIClient:
    return person("ada")


@pytest.fixture
def bob() -> APIClient:
    return person("bob")


def test_two_people_have_one_direct_conversation(ada: APIClient, bob: APIClient) -> None:
    first = start(ada, "direct", "bob")
    assert start(bob, "direct", "ada", status=200)["id"] == first["id"]
    assert start(ada, "direct", "ada", "bob", status=200)["id"] == first["id"]
    assert Conversation.objects.count() == 1
    assert {one["id"] for one in first["participants"]} == {"ada", "bob"}


def test_one_person_brings_in_only_so_many_a_day(
    ada: APIClient, bob: APIClient, settings: Any
) -> None:
    """Each of them may be told by mail, in ada's words."""
    settings.CONVERSATION_INVITES = Rate(4, 86400)
    group = start(ada, "group", "u-1", "u-2", "ada")
    chat = start(ada, "direct", "u-1")
    for _ in range(3):  # what is there already brings in nobody
        start(ada, "direct", "u-1", status=200)
        call(ada, "post", f"/{group['id']}/participants", {"user_ids": ["u-2"]})
    refused = start(ada, "group", "u-3", "u-4", status=429)
    assert refused["code"] == "rate_limited"
    assert "at most 4 people" in refused["detail"]
    call(ada, "post", f"/{group['id']}/participants", {"user_ids": ["u-3", "u-4"]}, 429)
    assert Conversation.objects.count() == 2
    call(ada, "post", f"/{group['id']}/participants", {"user_ids": ["u-3"]})
    start(ada, "direct", "u-5", status=429)
    start(ada, "support")  # which is with us
    write(ada, chat)
    start(bob, "group", "u-1", "u-2", "u-3", "u-4")  # each person has a bound of their own


def test_agents_bring_in_as_many_as_they_like(api: APIClient, settings: Any) -> None:
    settings.CONVERSATION_INVITES = Rate(1, 86400)
    start(api, "group", "u-1", "u-2", "u-3")


def test_what_one_writes_the_other_reads_in_order_and_marks(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    for body in ("one", "two", "three"):
        write(ada, chat, body)
    history = read(bob, chat)
    assert [(e["seq"], e["body"]) for e in history["results"]] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
    ]
    assert history["last_seq"] == 3
    listed = call(bob, "get", "")["results"]
    assert [(one["id"], one["me"]["unread"]) for one in listed] == [(chat["id"], 3)]
    assert listed[0]["latest"]["body"] == "three"

    assert call(bob, "post", f"/{chat['id']}/read", {"seq": 2})["me"]["unread"] == 1
    assert call(bob, "post", f"/{chat['id']}/read", {"seq": 1})["me"]["unread"] == 1
    done = call(bob, "post", f"/{chat['id']}/read", {})
    assert (done["me"]["unread"], done["me"]["read_seq"]) == (0, 3)
    seen = {p["id"]: p["read_seq"] for p in call(ada, "get", f"/{chat['id']}")["participants"]}
    assert seen == {"ada": 3, "bob": 3}


def test_the_same_client_id_is_the_same_entry(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    path = f"/{chat['id']}/entries"
    first = call(ada, "post", path, {"body": "one", "client_id": "c-1"}, 201)
    again = call(ada, "post", path, {"body": "other", "client_id": "c-1"}, 200)
    assert again == first
    assert Entry.objects.count() == 1
    write(person("bob"), chat, "mine", client_id="c-1")
    assert Entry.objects.count() == 2


def test_an_edit_is_a_change_with_a_number_of_its_own(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    first = write(ada, chat, "one")
    write(bob, chat, "two")
    path = f"/{chat['id']}/entries/{first['id']}"
    changed = call(ada, "patch", path, {"body": "uno"})
    assert (changed["seq"], changed["changed_seq"], changed["body"]) == (1, 3, "uno")
    assert changed["edited_at"]
    assert call(ada, "patch", path, {"body": "uno"}) == changed  # nothing new
    call(bob, "patch", path, {"body": "no"}, 403)
    assert list(Revision.objects.values_list("body", flat=True)) == ["one"]
    assert [e["body"] for e in read(bob, chat, "?after=2")["results"]] == ["uno"]
    assert [e["body"] for e in read(bob, chat)["results"]] == ["uno", "two"]
    assert call(bob, "get", f"/{chat['id']}")["me"]["unread"] == 0  # who writes has read


def test_a_deleted_entry_leaves_its_place_and_no_words(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "group", "bob")
    entry = write(bob, chat, "secret")
    path = f"/{chat['id']}/entries/{entry['id']}"
    call(bob, "patch", path, {"body": "very secret"})
    call(ada, "post", f"/{chat['id']}/reactions", {"entry": entry["id"], "emoji": "👍"})
    call(person("eve"), "delete", path, status=404)
    call(ada, "delete", path, status=204)  # the owner of the group
    call(ada, "delete", path, status=204)
    (left,) = read(bob, chat)["results"]
    assert (left["body"], left["html"], left["reactions"]) == ("", "", [])
    assert left["deleted_at"]
    assert not Revision.objects.exists()
    call(bob, "patch", path, {"body": "again"}, 410)


def test_reactions_and_pins_are_counted_once(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    entry = write(ada, chat)
    thumb = {"entry": entry["id"], "emoji": "👍"}
    path = f"/{chat['id']}/reactions"
    call(bob, "post", path, {**thumb, "emoji": "bob@example.com"}, 400)
    call(bob, "post", path, thumb)
    seq = call(bob, "post", path, thumb)["changed_seq"]
    both = call(ada, "post", path, thumb)
    assert both["reactions"] == [
        {"emoji": "👍", "by": [{"kind": "user", "id": "bob"}, {"kind": "user", "id": "ada"}]}
    ]
    assert both["changed_seq"] == seq + 1
    assert call(ada, "delete", path, thumb)["reactions"][0]["by"] == [{"kind": "user", "id": "bob"}]
    call(bob, "post", f"/{chat['id']}/pins", {"entry": entry["id"]})
    assert [e["id"] for e in call(ada, "get", f"/{chat['id']}/pins")] == [entry["id"]]
    call(ada, "delete", f"/{chat['id']}/pins", {"entry": entry["id"]})
    assert call(bob, "get", f"/{chat['id']}/pins") == []


def test_replies_and_mentions(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "group", "bob", "eve")
    first = write(ada, chat, "who **comes**?")
    answer = write(bob, chat, "me, and you?", reply_to=first["id"], mentions=["ada", "eve"])
    assert answer["reply_to"]["excerpt"] == "who comes?"
    me = call(person("eve"), "get", f"/{chat['id']}")["me"]
    assert (me["unread"], me["mentions"]) == (2, 1)
    call(person("eve"), "post", f"/{chat['id']}/read", {})
    assert call(person("eve"), "get", f"/{chat['id']}")["me"]["mentions"] == 0
    body = {"body": "x", "mentions": ["stranger"]}
    problem = call(ada, "post", f"/{chat['id']}/entries", body, 400)
    assert problem["errors"][0]["field"] == "mentions.0"
    other = write(ada, start(ada, "direct", "bob"))
    call(ada, "post", f"/{chat['id']}/entries", {"body": "x", "reply_to": other["id"]}, 400)
    assert read(ada, chat)["last_seq"] == 2  # what was refused took no number

    eves = {"body": "@eve", "client_id": "c-1", "mentions": ["eve"]}
    sent = call(ada, "post", f"/{chat['id']}/entries", eves, 201)
    call(ada, "delete", f"/{chat['id']}/participants/eve", status=204)
    assert call(ada, "post", f"/{chat['id']}/entries", eves)["id"] == sent["id"]  # sent again
    call(ada, "post", f"/{chat['id']}/entries", {**eves, "client_id": "c-2"}, 400)


def test_a_group_gets_and_loses_people_and_hands_itself_on(ada: APIClient, bob: APIClient) -> None:
    group = start(ada, "group", "bob")
    write(ada, group, "before")
    path = f"/{group['id']}/participants"
    call(bob, "post", path, {"user_ids": ["eve"]}, 403)
    call(ada, "post", path, {"user_ids": ["eve", "bob"]})
    eve = person("eve")
    assert [e["kind"] for e in read(eve, group)["results"]] == ["text", "system"]
    assert call(eve, "get", f"/{group['id']}")["me"]["unread"] == 1
    call(ada, "delete", f"{path}/bob", status=204)
    call(bob, "get", f"/{group['id']}", status=404)
    call(bob, "post", f"/{group['id']}/entries", {"body": "x"}, 404)
    call(ada, "delete", f"{path}/ada", status=204)
    assert {p["id"]: p["role"] for p in call(eve, "get", path)} == {"eve": "owner"}
    call(eve, "post", path, {"user_ids": ["ada"]})
    assert call(ada, "get", f"/{group['id']}")["me"]["unread"] == 1

    call(ada, "patch", f"{path}/eve", {"role": "member"}, 403)
    call(eve, "patch", f"{path}/stranger", {"role": "admin"}, 404)
    call(eve, "patch", f"{path}/eve", {"role": "member"}, 403)
    call(eve, "patch", f"{path}/ada", {"role": "owner"}, 204)
    assert {p["id"]: p["role"] for p in call(eve, "get", path)} == {"eve": "admin", "ada": "owner"}
    call(eve, "delete", f"{path}/ada", status=403)
    call(eve, "delete", f"{path}/stranger", status=404)
    crowd = [f"u-{number}" for number in range(499)]
    assert call(eve, "post", path, {"user_ids": crowd}, 400)["errors"][0]["code"] == "too_many"
    call(eve, "patch", f"/{group['id']}", {"title": "Oslo"})
    last = read(eve, group)["last_seq"]
    call(eve, "patch", f"/{group['id']}", {"title": "Oslo"})
    assert read(eve, group)["last_seq"] == last  # nothing changed, nobody is told
    for one in (ada, eve):
        call(one, "delete", f"{path}/{'ada' if one is ada else 'eve'}", status=204)
    assert not Participant.objects.filter(left_at=None).exists()


def test_a_direct_conversation_stays_between_two(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    call(ada, "post", f"/{chat['id']}/participants", {"user_ids": ["eve"]}, 409)
    call(ada, "delete", f"/{chat['id']}/participants/ada", status=409)
    call(ada, "patch", f"/{chat['id']}", {"title": "x"}, 409)
    for people in ([], ["bob", "eve"], ["ada"]):
        call(ada, "post", "", {"kind": "direct", "participants": people}, 400)


def test_the_archive_lets_go_of_what_is_not_muted(ada: APIClient, bob: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    call(ada, "post", f"/{chat['id']}/archive")
    assert call(ada, "get", "")["results"] == []
    assert len(call(ada, "get", "?archived=true")["results"]) == 1
    write(bob, chat)
    assert len(call(ada, "get", "")["results"]) == 1
    call(ada, "post", f"/{chat['id']}/mute", {"until": "2099-01-01T00:00:00Z"})
    call(ada, "post", f"/{chat['id']}/archive")
    write(bob, chat)
    assert call(ada, "get", "")["results"] == []
    call(ada, "delete", f"/{chat['id']}/archive")
    assert len(call(ada, "get", "")["results"]) == 1
    call(ada, "post", f"/{chat['id']}/mute", {"until": "2020-01-01T00:00:00Z"})  # and it is over
    call(ada, "post", f"/{chat['id']}/archive")
    write(bob, chat)
    assert len(call(ada, "get", "")["results"]) == 1


def test_pages_of_history_meet_without_a_gap(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    for number in range(1, 8):
        write(ada, chat, str(number))
    page = read(ada, chat, "?limit=3")
    found = [e["body"] for e in page["results"]]
    while page["previous"]:
        page = ada.get(page["previous"]).json()
        found = [e["body"] for e in page["results"]] + found
    assert found == ["1", "2", "3", "4", "5", "6", "7"]
    page = read(ada, chat, "?after=0&limit=3")
    found = [e["body"] for e in page["results"]]
    while page["next"]:
        page = ada.get(page["next"]).json()
        found += [e["body"] for e in page["results"]]
    assert found == ["1", "2", "3", "4", "5", "6", "7"]
    Entry.objects.filter(number__lte=4).update(created_at="2020-01-01T00:00:00Z")
    dated = read(ada, chat, "?date=2021-01-01T00:00:00Z")
    assert [e["body"] for e in dated["results"]] == ["5", "6", "7"]


def test_a_page_around_an_entry_goes_on_both_ways(ada: APIClient) -> None:
    """In the order of what was written, whatever has changed since."""
    chat = start(ada, "direct", "bob")
    made = [write(ada, chat, str(number)) for number in range(1, 10)]
    call(ada, "patch", f"/{chat['id']}/entries/{made[0]['id']}", {"body": "0"})

    def said(page: Any) -> str:
        return "".join(entry["body"] for entry in page["results"])

    page = read(ada, chat, f"?around={made[4]['id']}&limit=3")
    assert (said(page), page["last_seq"]) == ("456", 10)
    older, newer = ada.get(page["previous"]).json(), ada.get(page["next"]).json()
    assert (said(older), older["previous"], said(newer), newer["next"]) == (
        "023",
        None,
        "789",
        None,
    )
    assert said(ada.get(older["next"]).json()) == "456"
    assert said(ada.get(newer["previous"]).json()) == "456"
    first = read(ada, chat, f"?around={made[0]['id']}&limit=2")
    assert (said(first), first["previous"]) == ("02", None)
    last = read(ada, chat, f"?around={made[8]['id']}")
    assert (said(last), last["previous"], last["next"]) == ("023456789", None, None)
    assert said(read(ada, chat, f"?around={made[8]['id']}&limit=1")) == "9"
    assert said(read(ada, chat, "?from=8")) == "89"
    assert read(ada, chat, "?from=99")["results"] == []
    Entry.objects.filter(number__lte=4).update(created_at="2020-01-01T00:00:00Z")
    assert said(read(ada, chat, "?date=2021-01-01T00:00:00Z&limit=2")) == "56"
    elsewhere = write(ada, start(ada, "direct", "eve"), "There")
    call(ada, "get", f"/{chat['id']}/entries?around={elsewhere['id']}", status=404)


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0",
        "?limit=x",
        "?after=-1",
        "?after=1&before=2",
        "?around=5",
        "?from=x",
        "?from=1&around=019a0000-0000-7000-8000-000000000021",
        "?date=yesterday",
        "?date=2026-01-01",
    ],
)
def test_a_wrong_question_is_named(ada: APIClient, query: str) -> None:
    chat = start(ada, "direct", "bob")
    call(ada, "get", f"/{chat['id']}/entries{query}", status=400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"body": ""},
        {"body": "  \n "},
        {"body": "x" * 10_001},
        {"body": 5},
        {"body": "a\0b"},
        {"body": "x", "client_id": "with space"},
        {"body": "x", "other": 1},
        {"body": "x", "reply_to": "no"},
        {"body": "x", "mentions": "ada"},
    ],
)
def test_what_cannot_be_written_takes_no_number(ada: APIClient, body: Any) -> None:
    chat = start(ada, "direct", "bob")
    call(ada, "post", f"/{chat['id']}/entries", body, 400)
    assert Conversation.objects.get().last_seq == 0


def test_an_agent_takes_part_as_itself(api: APIClient, ada: APIClient) -> None:
    desk = start(api, "support", "ada")
    write(api, desk, "How can we help?")
    write(ada, desk, "My order is late.")
    assert call(api, "get", f"/{desk['id']}")["status"] == "open"
    write(api, desk, "It is on its way.")
    assert call(ada, "get", f"/{desk['id']}")["status"] == "pending"
    call(ada, "patch", f"/{desk['id']}", {"status": "closed"}, 403)
    call(api, "patch", f"/{desk['id']}", {"status": "closed"})
    other = start(ada, "direct", "bob")
    call(api, "get", f"/{other['id']}", status=404)


def test_others_hear_of_it_in_the_same_transaction(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    entry = write(ada, chat)
    call(person("bob"), "post", f"/{chat['id']}/read", {})
    events = list(OutboxEvent.objects.values_list("type", "items"))
    assert [kind for kind, _ in events] == [
        "conversation.created",
        "conversation.message.sent",
        "conversation.message.read",
    ]
    assert events[1][1][0]["message_id"] == entry["id"]
    assert events[1][1][0]["sender_id"] == "ada"
    assert Participant.objects.count() == 2
