"""A real browser: Debian's chromium, or any other that is called so, led by Playwright."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.processes import eventually

if TYPE_CHECKING:
    from tests.e2e.widgets import Server, Shop, Visitor

SCREENSHOTS = Path(__file__).parent / "screenshots"
DESK = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
PASSWORD = "a long test password"

expect.set_options(timeout=60_000)  # milliseconds: a busy machine is slow, and not wrong


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in Path(item.path).parts:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


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


_EXPECTED = re.compile(r"Loading the image|ERR_FAILED|status of 4\d\d|WebSocket.* code: 404$")
"""Pictures that are not to be loaded, refusals that the page tells of itself; and Django's own server
has no sockets.
"""


class Visit:
    """A signed-in member of staff in a browser of their own. `errors` are those of the console."""

    def __init__(self, browser: Browser, base: str, username: str, **options: Any) -> None:
        self.base = base
        self.username = username
        self.context: BrowserContext = browser.new_context(
            **{"viewport": DESK, "locale": "en-GB", **options}
        )
        self.context.set_default_timeout(60_000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.context.route(self._is_far, lambda route: self._refuse(route))
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        self.sign_in()

    def sign_in(self) -> None:
        """Without the form, which has a test of its own."""
        signed_in = Client()
        signed_in.force_login(User.objects.get(username=self.username))
        cookie = signed_in.cookies[settings.SESSION_COOKIE_NAME]
        self.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.base}])

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def fits(self) -> bool:
        """Whether nothing is wider than the window. Symbols are words until their letters are there."""
        self._settle()
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    def shot(self, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        self._settle()
        self.page.wait_for_timeout(200)  # the theme shows itself by a script
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _settle(self) -> None:
        self.page.wait_for_load_state("load")
        self.page.evaluate("document.fonts.ready.then(() => null)")

    def _is_far(self, url: str) -> bool:
        return not url.startswith((self.base, "data:", "blob:", "about:"))

    def _refuse(self, route: Any) -> None:
        self.requests.append(route.request.url)
        route.abort()

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not _EXPECTED.search(message.text):
            self.errors.append(message.text)


@pytest.fixture
def answered(transactional_db: None) -> Iterator[None]:
    """Pages that are gone have asked for more: it is answered before the tables are emptied."""
    under_way: list[None] = []

    def begin(**_: Any) -> None:
        under_way.append(None)

    def end(**_: Any) -> None:
        under_way.pop()

    request_started.connect(begin)
    request_finished.connect(end)
    yield
    eventually(lambda: not under_way, 30)
    request_started.disconnect(begin)
    request_finished.disconnect(end)


@pytest.fixture
def visit(browser: Browser, live_server: Any, answered: None) -> Iterator[Callable[..., Visit]]:
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


# --- Widgets, in a page of another origin --------------------------------------------------------


@pytest.fixture
def places(transactional_db: None, tmp_path: Path) -> Iterator[tuple[Shop, Server]]:
    """Somebody else's site, and the service that it uses."""
    from tests.e2e.widgets import embedded  # which knows this module

    with embedded(tmp_path / "web.log") as both:
        yield both


@pytest.fixture
def shop(places: tuple[Shop, Server]) -> Shop:
    return places[0]


@pytest.fixture
def server(places: tuple[Shop, Server]) -> Server:
    return places[1]


@pytest.fixture
def shoppers(browser: Browser, shop: Shop) -> Iterator[Callable[..., Visitor]]:
    """Makes people who visit the shop."""
    from tests.e2e.widgets import visiting

    with visiting(browser, shop) as make:
        yield make
