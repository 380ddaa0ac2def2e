"""Staff mend and replay what was given up, and send again what was never confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications.models import DeadLetter, Delivery, Event, Work
from notifications.states import State
from notifications.types import Channel
from tests.factories import CategoryFactory, DeadLetterFactory, DeliveryFactory

LIST = reverse("admin:notifications_deadletter_changelist")
MESSAGES = reverse("admin:notifications_notification_changelist")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def letter(**fields: Any) -> DeadLetter:
    return DeadLetterFactory.create(
        delivery__notification__content={"email": {"subject": "Hi {{ name }}", "text": "Hi"}},
        delivery__notification__data={"name": "Ada"},
        delivery__address="ada@simulator.test",
        **fields,
    )


def page(row: DeadLetter, name: str = "change") -> str:
    return reverse(f"admin:notifications_deadletter_{name}", args=[row.pk])


def told(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("replayed=no", ["a"]),
        ("replayed=yes", ["b"]),
        ("replayed=perhaps", ["a", "b"]),
        ("provider=ses", ["b"]),
        ("provider=nobody", ["a", "b"]),
        ("error_class__exact=temporary", ["a", "b"]),
        ("delivery__channel__exact=sms", []),
    ],
)
def test_the_list_is_filtered_by_a_word(staff: Client, query: str, found: list[str]) -> None:
    letter(code="a")
    letter(code="b", providers=["simulator", "ses"], replayed_at=timezone.now())
    rows = staff.get(f"{LIST}?{query}").context["cl"].result_list
    assert sorted(row.code for row in rows) == found


def test_the_list_is_filtered_by_agent_and_category(staff: Client) -> None:
    category: Any = CategoryFactory()
    mine, _other = letter(delivery__notification__category=category), letter()
    notification = mine.delivery.notification
    for query in (
        {"delivery__notification__client__id__exact": str(notification.client_id)},
        {"delivery__notification__category__id__exact": str(category.id)},
    ):
        assert list(staff.get(LIST, query).context["cl"].result_list) == [mine]


# --- Editing ---------------------------------------------------------------------------------


def test_an_edit_is_saved_and_begins_with_what_was_sent(staff: Client) -> None:
    row = letter()
    shown = staff.get(page(row)).content.decode()
    assert "ada@simulator.test" in shown
    assert "&quot;name&quot;: &quot;Ada&quot;" in shown
    staff.post(page(row), {"to": " Bob@SIMULATOR.test", "said": '{"name": "Bob"}'})
    row.refresh_from_db()
    assert (row.address, row.data) == ("Bob@simulator.test", {"name": "Bob"})
    assert LogEntry.objects.get().object_id == str(row.pk)


def test_what_is_saved_unchanged_stays_as_before(staff: Client) -> None:
    row = letter()
    staff.post(page(row), {"to": "ada@simulator.test", "said": '{ "name": "Ada" }'})
    row.refresh_from_db()
    assert (row.address, row.data) == ("", None)


def test_data_that_are_emptied_are_those_of_before(staff: Client) -> None:
    row = letter(data={"name": "Bob"})
    staff.post(page(row), {"to": "ada@simulator.test", "said": ""})
    row.refresh_from_db()
    assert row.data is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": "nobody"}, "to"),
        ({"to": "+14155550132"}, "to"),
        ({"to": ""}, "to"),
        ({"said": "{"}, "said"),
        ({"said": "[]"}, "said"),
        ({"said": "{}"}, "said"),
        ({"said": '{"name": "a\\u0000b"}'}, "said"),
        ({"said": '{"name": "\\ud800"}'}, "said"),
        ({"said": '{"name": NaN}'}, "said"),
    ],
)
def test_an_edit_that_is_wrong_is_refused_at_its_field(
    staff: Client, change: dict[str, str], field: str
) -> None:
    row = letter()
    given = {"to": "ada@simulator.test", "said": '{"name": "Ada"}', **change}
    answer = staff.post(page(row), given)
    assert list(answer.context["adminform"].form.errors) == [field]
    row.refresh_from_db()
    assert (row.address, row.data) == ("", None)


def test_what_was_replayed_can_only_be_looked_at(staff: Client) -> None:
    row = letter(replayed_at=timezone.now())
    shown = staff.get(page(row)).content.decode()
    assert 'name="to"' not in shown
    assert page(row, "replay") not in shown
    assert staff.post(page(row), {"to": "bob@simulator.test", "said": ""}).status_code == 403


# --- Replaying -------------------------------------------------------------------------------


def test_a_replay_asks_first_and_says_who_did_it(staff: Client) -> None:
    row = letter()
    assert page(row, "replay") in staff.get(page(row)).content.decode()
    assert "Send this message again?" in staff.get(page(row, "replay")).content.decode()
    assert not Work.objects.exists()
    staff.post(page(row, "replay"))
    assert Work.objects.get().ids == [Delivery.objects.get(replay_of=row.delivery).id]
    assert Event.objects.get().detail == "by staff root"
    assert LogEntry.objects.get().object_id == str(row.pk)
    again = staff.post(page(row, "replay"))
    assert Work.objects.count() == 1
    assert "names the delivery it made" in " ".join(told(again))


def test_the_selected_are_replayed_after_a_question(staff: Client) -> None:
    rows = [letter(), letter(), letter(replayed_at=timezone.now())]
    data = {"action": "replay_selected", "_selected_action": [row.pk for row in rows]}
    question = staff.post(LIST, data)
    assert "Send 3 messages again?" in question.content.decode()
    assert not Work.objects.exists()
    answer = staff.post(LIST, {**data, "post": "yes"})
    assert told(answer) == [
        "2 replayed: in the queue again.",
        "1 not replayed: This dead letter was replayed before.",
    ]
    assert Delivery.objects.exclude(replay_of=None).count() == 2
    assert LogEntry.objects.count() == 2
    rows[2].delivery.refresh_from_db()
    assert not Delivery.objects.filter(replay_of=rows[2].delivery).exists()


def test_the_page_of_a_message_shows_what_each_copy_said(staff: Client) -> None:
    row = letter(data={"name": "Bob"})
    staff.post(page(row, "replay"))
    message = reverse(
        "admin:notifications_notification_change", args=[row.delivery.notification_id]
    )
    shown = staff.get(message).content.decode()
    assert "Hi Ada" in shown
    assert "Hi Bob" in shown


def test_who_may_only_look_cannot_replay(client: Client, db: None) -> None:
    user = User.objects.create_user("looker", password="x", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    row = letter()
    shown = client.get(page(row))
    assert shown.status_code == 200
    assert page(row, "replay") not in shown.content.decode()
    assert client.post(page(row, "replay")).status_code == 403
    data = {"action": "replay_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(LIST, data)
    data = {"action": "resend_unconfirmed", "_selected_action": [row.pk], "post": "yes"}
    client.post(MESSAGES, data)
    assert not Work.objects.exists()


def test_what_was_never_confirmed_is_sent_again_after_a_question(staff: Client) -> None:
    lost: Any = DeliveryFactory(state=State.UNCONFIRMED)
    sure: Any = DeliveryFactory(state=State.DELIVERED, channel=Channel.EMAIL)
    keys = [one.notification_id for one in (lost, sure)]
    data = {"action": "resend_unconfirmed", "_selected_action": keys}
    assert "some may arrive twice" in staff.post(MESSAGES, data).content.decode()
    assert not Work.objects.exists()
    answer = staff.post(MESSAGES, {**data, "post": "yes"})
    assert told(answer) == ["1 unconfirmed of 2 messages: in the queue."]
    assert Delivery.objects.get(replay_of=lost).state == "queued"
    assert Work.objects.count() == 1
