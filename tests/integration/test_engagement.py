"""Our own links and image in emails: what is led through us, who is counted, and where they lead."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.conf import settings as service
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.ids import new_id
from notifications.models import (
    Attempt,
    Category,
    Event,
    GoalReached,
    Notification,
    SimulatedMessage,
)
from notifications.services import tracked
from templates_app import links
from templates_app.models import Experiment, Variant
from tests.engine import drain
from tests.factories import CategoryFactory, TemplateVersionFactory
from tests.walk import each
from tracking import machines
from tracking.models import Hit
from tracking.services import engagement

pytestmark = pytest.mark.django_db

PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
SHOP = "https://shop.example/offers?id=7&from=mail#top"
HTML = (
    f'<html><body><a href="{SHOP.replace("&", "&amp;")}">Offers</a> '
    '<a class="x" href=\'http://shop.example/two\'>Two</a> <a href="mailto:a@b.example">Write</a> '
    '<a href="{unsubscribe}">No more</a></body></html>'
)


@pytest.fixture
def category() -> Category:
    row: Category = CategoryFactory.create(key="news", track_opens=True, track_clicks=True)
    return row


@pytest.fixture
def sent(api: APIClient, category: Category) -> Attempt:
    """A tracked email that its provider took a minute ago."""
    html = HTML.replace("{unsubscribe}", f"{service.PUBLIC_URL}/preferences/abc")
    body = {
        "to": {"email": "ada@simulator.test"},
        "content": {"subject": "News", "text": SHOP, "html": html},
        "category": "news",
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    drain()
    Attempt.objects.update(ended_at=timezone.now() - timedelta(minutes=1))
    return Attempt.objects.get()


def parts_of(attempt: Attempt) -> dict[str, str]:
    parts: dict[str, str] = SimulatedMessage.objects.get(attempt_id=attempt.id).parts
    return parts


def hrefs(html: str) -> list[str]:
    return [unescape(one) for one in re.findall(r"""href=["']([^"']*)["']""", html)]


def paths(attempt: Attempt) -> tuple[list[str], str]:
    """Of the links through us, and of the image."""
    html = parts_of(attempt)["html"]
    through = [one.removeprefix(service.PUBLIC_URL) for one in hrefs(html) if "/l/" in one]
    (image,) = re.findall(r'<img src="([^"]*)"', html)
    return through, image.removeprefix(service.PUBLIC_URL)


def get(path: str, agent: str = PERSON, method: str = "get", **headers: str) -> Any:
    return getattr(Client(), method)(path, headers={"User-Agent": agent, **headers})


def settle() -> list[tuple[str, bool]]:
    """Let the seconds pass; the events there are then, and whether a machine made them."""
    with time_machine.travel(timezone.now() + engagement.SETTLED + timedelta(seconds=1)):
        while engagement.run():
            pass
    assert not Hit.objects.exists()
    rows = Event.objects.filter(provider=engagement.SOURCE).order_by("at", "id")
    return [(row.type, row.data["machine"]) for row in rows]


# --- What is sent --------------------------------------------------------------------------------


def test_links_and_an_image_are_ours_and_all_else_stays(sent: Attempt) -> None:
    parts = parts_of(sent)
    assert parts["text"] == SHOP
    first, second, mail, own = hrefs(parts["html"])
    assert [links.read_click(one.rpartition("/")[2]) for one in (first, second)] == [
        links.Click(sent.id, SHOP),
        links.Click(sent.id, "http://shop.example/two"),
    ]
    assert mail == "mailto:a@b.example"
    assert own.endswith("/preferences/abc")
    assert parts["html"].endswith('style="display:block;border:0"></body></html>')


def test_nothing_is_ours_where_the_category_does_not_want_it(
    api: APIClient, category: Category
) -> None:
    Category.objects.update(track_opens=False, track_clicks=False)
    body = {
        "to": {"email": "ada@simulator.test"},
        "content": {"subject": "News", "html": HTML},
        "category": "news",
    }
    assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    drain()
    assert SimulatedMessage.objects.get().parts["html"] == HTML


@each(
    "href",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/relative",
        "#part",
        "tel:+1",
        "https://a.example/\r\nSet-Cookie: x",
        f"https://a.example/{'x' * 2000}",
        "{{ url }}",
        "",
    ],
)
def test_what_is_no_web_page_stays_as_it_is(href: str) -> None:
    html = f'<a href="{href}">x</a>'
    assert tracked.mark(html, new_id(), opens=False, clicks=True) == html


def test_a_category_of_secrets_keeps_no_links(api: APIClient) -> None:
    body = {"key": "codes", "name": "Codes", "kind": "essential", "is_sensitive": True}
    answer = api.post("/api/v1/categories", {**body, "track_clicks": True}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "track_clicks")


# --- Where it leads ------------------------------------------------------------------------------


def test_a_person_who_follows_a_link_gets_there_and_is_counted(sent: Attempt) -> None:
    (first, _), image = paths(sent)
    shown = get(image)
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/gif")
    assert "no-store" in shown["Cache-Control"]
    for _ in range(3):  # once an hour is enough
        answer = get(first)
        assert (answer.status_code, answer["Location"]) == (302, SHOP)
    assert settle() == [("opened", False), ("clicked", False)]
    click = Event.objects.get(type="clicked")
    assert click.data == {"machine": False, "url": "https://shop.example/offers"}
    assert click.attempt_id == sent.id


def test_nothing_leads_where_we_did_not_sign(sent: Attempt) -> None:
    (first, second), image = paths(sent)
    token = first.removeprefix("/l/")
    forged = [
        "x",
        token[:-1],
        token[:-4] + "AAAA",
        token + "AAAA",
        second.removeprefix("/l/")[:40] + token[40:],
        image.removeprefix("/o/").removesuffix(".gif"),
        links.unsubscribe_token(channel="email", address_hash="a", scope="*", delivery_id=sent.id),
        "é",
    ]
    for one in forged:
        answer = get(f"/l/{one}")
        assert (answer.status_code, answer.has_header("Location")) == (404, False), one
        assert get(f"/o/{one}.gif").status_code == (200 if one == forged[5] else 404), one
    assert get(first, method="post").status_code == 405
    assert {kind for kind, _ in settle()} == {"opened"}


def test_a_link_works_though_its_message_is_gone_and_the_database_too(
    sent: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = f"/l/{links.click_token(new_id(), SHOP)}"
    assert get(gone)["Location"] == SHOP
    assert settle() == []
    monkeypatch.setattr(engagement, "note", Mock(side_effect=OperationalError))
    assert get(gone)["Location"] == SHOP


# --- Machines ------------------------------------------------------------------------------------


@each(
    ("method", "headers", "why"),
    [
        ("GET", {"User-Agent": PERSON}, ""),
        ("GET", {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Mobile/15E148"}, ""),
        ("GET", {"User-Agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, ""),
        ("GET", {"User-Agent": "YahooMailProxy; https://help.yahoo.com"}, ""),
        ("GET", {"User-Agent": "Mozilla/5.0"}, machines.APPLE),
        ("GET", {}, "no user agent"),
        ("HEAD", {"User-Agent": PERSON}, "head request"),
        ("GET", {"User-Agent": PERSON, "Sec-Purpose": "prefetch;prerender"}, "prefetch"),
        ("GET", {"User-Agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, "program"),
        ("GET", {"User-Agent": "BarracudaCentral/1.0"}, "program"),
        ("GET", {"User-Agent": "Mozilla/5.0 BingPreview/1.0b"}, "program"),
        ("GET", {"User-Agent": "python-requests/2.32"}, "program"),
    ],
)
def test_who_asks(method: str, headers: dict[str, str], why: str) -> None:
    assert machines.by_request(method, headers) == why


def test_a_scanner_that_follows_every_link_is_told_from_the_person_after_it(sent: Attempt) -> None:
    both, image = paths(sent)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for path in both:
            get(path)
        clock.shift(timedelta(hours=2))
        get(image)
        clock.shift(timedelta(seconds=5))
        get(both[0])
        clock.shift(timedelta(seconds=5))
        get(both[1])
        assert settle() == [
            ("clicked", True),
            ("clicked", True),
            ("opened", False),
            ("clicked", False),
            ("clicked", False),
        ]


def test_what_comes_before_the_email_can_have_arrived_is_a_machine(sent: Attempt) -> None:
    Attempt.objects.update(ended_at=timezone.now())
    _, image = paths(sent)
    get(image)
    assert settle() == [("opened", True)]
    assert Event.objects.get(type="opened").data["why"] == "too soon"


def test_a_machine_reaches_no_goal(sent: Attempt) -> None:
    version = TemplateVersionFactory.create()
    experiment = Experiment.objects.create(template=version.template, name="Subjects")
    variant = Variant.objects.create(experiment=experiment, name="long", version=version)
    Notification.objects.update(variant=variant)
    _, image = paths(sent)
    get(image, agent="Mozilla/5.0")
    assert settle() == [("opened", True)]
    assert not GoalReached.objects.exists()
    get(image)
    assert settle() == [("opened", True), ("opened", False)]
    assert GoalReached.objects.get().goal == "opened"
