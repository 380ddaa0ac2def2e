"""`/demo/`, the first thing a newcomer sees: two people, a bell, and a line that can be cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from conversations.models import Attachment
from tests.e2e.axe import violations
from tests.e2e.conftest import DESK, PHONE, SCREENSHOTS
from tests.e2e.widgets import Server
from tests.engine import drain
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]


@pytest.fixture
def page(browser: Browser, transactional_db: None, tmp_path: Path) -> Iterator[Page]:
    server = Server(tmp_path / "web.log", "localhost")
    context = browser.new_context(viewport=DESK, locale="en-GB")
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def hear(message: Any) -> None:
        if message.type == "error" and "415" not in message.text:  # a refused file is logged
            errors.append(message.text)

    page.on("console", hear)
    try:
        server.wait()
        page.goto(f"{server.url}/demo/")
        yield page
    finally:
        context.close()
        server.process.stop()
    assert errors == []


@contextmanager
def late_pictures(page: Page) -> Iterator[None]:
    """A machine so busy that its browser draws nothing for a while: what then comes late moves no focus."""
    page.evaluate(
        """() => {
          window.late = [];
          window.usual = requestAnimationFrame;
          window.requestAnimationFrame = (step) => late.push(step);
        }"""
    )
    yield
    page.evaluate(
        """() => {
          window.requestAnimationFrame = usual;
          for (const step of late) step(performance.now());
        }"""
    )


def test_it_is_all_there_on_one_page(page: Page) -> None:
    left, right = (page.locator(".side").nth(index) for index in (0, 1))
    for side in (left, right):
        expect(side.locator(".pill")).to_have_text("Live")

    def say(side: Any, text: str) -> None:
        side.locator("textarea").fill(text)
        side.locator("textarea").press("Enter")

    say(left, "Hello **Bob**")
    expect(right.locator(".entry strong")).to_have_text("Bob")
    expect(left.get_by_role("img", name="Read")).to_be_visible()

    left.get_by_role("button", name="Cut the line").click()
    expect(left.locator(".pill")).to_have_text("Line cut")
    expect(left.locator(".told")).to_contain_text(re.compile("Cut after number [1-9]"))
    say(right, "Can you hear me?")
    with late_pictures(page):
        say(right, "Hello?")
        left.locator("textarea").fill("I am in a tunnel")
    page.keyboard.press("Enter")
    expect(left.locator(".waiting")).to_have_count(1)
    expect(right.locator(".entry[data-id]")).to_have_count(3)
    expect(left.locator(".entry[data-id]")).to_have_count(1)
    left.get_by_role("button", name="Mend the line").click()
    for side in (left, right):
        expect(side.locator(".entry[data-id]")).to_have_count(4)
    proof = re.compile(r"has (\d) newer, \1 came\. Nothing missing, nothing twice\.")
    expect(left.locator(".told")).to_contain_text(proof)
    assert [side.locator(".entry[data-id] .text").all_inner_texts() for side in (left, right)] == [
        ["Hello Bob", "Can you hear me?", "Hello?", "I am in a tunnel"]
    ] * 2

    bell = left.locator("comms-inbox")
    page.get_by_role("button", name="Send it").click()
    expect(page.locator(".answer")).to_contain_text("Accepted")
    eventually(drain)
    expect(bell.locator(".badge")).to_have_text("1")
    bell.locator(".bell").click()
    bell.get_by_role("button", name="Suits me").click()
    expect(bell.get_by_role("button", name="Done: Suits me")).to_be_disabled()
    assert violations(page) == []
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "demo_1440.png")
    page.keyboard.press("Escape")
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.select_option("#language", "ar")
    expect(left.locator("textarea")).to_have_attribute("placeholder", "اكتب رسالة")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.screenshot(path=SCREENSHOTS / "demo_390.png", full_page=True)


def test_a_line_that_is_cut_carries_no_files(page: Page) -> None:
    left, right = (page.locator(".side").nth(index) for index in (0, 1))
    for side in (left, right):
        expect(side.locator(".pill")).to_have_text("Live")
    left.get_by_role("button", name="Cut the line").click()
    notes = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"some notes")
    left.locator("input[type=file]").set_input_files([notes])
    expect(left.locator(".uploads progress")).to_have_count(1)
    right.locator("textarea").fill("Where are your notes?")
    right.locator("textarea").press("Enter")
    expect(right.get_by_role("img", name="Sent")).to_be_visible()  # by a line that is not cut
    assert not Attachment.objects.exists()
    left.get_by_role("button", name="Mend the line").click()
    expect(left.locator(".uploads progress")).to_have_count(0)
    left.locator("textarea").press("Enter")
    expect(right.locator(".file")).to_contain_text("notes.txt")


def test_its_proof_is_one(page: Page) -> None:
    """It says what did not come: here the service says that it has one more. And a client that the
    widget was given has errors that the widget knows.
    """
    left = page.locator(".side").first
    expect(left.locator(".pill")).to_have_text("Live")
    left.locator("textarea").fill("Hello")
    left.locator("textarea").press("Enter")
    expect(left.locator(".entry[data-id]")).to_have_count(1)

    drawing = FilePayload(name="a.svg", mimeType="image/svg+xml", buffer=b"<svg/>")
    left.locator("input[type=file]").set_input_files([drawing])
    expect(left.get_by_role("alert")).to_contain_text("not taken")

    def one_more(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json={**told, "results": [{"id": "x", "changed_seq": 9}]})

    page.route("**/entries?after=*", one_more)
    left.get_by_role("button", name="Cut the line").click()
    left.get_by_role("button", name="Mend the line").click()
    expect(left.locator(".told")).to_contain_text("has 1 newer, 0 came. 1 missing, nothing twice.")


@pytest.mark.parametrize("presses", [3, 4, 5])
def test_only_the_last_press_of_many_says_something(page: Page, presses: int) -> None:
    """Nothing is said of a line that was mended while it is cut again, and nothing fails."""
    left = page.locator(".side").first
    expect(left.locator(".pill")).to_have_text("Live")
    left.locator("textarea").fill("Hello")
    left.locator("textarea").press("Enter")
    expect(left.get_by_role("img", name=re.compile("Sent|Delivered|Read"))).to_be_visible()
    button = left.locator("button.cut")
    button.evaluate("(one, presses) => { while (presses--) one.click(); }", presses)
    told = left.locator(".told")
    if presses % 2:
        expect(told).to_contain_text(re.compile("Cut after number [1-9]"))
        page.wait_for_timeout(1500)  # in which the service would have been asked
        expect(told).to_contain_text("Cut after number")
        button.click()
    proof = re.compile(r"has (\d) newer, \1 came\. Nothing missing, nothing twice\.")
    expect(told).to_contain_text(proof)
