"""The analytics page in a browser, at its real server: figures, filters, nothing, live numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, expect

from commsproject.common.models import ApiClient
from commsproject.console import demo, demo_figures
from notifications.services import submit
from notifications.services.asked import Submission, Target
from notifications.types import Channel
from tests.e2e.conftest import PASSWORD, PHONE, Visit
from tests.e2e.widgets import Server
from tracking.services import folding

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "web.log", "localhost")
    made.wait()
    yield made
    made.process.stop()


def test_the_page_shows_figures_and_follows_what_happens(browser: Browser, server: Server) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    agent = ApiClient.objects.create(name="demo")
    demo.content()
    demo_figures.seed(agent)
    staff = Visit(browser, server.url, "ada")
    page = staff.go("/admin/analytics/?range=30")
    tiles = page.locator("[data-tiles]")
    expect(tiles).to_contain_text("On time")
    expect(tiles).to_contain_text(re.compile(r"9\d\.\d+%"))
    expect(page.locator("#analytics")).to_have_attribute("aria-busy", "false")
    for chart in page.locator("[data-chart] canvas").all():
        assert chart.bounding_box()
    expect(page.locator("[data-providers]")).to_contain_text("simulator")
    expect(page.locator("[data-templates]")).to_contain_text("Welcome")
    expect(page.locator("[data-losses]")).to_contain_text("Bounced")
    assert page.locator(".analytics-week td").count() == 7 * 24
    assert staff.fits()
    staff.shot("analytics")
    page.mouse.wheel(0, 1000)
    staff.shot("analytics-below")
    page.evaluate("document.documentElement.classList.add('dark')")
    staff.shot("analytics-dark")
    page.evaluate("document.documentElement.classList.remove('dark')")

    accepted = tiles.locator(".comms-tile-number").nth(1)
    before = accepted.inner_text()
    page.get_by_label("Channel").select_option("sms")
    expect(accepted).not_to_have_text(before)
    assert "channel=sms" in page.url
    page.get_by_label("Template").select_option("welcome")
    expect(page.get_by_text("No messages in this time")).to_be_visible()
    staff.shot("analytics-empty")

    expect(page.locator("#analytics")).to_have_class(re.compile("analytics-is-live"))
    to = Target(addresses={Channel.EMAIL: "ada@example.com"})
    content = {"subject": "Hello", "text": "It works."}
    submit.accept(agent, [Submission(to=to, content=content)] * 3)
    folding.fold()
    expect(page.locator("[data-live]")).to_contain_text("3 accepted")

    phone = Visit(browser, server.url, "ada", viewport=PHONE)
    page = phone.go("/admin/analytics/?range=7")
    expect(page.locator("#analytics")).to_have_attribute("aria-busy", "false")
    assert phone.fits()
    phone.shot("analytics-phone")
    page.locator("[data-providers]").scroll_into_view_if_needed()
    phone.shot("analytics-phone-below")
    assert staff.errors + phone.errors == []
