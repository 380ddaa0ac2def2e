"""Staff write to one person and to many, by the services that agents use."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import addresses
from notifications.models import Attempt, Batch, Category, Notification, Suppression, Topic
from notifications.services import suppress, topics
from notifications.states import State
from notifications.types import Channel, SuppressionReason
from templates_app import services as templates
from tests.engine import drain

ONE, MANY = reverse("compose"), reverse("compose-batch")
SHORT = {"subject": "Hello", "text": "It works."}


def signed_in(name: str, *permissions: str) -> Client:
    client = Client()
    user = User.objects.create_user(name, password="x", is_staff=True, is_superuser=not permissions)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    return signed_in("ada")


@pytest.fixture
def asked(agent: ApiClient) -> Any:
    """The fields of a form that is filled in."""

    def make(**fields: Any) -> dict[str, Any]:
        return {
            "token": str(new_id()),
            "agent": str(agent.pk),
            "priority": "normal",
            **fields,
        }

    return make


def csv(*lines: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.csv", "\n".join(lines).encode())


def suppressed(address: str) -> None:
    suppress.add(
        channel=Channel.EMAIL,
        address_hash=addresses.digest(Channel.EMAIL, address),
        scope=Suppression.ALL,
        reason=SuppressionReason.UNSUBSCRIBE,
        address=address,
        source="test",
    )


def errors(answer: Any) -> dict[str, str]:
    return {name: " ".join(found) for name, found in answer.context["form"].errors.items()}


def test_a_message_is_looked_at_first_and_sent_once(staff: Client, asked: Any) -> None:
    fields = asked(email="bob@example.com", **SHORT)
    seen = staff.post(ONE, fields)
    (look,) = seen.context["looks"]
    assert (look.channel, look.parts["text"], look.goes) == (Channel.EMAIL, "It works.", True)
    assert not Notification.objects.exists()

    sent = [staff.post(ONE, {**fields, "send": "yes"}) for _ in range(2)]  # pressed twice
    message = Notification.objects.get()
    page = reverse("admin:notifications_notification_change", args=[message.pk])
    assert [answer["Location"] for answer in sent] == [page, page]
    assert not Attempt.objects.exists()  # no provider is called from the web
    drain()
    assert message.deliveries.get().state in (State.SENT, State.DELIVERED)

    staff.post(ONE, {**fields, "text": "Another.", "send": "yes"})  # changed: another message
    assert Notification.objects.count() == 2


def test_who_would_get_nothing_is_told_of_and_codes_cost(
    staff: Client, asked: Any, settings: Any
) -> None:
    settings.SMS_PRICES = {"*": 1}
    suppressed("bob@example.com")
    fields = asked(email="bob@example.com", phone="+14155550132", **SHORT)
    email, text = staff.post(ONE, fields).context["looks"]
    assert not email.goes
    assert "unsubscribed" in email.reason
    assert (text.segments, text.cost) == (1, 1)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "__all__"),
    ({"email": "nonsense"}, "email"),
    ({"email": "a@example.com\r\nBcc: b@example.com"}, "email"),
    ({"phone": "12"}, "phone"),
    ({"user_id": "nobody-known"}, "user_id"),
    ({"email": "a@example.com", "subject": ""}, "channels"),
    ({"email": "a@example.com", "data": "[1]"}, "data"),
    ({"email": "a@example.com", "data": '{"a": NaN}'}, "data"),
    ({"email": "a@example.com", "data": '{"a": "\\ud800"}'}, "data"),
    ({"email": "a@example.com", "data": "{}", "text": "{{ name }}"}, "data"),
    ({"email": "a@example.com", "locale": "???"}, "locale"),
    ({"email": "a@example.com", "send_at": "soon"}, "send_at"),
    ({"email": "a@example.com", "send_at": "2099-01-01T00:00"}, "send_at"),
    ({"email": "a@example.com", "channels": ["sms"]}, "channels"),
    ({"email": "a@example.com", "template": "no-such"}, "template"),
    ({"email": "a@example.com", "category": "no-such"}, "category"),
    ({"email": "a@example.com", "agent": str(new_id())}, "agent"),
    ({"email": "a@example.com", "token": "x"}, "token"),
    ({"email": "a@example.com", "reference": "a\nb"}, "reference"),
    ({"email": "a\0@example.com"}, "email"),
]


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    staff: Client, asked: Any
) -> None:
    for fields, place in WRONG:
        answer = staff.post(ONE, {**asked(**{**SHORT, **fields}), "send": "yes"})
        assert answer.status_code == 200, fields
        assert place in errors(answer), (fields, errors(answer))
    assert not Notification.objects.exists()


def test_many_are_taken_in_looked_at_and_let_go(staff: Client, asked: Any) -> None:
    suppressed("left@example.com")
    Category.objects.create(key="news", name="News", kind=Category.Kind.MARKETING)
    upload = csv(
        "email,reference,name",
        "bob@example.com,r1,Bob",
        "carol@example.com,r2,Carol",
        "left@example.com,r3,Left",
        "nonsense,r4,Nobody",
    )
    written = {"subject": "Hello {{ name }}", "text": "Hello {{ name }}."}
    answer = staff.post(
        MANY, asked(rows=upload, category="news", reference="spring", data="{}", **written)
    )
    batch = Batch.objects.get()
    page = reverse("admin:notifications_batch_change", args=[batch.pk])
    assert answer["Location"] == page
    assert (batch.state, batch.composer) == (Batch.State.AWAITING_APPROVAL, "ada")
    drain()
    assert not Attempt.objects.exists()

    shown = staff.get(page, {"message": "2"})
    review = shown.context["review"]
    assert (review.messages, review.left_out, review.channels) == (3, 1, {"Email": 2})
    assert [one.address for one in review.named] == ["left@example.com"]
    assert [one.parts["text"] for one in review.shown] == ["Hello Carol."]
    assert "Row 4" in shown.content.decode()
    for number in ("0", "99", "-1", "x", "9" * 400):
        assert staff.get(page, {"message": number}).status_code == 200

    staff.post(reverse("admin:notifications_batch_approve", args=[batch.pk]))
    drain()
    assert Attempt.objects.count() == 2
    moved = staff.get(reverse("admin:notifications_batch_standing", args=[batch.pk]))
    assert "100 %" in moved.content.decode()


def test_a_large_batch_waits_for_another_member_of_staff(
    staff: Client, asked: Any, api: Any, settings: Any
) -> None:
    settings.SOLO_SEND_LIMIT = 1
    upload = csv("email", "a@example.com", "b@example.com")
    staff.post(MANY, asked(rows=upload, **SHORT))
    batch = Batch.objects.get()
    page = reverse("admin:notifications_batch_change", args=[batch.pk])
    approve = reverse("admin:notifications_batch_approve", args=[batch.pk])
    assert approve not in staff.get(page).content.decode()
    staff.post(approve)
    refused = api.post(f"/api/v1/batches/{batch.pk}/approve")
    assert (refused.status_code, refused.json()["code"]) == (403, "second_person")
    batch.refresh_from_db()
    assert batch.state == Batch.State.AWAITING_APPROVAL

    grace = signed_in("grace", "view_batch", "change_batch")
    assert approve in grace.get(page).content.decode()
    grace.post(approve)
    batch.refresh_from_db()
    assert batch.state == Batch.State.RUNNING


def test_what_is_wrong_with_many_is_said_at_its_field(staff: Client, asked: Any) -> None:
    good = b"email\na@example.com"
    wrong: list[tuple[dict[str, Any], bytes | None, str]] = [
        ({}, None, "rows"),
        ({"topic": "no-such"}, None, "topic"),
        ({}, b"", "rows"),
        ({}, b"\xff\xfe", "rows"),
        ({}, b"name\nAda", "rows"),
        ({}, b"email", "rows"),
        ({}, b'email\n"a@example.com', "rows"),
        ({"pace": "0"}, good, "pace"),
        ({"pace": "nan"}, good, "pace"),
        ({"percent": "100"}, good, "percent"),
        ({"percent": "5", "wait": "-1"}, good, "wait"),
    ]
    for fields, content, place in wrong:
        files = {} if content is None else {"rows": SimpleUploadedFile("p.csv", content)}
        answer = staff.post(MANY, {**asked(**{**SHORT, **fields}), **files})
        assert answer.status_code == 200, fields
        assert place in errors(answer), (fields, content, errors(answer))
    assert not Batch.objects.exclude(state=Batch.State.ABORTED).exists()


def test_everybody_of_a_topic_can_be_written_to(staff: Client, asked: Any) -> None:
    topic = Topic.objects.create(key="beta", name="Beta")
    topics.add(topic, ["u-1", "u-2"])
    staff.post(MANY, asked(topic="beta", channels=["inapp"], **SHORT))
    assert Batch.objects.get().received == 2


def test_a_template_brings_data_to_begin_with(staff: Client) -> None:
    template = templates.create(
        key="welcome",
        name="Welcome",
        channels={"sms": {"text": "Hello {{ user.name }}, {{ count }}"}},
        locale="en",
        author="ada",
    )
    templates.publish(template)
    where = {"template": "welcome"}
    found = staff.get(reverse("compose-example"), where).json()["data"]
    assert found["user"] == {"name": ""}
    template.samples = [{"name": "Usual", "data": {"name": "Ada", "sum": "=1+1"}}]
    template.save()
    assert staff.get(reverse("compose-example"), where).json() == {
        "data": {"name": "Ada", "sum": "=1+1"}
    }
    lines = staff.get(reverse("compose-file"), where).content.decode().splitlines()
    assert lines == ["email,reference,sum,name", "ada@example.com,row-1,,Ada"]
    assert staff.get(reverse("compose-example"), {"template": "no\0such"}).status_code == 404


def test_who_may_not_send_sees_no_form(asked: Any) -> None:
    viewer = signed_in("viewer", "view_notification")
    one = signed_in("one", "add_notification")
    for client, path, status in (
        (viewer, ONE, 403),
        (viewer, MANY, 403),
        (viewer, reverse("compose-example"), 403),
        (one, ONE, 200),
        (one, MANY, 403),
        (Client(), ONE, 302),
    ):
        assert client.get(path).status_code == status
        assert client.post(path, {}).status_code in (status, 405)
