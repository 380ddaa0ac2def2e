"""The staff inbox where things go wrong or are long ago: what waits, who is signed out, ten thousand
messages, files on a bad line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import FilePayload, expect

from conversations.models import TeamMark
from conversations.services import entries
from notifications.models import Recipient
from tests.e2e.staff_inbox.staff import (
    INBOX,
    Open,
    ada,
    bubbles,
    look,
    rows,
    said,
    talk,
    write,
)
from tests.e2e.widgets import Held, fill
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_waits_and_what_is_begun_outlive_the_page(opened: Open) -> None:
    row, other = talk(), talk("Second", "bob")
    visit = opened("grace", f"{INBOX}{row.pk}/")
    grace = visit.page
    expect(bubbles(grace)).to_have_count(1)
    file = FilePayload(name="bill.txt", mimeType="text/plain", buffer=b"a bill")
    grace.set_input_files("[data-file]", file)
    expect(grace.locator("[data-files] li")).to_have_count(1)
    expect(grace.locator("[data-files] progress")).to_have_count(0)
    for path in ("**/reply", "**/note"):
        visit.context.route(path, lambda route: route.abort())
    write(grace, "Here it is")
    write(grace, "Ask billing", "note")
    grace.fill("[data-body]", "half a reply")
    waits = grace.locator(".inbox-waits")
    expect(waits).to_have_count(2)
    grace.reload()
    expect(waits).to_have_text([re.compile("Here it is"), re.compile("Ask billing")])
    expect(waits.first).to_contain_text("bill.txt")
    expect(grace.locator("[data-body]")).to_have_value("half a reply")
    expect(rows(grace).filter(has_text="Not sent")).to_have_attribute("data-id", str(row.pk))

    two = visit.context.new_page()  # another tab has it, too, and only one sends it
    two.goto(grace.url)
    two_waits = two.locator(".inbox-waits")
    expect(two_waits).to_have_count(2)
    grace.goto(f"{visit.base}{INBOX}{other.pk}/")
    write(two, "To be thrown away")
    expect(two_waits).to_have_count(3)
    expect(two_waits.last.get_by_text("Waits for the connection")).to_be_visible()
    two_waits.last.get_by_role("button", name="Discard").click()
    expect(two_waits).to_have_count(2)
    for path in ("**/reply", "**/note"):
        visit.context.unroute(path)
    for page in (grace, two):
        look(page)
    expect(two_waits).to_have_count(0)
    expect(bubbles(two)).to_have_text(["My parcel is lost", "Here it is", "Ask billing"])
    expect(two.locator(".inbox-doc")).to_contain_text("bill.txt")
    expect(rows(grace).filter(has_text="Not sent")).to_have_count(0)
    assert said(row) == ["My parcel is lost", "Here it is"]
    assert row.notes.count() == 1


def test_a_session_that_ends_takes_nothing_along(opened: Open) -> None:
    row = talk()
    visit = opened("grace", f"{INBOX}{row.pk}/")
    page, waits = visit.page, visit.page.locator(".inbox-waits")
    expect(bubbles(page)).to_have_count(1)
    page.evaluate("window.isTheSame = true")
    visit.context.clear_cookies()
    write(page, "Are you there?")
    write(page, "She is angry", "note")
    page.fill("[data-body]", "half a reply")
    banner = page.locator("[data-signed-out]")
    expect(banner).to_contain_text("You are signed out. Sign in again in a new tab")
    expect(waits).to_have_count(2)
    expect(waits.first).to_contain_text("Waits until you are signed in")
    page.click("[data-queue=mine]")
    expect(page.locator("[data-rows-box][aria-busy]")).to_have_count(0)
    expect(page.get_by_text("signed out")).to_have_count(1)  # told once
    with visit.context.expect_page() as signing_in:
        banner.get_by_role("link").click()
    expect(signing_in.value.locator("[name=username]")).to_be_visible()
    signing_in.value.close()

    visit.sign_in()
    look(page)
    expect(banner).to_be_hidden()
    expect(waits).to_have_count(0)
    expect(page.locator("[data-state]")).to_have_text("Live")
    expect(page.locator("[data-none]")).to_have_text("Nothing is assigned to you.")
    entries.post(ada(), row.id, "Yes!")
    expect(bubbles(page)).to_have_text(
        ["My parcel is lost", "Are you there?", "She is angry", "Yes!"]
    )
    expect(page.locator("[data-body]")).to_have_value("half a reply")
    assert page.evaluate("window.isTheSame")
    assert said(row) == ["My parcel is lost", "Are you there?", "Yes!"]


def test_what_one_has_written_is_never_sent_in_the_name_of_another(opened: Open) -> None:
    row = talk()
    visit = opened("grace", f"{INBOX}{row.pk}/")
    page = visit.page
    expect(bubbles(page)).to_have_count(1)
    visit.context.clear_cookies()
    write(page, "It is me")
    expect(page.locator("[data-signed-out]")).to_be_visible()
    opened("alan")
    visit.username = "alan"
    visit.sign_in()
    look(page)
    expect(page.locator("[data-options]")).to_have_attribute("data-options", re.compile('"alan"'))
    expect(page.locator("[data-state]")).to_have_text("Live")
    expect(bubbles(page)).to_have_text(["My parcel is lost"])
    assert said(row) == ["My parcel is lost"]
    visit.username = "grace"
    visit.sign_in()
    page.reload()
    expect(bubbles(page)).to_have_text(["My parcel is lost", "It is me"])
    expect(page.locator(".inbox-waits")).to_have_count(0)
    author = User.objects.get(username="grace")
    assert row.entries.get(body="It is me").person_id == str(author.pk)


def test_a_refused_reply_is_changed_or_thrown_away(opened: Open) -> None:
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    refusal = json.dumps({"code": "conflict", "detail": "It would not reach the person: bounce."})
    problem = {"status": 409, "content_type": "application/problem+json", "body": refusal}
    page.route("**/reply", lambda route: route.fulfill(**problem), times=1)
    write(page, "By email")
    refused = page.locator(".inbox-waits")
    expect(refused.get_by_role("alert")).to_have_text("It would not reach the person: bounce.")
    page.fill("[data-body]", "and more")
    refused.get_by_role("button", name="Change").click()
    expect(page.locator("[data-body]")).to_have_value("By email\n\nand more")
    expect(refused).to_have_count(0)
    page.press("[data-body]", "Enter")
    expect(refused).to_have_count(0)
    expect(bubbles(page)).to_have_count(2)
    assert said(row) == ["My parcel is lost", "By email\n\nand more"]


# --- What was written long ago -------------------------------------------------------------------


def test_ten_thousand_entries_to_the_first_and_back(opened: Open) -> None:
    row = talk()
    fill({"id": row.pk}, 10_000)
    page = opened("grace", f"{INBOX}{row.pk}/").page
    shown = page.locator("[data-entries] [data-seq]")
    expect(shown.last).to_contain_text("message 10000")
    found = page.evaluate(
        """async () => {
          const box = document.querySelector("[data-scroll]");
          const seen = new Set();
          let most = 0;
          const look = () => {
            const all = box.querySelectorAll("[data-seq]");
            most = Math.max(most, all.length);
            for (const one of all) seen.add(Number(one.dataset.seq));
          };
          for (const [last, step] of [[1, -3000], [10000, 3000]]) {
            for (let turn = 0; turn < 3000; turn += 1) {
              look();
              if (box.querySelector(`[data-seq="${last}"]`)) break;
              box.scrollTop += step;
              await new Promise((done) => setTimeout(done, 10));
            }
          }
          return [seen.size, most];
        }"""
    )
    assert found == [10_000, 300]  # each of them, and no more at once
    page.focus("[data-scroll]")
    page.keyboard.press("Home")
    expect(shown.first).to_contain_text("My parcel is lost")
    expect(shown.first).to_be_in_viewport()
    expect(page.locator("[data-newer]")).to_have_text("To the latest message")
    entries.post(ada(), row.id, "Is anybody there?")
    expect(page.locator("[data-newer]")).to_have_text("New messages")
    expect(page.locator("[data-entries]")).not_to_contain_text("anybody")
    assert not TeamMark.objects.filter(read_seq__gt=10_000).exists()
    page.keyboard.press("End")
    expect(shown.last).to_contain_text("Is anybody there?")
    expect(page.locator("[data-newer]")).to_be_hidden()
    eventually(lambda: TeamMark.objects.filter(read_seq__gt=10_000).exists())


def test_what_is_found_opens_at_the_message(opened: Open) -> None:
    Recipient.objects.create(user_id="ada", data={"name": "Ada Lovelace"})
    row = talk()
    fill({"id": row.pk}, 500)
    old = entries.post(ada(), row.id, "The ferry leaves at nine")[0]
    row.refresh_from_db()
    fill({"id": row.pk}, 1000)
    row.refresh_from_db()
    entries.post(ada(), row.id, "As I said", reply_to=old.id)
    page = opened("grace").page
    page.fill("[data-search]", "lovel")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("[data-found]")).to_have_text("1 found")
    page.fill("[data-search]", "message")
    expect(rows(page)).to_have_count(30)
    expect(page.locator("[data-found]")).to_have_text("30 and more found")
    page.click("[data-more]")
    expect(rows(page)).to_have_count(60)
    page.fill("[data-search]", "ferry")
    expect(rows(page)).to_have_count(1)
    rows(page).click()
    marked = page.locator(".inbox-marked")
    expect(marked).to_contain_text("The ferry leaves at nine")
    expect(marked).to_be_in_viewport()
    expect(marked).to_be_focused()
    page.reload()  # its address leads there, too
    expect(marked).to_be_in_viewport()
    page.click("[data-newer]")
    expect(bubbles(page).last).to_contain_text("As I said")
    page.locator(".inbox-quote").click()
    expect(marked).to_be_in_viewport()
    write(page, "Yes")  # who writes is at the end again
    expect(bubbles(page).last).to_have_text("Yes")
    expect(bubbles(page).last).to_be_in_viewport()


# --- Files ---------------------------------------------------------------------------------------


def text_file(name: str, content: bytes = b"words") -> FilePayload:
    return FilePayload(name=name, mimeType="text/plain", buffer=content)


def test_files_keep_their_order_and_their_limit(opened: Open) -> None:
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    files, trouble = page.locator("[data-files] li"), page.locator("[data-trouble]")
    first = Held(page, "**/upload")  # it is there last
    page.set_input_files("[data-file]", [text_file(f"{number}.txt") for number in range(8)])
    first.wait()
    expect(page.locator("[data-files] progress")).to_have_count(1)
    more = [text_file(f"{number}.txt") for number in range(8, 12)]
    page.set_input_files("[data-file]", more)
    expect(trouble).to_have_text("At most 10 files go with a reply: 2 more were not added.")
    expect(files).to_have_count(10)
    page.get_by_role("button", name="Remove 3.txt").click()
    expect(trouble).to_be_hidden()
    page.set_input_files("[data-file]", text_file("again.txt"))
    expect(files).to_have_count(10)
    page.fill("[data-body]", "All of them")
    page.press("[data-body]", "Enter")
    expect(trouble).to_have_text("A file is still on its way.")
    first.let_go()
    expect(page.locator("[data-files] progress")).to_have_count(0)
    page.press("[data-body]", "Enter")
    names = [f"{number}.txt" for number in (0, 1, 2, 4, 5, 6, 7, 8, 9)] + ["again.txt"]
    expect(page.locator(".inbox-doc .inbox-file-name")).to_have_text(names)


def test_an_upload_that_stalls_is_made_again_and_a_cancelled_one_ends(opened: Open) -> None:
    row = talk()
    visit = opened("grace")
    page = visit.page
    page.clock.install()
    page.goto(f"{page.url}{row.pk}/")
    expect(bubbles(page)).to_have_count(1)
    expect(page.locator("[data-state]")).to_have_text("Live")
    held: list[Any] = []
    ended: list[str] = []
    page.on("requestfailed", lambda it: ended.append(it.url.rpartition("/")[2]))
    page.route("**/upload", lambda route: held.append(route), times=2)  # and never a word

    def until(is_so: Callable[[], bool]) -> None:
        def look() -> bool:
            page.wait_for_timeout(50)  # which lets the browser's events in
            return is_so()

        eventually(look)

    page.set_input_files("[data-file]", text_file("stalls.txt"))
    until(lambda: len(held) == 1)
    page.set_input_files("[data-file]", text_file("cancelled.txt"))
    until(lambda: len(held) == 2)
    page.get_by_role("button", name="Remove cancelled.txt").click()
    until(lambda: ended.count("upload") == 1)
    page.clock.fast_forward(31_000)
    until(lambda: ended.count("upload") == 2)
    page.clock.fast_forward(3_000)
    expect(page.locator("[data-files] progress")).to_have_count(0)
    expect(page.locator("[data-files] li")).to_have_text(re.compile("stalls.txt"))


def test_the_person_and_a_search_come_back_after_an_outage(opened: Open) -> None:
    row = talk()
    visit = opened("grace")
    page = visit.page
    for path in ("**/person", "**/rows?q=*"):
        page.route(path, lambda route: route.abort())
    page.fill("[data-search]", "parcel")
    expect(page.locator("[data-found]")).to_have_text("The service cannot be reached.")
    page.goto(f"{visit.base}{INBOX}{row.pk}/")
    page.fill("[data-search]", "parcel")
    expect(page.locator("[data-pane]")).to_have_text("The service cannot be reached.")
    expect(page.locator("[data-found]")).to_have_text("The service cannot be reached.")
    for path in ("**/person", "**/rows?q=*"):
        page.unroute(path)
    look(page)
    expect(page.locator("[data-pane] h2")).to_have_text("ada")
    expect(page.locator("[data-found]")).to_have_text("1 found")
