"""The inbox over HTTP, and under many writers: what people see, do and are told."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from commsproject.common import clock
from notifications.api import urls
from notifications.api.inbox_fields import ItemOutput
from notifications.live import ANNOUNCEMENT, ITEM, NOTIFICATION, AnnouncementFeed, InboxFeed
from notifications.models import (
    Announcement,
    Delivery,
    Event,
    Inbox,
    InboxItem,
    Notification,
    Recipient,
)
from notifications.providers.inapp import InApp
from notifications.services import announcements, audit, inbox, inbox_feed, topics
from notifications.services.inbox_feed import Filter
from notifications.states import State
from notifications.types import Lane
from tests.engine import drain
from tests.factories import CategoryFactory, TemplateVersionFactory
from tests.inboxes import DAY, Follower, announce, deliver, message, person, snapshot
from tests.integration import test_docs as docs

URL = "/api/v1/inbox"
YES_NO = [
    {"key": "yes", "label": "Yes", "style": "primary"},
    {"key": "no", "label": "No"},
    {"key": "more", "label": "More", "link": "https://example.org/17"},
]


@pytest.fixture
def ada(db: None) -> APIClient:
    return person("ada")


def get(client: APIClient, path: str = "", **query: Any) -> Any:
    answer = client.get(f"{URL}{path}", query)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def post(client: APIClient, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(f"{URL}/{path}", body, format="json")
    assert answer.status_code == status, answer.json()
    return answer.json()


def titles(client: APIClient, **query: Any) -> list[str]:
    return [item["title"] for item in get(client, **query)["results"]]


def put(title: str, user_id: str = "ada", **fields: Any) -> str:
    return str(deliver(user_id, parts={"title": title}, **fields).id)


# --- From the API to the inbox and back --------------------------------------------------------


def test_a_message_with_buttons_is_read_and_answered(api: APIClient, ada: APIClient) -> None:
    CategoryFactory(key="orders", inbox_days=3)
    body = {
        "to": {"user_id": "ada"},
        "channels": ["inapp"],
        "content": {"title": "Fit, {{ name }}?", "body": "Say so.", "link": "/o/17", "image": "/i"},
        "data": {"name": "Ada"},
        "category": "orders",
        "tags": ["order"],
        "metadata": {"order": "17"},
        "actions": YES_NO,
    }
    accepted = api.post("/api/v1/notifications", body, format="json")
    assert accepted.status_code == 202, accepted.json()
    drain()
    (item,) = get(ada)["results"]
    assert item["id"] == accepted.json()["deliveries"][0]["id"]
    assert (item["title"], item["body"], item["link"]) == ("Fit, Ada?", "Say so.", "/o/17")
    assert (item["category"], item["tags"], item["data"]) == ("orders", ["order"], {"order": "17"})
    assert [action["key"] for action in item["actions"]] == ["yes", "no", "more"]
    left = datetime.fromisoformat(item["expires_at"]) - clock.now()
    assert timedelta(days=2) < left < timedelta(days=3)

    pressed = post(ada, "act", id=item["id"], action="yes")
    assert pressed["read_at"]
    assert pressed["seen_at"]
    assert pressed["actions"][0]["pressed_at"]
    assert post(ada, "act", id=item["id"], action="yes") == pressed
    assert post(ada, "act", 409, id=item["id"], action="no")["code"] == "already_answered"
    post(ada, "act", id=item["id"], action="more")
    assert post(ada, "act", 400, id=item["id"], action="nothing")["code"] == "invalid"
    post(ada, "read", ids=[item["id"]], undo=True)
    post(ada, "read", ids=[item["id"]])

    found = api.get(f"/api/v1/notifications/{accepted.json()['id']}").json()
    assert found["status"] == State.DELIVERED
    told = [(event["type"], event["code"]) for event in found["deliveries"][0]["events"]]
    done = [one for one in told if one[0] in {"opened", "clicked"}]
    assert done == [("opened", ""), ("clicked", "yes"), ("clicked", "more")]
    assert list(audit.findings()) == []


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"actions": [{"key": "a", "label": "A", "link": "javascript:x"}]}, "actions.0.link"),
        ({"actions": [{"key": "a", "label": "A", "link": "//evil.example"}]}, "actions.0.link"),
        ({"actions": [{"key": "a b", "label": "A"}]}, "actions.0.key"),
        ({"actions": [{"key": "a", "label": "A"}] * 2}, "actions"),
        ({"actions": [{"key": str(n), "label": "A"} for n in range(6)]}, "actions"),
        ({"actions": [{"key": "a", "label": "A", "style": "loud"}]}, "actions.0.style"),
        ({"content": {"title": "x" * 999}}, "content.title"),
        ({"content": {"link": "/x"}}, "content"),
        ({"content": {"title": "Hi", "link": "javascript:x"}}, "content.link"),
        ({"content": {"title": "Hi", "link": "//evil.example"}}, "content.link"),
        ({"content": {"title": "Hi", "link": "http://a.test"}}, "content.link"),
        ({"content": {"title": "Hi", "image": "cid:x"}}, "content.image"),
        ({"content": {"title": "Hi", "link": "{{ u }}"}, "data": {"u": "//evil.example"}}, "data"),
    ],
)
def test_what_the_inbox_cannot_show_is_refused(api: APIClient, fields: Any, where: str) -> None:
    body = {"to": {"user_id": "ada"}, "channels": ["inapp"], "content": {"title": "Hi"}, **fields}
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == where


def test_a_batch_to_many_is_written_by_a_few_statements(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    parts = {
        "title": "Hello {{ name }}",
        "body": "{{ name }}: <{{ note }}>",
        "link": "/u/{{ name }}",
    }
    version = TemplateVersionFactory.create(channels={"inapp": parts}, variables=["name", "note"])
    rows = [
        {"to": {"user_id": f"u{n}"}, "data": {"name": f"n{n}", "note": "{{ name }} & co"}}
        for n in range(40)
    ]
    body = {"template": version.template.key, "channels": ["inapp"], "rows": rows, "tags": ["all"]}
    body["actions"] = YES_NO
    answer = api.post("/api/v1/batches", body, format="json")
    assert answer.status_code == 202, answer.json()
    assert drain(Lane.BULK) == 1
    items = InboxItem.objects.order_by("title")
    assert len(items) == 40
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.DELIVERED}
    for item in items:
        name = item.title.removeprefix("Hello ")
        assert item.body == f"{name}: <{{{{ name }}}} & co>"
        assert item.link == f"/u/{name}"
        assert item.recipient.user_id == f"u{name[1:]}"
        assert [action["key"] for action in item.actions] == ["yes", "no", "more"]
    assert set(Inbox.objects.values_list("seq", "unread")) == {(1, 1)}
    more = [message(f"u{n}", tags=["all", "more"]) for n in range(40)]
    with django_assert_max_num_queries(12):
        InApp("inapp").send_all(more)
    assert set(Inbox.objects.values_list("seq", "unread")) == {(2, 2)}
    assert list(audit.findings()) == []


# --- The feed ----------------------------------------------------------------------------------


def test_each_tab_shows_its_items(ada: APIClient) -> None:
    ids = {name: put(name, tags=["odd"] if int(name) % 2 else []) for name in "123456"}
    post(ada, "seen", ids=[ids["1"], ids["2"]])
    post(ada, "read", ids=[ids["2"], ids["3"]])
    post(ada, "archive", ids=[ids["4"]])
    post(ada, "snooze", ids=[ids["5"]], until=(clock.now() + DAY).isoformat())
    assert titles(ada) == ["6", "3", "2", "1"]
    assert titles(ada, filter="unread") == ["6", "1"]
    assert titles(ada, filter="unseen") == ["6"]
    assert titles(ada, filter="archived") == ["4"]
    assert titles(ada, filter="snoozed") == ["5"]
    assert titles(ada, tag="odd") == ["3", "1"]
    counts = get(ada, "/counts", tag=["odd", "even"])
    assert counts == {
        "unseen": 1,
        "unread": 2,
        "snoozed": 1,
        "tags": {"odd": {"unseen": 0, "unread": 1}, "even": {"unseen": 0, "unread": 0}},
        "seq": {"inbox": Inbox.objects.get().seq, "announcements": 0},
    }
    undone = post(ada, "archive", ids=[ids["4"]], undo=True)
    assert (undone["changed"], undone["counts"]["unread"]) == (1, 3)
    assert post(ada, "archive", ids=[ids["4"]], undo=True)["changed"] == 0
    post(ada, "snooze", ids=[ids["5"]], undo=True)
    assert titles(ada) == ["6", "5", "4", "3", "2", "1"]


def test_what_was_snoozed_comes_back_as_new_and_on_top(ada: APIClient) -> None:
    old, new = put("old"), put("new")
    post(ada, "read", ids=[old, new])
    post(ada, "snooze", ids=[old], until=(clock.now() + DAY).isoformat())
    assert titles(ada) == ["new"]
    inbox.tend()
    assert titles(ada) == ["new"]
    InboxItem.objects.filter(id=old).update(snoozed_until=clock.now())
    inbox.tend()
    assert titles(ada) == ["old", "new"]
    assert titles(ada, filter="unseen") == ["old"]


def test_all_or_what_came_before_a_moment_is_read(ada: APIClient) -> None:
    for name in "123":
        put(name, tags=["tab"] if name == "1" else [])
    moment = InboxItem.objects.get(title="2").shown_at.isoformat()
    assert post(ada, "read", all=True, tag="tab")["changed"] == 1
    assert post(ada, "seen", before=moment)["changed"] == 1  # the first was seen when it was read
    assert titles(ada, filter="unseen") == ["3"]
    done = post(ada, "read", all=True)
    assert (done["changed"], done["more"], done["counts"]["unread"]) == (2, False, 0)
    assert post(ada, "read", all=True)["changed"] == 0
    assert post(ada, "archive", all=True)["changed"] == 3
    assert titles(ada) == []


def test_a_call_that_changes_much_is_bounded(
    ada: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "12345":
        put(name)
    announce()
    announcements.tend()
    monkeypatch.setattr(inbox, "_AT_ONCE", 2)
    monkeypatch.setattr(inbox, "_MOST", 1)
    done = post(ada, "read", all=True)
    assert (done["changed"], done["more"]) == (3, True)
    monkeypatch.setattr(inbox, "_MOST", 10)
    done = post(ada, "read", all=True)
    assert (done["changed"], done["more"], done["counts"]["unread"]) == (3, False, 0)


def test_pages_lead_through_all_items_in_both_directions(
    ada: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only a few of many have the tag, and announcements lie between."""
    monkeypatch.setattr(inbox_feed, "SCAN", 7)
    now = clock.now()
    for number in range(30):
        put(f"{number:02}", tags=["rare"] if number % 11 == 0 else [])
        at = now - timedelta(minutes=30 - number)
        InboxItem.objects.filter(title=f"{number:02}").update(shown_at=at)
    for number in (5, 22):
        at = now - timedelta(minutes=30 - number, seconds=-30)
        announce(title=f"{number:02}+", tags=["rare"], starts_at=at)
    announcements.tend()
    everything = sorted([f"{number:02}" for number in range(30)] + ["05+", "22+"], reverse=True)
    for query, wanted in (
        ({"limit": 4}, everything),
        ({"limit": 4, "filter": "unread"}, everything),
        ({"limit": 2, "tag": "rare"}, ["22+", "22", "11", "05+", "00"]),
    ):
        forth, last = _walk(ada, query, "next")
        assert forth == wanted
        back, first = _walk(ada, last, "previous")
        seen_last = [item["title"] for item in ada.get(last).json()["results"]]
        assert sorted([*back, *seen_last], reverse=True) == wanted
        assert ada.get(first).json()["previous"] is None


def _walk(client: APIClient, start: Any, way: str) -> tuple[list[str], str]:
    """The titles of all pages from a query, or after a page, and the address of the last one."""
    found: list[str] = []
    if isinstance(start, str):
        url = client.get(start).json()[way]
    else:
        url = f"{URL}?" + "&".join(f"{name}={value}" for name, value in start.items())
    last = url
    while url:
        page = client.get(url).json()
        found += [item["title"] for item in page["results"]]
        last, url = url, page[way]
    return found, last


def test_nobody_reaches_anothers_inbox(api: APIClient, ada: APIClient) -> None:
    mine, theirs = put("mine"), put("theirs", "bob")
    row = announce(audience="list", user_ids=["bob"])
    announcements.tend()
    assert titles(ada) == ["mine"]
    soon = (clock.now() + DAY).isoformat()
    for foreign in (theirs, str(row.id), "019a0000-0000-7000-8000-000000000001"):
        for path, more in (
            ("read", {}),
            ("seen", {}),
            ("archive", {}),
            ("snooze", {"until": soon}),
        ):
            assert post(ada, path, 404, ids=[foreign], **more)["code"] == "not_found"
        post(ada, "act", 404, id=foreign, action="yes")
    mixed = post(ada, "read", ids=[mine, theirs])
    assert (mixed["changed"], mixed["unknown"]) == (1, [theirs])
    assert not InboxItem.objects.filter(recipient__user_id="bob").exclude(read_at=None).exists()
    for path in ("", "/counts"):
        assert api.get(f"{URL}{path}").status_code == 403
        assert APIClient().get(f"{URL}{path}").status_code == 401
    for path in ("seen", "read", "archive", "snooze", "act"):
        assert api.post(f"{URL}/{path}", {}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("read", {}, "ids"),
        ("read", {"ids": []}, "ids"),
        ("read", {"ids": ["x"]}, "ids.0"),
        ("read", {"ids": ["019a0000-0000-7000-8000-000000000001"] * 501}, "ids"),
        ("read", {"ids": ["019a0000-0000-7000-8000-000000000001"], "all": True}, "ids"),
        ("read", {"all": True, "undo": True}, "ids"),
        ("seen", {"all": True, "undo": True}, "undo"),
        ("seen", {"before": "yesterday"}, "before"),
        ("archive", {"ids": ["019a0000-0000-7000-8000-000000000001"], "tag": "x"}, "tag"),
        ("snooze", {"ids": ["019a0000-0000-7000-8000-000000000001"]}, "until"),
        ("snooze", {"all": True, "until": "2030-01-01T00:00:00Z"}, "all"),
        (
            "snooze",
            {"ids": ["019a0000-0000-7000-8000-000000000001"], "until": "2020-01-01T00:00:00Z"},
            "until",
        ),
        ("act", {"id": "019a0000-0000-7000-8000-000000000001"}, "action"),
    ],
)
def test_what_makes_no_sense_is_refused(ada: APIClient, path: str, body: Any, field: str) -> None:
    assert post(ada, path, 400, **body)["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "x"},
        {"limit": "0"},
        {"limit": "201"},
        {"tag": "\0"},
        {"category": "x" * 65},
        {"cursor": "nonsense"},
        {"cursor": "bzIwMjYtMTEtMjJUMDk6MDA6MDB8eA"},
        {"cursor": "\u00e9"},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(ada: APIClient, query: Any) -> None:
    assert ada.get(URL, query).status_code == 400


def test_who_was_never_written_to_has_an_empty_inbox(ada: APIClient) -> None:
    empty = {"inbox": 0, "announcements": 0}
    assert get(ada) == {"results": [], "next": None, "previous": None, "seq": empty}
    assert get(ada, "/counts")["unread"] == 0
    assert not Recipient.objects.exists()
    assert post(ada, "read", all=True)["changed"] == 0
    endless = person("x" * 201)  # nobody can be written to by such an id
    assert endless.get(URL).status_code == 404
    assert post(endless, "read", 404, all=True)


# --- Time --------------------------------------------------------------------------------------


def test_what_expires_is_gone_and_then_forgotten(ada: APIClient) -> None:
    soon = clock.now() + timedelta(minutes=1)
    short = put("short", expires_at=soon)
    put("long")
    follower = Follower()
    InboxItem.objects.filter(id=short).update(expires_at=clock.now())
    inbox.tend()
    assert titles(ada) == ["long"]
    post(ada, "read", 404, ids=[short])
    assert InboxItem.objects.get(id=short).title == ""
    follower.catch_up()
    assert follower.items == snapshot()
    inbox.tend()
    assert InboxItem.objects.filter(id=short).exists()
    InboxItem.objects.filter(id=short).update(expires_at=clock.now() - inbox.KEEP_GONE)
    inbox.tend()
    assert not InboxItem.objects.filter(id=short).exists()
    head = Inbox.objects.get()
    assert head.floor == head.seq == 3
    # Whoever was away for so long is told to begin anew: there is a hole after its number.
    assert list(InboxFeed().read({"ada": 1}, 100)) == []
    assert put("next")
    ((_, seq, _),) = InboxFeed().read({"ada": 1}, 100)
    assert seq == 4
    assert list(audit.findings()) == []


# --- Live --------------------------------------------------------------------------------------


def test_frames_are_as_they_are_described(ada: APIClient) -> None:
    item = put("one", tags=["a"])
    InboxItem.objects.update(actions=YES_NO[:1])
    announce(banner=True, actions=YES_NO[:1])
    announcements.tend()
    post(ada, "act", id=item, action="yes")
    frames = [frame for _, _, frame in InboxFeed().read({"ada": 0, "nobody": 0}, 10)]
    assert [frame["seq"] for frame in frames] == [1, 2]
    assert frames[0]["notification"] is None
    assert "counts" not in frames[0]
    assert frames[1]["counts"] == {"unseen": 1, "unread": 1, "snoozed": 0}
    told = [frame for _, _, frame in AnnouncementFeed().read({"all": 0}, 10)]
    for frame in json.loads(json.dumps(frames)):
        NOTIFICATION.check(frame)
    for frame in [*json.loads(json.dumps(told)), ANNOUNCEMENT.example]:
        ANNOUNCEMENT.check(frame)
    NOTIFICATION.check(NOTIFICATION.example)
    assert InboxFeed().heads(["ada", "nobody"]) == {"ada": 2}
    assert AnnouncementFeed().heads(["all"]) == {"all": 1}
    shown = get(ada)["results"]
    assert [set(one) for one in shown] == [set(ItemOutput().fields)] * 2
    assert set(ITEM["properties"]) == set(ItemOutput().fields)


def test_a_bounded_read_goes_on_where_it_ended(db: None) -> None:
    follower = Follower()
    for number in range(7):
        put(str(number))
    while follower.catch_up(limit=3):
        pass
    assert follower.items == snapshot()
    assert follower.seq == 7


# --- Announcements -----------------------------------------------------------------------------


def test_an_announcement_is_one_row_until_somebody_does_something(ada: APIClient) -> None:
    put("before")
    row = announce(title="All hands", tags=["news"], category=CategoryFactory(key="company"))
    assert titles(ada) == ["before"]
    announcements.tend()
    put("after")
    assert titles(ada) == ["after", "All hands", "before"]
    assert titles(ada, category="company") == ["All hands"]
    assert titles(person("bob"), filter="unseen") == ["All hands"]
    counts = get(ada, "/counts", tag="news")
    assert (counts["unread"], counts["tags"]["news"]["unread"]) == (3, 1)
    assert InboxItem.objects.exclude(announcement=None).count() == 0
    second = Follower()
    post(ada, "read", ids=[str(row.id)])
    assert InboxItem.objects.exclude(announcement=None).count() == 1
    assert get(ada, "/counts", tag="news")["tags"]["news"]["unread"] == 0
    assert get(person("bob"), "/counts")["unread"] == 1
    second.catch_up()
    assert second.items == snapshot()
    post(ada, "archive", ids=[str(row.id)])
    assert titles(ada) == ["after", "before"]
    assert titles(person("bob")) == ["All hands"]

    announcements.end(row)
    announcements.tend()
    inbox.tend()
    assert titles(ada, filter="archived") == []
    assert titles(person("bob")) == []
    second.catch_up()
    assert second.items == snapshot()
    assert second.announced == 2
    assert list(audit.findings()) == []


def test_a_list_is_given_once_to_each_in_a_few_statements(
    ada: APIClient, django_assert_max_num_queries: Any
) -> None:
    people = [f"u{number}" for number in range(50)]
    row = announce(audience="list", user_ids=["ada", *people])
    follower = Follower()
    with django_assert_max_num_queries(20):
        announcements.tend()
    Announcement.objects.update(state="published")  # as after a crash in the middle
    announcements.tend()
    assert InboxItem.objects.count() == 51
    assert titles(ada) == ["Hear, hear"]
    assert titles(person("stranger")) == []
    follower.catch_up()
    assert follower.items == snapshot()
    row.refresh_from_db()
    assert (row.state, row.seq) == ("live", None)


def test_a_topic_is_its_members_when_it_goes_live(api: APIClient, ada: APIClient) -> None:
    topic = topics.make("vip", "VIP")
    topics.add(topic, ["ada", "bob"])
    body = {"to": {"topic": "vip"}, "title": "For you"}
    made = api.post(ANNOUNCEMENTS, body, format="json").json()
    assert made["to"] == {"topic": "vip"}
    api.post(f"{ANNOUNCEMENTS}/{made['id']}/publish")
    announcements.tend()
    topics.add(topic, ["late"])
    announcements.tend()
    assert [titles(person(name)) for name in ("ada", "bob", "late")] == [
        ["For you"],
        ["For you"],
        [],
    ]


def test_announcements_wait_for_their_time_and_end_at_theirs(ada: APIClient) -> None:
    now = clock.now()
    row = announce(starts_at=now + timedelta(hours=1))
    announcements.tend()
    assert titles(ada) == []
    row.starts_at = now - timedelta(hours=1)
    row.save()
    announcements.tend()
    assert titles(ada) == ["Hear, hear"]
    row.refresh_from_db()
    row.ends_at = now
    row.save()
    announcements.tend()
    assert titles(ada) == []
    row.refresh_from_db()
    assert (row.state, row.seq) == ("ended", 2)


@pytest.mark.parametrize("to", [{"audience": "list", "user_ids": ["ada"]}, {}])
def test_what_ended_early_leaves_inboxes_however_late_anybody_looks(
    ada: APIClient, monkeypatch: pytest.MonkeyPatch, to: dict[str, Any]
) -> None:
    """On a list, and what a person has made of one to all; the scheduler is away for a day."""
    now = clock.now()
    row = announce(ends_at=now + 300 * DAY, tags=["news"], **to)
    announcements.tend()
    post(ada, "seen", ids=[item["id"] for item in get(ada)["results"]])
    follower = Follower()
    announcements.end(row)
    monkeypatch.setattr(clock, "now", lambda: now + DAY)
    announcements.tend()
    inbox.tend()
    assert (InboxItem.objects.get().place, Inbox.objects.get().unread) == ("gone", 0)
    assert list(audit.findings()) == []
    follower.catch_up()
    assert follower.items == snapshot("ada") == {}
    for _ in range(2):  # nothing is left to do, and nothing is done again
        row.refresh_from_db()
        assert row.is_called_back
        announcements.tend()


def test_the_audit_finds_what_outlives_its_announcement(ada: APIClient) -> None:
    row = announce(audience="list", user_ids=["ada"])
    announcements.tend()
    announcements.end(row)
    assert list(audit.findings()) == []  # on its way
    Announcement.objects.update(is_called_back=True)
    assert [found.rule for found in audit.findings()] == ["forgotten_announcement"]
    old = clock.now() - timedelta(minutes=11)
    Announcement.objects.update(is_called_back=False, starts_at=old - DAY, ends_at=old)
    assert [found.rule for found in audit.findings()] == ["forgotten_announcement"]
    announcements.tend()
    assert list(audit.findings()) == []


def test_one_that_began_by_another_clock_than_it_ended_by(ada: APIClient) -> None:
    row = announce(audience="list", user_ids=["ada"])
    announcements.tend()
    Announcement.objects.update(starts_at=clock.now() + timedelta(seconds=5))
    row = announcements.end(row)
    assert timedelta(0) < row.ends_at - row.starts_at < timedelta(seconds=1)
    announcements.tend()
    assert InboxItem.objects.get().expires_at == row.ends_at


ANNOUNCEMENTS = "/api/v1/announcements"


def test_an_agent_makes_publishes_and_ends_an_announcement(api: APIClient, ada: APIClient) -> None:
    body = {
        "to": {"all": True},
        "title": "Maintenance",
        "body": "On Sunday.",
        "link": "/status",
        "actions": YES_NO,
        "banner": True,
        "priority": "high",
    }
    made = api.post(ANNOUNCEMENTS, body, format="json")
    assert made.status_code == 201, made.json()
    one = f"{ANNOUNCEMENTS}/{made.json()['id']}"
    assert (made.json()["state"], made.json()["to"]) == ("draft", {"all": True})
    assert (
        api.patch(one, {"title": "Downtime"}, format="json").json()["shown"]["title"] == "Downtime"
    )
    announcements.tend()
    assert titles(ada) == []
    assert api.post(f"{one}/end").json()["code"] == "announcement_state"
    for _ in range(2):
        assert api.post(f"{one}/publish").status_code == 200
        announcements.tend()
    (item,) = get(ada)["results"]
    shown = api.get(one).json()["shown"]
    assert {**item, "place": "inbox"} == shown
    assert (item["banner"], item["priority"], item["kind"]) == (True, "high", "announcement")
    assert api.patch(one, {"title": "No"}, format="json").status_code == 409
    assert api.delete(one).status_code == 409
    assert [row["id"] for row in api.get(ANNOUNCEMENTS, {"state": "live"}).json()["results"]] == [
        made.json()["id"]
    ]
    for _ in range(2):
        assert api.post(f"{one}/end").json()["state"] == "ended"
    assert titles(ada) == []
    draft = api.post(ANNOUNCEMENTS, body, format="json").json()["id"]
    assert api.delete(f"{ANNOUNCEMENTS}/{draft}").status_code == 204
    assert api.get(f"{ANNOUNCEMENTS}/{draft}").status_code == 404


def test_an_announcement_is_its_agents_own(api: APIClient, ada: APIClient) -> None:
    row = announce()
    for path in ("", "/publish", "/end"):
        call = api.get if not path else api.post
        assert call(f"{ANNOUNCEMENTS}/{row.id}{path}").status_code == 404
    assert api.get(ANNOUNCEMENTS).json()["results"] == []
    assert ada.get(ANNOUNCEMENTS).status_code == 403


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"to": {}}, "to"),
        ({"to": {"all": False}}, "to"),
        ({"to": {"all": True, "user_ids": ["a"]}}, "to"),
        ({"to": {"topic": "vip"}}, "to.topic"),
        ({"to": {"user_ids": []}}, "to.user_ids"),
        ({"title": ""}, "title"),
        ({"link": "javascript:x"}, "link"),
        ({"image": "mailto:a@b"}, "image"),
        ({"category": "nope"}, "category"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2029-01-01T00:00:00Z"}, "ends_at"),
        ({"data": {"not a name": "x"}}, "data"),
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(
    api: APIClient, fields: Any, field: str
) -> None:
    body = {"to": {"all": True}, "title": "Hi", **fields}
    answer = api.post(ANNOUNCEMENTS, body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_there_are_only_so_many_at_a_time(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "MOST_CURRENT", 2)
    announce()
    announce()
    body = {"to": {"all": True}, "title": "One more"}
    one = api.post(ANNOUNCEMENTS, body, format="json").json()["id"]
    answer = api.post(f"{ANNOUNCEMENTS}/{one}/publish")
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_announcements")


# --- Many at once, and much -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_numbers_are_dense_whoever_writes_at_the_same_time() -> None:
    """Senders to overlapping people in any order, the people themselves, and the clock."""
    people = [f"p{number}" for number in range(6)]
    row = announce()
    announcements.tend()

    def send(seed: int) -> None:
        order = random.Random(seed)
        for _ in range(4):
            chosen = order.sample(people, 4)
            for user_id in chosen:
                Recipient.objects.get_or_create(user_id=user_id)
            InApp("inapp").send_all([message(one, tags=["a", "b"]) for one in chosen])

    def use(seed: int) -> None:
        order = random.Random(seed)
        for _ in range(6):
            one = order.choice(people)
            inbox.change_all(one, Filter.UNREAD, inbox.read, tag=order.choice(["", "a"]))
            inbox.change_some(one, [row.id], order.choice([inbox.archive, inbox.see]))
            inbox.tend()

    def work(number: int) -> None:
        try:
            (send if number % 2 else use)(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    for head in Inbox.objects.all():
        user_id = head.recipient.user_id
        numbers = [seq for _, seq, _ in InboxFeed().read({user_id: 0}, 1000)]
        assert numbers == list(range(1, head.seq + 1))
    assert list(audit.findings()) == []


@pytest.fixture
def hoarder(db: None) -> UUID:
    """100,000 items of one person, a hundred of them unread and at the end, and as many of others."""
    head = Inbox.objects.create(recipient=Recipient.objects.create(user_id="ada"), seq=100_000)
    other = Inbox.objects.create(recipient=Recipient.objects.create(user_id="bob"), seq=20_000)
    with connection.cursor() as cursor:
        for key, count in ((head.recipient_id, 100_000), (other.recipient_id, 20_000)):
            cursor.execute(
                """
                INSERT INTO notifications_inboxitem (id, recipient_id, seq, title, body, link, image,
                    tags, actions, data, place, read_at, seen_at, pressed, shown_at, created_at,
                    expires_at)
                SELECT gen_random_uuid(), %s, n, 'Item', '', '', '', '{}', '[]', '{}',
                       CASE WHEN n %% 3 = 0 THEN 'archived' ELSE 'inbox' END,
                       CASE WHEN n > 100 THEN now() END, CASE WHEN n > 100 THEN now() END, '{}',
                       now() - (200000 - n) * interval '1 minute', now(), now() + interval '1 day'
                FROM generate_series(1, %s) AS n""",
                [key, count],
            )
        cursor.execute("ANALYZE notifications_inboxitem")
    return head.recipient_id


def test_a_page_of_a_very_full_inbox_reads_little(hoarder: UUID) -> None:
    """By the plan, not by the clock: the rows touched are about those of the page."""
    middle = InboxItem.objects.get(seq=50_000, recipient=hoarder)
    position = inbox_feed.Position(middle.shown_at, middle.id)
    for which in Filter:
        for start, backwards in ((None, False), (position, False), (position, True)):
            rows = inbox_feed._of(hoarder, which, start, backwards)[:51]
            plan = json.loads(rows.explain(format="json", analyze=True))[0]
            assert _touched(plan["Plan"]) < 1000, (which, start)
    found = inbox_feed.page(hoarder, Filter.UNREAD, limit=50)
    assert len(found.items) == 50


def _touched(plan: dict[str, Any]) -> int:
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    inner = sum(_touched(one) for one in plan.get("Plans", ()))
    return int(own * plan["Actual Loops"]) + inner


def test_what_is_erased_takes_its_inbox_along(ada: APIClient) -> None:
    put("one", tags=["a"])
    Recipient.objects.all().delete()
    assert not Inbox.objects.exists()
    assert not InboxItem.objects.exists()
    assert get(ada)["results"] == []
    assert Notification.objects.count() == Event.objects.count() == 0


def test_the_calls_of_the_page_are_those_of_the_code() -> None:
    told = {
        docs.bare(call)
        for call, _ in docs.tables(docs.API / "INBOX.md", "Call of a person", "What it does")
    }
    there = {
        f"{method.upper()} {pattern.pattern}"
        for pattern in urls.urlpatterns
        for method in ("get", "post")
        if str(pattern.pattern).startswith("inbox")
        and hasattr(pattern.callback, "cls")
        and hasattr(pattern.callback.cls, method)
    }
    assert told == there
    fields = {
        name
        for row in docs.tables(docs.API / "INBOX.md", "Of an item", "What it is")
        for name in docs._SPAN.findall(row[0])
    }
    assert fields | {"id", "kind", "created_at"} == set(ItemOutput().fields)
