"""Two people on the demo page, in two browsers: typing, receipts, and a server that is killed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import DESK, PHONE, SCREENSHOTS
from tests.processes import Process, free_port

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = 20_000
"""Milliseconds: a restarted server and the wait of a client that was cut off."""


class Server:
    """A web process that can be killed and started again on its port."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self.start()

    def start(self) -> None:
        env = {"PORT": str(self.port), "LIVE_ORIGINS": "127.0.0.1", "LOG_LEVEL": "WARNING"}
        self.process = Process("web", log=self._log, **env)


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "web.log")
    yield made
    if made.process.runs:
        made.process.stop()


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens somebody's side. Nothing on it may be refused by its own policy or fail otherwise."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def hear(message: Any) -> None:
        # While the server is away its requests fail, and the browser says so.
        is_expected = re.search(r"ERR_|WebSocket connection|Failed to load", message.text)
        if message.type == "error" and not is_expected:
            errors.append(message.text)

    def make(me: str, other: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", hear)
        for _ in range(100):
            try:
                page.goto(f"{server.url}/demo/?me={me}&other={other}")
                break
            except Exception:
                page.wait_for_timeout(100)  # the server is about to listen
        expect(page.locator("#state")).to_have_text("Connected", timeout=WAIT)
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


def say(page: Page, text: str) -> None:
    page.fill("#body", text)
    page.press("#body", "Enter")


def said(page: Page) -> list[str]:
    return page.locator("#entries li div").all_inner_texts()


def test_two_people_write_while_the_server_dies(opened: Open, server: Server) -> None:
    ada = opened("ada", "bob")
    bob = opened("bob", "ada", viewport=PHONE)
    expect(ada.locator("#presence")).to_have_class("presence active", timeout=WAIT)

    ada.locator("#body").press_sequentially("Hel")
    expect(bob.locator("#typing")).to_have_text("ada is writing")
    say(ada, "Hello **Bob**, see <script>alert(1)</script> & https://example.com")
    expect(bob.locator("#entries strong")).to_have_text("Bob")
    expect(bob.locator("#typing")).to_be_empty()
    expect(ada.locator("#entries .meta")).to_have_text(re.compile("Read$"))

    server.process.kill()
    expect(ada.locator("#state")).to_have_text("Reconnecting")
    for number in range(3):
        say(ada, f"from Ada while nobody listens {number}")
        say(bob, f"from Bob while nobody listens {number}")
    expect(ada.locator("li.waiting")).to_have_count(3)
    server.start()
    for page in (ada, bob):
        expect(page.locator("#state")).to_have_text("Connected", timeout=WAIT)
        expect(page.locator("#entries li:not(.waiting)")).to_have_count(7, timeout=WAIT)
    say(bob, "All there?")
    expect(ada.locator("#entries li")).to_have_count(8)
    expect(bob.locator("#entries li")).to_have_count(8)

    assert said(ada) == said(bob)
    expected = {f"from {who} while nobody listens {n}" for who in ("Ada", "Bob") for n in range(3)}
    assert sorted(said(ada)[1:-1]) == sorted(expected)  # nothing missing, nothing twice
    for name in ("Ada", "Bob"):  # and each one's in the order they were written in
        own = [text for text in said(ada) if text.startswith(f"from {name}")]
        assert own == sorted(own)
    expect(bob.locator("#entries li.mine .meta").last).to_have_text(re.compile("Read$"))
    expect(ada.locator("#entries li.mine .meta", has_text="Read")).to_have_count(4)
    SCREENSHOTS.mkdir(exist_ok=True)
    ada.screenshot(path=SCREENSHOTS / "demo_1440.png")
    bob.screenshot(path=SCREENSHOTS / "demo_390.png")
    later = opened("ada", "bob")
    expect(later.locator("#entries li")).to_have_count(8)
    assert said(later) == said(ada)
