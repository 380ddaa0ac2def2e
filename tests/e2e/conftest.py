"""A real browser: Debian's chromium, or any other that is called so, led by Playwright."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

SCREENSHOTS = Path(__file__).parent / "screenshots"
DESK = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
PASSWORD = "a long test password"

expect.set_options(timeout=20_000)  # milliseconds: a busy machine is slow, and not wrong


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in Path(item.path).parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("There is no chromium: apt-get install chromium")
    # Playwright's loop runs in the thread of the tests, which also ask the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


_EXPECTED = re.compile(r"Loading the image|ERR_FAILED|status of 4\d\d")
"""Pictures that are not to be loaded, and refusals that the page tells of itself."""


class Visit:
    """A signed-in member of staff in a browser of their own. `errors` are those of the console."""

    def __init__(self, browser: Browser, base: str, username: str, **options: Any) -> None:
        self.base = base
        self.username = username
        self.context: BrowserContext = browser.new_context(
            **{"viewport": DESK, "locale": "en-GB", **options}
        )
        self.context.set_default_timeout(15_000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context.route(self._is_far, lambda route: self._refuse(route))
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        self.sign_in(self.page)

    def sign_in(self, page: Page) -> None:
        page.goto(f"{self.base}/admin/login/")
        page.fill("[name=username]", self.username)
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url(f"{self.base}/admin/")

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.wait_for_load_state("load")
        self.page.evaluate("document.fonts.ready.then(() => null)")
        self.page.wait_for_timeout(200)  # the theme shows itself by a script
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _is_far(self, url: str) -> bool:
        return not url.startswith((self.base, "data:", "blob:", "about:"))

    def _refuse(self, route: Any) -> None:
        self.requests.append(route.request.url)
        route.abort()

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not _EXPECTED.search(message.text):
            self.errors.append(message.text)


@pytest.fixture
def visit(
    browser: Browser, live_server: Any, transactional_db: None
) -> Iterator[Callable[..., Visit]]:
    """Makes visits, each of its own person; at the end none may have had an error in the console."""
    visits: list[Visit] = []

    def make(username: str = "ada", **options: Any) -> Visit:
        if not User.objects.filter(username=username).exists():
            User.objects.create_superuser(username, password=PASSWORD)
        visits.append(Visit(browser, live_server.url, username, **options))
        return visits[-1]

    yield make
    for each in visits:
        each.context.close()
    assert [error for each in visits for error in each.errors] == []
