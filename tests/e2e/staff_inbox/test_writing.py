"""What is written in the staff inbox: a note stays a note, a reply goes as the person came, a draft is
kept once.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from conversations.services import entries
from conversations.types import Medium
from notifications.services.recipients import add_address
from notifications.types import Channel
from tests.e2e.staff_inbox.staff import INBOX, Open, ada, bubbles, look, said, talk, write

pytestmark = pytest.mark.django_db(transaction=True)

PASTE = """
async () => {
  const paint = document.createElement("canvas");
  paint.width = paint.height = 8;
  const blob = await new Promise((done) => paint.toBlob(done));
  await navigator.clipboard.write([
    new ClipboardItem({ "image/png": blob, "text/plain": new Blob([", as here"], { type: "text/plain" }) }),
  ]);
}
"""

DROP = """
(where) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File(["words"], "dropped.txt", { type: "text/plain" }));
  const tell = (type) => {
    const event = new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true });
    document.querySelector(where).dispatchEvent(event);
    return event.defaultPrevented;
  };
  return ["dragenter", "dragover", "drop"].map(tell);
}
"""


def ways(page: Page) -> str:
    return page.input_value("[data-way]")


def test_a_note_stays_a_note_whatever_is_pasted_and_dropped(opened: Open) -> None:
    row = talk()
    visit = opened("grace", f"{INBOX}{row.pk}/")
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.page
    expect(bubbles(page)).to_have_count(1)
    page.click("[data-mode=note]")
    page.keyboard.type("He is a fraud")
    page.evaluate(PASTE)
    page.keyboard.press("Control+v")
    trouble, files = page.locator("[data-trouble]"), page.locator("[data-files] li")
    expect(trouble).to_have_text("Notes take no files.")
    page.evaluate(DROP, "[data-thread]")
    page.keyboard.type(": no refund")
    expect(trouble).to_be_visible()
    expect(page.locator("[data-mode=note]")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[data-body]")).to_have_value("He is a fraud, as here: no refund")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-note]")).to_contain_text("He is a fraud, as here: no refund")
    expect(files).to_have_count(0)

    write(page, "One moment")
    mine = page.locator(".inbox-entry-ours[data-seq]")
    mine.hover()
    mine.get_by_role("button", name="Edit").click()
    page.evaluate(DROP, "[data-thread]")
    expect(trouble).to_have_text("A message that is changed takes no files.")
    page.keyboard.press("Escape")
    expect(trouble).to_be_hidden()
    page.evaluate(DROP, "[data-thread]")
    expect(files).to_have_count(1)
    # Beside the thread, where the browser would open it in place of the page.
    assert page.evaluate(DROP, "[data-rows-box]")[1:] == [True, True]
    expect(files).to_have_count(1)
    assert said(row) == ["My parcel is lost", "One moment"]


def test_a_reply_goes_as_the_person_comes_while_it_is_open(opened: Open) -> None:
    row, other = talk(), talk("Second", "bob")
    for user_id in ("ada", "bob"):
        add_address(user_id, Channel.EMAIL, f"{user_id}@simulator.test", is_verified=True)
    page = opened("grace", f"{INBOX}{row.pk}/").page
    way, body = page.locator("[data-way]"), page.locator("[data-body]")
    expect(way).to_have_value("chat")
    entries.post(ada(), row.id, "I write by email now", medium=Medium.EMAIL)
    expect(bubbles(page)).to_have_count(2)
    look(page)
    expect(way).to_have_value("email")
    expect(page.locator("[data-hint]")).to_have_text("Ctrl + Enter sends")

    body.fill("Dear Ada,")  # which Enter does not send by another way in the middle of it
    entries.post(ada(), row.id, "Hello?")
    expect(bubbles(page)).to_have_count(3)
    look(page)
    came = page.locator("[data-came]")
    expect(came).to_have_text("They wrote by chat since: this goes by email.")
    expect(way).to_have_value("email")
    page.select_option("[data-way]", "chat")
    expect(came).to_be_hidden()
    page.select_option("[data-way]", "email")
    for where in (other, row):
        page.click(f"a[data-id='{where.pk}']")
        expect(page.locator("[data-pane] h2")).to_have_text("bob" if where == other else "ada")
        expect(bubbles(page)).to_have_count(1 if where == other else 3)
    expect(body).to_have_value("Dear Ada,")
    expect(way).to_have_value("email")
    page.press("[data-body]", "Control+Enter")
    expect(page.locator("[data-entries]")).to_contain_text("Dear Ada,")
    expect(way).to_have_value("chat")  # as she came
    page.reload()
    expect(way).to_have_value("chat")
    assert row.entries.get(body="Dear Ada,").medium == Medium.EMAIL


def test_a_draft_that_another_tab_has_sent_does_not_come_back(opened: Open) -> None:
    row = talk()
    one = opened("grace", f"{INBOX}{row.pk}/").page
    body = "[data-body]"
    expect(bubbles(one)).to_have_count(1)
    one.fill(body, "Written")
    two = one.context.new_page()
    two.goto(one.url)
    expect(two.locator(body)).to_have_value("Written")
    one.locator(body).press_sequentially(" once")
    expect(two.locator(body)).to_have_value("Written once")
    one.press(body, "Enter")
    expect(bubbles(one)).to_have_text(["My parcel is lost", "Written once"])
    expect(two.locator(body)).to_have_value("")
    two.close()
    one.reload()
    expect(bubbles(one)).to_have_count(2)
    expect(one.locator("[data-composer]")).to_be_visible()
    expect(one.locator(body)).to_have_value("")

    two = one.context.new_page()  # what is begun apart is of each tab its own
    two.goto(one.url)
    expect(bubbles(two)).to_have_count(2)
    two.fill(body, "Another")
    expect(one.locator(body)).to_have_value("")
    write(one, "And one")
    expect(bubbles(one)).to_have_count(3)
    expect(two.locator(body)).to_have_value("Another")
    two.close()
    one.reload()
    expect(one.locator(body)).to_have_value("Another")


def test_an_edit_outlives_the_page(opened: Open) -> None:
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    write(page, "At the post office")
    expect(page.locator(".inbox-waits")).to_have_count(0)
    expect(bubbles(page)).to_have_count(2)
    page.press("[data-body]", "ArrowUp")
    page.fill("[data-body]", "At the harbour")
    page.reload()
    expect(page.locator("[data-quoted-title]")).to_have_text("Edit your message")
    expect(page.locator("[data-body]")).to_have_value("At the harbour")
    page.press("[data-body]", "Enter")
    expect(bubbles(page).last).to_have_text("At the harbour")
    page.reload()
    expect(bubbles(page).last).to_have_text("At the harbour")
    expect(page.locator("[data-quoted]")).to_be_hidden()


def test_what_is_too_long_is_told_and_kept(opened: Open) -> None:
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    page.focus("[data-body]")
    page.keyboard.insert_text("🎉y" * 5000 + "zz")
    trouble = page.locator("[data-trouble]")
    expect(trouble).to_have_text("A message has at most 10,000 letters: 2 too many.")
    page.keyboard.press("Enter")
    expect(trouble).to_be_visible()
    page.reload()
    expect(trouble).to_have_text(re.compile("2 too many"))
    page.focus("[data-body]")
    page.keyboard.press("Control+End")
    for _ in "zz":
        page.keyboard.press("Backspace")
    expect(trouble).to_be_hidden()
    page.keyboard.press("Enter")
    expect(bubbles(page)).to_have_count(2)
    expect(page.locator(".inbox-waits")).to_have_count(0)
    assert said(row)[1] == "🎉y" * 5000


def test_a_long_word_is_laid_out_at_once(opened: Open) -> None:
    """Kerned, a word of thousands of letters takes a time that grows with the square of them."""
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    took = """([where, kerning, length]) => {
      const node = document.querySelector(where);
      node.style.fontKerning = kerning;
      node["value" in node ? "value" : "textContent"] = "W".repeat(length);
      const began = performance.now();
      node.getBoundingClientRect();
      return performance.now() - began;
    }"""

    def laid_out(where: str, kerning: str, length: int) -> float:
        found: float = page.evaluate(took, [where, kerning, length])
        return found

    for where in ("[data-entries] .inbox-bubble", "[data-body]"):
        plain = min(laid_out(where, "", length) for length in (3998, 3999, 4000))
        assert plain * 3 < laid_out(where, "normal", 4001)
