"""The trail: every POST that changes something is in it, nothing takes it back, nobody else is in it."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import path, reverse
from django.utils import timezone

from commsproject.common import audit, ids
from commsproject.common.audit import snapshots
from commsproject.common.audit.trail import Happened
from commsproject.common.models import Alert, ApiClient, ApiKey, AuditEvent
from commsproject.common.personal_data import registry
from notifications.models import Category, Delivery, Notification, Suppression
from tests.factories import CategoryFactory, DeadLetterFactory, DeliveryFactory, RecipientFactory

pytestmark = pytest.mark.django_db

CANARY = "kanarienvogel77"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def page(name: str, *args: object) -> str:
    return reverse(f"admin:{name}", args=args)


def last() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


# --- What is in it ---------------------------------------------------------------------------


def test_before_and_after(staff: Client) -> None:
    row = CategoryFactory.create(key="news", name="News", content_days=90)
    form = staff.get(page("notifications_category_change", row.pk)).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value not in (None, False)}
    staff.post(
        page("notifications_category_change", row.pk),
        {**values, "name": "All news", "content_days": 30},
        headers={"X-Request-Id": "request-12345678"},
    )
    row.refresh_from_db()
    assert row.name == "All news"
    event = last()
    assert (event.actor, event.action, event.model) == ("root", "change", "notifications.category")
    assert event.object_id == str(row.pk)
    assert event.changes["name"] == ["News", "All news"]
    assert event.changes["content_days"] == [90, 30]
    assert set(event.changes) == {"name", "content_days"}
    assert event.request_id == "request-12345678"
    assert event.address == snapshots.hashed("127.0.0.1")
    shown = staff.get(page("common_auditevent_change", event.pk)).content.decode()
    assert "All news" in shown


def test_making_and_taking_away(staff: Client) -> None:
    staff.post(page("auth_group_add"), {"name": "Night shift"})
    group = Group.objects.get(name="Night shift")
    assert last().changes["name"] == [None, "Night shift"]
    assert (last().action, last().object_id) == ("add", str(group.pk))
    staff.post(page("auth_group_delete", group.pk), {"post": "yes"})
    assert last().changes["name"] == ["Night shift", None]
    for name in ("a", "b"):
        Group.objects.create(name=name)
    chosen = list(Group.objects.filter(name__in="ab").values_list("pk", flat=True))
    staff.post(
        page("auth_group_changelist"),
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    events = AuditEvent.objects.filter(action="delete_selected")
    assert {int(event.object_id) for event in events} == set(chosen)


def test_a_role_that_is_given_is_seen(staff: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    operators = Group.objects.get(name="Operator")
    form = staff.get(page("auth_user_change", bob.pk)).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value not in (None, False)}
    joined = timezone.localtime(bob.date_joined)
    values |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    staff.post(page("auth_user_change", bob.pk), {**values, "groups": [operators.pk]})
    assert list(bob.groups.all()) == [operators]
    assert last().changes["groups"] == [[], [str(operators.pk)]]


def test_keys_of_agents_are_in_it_without_their_secret(staff: Client, agent: ApiClient) -> None:
    answer = staff.post(
        page("common_apiclient_issue_key", agent.pk), {"scopes": ["notifications:read"]}
    )
    key = ApiKey.objects.get()
    made = AuditEvent.objects.get(action="issue_key", model="common.apikey")
    assert made.object_id == str(key.pk)
    assert made.changes["scopes"] == [None, ["notifications:read"]]
    secret = answer.context["secret"]
    text = json.dumps(list(AuditEvent.objects.values()), default=str)
    assert secret not in text
    assert key.digest not in text
    staff.post(page("common_apikey_revoke", key.pk))
    assert (last().action, list(last().changes)) == ("revoke", ["revoked_at"])


def test_what_changes_other_rows_is_in_it_too(staff: Client) -> None:
    """A cancelled message: its deliveries change, its own row does not."""
    row = DeliveryFactory.create()
    message = Notification.objects.get(pk=row.notification_id)
    staff.post(page("notifications_notification_cancel", message.pk))
    assert Delivery.objects.get(pk=row.pk).state == "cancelled"
    assert (last().action, last().object_id) == ("cancel", str(message.pk))


def test_nothing_done_is_nothing_told(staff: Client) -> None:
    before = AuditEvent.objects.count()
    for answer in (
        staff.get(page("notifications_category_changelist")),
        staff.post(page("notifications_category_add"), {"key": ""}),
        staff.post(page("notifications_category_changelist"), {"action": "nonsense"}),
        staff.post(page("notifications_notification_cancel", ids.new_id())),
        staff.post(page("common_apikey_changelist"), {"action": "revoke_selected"}),
    ):
        assert answer.status_code in (200, 302, 404)
    assert AuditEvent.objects.count() == before


def test_the_change_and_its_event_stand_and_fall_together(
    staff: Client, settings: Any, agent: ApiClient
) -> None:
    """Where the event cannot be written nothing is done."""
    alert = Alert.objects.create(key="a", severity="warning", title="A")
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE common_auditevent ADD CONSTRAINT no CHECK (action <> 'acknowledge')"
        )
    with pytest.raises(DatabaseError), transaction.atomic():
        staff.post(page("common_alert_acknowledge", alert.pk))
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_no_words_of_people_are_in_it(staff: Client) -> None:
    person = RecipientFactory.create(user_id=CANARY)
    letter = DeadLetterFactory.create(delivery__address=f"{CANARY}@simulator.test")
    staff.post(
        page("notifications_suppression_add"),
        {"channel": "email", "address": f"{CANARY}@simulator.test", "scope": Suppression.ALL},
    )
    added = Suppression.objects.get()
    staff.post(page("notifications_suppression_delete", added.pk), {"post": "yes", "why": CANARY})
    staff.post(
        page("notifications_deadletter_change", letter.pk),
        {"to": f"{CANARY}.new@simulator.test", "said": json.dumps({"name": CANARY})},
    )
    staff.post(page("notifications_recipient_export", person.pk))
    staff.post(page("notifications_recipient_erase", person.pk))
    actions = list(AuditEvent.objects.values_list("model", "action"))
    for done in (
        ("notifications.suppression", "add"),
        ("notifications.suppression", "delete"),
        ("notifications.deadletter", "change"),
        ("notifications.recipient", "export"),
        ("notifications.recipient", "erase"),
    ):
        assert done in actions
    assert CANARY not in json.dumps(list(AuditEvent.objects.values()), default=str)
    edited = AuditEvent.objects.get(model="notifications.deadletter")
    assert edited.changes["address"][1] == snapshots.hashed(f"{CANARY}.new@simulator.test")


def test_views_that_commit_by_themselves_are_in_it_and_refusals_are_undone(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    @audit.own_transactions
    def in_steps(request: Any) -> HttpResponse:
        assert connection.in_atomic_block  # the test's own
        CategoryFactory.create(key="in-steps")
        return HttpResponse()

    def refused(request: Any) -> HttpResponse:
        CategoryFactory.create(key="refused")
        return HttpResponse(status=409)

    pages = [
        path("in-steps", admin.site.admin_view(in_steps), name="in-steps"),
        path("refused", admin.site.admin_view(refused), name="refused"),
    ]
    urls = type("urls", (), {"urlpatterns": [*pages, path("admin/", admin.site.urls)]})
    monkeypatch.setattr("django.conf.settings.ROOT_URLCONF", urls)
    staff.post("/in-steps")
    assert (last().action, last().model) == ("in-steps", "")
    assert staff.post("/refused").status_code == 409
    assert list(Category.objects.filter(key__in=["in-steps", "refused"])) == [
        Category.objects.get(key="in-steps")
    ]


# --- Nothing takes it back -------------------------------------------------------------------


def test_it_only_grows() -> None:
    audit.record(None, Happened("a"))
    for statement, door in (
        ("UPDATE common_auditevent SET action = 'b'", "off"),
        ("UPDATE common_auditevent SET action = 'b'", "on"),
        ("DELETE FROM common_auditevent", "off"),
        ("TRUNCATE common_auditevent", "off"),
    ):
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL comms.audit_purge = '{door}'")
            with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
                cursor.execute(statement)
    assert AuditEvent.objects.count() == 1


def test_what_is_too_old_goes_by_the_door(settings: Any) -> None:
    settings.AUDIT_DAYS = 100
    now = timezone.now()
    for days in (99, 101):
        AuditEvent.objects.create(
            id=ids.floor(now - timedelta(days=days)), action=f"{days} days ago"
        )
    (purge,) = [one for one in registry.purges() if one.what == "common_auditevent"]
    assert purge.count(now) == 1
    assert purge.step(now).rows == 1
    assert [event.action for event in AuditEvent.objects.all()] == ["99 days ago"]


# --- Looking at it ---------------------------------------------------------------------------


def test_it_is_filtered_and_taken_along(staff: Client) -> None:
    audit.record(
        None, Happened("cancel", "notifications.batch", "b-1", {"state": ["running", "x"]})
    )
    audit.record(None, Happened("=cmd()", "notifications.topic"))
    listed = page("common_auditevent_changelist")
    for query, count in (("?action=cancel", 1), ("?model=notifications.topic", 1), ("?q=b-1", 1), ("?q=root", 1)):  # fmt: skip
        assert len(staff.get(listed + query).context["cl"].result_list) == count, query
    export = page("common_auditevent_export")
    assert staff.get(export).status_code == 405
    assert staff.post(export, {"format": "pdf"}).status_code == 400
    answer = staff.post(f"{export}?action=cancel", {"format": "ndjson"})
    (line,) = answer.getvalue().splitlines()
    assert json.loads(line)["changes"] == {"state": ["running", "x"]}
    answer = staff.post(export, {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [row["action"] for row in rows] == ["sign_in", "cancel", "'=cmd()", "export", "export"]
    assert last().action == "export"
