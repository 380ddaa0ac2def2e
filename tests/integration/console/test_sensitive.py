"""What a message of a sensitive category says is on no page, whatever the role of who looks.

Viewers see no page that the others do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import get_resolver, reverse

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications.models import Batch, Category, DeadLetter, Delivery, Schedule
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel, ErrorClass
from templates_app import services as templates
from tests.engine import drain
from tests.integration.test_staff_permissions import addresses, bare, staff

__all__ = ["bare", "staff"]

SECRET = "c0de483911"


@pytest.fixture
def told(agent: ApiClient) -> None:
    """The secret in everything that a sensitive message can be: waiting, sent, given up, one of many."""
    Category.objects.create(key="codes", name="Codes", is_sensitive=True)
    template = templates.create(
        key="code", name="Code", channels={"sms": {"text": "Code {{ x }}"}}, locale="", author="ada"
    )
    templates.publish(template)
    content = {"subject": SECRET, "text": SECRET, "title": SECRET, "body": SECRET}
    to = Target("ada", {Channel.EMAIL: "ada@simulator.test", Channel.SMS: "+14155550132"})
    asked: list[dict[str, Any]] = [
        {"content": content, "channels": (Channel.EMAIL, Channel.SMS, Channel.INAPP)},
        {"template": "code", "data": {"x": SECRET}, "channels": (Channel.SMS,)},
    ]
    for sent in (True, False):
        results = submit.accept(agent, [Submission(to=to, category="codes", **a) for a in asked])
        assert all(isinstance(one, submit.Accepted) for one in results), results
        if sent:
            drain()
    for delivery in Delivery.objects.all():
        DeadLetter.objects.create(
            delivery=delivery, error_class=ErrorClass.TEMPORARY, data={"x": SECRET}
        )
    Schedule.objects.create(
        client=agent,
        name="every day",
        cron="0 9 * * *",
        kind=Schedule.Kind.NOTIFICATION,
        request={"category": "codes", "content": content, "data": {"x": SECRET}},
    )


def _compose(agent: ApiClient) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root", password="x"))
    rows = SimpleUploadedFile("rows.csv", f"email,x\nbob@example.com,{SECRET}".encode())
    form = {"token": str(new_id()), "agent": str(agent.pk), "priority": "bulk", "category": "codes"}
    written = {"subject": "Hello {{ x }}", "text": f"{{{{ x }}}} {SECRET}", "data": "{}"}
    browser.post(reverse("compose-batch"), {**form, **written, "rows": rows})
    assert Batch.objects.get().state == Batch.State.AWAITING_APPROVAL


def pages() -> Iterator[str]:
    """Of the newest rows of each kind that knows of messages."""
    for model in admin.site._registry:
        if model._meta.app_label not in ("notifications", "tracking"):
            continue
        start = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        for name, route in addresses(get_resolver()):
            if not route.startswith(start) or name.endswith(("_history", "_add", "_delete")):
                continue
            if "<" not in route:
                yield f"/{route}"
            elif len(re.findall("<", route)) == 1:
                for row in model._default_manager.order_by("-pk")[:4]:
                    yield "/" + re.sub("<[^>]+>", str(row.pk), route)


def text(answer: Any) -> str:
    content: bytes = b"".join(answer) if answer.streaming else answer.content
    return content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("told", "bare")
def test_what_is_sensitive_is_shown_to_nobody(staff: dict[str, User], agent: ApiClient) -> None:
    _compose(agent)
    told = [f"{letter} {page}" for letter in "SEOA" for page in telling(staff[letter])]
    assert not told, "\n".join(told)

    Category.objects.update(is_sensitive=False)
    kinds = {page.split("/")[3] for page in telling(staff["A"])}
    assert {"notification", "batch", "deadletter", "schedule", "simulatedmessage"} <= kinds


def telling(user: User) -> list[str]:
    """The pages on which this member of staff reads the secret."""
    browser = Client()
    browser.force_login(user)
    return [page for page in pages() if SECRET in text(browser.get(page))]
