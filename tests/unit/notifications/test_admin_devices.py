"""Staff see what people are notified on, and take a device away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from commsproject.common.ids import new_id
from notifications.models import Device
from notifications.types import Platform
from tests.factories import DeviceFactory, RecipientFactory

LIST = reverse("admin:notifications_device_changelist")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def phone(db: None) -> Device:
    ada = RecipientFactory.create(user_id="ada")
    seen = timezone.now() - timedelta(days=3)
    return DeviceFactory.create(recipient=ada, name="Pixel", app="org.example.app", seen_at=seen)


def page(row: Device, name: str = "change") -> str:
    return reverse(f"admin:notifications_device_{name}", args=[row.pk])


def shown(staff: Client, **query: str) -> list[Device]:
    return list(staff.get(LIST, query).context["cl"].result_list)


def test_a_device_is_found_by_its_person_and_state(staff: Client, phone: Device) -> None:
    other = DeviceFactory.create(platform=Platform.APNS, removed_at=timezone.now())
    assert shown(staff, q="ada") == shown(staff, q=str(phone.id)) == [phone]
    assert shown(staff, q="ad") == shown(staff, q=phone.token) == []
    assert shown(staff, registered="yes") == shown(staff, platform__exact="fcm") == [phone]
    assert shown(staff, registered="no") == [other]
    assert len(shown(staff, registered="nonsense")) == 2


def test_no_page_tells_the_token(staff: Client, phone: Device) -> None:
    for url in (LIST, page(phone), page(phone, "remove")):
        text = staff.get(url).content.decode()
        assert phone.token not in text
        assert phone.token_hash not in text
    text = staff.get(page(phone)).content.decode()
    for part in ("Pixel", "org.example.app", "ada", "3 d ago", "Registered"):
        assert part in text


def test_removing_asks_first_and_says_who_did_it(staff: Client, phone: Device) -> None:
    assert page(phone, "remove") in staff.get(page(phone)).content.decode()
    assert "Remove this device?" in staff.get(page(phone, "remove")).content.decode()
    phone.refresh_from_db()
    assert phone.removed_at is None
    answer = staff.post(page(phone, "remove"), follow=True)
    phone.refresh_from_db()
    assert (phone.token, phone.reason) == ("", "removed by staff: root")
    assert phone.reason in answer.content.decode()
    assert page(phone, "remove") not in answer.content.decode()
    assert LogEntry.objects.get().change_message == "Removed."


def test_who_may_only_look_removes_nothing(phone: Device) -> None:
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_device"))
    client = Client()
    client.force_login(user)
    assert page(phone, "remove") not in client.get(page(phone)).content.decode()
    assert client.post(page(phone, "remove")).status_code == 403
    phone.refresh_from_db()
    assert phone.removed_at is None


def test_an_unknown_device_cannot_be_removed(staff: Client) -> None:
    url = reverse("admin:notifications_device_remove", args=[new_id()])
    assert staff.post(url).status_code == 404


def test_a_person_leads_to_their_devices(staff: Client, phone: Device) -> None:
    text = staff.get(reverse("admin:notifications_recipient_change", args=[phone.recipient_id]))
    assert f"{LIST}?q=ada" in text.content.decode()
