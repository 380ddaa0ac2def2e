"""The preference centre as people see it: without JavaScript, by keyboard, on desk and phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page

from notifications.models import Preference, Recipient
from templates_app import links
from tests.e2e.conftest import DESK, PHONE, SCREENSHOTS
from tests.factories import CategoryFactory, RecipientFactory


@pytest.fixture
def ada(transactional_db: None) -> Recipient:
    CategoryFactory.create(key="codes", name="Sign-in codes", kind="essential")
    CategoryFactory.create(
        key="orders", name="Orders", is_optional=False, channels=["email", "sms"]
    )
    CategoryFactory.create(key="news", name="News", kind="marketing", channels=["email", "push"])
    CategoryFactory.create(key="tips", name="Tips and tricks", channels=["email", "inapp"])
    CategoryFactory.create(key="club", name="Club", is_opt_in=True, channels=["email", "sms"])
    person = RecipientFactory.create(user_id="ada", locale="de", time_zone="Europe/Berlin")
    person.quiet_hours.create(start="22:00", end="07:00")
    return person


@pytest.fixture
def page_of(browser: Browser, live_server: Any) -> Iterator[Any]:
    contexts: list[BrowserContext] = []

    def make(person: Recipient, **options: Any) -> Page:
        contexts.append(browser.new_context(java_script_enabled=False, **options))
        page = contexts[-1].new_page()
        page.goto(f"{live_server.url}/preferences/{links.preferences_token(person.id)}")
        return page

    yield make
    for context in contexts:
        context.close()


def test_choices_are_made_without_scripts_by_mouse_and_keyboard(ada, page_of):
    page = page_of(ada, viewport=DESK)
    assert page.get_by_role("heading", name="Your messages").is_visible()
    assert page.get_by_role("switch", name="Sign-in codes by Email").is_disabled()
    page.get_by_role("switch", name="News by Email").click()
    page.get_by_role("switch", name="Tips and tricks by In-app").focus()
    page.keyboard.press("Space")
    page.get_by_label("Language").select_option("pt-BR")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").inner_text().split("\n")[0] == "Saved."
    assert "Turned off: News by Email, Tips and tricks by In-app." in page.content()
    assert not page.get_by_role("switch", name="News by Email").is_checked()
    assert Preference.objects.filter(is_on=False).count() == 2
    page.screenshot(path=SCREENSHOTS / "preferences-saved.png", full_page=True)
    page.get_by_label("Pause everything until").fill("2020-01-01")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("alert").is_visible()
    assert page.get_by_text("Choose a day that is still to come.").is_visible()


def test_it_looks_the_same_on_every_screen(ada, page_of):
    for size, viewport in {"desk": DESK, "phone": PHONE}.items():
        for scheme in ("light", "dark"):
            page = page_of(ada, viewport=viewport, color_scheme=scheme)
            main = page.locator("main").bounding_box()
            assert main
            assert main["x"] + main["width"] <= viewport["width"]
            for switch in page.get_by_role("switch").all():
                box = switch.bounding_box()
                assert box
                assert box["x"] + box["width"] <= viewport["width"]
            page.screenshot(path=SCREENSHOTS / f"preferences-{size}-{scheme}.png", full_page=True)


def test_staff_see_what_decides_on_desk_and_phone(ada, visit):
    category = CategoryFactory.create(
        key="digest", name="Digest", fallback=[{"channel": "sms", "after": 60, "unless": "read"}]
    )
    Preference.objects.create(recipient=ada, category=category, channel="email", is_on=False)
    for size, viewport in {"desk": DESK, "phone": PHONE}.items():
        staff = visit(viewport=viewport)
        for name, path in {
            "category": reverse("admin:notifications_category_change", args=[category.pk]),
            "person": reverse("admin:notifications_recipient_change", args=[ada.pk]),
        }.items():
            page = staff.go(path)
            assert staff.fits()
            page.screenshot(path=SCREENSHOTS / f"{name}-{size}.png", full_page=True)
