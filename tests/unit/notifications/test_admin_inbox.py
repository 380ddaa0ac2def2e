"""Staff look into inboxes, and make announcements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications.models import Announcement, Inbox, InboxItem
from notifications.services import announcements, inbox
from tests.factories import CategoryFactory
from tests.inboxes import announce, deliver

LIST = reverse("admin:notifications_announcement_changelist")
ADD = reverse("admin:notifications_announcement_add")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def onlooker(db: None) -> Client:
    """May see announcements, and change none."""
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_announcement"))
    client = Client()
    client.force_login(user)
    return client


def at(name: str, row: Any) -> str:
    return reverse(f"admin:notifications_{name}", args=[row.pk])


def form(**fields: Any) -> dict[str, Any]:
    now = timezone.now()
    known = {
        "audience": "all",
        "user_ids": "",
        "topic": "",
        "title": "Downtime",
        "body": "<b>Sunday</b>",
        "link": "",
        "image": "",
        "category": "",
        "tags": "news,site",
        "priority": "normal",
    }
    for name, moment in (("starts_at", now), ("ends_at", now + timedelta(days=1))):
        known |= {f"{name}_0": f"{moment:%Y-%m-%d}", f"{name}_1": f"{moment:%H:%M:%S}"}
    return {**known, **fields}


def test_an_announcement_is_made_looked_at_published_and_ended(staff: Client) -> None:
    assert "Nobody has announced anything" in staff.get(LIST).text
    assert staff.get(ADD).status_code == 200
    made = staff.post(ADD, form())
    assert made.status_code == 302, made.context["adminform"].form.errors
    row = Announcement.objects.get()
    assert (row.state, row.tags, row.client) == ("draft", ["news", "site"], None)
    page = staff.get(at("announcement_change", row))
    assert "&lt;b&gt;Sunday" in page.text
    assert "<b>Sunday" not in page.text
    for name, state in (("publish", "published"), ("end", "ended")):
        button = at(f"announcement_{name}", row)
        assert button in staff.get(at("announcement_change", row)).text
        assert "?" in staff.get(button).context["question"].title
        row.refresh_from_db()
        assert row.state != state
        staff.post(button)
        row.refresh_from_db()
        assert row.state == state
    assert staff.post(at("announcement_change", row), form(title="New")).status_code == 403
    assert staff.post(at("announcement_delete", row), {"post": "yes"}).status_code == 403
    assert set(LogEntry.objects.values_list("change_message", flat=True)) >= {
        "Published.",
        "Ended.",
    }
    assert "Downtime" in staff.get(LIST).text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"audience": "topic"}, "topic"),
        ({"audience": "topic", "topic": "nope"}, "topic"),
        ({"topic": "nope"}, "topic"),
        ({"audience": "list"}, "user_ids"),
        ({"user_ids": "ada"}, "user_ids"),
        ({"link": "javascript:x"}, "link"),
        ({"image": "//x"}, "image"),
        ({"ends_at_0": "2020-01-01"}, "ends_at"),
        ({"title": ""}, "title"),
    ],
)
def test_what_makes_no_sense_is_not_saved(staff: Client, fields: Any, name: str) -> None:
    answer = staff.post(ADD, form(**fields))
    assert name in answer.context["adminform"].form.errors
    assert not Announcement.objects.exists()


def test_only_who_may_change_announcements_publishes_and_ends(onlooker: Client) -> None:
    row = announce()
    page = onlooker.get(at("announcement_change", row))
    assert page.status_code == 200
    assert at("announcement_end", row) not in page.text
    for name in ("publish", "end"):
        assert onlooker.post(at(f"announcement_{name}", row)).status_code == 403
    assert onlooker.get(ADD).status_code == 403


def test_a_draft_can_be_deleted(staff: Client) -> None:
    staff.post(ADD, form(audience="list", user_ids="ada,bob"))
    row = Announcement.objects.get()
    assert "2 people" in staff.get(LIST).text
    staff.post(at("announcement_delete", row), {"post": "yes"})
    assert not Announcement.objects.exists()


def test_an_inbox_is_seen_but_no_secret_in_it(staff: Client) -> None:
    code = deliver(parts={"title": "Your code", "body": "481516"})
    essential = CategoryFactory(key="codes", kind="essential")
    InboxItem.objects.filter(id=code.id).update(category=essential)
    deliver(parts={"title": "<i>Order</i>"})
    away = deliver(parts={"title": "Put away"})
    inbox.change_some("ada", [away.id], inbox.archive)
    inbox.change_some("ada", [code.id], inbox.read)
    announce(title="To all")
    announcements.tend()
    listed = staff.get(reverse("admin:notifications_inbox_changelist"), {"q": "ada"})
    assert "ada" in listed.text
    page = staff.get(at("inbox_change", Inbox.objects.get()))
    for text in ("&lt;i&gt;Order", "To all", "Put away", "Hidden", "Read", "New"):
        assert text in page.text, text
    for secret in ("Your code", "481516", "<i>Order"):
        assert secret not in page.text, secret
    missing = staff.get(reverse("admin:notifications_inbox_changelist"), {"q": "nobody"})
    assert missing.status_code == 200
