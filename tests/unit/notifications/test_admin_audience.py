"""What staff see of people, topics and the suppression list."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from notifications import addresses
from notifications.models import (
    Category,
    Consent,
    LiftedSuppression,
    Preference,
    Suppression,
    Topic,
)
from notifications.services import suppress
from notifications.types import Channel, SuppressionReason
from tests.factories import AddressFactory, CategoryFactory, RecipientFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("grace", password="x"))
    return client


def test_a_person_is_shown_with_all_that_decides_what_they_get(staff):
    person = RecipientFactory.create(user_id="ada", locale="de", time_zone="Europe/Berlin")
    AddressFactory.create(recipient=person, value="ada@simulator.test")
    news = CategoryFactory.create(key="news", name="The news")
    Preference.objects.create(recipient=person, category=news, channel="email", is_on=False)
    Consent.objects.create(recipient=person, act="withdrawn", source="a form of ours")
    person.quiet_hours.create(start="22:00", end="07:00", days=[5, 6])
    topic = Topic.objects.create(key="release-notes", name="Release notes")
    topic.members.add(person)
    suppress.add(
        channel="email",
        address_hash=addresses.digest(Channel.EMAIL, "ada@simulator.test"),
        reason=SuppressionReason.COMPLAINT,
    )
    url = reverse("admin:notifications_recipient_change", args=[person.pk])
    page = staff.get(url).content.decode()
    for shown in (
        *("The news", "Off", "Sat, Sun", "release-notes", "a form of ours", "Europe/Berlin"),
        *("Spam complaint, Email, *", "/preferences/"),
    ):
        assert shown in page, shown
    assert b"1" in staff.get(reverse("admin:notifications_topic_changelist")).content
    of_topic = reverse("admin:notifications_topic_change", args=[topic.pk])
    assert b">ada<" in staff.get(of_topic).content
    staff.post(of_topic, {"key": "other", "name": "Releases"})
    topic.refresh_from_db()
    assert (topic.key, topic.name) == ("release-notes", "Releases")
    assert staff.get(reverse("admin:notifications_topic_add")).status_code == 200


def test_a_suppression_is_lifted_with_the_reason_that_was_given(staff):
    add = reverse("admin:notifications_suppression_add")
    form = {"channel": "email", "address": "Ada@Example.COM", "scope": "*"}
    assert staff.post(add, form).status_code == 302
    entry = Suppression.objects.get()
    assert (entry.address, entry.source) == ("Ada@example.com", "staff: grace")
    lift = reverse("admin:notifications_suppression_delete", args=[entry.pk])
    assert b"Why?" in staff.get(lift).content
    staff.post(lift, {"post": "yes", "why": "She asked us to"})
    lifted = LiftedSuppression.objects.get()
    assert (lifted.lifted_by, lifted.why) == ("staff: grace", "She asked us to")
    staff.post(add, form)
    entry = Suppression.objects.get()
    page = reverse("admin:notifications_suppression_change", args=[entry.pk])
    assert "She asked us to" in staff.get(page).content.decode()


def test_staff_switch_a_paused_category_on_again(staff):
    row = CategoryFactory.create(
        key="news", is_paused=True, pause_reason="10.0% of its messages bounced in 24 hours"
    )
    url = reverse("admin:notifications_category_change", args=[row.pk])
    assert "10.0% of its messages" in staff.get(url).content.decode()
    listed = staff.get(reverse("admin:notifications_category_changelist")).content.decode()
    assert "Paused" in listed
    form = {
        "name": "News",
        "kind": "marketing",
        "on_unknown": "resend",
        "long_text": "split",
        "quiet": "delay",
        "content_days": 90,
        "inbox_days": 90,
        "channels": "push, email",
        "fallback": '[{"channel": "sms", "after": 60, "unless": "read"}]',
    }
    answer = staff.post(url, form)
    assert answer.status_code == 302, answer.context["errors"]
    row = Category.objects.get()
    assert (row.is_paused, row.pause_reason, row.channels) == (False, "", ["push", "email"])
