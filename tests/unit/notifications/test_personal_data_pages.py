"""The hand of staff on a person's data, and what staff never see."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from commsproject.common.models import ApiClient, PersonalDataJob
from commsproject.common.personal_data import work
from notifications.models import (
    DeadLetter,
    Notification,
    Recipient,
    Schedule,
    SimulatedMessage,
)
from tests.factories import (
    AddressFactory,
    AttemptFactory,
    CategoryFactory,
    DeadLetterFactory,
    DeliveryFactory,
    NotificationFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def finish() -> None:
    for _ in range(200):
        PersonalDataJob.objects.update(due_at=timezone.now())
        if not work.step():
            return


def test_staff_export_and_erase_a_person_after_a_question(staff: Client) -> None:
    person = AddressFactory.create(value="ada@simulator.test").recipient
    page = reverse("admin:notifications_recipient_change", args=[person.pk])
    export = reverse("admin:notifications_recipient_export", args=[person.pk])
    erase = reverse("admin:notifications_recipient_erase", args=[person.pk])
    shown = staff.get(page).content.decode()
    assert export in shown
    assert erase in shown
    assert staff.get(export).status_code == 302
    assert not PersonalDataJob.objects.exists()
    assert staff.post(export).headers["Location"] == page
    finish()
    answer: Any = staff.post(export)
    lines = b"".join(answer.streaming_content).splitlines()
    assert "ada@simulator.test" in [json.loads(line).get("value") for line in lines]

    assert "Erase for good" in staff.get(erase).content.decode()
    assert not PersonalDataJob.objects.filter(kind="erasure").exists()
    begun = staff.post(erase).headers["Location"]
    assert person.user_id in staff.get(begun).content.decode()
    finish()
    assert not Recipient.objects.exists()
    receipt = staff.get(begun).content.decode()
    assert "Done" in receipt
    assert "staff root" in receipt
    assert person.user_id not in receipt
    listed = staff.get(reverse("admin:common_personaldatajob_changelist")).content.decode()
    assert person.user_id not in listed


def test_who_may_only_look_sees_no_button_and_is_refused(client: Client) -> None:
    person = AddressFactory.create().recipient
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_recipient"))
    client.force_login(looker)
    page = reverse("admin:notifications_recipient_change", args=[person.pk])
    shown = client.get(page).content.decode()
    for what in ("export", "erase"):
        url = reverse(f"admin:notifications_recipient_{what}", args=[person.pk])
        assert url not in shown
        assert client.post(url).status_code == 403
    assert not PersonalDataJob.objects.exists()


def test_staff_never_see_what_a_sensitive_message_says(staff: Client, agent: ApiClient) -> None:
    secret = "482913"
    row = NotificationFactory.create(
        client=agent,
        category=(category := CategoryFactory.create(is_sensitive=True)),
        content={"email": {"subject": f"Code {secret}", "text": "{{ code }}"}},
        data={"code": secret},
        attachments=[{"filename": f"{secret}.txt", "content": "", "content_type": "text/plain"}],
    )
    letter = DeadLetterFactory.create(
        delivery=DeliveryFactory.create(
            notification=row, state="dead", provider="simulator", attempts_made=1
        ),
        data={"code": secret},
    )
    attempt = AttemptFactory.create(delivery=letter.delivery)
    carried = SimulatedMessage.objects.create(
        attempt_id=attempt.id,
        channel="email",
        address="ada@simulator.test",
        parts={"subject": f"Code {secret}", "text": secret},
        headers={"Reply-To": f"help+{secret}@example.com"},
        metadata={"code": secret},
    )
    plain = SimulatedMessage.objects.create(
        channel="email", address="ada@simulator.test", parts={"subject": "Plain", "text": "mail"}
    )
    mailbox = reverse("admin:notifications_simulatedmessage_change", args=[plain.pk])
    assert "Plain" in staff.get(mailbox).content.decode()
    planned = Schedule.objects.create(
        client=agent,
        name="codes",
        cron="0 9 * * *",
        kind=Schedule.Kind.NOTIFICATION,
        request={"category": category.key, "content": {"text": secret}, "data": {"a": secret}},
    )
    for model, pk in {
        Notification: row.pk,
        DeadLetter: letter.pk,
        SimulatedMessage: carried.pk,
        Schedule: planned.pk,
    }.items():
        name = f"admin:notifications_{model._meta.model_name}"
        for url in (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[pk])):
            shown = staff.get(url)
            assert shown.status_code == 200
            assert secret not in shown.content.decode(), url
    mended = {"to": "eve@simulator.test"}
    staff.post(reverse("admin:notifications_deadletter_change", args=[letter.pk]), mended)
    letter.refresh_from_db()
    assert (letter.address, letter.data) == ("eve@simulator.test", {"code": secret})
