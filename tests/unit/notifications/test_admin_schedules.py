"""Staff see what goes out again and again, pause it, delete it; and cancel single messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Schedule
from notifications.states import State
from tests.factories import AttemptFactory, DeliveryFactory, WorkFactory

LIST = reverse("admin:notifications_schedule_changelist")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def onlooker(db: None) -> Client:
    """May see everything of this app, and change nothing."""
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_schedule", "view_notification"])
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def report(agent: ApiClient) -> Schedule:
    return Schedule.objects.create(
        client=agent,
        name="report",
        cron="0 9 * * 1-5",
        time_zone="Europe/Berlin",
        kind="notification",
        request={"to": {"email": "a@simulator.test"}, "content": {"text": "<b>"}},
        next_at=datetime(2030, 7, 1, 7, tzinfo=UTC),
    )


def page(row: Schedule) -> str:
    return reverse("admin:notifications_schedule_change", args=[row.pk])


def switch(row: Schedule) -> str:
    return reverse("admin:notifications_schedule_switch", args=[row.pk])


def test_the_list_says_when_in_words(staff: Client, report: Schedule) -> None:
    text = staff.get(LIST).content.decode()
    assert "At 09:00 on Monday through Friday (Europe/Berlin)" in text
    assert "Runs" in text
    assert "billing" in text
    assert list(staff.get(LIST, {"q": "report"}).context["cl"].result_list) == [report]
    assert list(staff.get(LIST, {"q": "rep"}).context["cl"].result_list) == []


def test_its_page_has_its_next_runs_and_what_is_sent(staff: Client, report: Schedule) -> None:
    text = staff.get(page(report)).content.decode()
    assert "Mon 1 Jul 2030 09:00, Tue 2 Jul 2030 09:00" in text
    assert "a@simulator.test" in text
    assert "&lt;b&gt;" in text


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"enabled": False, "next_at": None}, "Paused"),
        ({"next_at": None}, "Over"),
        ({"last_error": {"run": "2026", "code": "template", "message": "No such."}}, "No such."),
    ],
)
def test_its_state_is_shown(
    staff: Client, report: Schedule, fields: dict[str, Any], state: str
) -> None:
    Schedule.objects.update(**fields)
    assert state in staff.get(page(report)).content.decode()
    assert staff.get(LIST).status_code == 200


def test_it_is_paused_and_resumed(staff: Client, report: Schedule) -> None:
    assert "Pause this schedule?" in staff.get(switch(report)).content.decode()
    staff.post(switch(report))
    report.refresh_from_db()
    assert (report.enabled, report.next_at) == (False, None)
    assert "Resume this schedule?" in staff.get(switch(report)).content.decode()
    staff.post(switch(report))
    report.refresh_from_db()
    assert report.enabled
    assert report.next_at is not None
    said = list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))
    assert said == ["Paused.", "Resumed."]


def test_what_would_never_run_is_not_resumed(staff: Client, report: Schedule) -> None:
    Schedule.objects.update(enabled=False, next_at=None, ends_at=timezone.now() - timedelta(days=1))
    answer = staff.post(switch(report), follow=True)
    assert "never run" in answer.content.decode()
    report.refresh_from_db()
    assert not report.enabled


def test_it_is_deleted_after_a_question(staff: Client, report: Schedule) -> None:
    delete = reverse("admin:notifications_schedule_delete", args=[report.pk])
    assert staff.get(delete).status_code == 200
    assert Schedule.objects.exists()
    staff.post(delete, {"post": "yes"})
    assert not Schedule.objects.exists()


def test_who_may_only_look_changes_nothing(onlooker: Client, report: Schedule) -> None:
    assert onlooker.get(page(report)).status_code == 200
    assert onlooker.post(switch(report)).status_code == 403
    delete = reverse("admin:notifications_schedule_delete", args=[report.pk])
    assert onlooker.post(delete, {"post": "yes"}).status_code == 403
    assert Schedule.objects.get().enabled


# --- Messages --------------------------------------------------------------------------------


def message(delivery: Delivery, name: str = "change") -> str:
    return reverse(f"admin:notifications_notification_{name}", args=[delivery.notification_id])


@pytest.fixture
def waiting(db: None) -> Delivery:
    delivery = DeliveryFactory.create()
    WorkFactory.create(deliveries=[delivery])
    return delivery


def test_a_message_is_cancelled_after_a_question(staff: Client, waiting: Delivery) -> None:
    assert message(waiting, "cancel") in staff.get(message(waiting)).content.decode()
    assert "Cancel this message?" in staff.get(message(waiting, "cancel")).content.decode()
    waiting.refresh_from_db()
    assert waiting.state == State.QUEUED
    answer = staff.post(message(waiting, "cancel"), follow=True)
    assert "No provider has it" in answer.content.decode()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == (State.CANCELLED, "cancelled by staff")
    assert message(waiting, "cancel") not in answer.content.decode()


def test_staff_are_told_that_it_is_too_late(staff: Client, waiting: Delivery) -> None:
    AttemptFactory.create(delivery=waiting, state=Attempt.State.CALLING, ended_at=None)
    answer = staff.post(message(waiting, "cancel"), follow=True)
    assert "Too late" in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.state == State.QUEUED


def test_who_may_only_look_cancels_nothing(onlooker: Client, waiting: Delivery) -> None:
    assert message(waiting, "cancel") not in onlooker.get(message(waiting)).content.decode()
    assert onlooker.post(message(waiting, "cancel")).status_code == 403
    waiting.refresh_from_db()
    assert waiting.state == State.QUEUED
