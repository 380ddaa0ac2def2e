"""The staff inbox in browsers: members of the team, and what they look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group, User
from django.urls import reverse
from playwright.sync_api import Locator, Page

from commsproject.console import roles
from conversations.models import Conversation, Participant
from conversations.services import entries
from conversations.types import Actor, Kind, Status, Who
from templates_app import services as templates
from templates_app.models import Kind as TemplateKind
from tests.e2e.conftest import Visit

INBOX = reverse("staff-inbox")

Open = Callable[..., Visit]


def join_the_team(name: str) -> User:
    user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    if is_new:
        user.groups.set(Group.objects.filter(name=roles.SUPPORT))
    return user


def ada() -> Actor:
    return Actor(Who.USER, "ada")


def talk(body: str = "My parcel is lost", user_id: str = "ada", **fields: Any) -> Conversation:
    made = Conversation.objects.create(kind=Kind.SUPPORT, status=Status.OPEN, **fields)
    Participant.objects.create(conversation=made, person_id=user_id)
    entries.post(Actor(Who.USER, user_id), made.id, body)
    return made


def canned(text: str) -> None:
    """A reply that staff can begin with."""
    made = templates.create(
        key="reply-sorry",
        name="We are sorry",
        author="x",
        kind=TemplateKind.REPLY,
        locale="en",
        channels={"sms": {"text": text}},
    )
    templates.publish(made)


def rows(page: Page) -> Locator:
    return page.locator("[data-rows] a")


def bubbles(page: Page) -> Locator:
    return page.locator("[data-entries] .inbox-bubble")


def write(page: Page, text: str, tab: str = "reply") -> None:
    page.click(f"[data-mode={tab}]")
    page.fill("[data-body]", text)
    page.press("[data-body]", "Control+Enter")


def look(page: Page) -> None:
    """Somebody comes back to the tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def said(row: Conversation) -> list[str]:
    return list(row.entries.filter(kind="text").order_by("seq").values_list("body", flat=True))
