"""Full-text search and export."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from conversations.models import Entry
from conversations.services import export, search
from tests.integration.conversations.people import V1, call, person, start, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> APIClient:
    return person("ada")


def find(client: APIClient, asked: str, more: str = "", status: int = 200) -> Any:
    return call(client, "get", f"/search?q={quote(asked)}{more}", status=status)


def bodies(client: APIClient, asked: str, more: str = "") -> list[str]:
    return [one["entry"]["body"] for one in find(client, asked, more)["results"]]


def test_everybody_finds_what_they_may_read(ada: APIClient, api: APIClient) -> None:
    bob, eve = person("bob"), person("eve")
    chat, group = start(ada, "direct", "bob"), start(ada, "group", "eve")
    secret = write(ada, chat, "The Oslo secret")
    write(eve, group, "The Oslo group")
    assert bodies(bob, "oslo") == ["The Oslo secret"]
    assert sorted(bodies(ada, "oslo")) == ["The Oslo group", "The Oslo secret"]
    assert bodies(eve, "oslo") == ["The Oslo group"]
    assert bodies(person("stranger"), "oslo") == bodies(api, "oslo") == []
    find(eve, "oslo", f"&conversation={chat['id']}", 404)
    assert bodies(ada, "oslo", f"&conversation={chat['id']}") == ["The Oslo secret"]
    call(ada, "delete", f"/{group['id']}/participants/eve", status=204)
    assert bodies(eve, "oslo") == []
    call(ada, "delete", f"/{chat['id']}/entries/{secret['id']}", status=204)
    assert bodies(bob, "oslo") == []


def test_words_phrases_and_beginnings(ada: APIClient) -> None:
    chat = start(ada, "direct", "bob")
    trip = "A trip to Oslo, then 1 < **Bergen** & Göteborg"
    write(ada, chat, trip)
    write(person("bob"), chat, "To Oslo? That is a long trip.")
    write(ada, chat, "Nothing of it")
    for asked, count in {
        "trip oslo": 2,
        '"trip to"': 1,
        "oslo -bergen": 1,
        "bergen or nothing": 2,
        "GÖT": 1,
        "osl": 2,
        "osl ": 0,
        "'; drop": 0,
        "O'Neil:*&!": 0,
    }.items():
        assert len(find(ada, asked)["results"]) == count, asked
    (found,) = find(ada, "bergen")["results"]
    marked = "trip to Oslo, then 1 &lt; <mark>Bergen</mark> &amp; Göteborg"
    assert found["snippet"] == marked
    assert found["entry"]["body"] == trip
    assert bodies(ada, "oslo", "&author=bob") == ["To Oslo? That is a long trip."]
    Entry.objects.filter(body=trip).update(created_at="2020-01-01T00:00:00Z")
    assert bodies(ada, "oslo", "&to=2021-01-01T00:00:00Z") == [trip]
    assert len(bodies(ada, "oslo", "&from=2021-01-01T00:00:00Z")) == 1


def test_pages_of_what_was_found_meet(ada: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = start(ada, "direct", "bob")
    for number in range(7):
        write(ada, chat, f"{'oslo ' * (number % 3 + 1)}{number}")
    whole = bodies(ada, "oslo")
    assert len(whole) == 7
    assert whole[0].startswith("oslo oslo oslo")  # the best first
    page = find(ada, "oslo", "&limit=2")
    found = [one["entry"]["body"] for one in page["results"]]
    while page["next"]:
        page = ada.get(page["next"]).json()
        found += [one["entry"]["body"] for one in page["results"]]
    assert found == whole
    monkeypatch.setattr(search, "MOST_RANKED", 3)
    assert sorted(one[-1] for one in bodies(ada, "oslo")) == ["4", "5", "6"]  # the latest


def test_a_wrong_question_is_named(ada: APIClient) -> None:
    for asked in ("", "  ", "?!", "-oslo", "a\0b", "x" * 201):
        assert find(ada, asked, status=400)["errors"][0]["field"] == "q", asked
    for more in (
        *("&limit=0", "&cursor=x", "&cursor=WzEsMl0=", "&cursor=bnVsbA==", "&conversation=x"),
        *("&from=now", "&to=2026-01-01", "&cursor=W05hTiwgIjAwIl0="),
    ):
        find(ada, "oslo", more, 400)


def test_a_conversation_is_exported_whole(ada: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_PIECE", 2)
    group = start(ada, "group", "bob")
    written = [write(ada, group, f"Größe\n{n}")["id"] for n in range(4)]
    call(ada, "delete", f"/{group['id']}/entries/{written[1]}", status=204)
    call(ada, "post", f"/{group['id']}/participants", {"user_ids": ["eve"]})
    path = f"{V1}/{group['id']}/export"
    lines = fetch(ada, f"{path}?format=ndjson").splitlines()
    assert [json.loads(line)["id"] for line in lines][:4] == written
    assert json.loads(fetch(ada, path)) == [json.loads(line) for line in lines]
    text = fetch(ada, f"{path}?format=txt").splitlines()
    assert text[0].endswith("ada: Größe")
    assert (text[1], text[2][-9:], text[-1][-12:]) == ("    0", "(deleted)", "(joined eve)")
    assert person("mallory").get(path).status_code == 404
    assert fetch(ada, f"{V1}/{start(ada, 'direct', 'x')['id']}/export") == "[]\n"


def fetch(client: APIClient, url: str) -> str:
    answer: Any = client.get(url)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    return str(answer.getvalue().decode())
