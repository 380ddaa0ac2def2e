"""What the pages of staff have in common: the sidebar, times, lists that stay quick, the home page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone

from commsproject.common.ids import floor
from commsproject.common.models import ApiClient
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


def test_every_entry_of_the_sidebar_leads_somewhere(staff: Client) -> None:
    def links(client: Client) -> dict[str, Any]:
        groups = client.get(reverse("admin:index")).context["sidebar_navigation"]
        items = [item for group in groups for item in group["items"]]
        return {item["title"]: str(item["link"]) for item in items if item["has_permission"]}

    everything = links(staff)
    for link in everything.values():
        resolve(link.partition("?")[0])
    assert {"Home", "Compose", "Unconfirmed", "Support", "Audit trail"} <= everything.keys()

    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_notification"))
    theirs = Client()
    theirs.force_login(viewer)
    assert links(theirs).keys() == {"Home", "Messages", "Unconfirmed"}
    assert State.UNCONFIRMED in links(theirs)["Unconfirmed"]
