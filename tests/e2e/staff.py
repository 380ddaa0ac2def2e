"""The staff inbox in browsers: members of the team, and what they look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.urls import reverse
from playwright.sync_api import Browser, Locator, Page, expect

from commsproject.console import roles
from conversations.models import Conversation, Participant
from conversations.services import entries
from conversations.types import Actor, Kind, Status, Who
from tests.e2e.conftest import Visit
from tests.e2e.widgets import Server

INBOX = reverse("staff-inbox")

Open = Callable[..., Visit]

_EXPECTED = re.compile(r"ERR_|WebSocket connection|Failed to load")
"""While the server is away."""


@contextmanager
def serving(log: Path) -> Iterator[Server]:
    made = Server(log, "localhost")
    try:
        made.wait()
        yield made
    finally:
        if made.process.runs:
            made.process.stop()


@contextmanager
def opening(browser: Browser, server: Server) -> Iterator[Open]:
    """The inbox of somebody of the team. Nothing on it may be refused by its own policy, or fail."""
    visits: list[Visit] = []

    def make(name: str, path: str = INBOX, **options: Any) -> Visit:
        join_the_team(name)
        visits.append(Visit(browser, server.url, name, **options))
        visits[-1].go(path)
        expect(visits[-1].page.locator("[data-state]")).to_have_text("Live")
        return visits[-1]

    yield make
    for each in visits:
        each.context.close()
    wrong = [one for each in visits for one in each.errors if not _EXPECTED.search(one)]
    assert wrong == []


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
