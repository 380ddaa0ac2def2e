"""Staff look at batches, and stop or approve them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from notifications.models import Batch, Category, Notification, Work
from notifications.services import batches

CHANGELIST = reverse("admin:notifications_batch_changelist")


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def batch(api: Any) -> Batch:
    body = {
        "content": {"subject": "<b>News</b>", "text": "x"},
        "reference": "spring",
        "rows": [{"to": {"email": f"p{n}@example.com"}} for n in range(3)]
        + [{"to": {"email": "<script>"}, "reference": "<i>r</i>"}],
        "canary": {"percent": 50, "wait": 60, "max_failures": 5},
        "pace": 10,
        "approval": True,
    }
    answer = api.post("/api/v1/batches", body, format="json")
    return Batch.objects.get(id=answer.json()["id"])


def page(batch: Batch) -> str:
    return reverse("admin:notifications_batch_change", args=[batch.pk])


def test_the_list_and_the_page_say_how_far_it_got(staff: Client, batch: Batch) -> None:
    batches.fold_counts()
    listed = staff.get(CHANGELIST).content.decode()
    assert "spring" in listed
    assert "Awaiting approval" in listed
    shown = staff.get(page(batch)).content.decode()
    assert "50 % first, then 60 s; at most 5 % may fail" in shown
    assert "10 a second" in shown
    assert "4, 1 refused" in shown
    assert "Queued" in shown
    assert "&lt;i&gt;r&lt;/i&gt;" in shown
    assert "<i>r</i>" not in shown


@pytest.mark.parametrize("term", ["spring", "id"])
def test_a_batch_is_found_by_id_and_reference(staff: Client, batch: Batch, term: str) -> None:
    sought = str(batch.id) if term == "id" else term
    assert list(staff.get(CHANGELIST, {"q": sought}).context["cl"].result_list) == [batch]
    assert not staff.get(CHANGELIST, {"q": "other"}).context["cl"].result_list


def test_text_messages_that_staff_do_not_see_cost_as_much(
    staff: Client, api: Any, settings: Any
) -> None:
    settings.SMS_PRICES = {"*": Decimal("0.05")}
    Category.objects.create(key="codes", name="Codes", kind="essential", is_sensitive=True)
    body = {
        "category": "codes",
        "content": {"text": "{{ code }} " * 20},
        "rows": [
            {"to": {"phone": f"+1415555013{n}"}, "data": {"code": "Secret 123456"}} for n in "23"
        ],
        "approval": True,
    }
    answer = api.post("/api/v1/batches", body, format="json")
    shown = staff.get(page(Batch.objects.get(id=answer.json()["id"])))
    review = shown.context["review"]
    assert (review.segments, review.cost) == (4, Decimal("0.20"))
    assert "about 0.20" in shown.content.decode()
    assert "123456" not in shown.content.decode()


def test_only_what_the_state_allows_is_offered_and_each_is_asked_first(
    staff: Client, batch: Batch
) -> None:
    for action, state in (
        ("approve", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ):
        url = reverse(f"admin:notifications_batch_{action}", args=[batch.pk])
        assert url in staff.get(page(batch)).content.decode()
        assert staff.get(url).status_code == 200
        before = Batch.objects.get().state
        assert before != state
        answer = staff.post(url, follow=True)
        assert Batch.objects.get().state == state
        assert f"{action}" in answer.content.decode().lower()
    assert Batch.objects.get().reason == "cancelled by root"
    assert not Work.objects.filter(held=True).exists()
    assert "comms-button-danger" not in staff.get(page(batch)).content.decode()


def test_an_action_that_came_too_late_says_so(staff: Client, batch: Batch) -> None:
    url = reverse("admin:notifications_batch_pause", args=[batch.pk])
    shown = staff.post(url, follow=True).content.decode()
    assert "pause is for one that is running" in shown
    assert Batch.objects.get().state == "awaiting_approval"


def test_who_may_only_look_cannot_act(client: Client, batch: Batch) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_batch"))
    client.force_login(user)
    assert "Approve" not in client.get(page(batch)).content.decode()
    url = reverse("admin:notifications_batch_approve", args=[batch.pk])
    assert client.get(url).status_code == 403
    assert client.post(url).status_code == 403
    assert Batch.objects.get().state == "awaiting_approval"


@pytest.mark.parametrize(
    ("ended", "says"), [(True, "1 of 4 failed: passed"), (False, "1 of 4 failed: halted the batch")]
)
def test_what_a_canary_told_is_shown(staff: Client, batch: Batch, ended: bool, says: str) -> None:
    told = {**(batch.canary or {}), "tried": 4, "failed": 1, "passed": ended}
    Batch.objects.update(canary=told, reference="", pace=None)
    shown = staff.get(page(batch)).content.decode()
    assert says in shown
    assert "&lt;b&gt;News&lt;/b&gt;" in shown
    assert "as fast as the providers allow" in shown


def test_other_pages_of_a_batch_are_where_they_were(staff: Client, batch: Batch) -> None:
    assert (
        staff.get(reverse("admin:notifications_batch_history", args=[batch.pk])).status_code == 200
    )


def test_a_message_of_a_batch_shows_what_they_share(staff: Client, api: Any) -> None:
    body = {
        "content": {"subject": "To {{ name }}", "text": "{{ greeting }} from {{ team }}"},
        "data": {"team": "T", "greeting": "Hello"},
        "rows": [{"to": {"email": "a@example.com"}, "data": {"name": "Ada", "greeting": "Hi"}}],
    }
    api.post("/api/v1/batches", body, format="json")
    message = Notification.objects.get()
    shown = staff.get(reverse("admin:notifications_notification_change", args=[message.pk]))
    assert "Hi from T" in shown.content.decode()
    listed = staff.get(reverse("admin:notifications_notification_changelist"))
    assert "To {{ name }}" in listed.content.decode()
