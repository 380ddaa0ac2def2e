"""What the pages of staff have in common: the sidebar, times, lists that stay quick, the home page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone

from commsproject.common.admin import BaseAdmin
from commsproject.common.ids import floor
from commsproject.common.models import Alert, ApiClient
from conversations.models import Conversation
from notifications.models import DeadLetter, Delivery, Notification
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel, ErrorClass
from tests.engine import drain

MESSAGES = reverse("admin:notifications_notification_changelist")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


@pytest.fixture
def message(agent: ApiClient) -> Notification:
    to = Target(addresses={Channel.EMAIL: "bob@simulator.test"})
    submit.accept(agent, [Submission(to=to, content={"subject": "Hello", "text": "It works."})])
    return Notification.objects.get()


def listed(staff: Client, **query: str) -> list[Notification]:
    answer = staff.get(MESSAGES, query, follow=True)
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def test_what_no_index_finds_is_looked_for_in_a_time(staff: Client, message: Notification) -> None:
    answer = staff.get(MESSAGES, {"state": "queued"})
    assert answer["Location"] == f"{MESSAGES}?state=queued&age=week"
    for query in ({"state": "queued"}, {"channel": "email"}, {"state": "queued", "age": "hour"}):
        assert listed(staff, **query) == [message], query
    for query in ({"state": "failed"}, {"channel": "sms"}, {"state": "sending"}):
        assert listed(staff, **query) == [], query
    assert staff.get(MESSAGES, {"state": "failed", "q": str(message.id)}).status_code == 200

    old = floor(timezone.now() - timedelta(days=8))  # both keys: as if it were of then
    Delivery.objects.filter(notification=message).update(notification=old)
    Notification.objects.filter(pk=message.pk).update(id=old)
    assert listed(staff, state="queued") == []
    assert [one.pk for one in listed(staff, state="queued", age="month")] == [old]


def test_a_state_that_very_many_have_is_said_to_be_cut(
    staff: Client, message: Notification, agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "The newest 1 were looked through"
    monkeypatch.setattr("notifications.admin.messages.COUNT_CAP", 1)
    assert said not in staff.get(MESSAGES, {"state": "queued", "age": "day"}).content.decode()
    to = Target(addresses={Channel.EMAIL: "ada@simulator.test"})
    submit.accept(agent, [Submission(to=to, content={"subject": "Hello", "text": "It works."})])
    assert said in staff.get(MESSAGES, {"state": "queued", "age": "day"}).content.decode()
    assert said not in staff.get(MESSAGES, {"state": "failed", "age": "day"}).content.decode()
    assert said not in staff.get(MESSAGES).content.decode()


def test_times_are_those_of_who_looks(staff: Client, message: Notification) -> None:
    at = message.created_at
    for zone, shown in (
        ("Asia/Tokyo", (at + timedelta(hours=9)).strftime("%H:%M:%S JST")),
        ("Mars/Olympus", at.strftime("%H:%M:%S UTC")),
        ("../etc/passwd", at.strftime("%H:%M:%S UTC")),
        ("", at.strftime("%H:%M:%S UTC")),
    ):
        staff.cookies["zone"] = zone
        assert shown in staff.get(MESSAGES).content.decode(), zone


def test_home_shows_what_is_there_and_its_part_alone(staff: Client, message: Notification) -> None:
    drain()
    DeadLetter.objects.create(
        delivery=Delivery.objects.get(),
        error_class=ErrorClass.TEMPORARY,
        reason="the <provider> was away",
        providers=["simulator"],
    )
    whole = staff.get(reverse("admin:index")).content.decode()
    part = staff.get(reverse("overview")).content.decode()
    for said in ("The &lt;provider&gt; was away", "Closed: messages pass", "Queue: urgent"):
        assert said in whole
        assert said in part
    assert "<html" not in part


CARDS = {
    "common.view_alert": "The house is on fire",
    "tracking.view_rollup": "On time",
    "notifications.view_work": "Queue: urgent",
    "notifications.view_deadletter": "Last dead letters",
    "notifications.view_providerstate": "Open breakers",
    "notifications.view_notification": "Last failures",
}


def test_home_shows_each_what_they_may_look_at(db: None) -> None:
    Alert.objects.create(key="fire", severity="critical", title="The house is on fire")
    for permission, card in {**CARDS, "templates_app.view_template": "Health"}.items():
        app, codename = permission.split(".")
        user = User.objects.create_user(codename, password="x", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label=app, codename=codename)
        )
        browser = Client()
        browser.force_login(user)
        for address in (reverse("admin:index"), reverse("overview")):
            seen = browser.get(address).content.decode()
            shown = {one for one in CARDS.values() if one in seen}
            assert shown == {card} & {*CARDS.values()}, permission
            assert "Health" in seen


def test_every_list_without_rows_says_how_the_first_comes_to_be(staff: Client) -> None:
    for model, page in admin.site._registry.items():
        if isinstance(page, BaseAdmin) and model is not Conversation:  # whose list is the inbox
            assert page.nothing != BaseAdmin.nothing, model
            assert page.begin, model
    seen = staff.get(reverse("admin:notifications_batch_changelist")).content.decode()
    assert reverse("compose-batch") in seen
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_batch"))
    staff.force_login(viewer)
    seen = staff.get(reverse("admin:notifications_batch_changelist")).content.decode()
    assert "Nobody has sent a batch" in seen
    assert reverse("compose-batch") not in seen


def test_one_entry_of_the_sidebar_is_where_one_is(staff: Client) -> None:
    for query, here in (
        ({}, ["Messages"]),
        ({"state": "failed", "age": "day"}, ["Messages"]),
        ({"state": "unconfirmed", "age": "hour"}, ["Unconfirmed"]),
    ):
        groups = staff.get(MESSAGES, query).context["sidebar_navigation"]
        assert [one["title"] for group in groups for one in group["items"] if one["active"]] == here


def test_every_entry_of_the_sidebar_leads_somewhere(staff: Client) -> None:
    def links(client: Client) -> dict[str, Any]:
        groups = client.get(reverse("admin:index")).context["sidebar_navigation"]
        items = [item for group in groups for item in group["items"]]
        return {item["title"]: str(item["link"]) for item in items if item["has_permission"]}

    everything = links(staff)
    for link in everything.values():
        resolve(link.partition("?")[0])
    assert {"Home", "Compose", "Unconfirmed", "Inbox", "Audit trail"} <= everything.keys()

    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_notification"))
    theirs = Client()
    theirs.force_login(viewer)
    assert links(theirs).keys() == {"Home", "Messages", "Unconfirmed"}
    assert State.UNCONFIRMED in links(theirs)["Unconfirmed"]


def test_a_page_of_messages_never_asks_for_all_of_them(
    staff: Client, message: Notification
) -> None:
    """A filter by those agents that have messages would read every message for each page."""
    with CaptureQueriesContext(connection) as asked:
        assert listed(staff) == [message]
    assert not [one["sql"] for one in asked if "DISTINCT" in one["sql"]]
