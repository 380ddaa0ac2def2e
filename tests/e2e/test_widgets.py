"""`<comms-chat>` and `<comms-inbox>` in pages of another origin, with two people and a service that dies."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest
from django.utils import timezone
from PIL import Image
from playwright.sync_api import APIResponse, FilePayload, Route, expect

from conversations import markup
from conversations.models import Conversation
from conversations.services import entries, support, team
from conversations.types import Status
from notifications.models import Category, QuietHours
from tests.e2e.axe import violations
from tests.e2e.conftest import DESK, PHONE
from tests.e2e.widgets import (
    NO_LOOKS,
    WAIT,
    Held,
    Server,
    Shop,
    Visit,
    Visitor,
    both,
    fill,
    uploaded,
)
from tests.inboxes import deliver
from tests.integration.conversations.people import call, person, start, write
from tests.integration.conversations.test_support import staff
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visit(shoppers: Visit) -> Visit:
    """In the shop, and not on staff pages."""
    return shoppers


def picture() -> FilePayload:
    content = BytesIO()
    Image.new("RGB", (640, 480), "#4f46e5").save(content, "PNG")
    return FilePayload(name="oslo.png", mimeType="image/png", buffer=content.getvalue())


@pytest.mark.timeout(400)
def test_two_people_have_everything(visit: Visit) -> None:
    ada, bob = both(visit, viewport=PHONE)
    expect(ada.chat.locator(".thread header p")).to_have_text("Online")

    ada.box.press_sequentially("Hel")
    expect(bob.chat.locator(".typing")).to_have_text("ada is writing")
    ada.say("Hello **Bob**")
    expect(bob.entries.locator("strong")).to_have_text("Bob")
    expect(bob.chat.locator(".typing")).to_have_text("")
    expect(ada.entry("Hello").get_by_role("img", name="Read")).to_be_visible()

    bob.act("Hello", "React")
    bob.entry("Hello").get_by_role("button", name="React with 👍").click()
    mark = ada.entry("Hello").get_by_role("button", name="👍: bob")
    expect(mark).to_have_attribute("aria-pressed", "false")
    mark.click()
    both_of_us = bob.entry("Hello").get_by_role("button", name="👍: You and ada")
    expect(bob.entry("Hello").locator(".reactions span")).to_have_text("2")
    bob.entry("Hello").locator(".reactions button").click()
    expect(ada.entry("Hello").locator(".reactions span")).to_have_text("1")
    expect(both_of_us).to_have_count(0)

    bob.act("Hello", "Reply")
    expect(bob.chat.locator(".about")).to_contain_text("Reply to ada")
    bob.say("At nine?")
    expect(ada.entry("At nine?").locator(".quote")).to_have_text("adaHello Bob")

    bob.box.fill("Half of what")
    bob.act("At nine?", "Edit")
    expect(bob.box).to_have_value("At nine?")
    bob.say("At ten?")
    expect(bob.box).to_have_value("Half of what")
    expect(ada.entry("At ten?").locator(".meta")).to_contain_text("edited")
    expect(ada.entry("At nine?")).to_have_count(0)

    # A link that does not come once is asked for again.
    bob.page.route("**/attachments/*", lambda route: route.abort(), times=1)
    ada.chat.locator("input[type=file]").set_input_files(picture())
    uploaded(ada.chat)
    ada.box.press("Enter")
    for one in (ada, bob):
        image = one.entries.locator(".picture img")
        expect(image).to_be_visible()
        expect(image).not_to_have_js_property("naturalWidth", 0)
    with bob.context.expect_page() as opened:
        bob.entries.locator(".picture").click()
    opened.value.close()

    transfer = "files => { const t = new DataTransfer(); for (const [name, type, text] of files) t.items.add(new File([text], name, { type })); return t; }"
    notes = ada.page.evaluate_handle(transfer, [["notes.txt", "text/plain", "some notes"]])
    ada.box.evaluate(
        "(box, clipboardData) => box.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))",
        notes,
    )
    dropped = ada.page.evaluate_handle(
        transfer, [["plan.txt", "text/plain", "a plan"], ["x.exe", "", "\u0000\u0001"]]
    )
    ada.chat.locator("section.thread").dispatch_event("drop", {"dataTransfer": dropped})
    expect(ada.chat.locator(".toast")).to_contain_text("x.exe: ")
    expect(ada.chat.locator(".uploads li")).to_have_count(2)
    uploaded(ada.chat)
    ada.chat.get_by_role("button", name="Remove plan.txt").click()
    ada.box.press("ArrowUp")
    expect(ada.chat.locator(".about")).to_contain_text("Edit your message")
    ada.box.press("Escape")
    expect(ada.chat.locator(".about")).to_have_count(0)
    expect(ada.chat.locator(".uploads li")).to_have_count(1)
    ada.say("My notes")
    expect(bob.entry("My notes").locator(".file")).to_contain_text("notes.txt")

    ada.act("My notes", "Delete")
    ada.entry("My notes").get_by_role("button", name="Delete", exact=True).click()
    for one in (ada, bob):
        expect(one.chat.get_by_text("This message was deleted")).to_be_visible()
        expect(one.entry("My notes")).to_have_count(0)
    ada.shot("widget-chat")
    bob.shot("widget-chat-phone")


@pytest.mark.timeout(400)
def test_the_list(visit: Visit) -> None:
    bob = person("bob")
    direct, group = start(bob, "direct", "ada"), start(bob, "group", "ada", "eve", title="Oslo")
    write(bob, direct, "Hello")
    write(bob, group, "Who is coming?")
    write(bob, group, "Anybody?")
    ada = visit("ada", viewport=PHONE).go()
    rows = ada.chat.locator(".row[data-thread]")
    expect(rows.locator("b")).to_have_text(["Oslo", "bob"])
    expect(rows.locator(".badge")).to_have_text(["2", "1"])
    expect(ada.chat.locator(".banner.none")).to_have_count(1)
    ada.shot("widget-list-phone")
    write(bob, direct, "Still there?")
    expect(rows.locator("b")).to_have_text(["bob", "Oslo"])
    expect(rows.first).to_contain_text("Still there?")
    rows.first.click()
    expect(ada.entries).to_have_count(2)
    ada.chat.get_by_role("button", name="Back").click()
    expect(rows.first).to_be_focused()
    expect(rows.locator(".badge")).to_have_text(["2"])

    ada.page.set_viewport_size(DESK)
    rows.first.click()
    expect(ada.entries).to_have_count(2)
    assert violations(ada.page) == []
    ada.shot("widget-list")
    ada.chat.get_by_role("button", name="Conversation options").click()
    ada.chat.get_by_role("button", name="Archive", exact=True).click()
    expect(rows.locator("b")).to_have_text(["Oslo"])
    ada.chat.get_by_role("button", name="Archived").click()
    expect(rows.locator("b")).to_have_text(["bob"])
    write(bob, direct, "Back again")
    ada.chat.get_by_role("button", name="Archived").click()
    expect(rows.locator("b")).to_have_text(["bob", "Oslo"])
    ada.page.evaluate(_NAMES)  # which the page knows only now
    expect(rows.locator("b")).to_have_text(["Dr bob", "Oslo"])


_NAMES = """() => {
  const named = (ids) => ids.map((id) => [id, { name: `Dr ${id}` }]);
  document.querySelector("comms-chat").people = (ids) => Object.fromEntries(named(ids));
}"""


@pytest.mark.timeout(400)
def test_who_writes_for_the_first_time_is_there_at_once(visit: Visit) -> None:
    bob, eve = person("bob"), person("eve")
    old = start(bob, "direct", "ada")
    write(bob, old, "Hello")
    call(person("ada"), "post", f"/{old['id']}/archive")
    ada = visit("ada")
    ada.page.add_init_script(NO_LOOKS)
    ada.go()
    ada.is_live_list()
    rows = ada.chat.locator(".row[data-thread]")
    expect(rows).to_have_count(0)
    write(bob, old, "Out of the **archive**")
    expect(rows.locator("b")).to_have_text(["bob"])
    expect(rows.first).to_contain_text("Out of the archive")
    call(person("ada"), "post", f"/{old['id']}/archive")

    direct = start(eve, "direct", "ada")
    expect(rows.locator("b")).to_have_text(["eve"])
    write(eve, direct, "You do not know me")
    expect(rows.first).to_contain_text("You do not know me")
    expect(rows.locator(".badge")).to_have_text(["1"])

    # What comes while the thread is on its way is not lost.
    held: list[tuple[Route, APIResponse]] = []

    def is_held() -> bool:
        ada.page.wait_for_timeout(50)  # which lets the browser's events in
        return bool(held)

    ada.page.route("**/entries?*", lambda route: held.append((route, route.fetch())), times=1)
    rows.first.click()
    eventually(is_held)
    write(eve, direct, "In between")
    expect(rows.first).to_contain_text("In between")
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(ada.entries).to_have_count(2)
    assert ada.said() == ["You do not know me", "In between"]


@pytest.mark.timeout(400)
def test_what_was_written_is_found(visit: Visit) -> None:
    bob = person("bob")
    direct, group = start(bob, "direct", "ada"), start(bob, "group", "ada", title="Oslo")
    write(bob, direct, "The **ferry** leaves at nine")
    fill(direct, 300)
    write(person("ada"), group, "Is there a ferry?")
    ada = visit("ada", viewport=PHONE).go()
    search, found = ada.chat.get_by_role("searchbox"), ada.chat.locator(".search .row")
    ada.chat.get_by_role("button", name="Search messages").click()
    expect(search).to_be_focused()
    search.fill("fer")
    expect(found.locator("b")).to_have_text(["You · Oslo", "bob"])
    expect(found.locator(".snippet")).to_have_text(["there a ferry", "ferry leaves at nine"])
    expect(found.locator("mark")).to_have_text(["ferry", "ferry"])
    ada.shot("widget-search-phone")
    assert violations(ada.page) == []
    found.last.click()  # what lies between is loaded
    expect(ada.entry("The ferry leaves")).to_be_focused()
    expect(ada.entry("The ferry leaves")).to_be_in_viewport()
    ada.chat.get_by_role("button", name="Back", exact=True).click()
    search.fill("a camel")
    expect(ada.chat.get_by_role("status").filter(has_text="Nothing found")).to_be_visible()
    search.press("Escape")
    expect(ada.chat.get_by_role("button", name="Search messages")).to_be_focused()

    ada.go(conversation=str(direct["id"]))
    ada.is_live()
    ada.chat.get_by_role("button", name="Search messages").click()
    search.fill("ferry")
    expect(found.locator("b")).to_have_text(["bob"])
    found.click()
    expect(found).to_have_count(0)
    expect(ada.entry("The ferry leaves")).to_be_focused()


@pytest.mark.timeout(600)
def test_the_service_dies_in_the_middle(visit: Visit, server: Server) -> None:
    ada, bob = both(visit)
    ada.say("first")
    expect(bob.entry("first")).to_be_visible()
    server.process.kill()
    expect(ada.chat.locator(".banner")).to_have_text(re.compile("offline|Connecting"))
    for number in range(3):
        ada.say(f"ada {number}")
        bob.say(f"bob {number}")
    expect(ada.chat.locator(".waiting")).to_have_count(3)
    bob.go(**{"with": "ada"})  # what a page that was left had not sent is sent by the next
    server.start()
    for one in (ada, bob):
        expect(one.entries).to_have_count(7, timeout=WAIT)
        expect(one.chat.locator(".waiting")).to_have_count(0)
    bob.say("All there?")
    expect(ada.entry("All there?")).to_be_visible()
    assert ada.said() == bob.said()
    expected = [f"{who} {number}" for who in ("ada", "bob") for number in range(3)]
    assert sorted(ada.said()) == sorted(["first", *expected, "All there?"])
    for name in ("ada", "bob"):
        own = [text for text in ada.said() if re.match(rf"{name} \d", text)]
        assert own == sorted(own)


@pytest.mark.timeout(400)
def test_somebody_is_offline_for_half_a_minute(visit: Visit) -> None:
    ada, bob = both(visit)
    ada.say("first")
    expect(bob.entry("first")).to_be_visible()
    bob.context.set_offline(True)
    expect(bob.chat.locator(".banner")).to_contain_text("You are offline")
    for number in range(5):
        ada.say(f"ada {number}")
    bob.say("from the tunnel")
    expect(ada.entry("ada 4")).to_be_visible()
    ada.act("first", "React")
    ada.entry("first").get_by_role("button", name="React with 🎉").click()
    bob.page.wait_for_timeout(30_000)  # what is asked for: a network that is away so long
    assert bob.said() == ["first"]
    expect(bob.chat.locator(".waiting")).to_have_count(1)
    bob.context.set_offline(False)
    for one in (ada, bob):
        expect(one.entries).to_have_count(7, timeout=WAIT)
    assert ada.said() == bob.said() == ["first", *(f"ada {n}" for n in range(5)), "from the tunnel"]
    expect(bob.entry("first").locator(".reactions")).to_contain_text("🎉")
    expect(ada.entry("from the tunnel")).to_be_visible()


@pytest.mark.timeout(600)
def test_ten_thousand_entries_scroll(visit: Visit) -> None:
    fill(start(person("ada"), "direct", "bob"), 10_000)
    ada = visit("ada").go(**{"with": "bob"})
    expect(ada.entry("message 10000")).to_be_visible()
    scroller = ada.chat.locator(".scroller")
    most = ada.page.evaluate(
        """async () => {
          const root = document.querySelector("comms-chat").shadowRoot;
          const scroller = root.querySelector(".scroller");
          const shown = () => [...root.querySelectorAll(".entry[data-id] .text")].map((one) => Number(one.innerText.split(" ")[1]));
          let most = 0, jumps = 0;
          for (let turn = 0; turn < 20000; turn += 1) {
            const numbers = shown();
            most = Math.max(most, numbers.length);
            if (numbers.some((one, at) => at && one <= numbers[at - 1])) jumps += 1;
            if (numbers[0] === 1) break;
            scroller.scrollTop -= 4000;
            await new Promise((done) => setTimeout(done, 20));
          }
          return [most, jumps, shown()[0]];
        }"""
    )
    assert most[1:] == [0, 1]
    assert most[0] < 1000  # drawn at a time
    expect(ada.chat.locator("#e1")).to_be_visible()
    before = scroller.evaluate("one => one.scrollHeight")
    ada.say("down here")
    expect(ada.entry("down here")).to_be_in_viewport()
    scroller.evaluate("one => { one.scrollTop = 0; }")
    expect(ada.chat.locator("#e1")).to_be_in_viewport()
    assert abs(scroller.evaluate("one => one.scrollHeight") - before) < 400
    bob = visit("bob").go(**{"with": "ada"})
    bob.say("one more")
    end = ada.chat.get_by_role("button", name="To the latest message")
    expect(end).to_contain_text("1")
    end.click()
    expect(ada.entry("one more")).to_be_in_viewport()


def test_the_bell(visit: Visit) -> None:
    ada = visit("ada").go(**{"with": "bob"})
    expect(ada.bell).to_have_accessible_name("Notifications, 0 unread")
    ada.is_live()
    deliver(parts={"title": "Your order", "body": "It is on its way"}, tags=("order",))
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")
    expect(ada.inbox.get_by_role("status").last).to_have_text("New: Your order")
    ada.bell.click()
    panel = ada.inbox.get_by_role("dialog", name="Notifications")
    item = panel.get_by_role("listitem").filter(has_text="Your order")
    expect(item).to_contain_text("It is on its way")
    deliver(parts={"title": "A second one"})
    expect(panel.get_by_role("listitem")).to_have_text([re.compile("A second"), re.compile("Your")])
    ada.shot("widget-inbox")
    panel.get_by_role("tab", name="order").click()
    expect(panel.get_by_role("listitem")).to_have_count(1)
    item.hover()
    item.get_by_role("button", name="Mark as read").click()
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")
    item.get_by_role("button", name="Snooze").click()
    item.get_by_role("button", name="In an hour").click()
    expect(panel.get_by_role("listitem")).to_have_count(0)
    panel.get_by_role("tab", name="Snoozed").click()
    expect(item).to_contain_text("Until")
    item.hover()
    item.get_by_role("button", name="Back to the inbox").click()
    panel.get_by_role("tab", name="All").click()
    expect(panel.get_by_role("listitem")).to_have_count(2)
    item.hover()
    item.get_by_role("button", name="Archive").click()
    expect(item).to_have_count(0)
    panel.get_by_role("tab", name="Archived").click()
    expect(item).to_be_visible()
    panel.get_by_role("button", name="Mark all as read").click()
    expect(ada.bell).to_have_accessible_name("Notifications, 0 unread")


# --- For everybody ---------------------------------------------------------------------------

_ACTIVE = """() => {
  let found = document.activeElement;
  while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found;
}"""


def tab_to(one: Visitor, selector: str, key: str = "Tab") -> None:
    """By the keyboard, to the next such element."""
    for _ in range(60):
        one.page.keyboard.press(key)
        if one.page.evaluate(f"selector => ({_ACTIVE})()?.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached.")


# --- A customer and the team ---------------------------------------------------------------------


def test_a_customer_is_told_nothing_of_the_teams_work(visit: Visit) -> None:
    one, two = staff("one"), staff("two")
    ada = visit("ada")
    ada.page.add_init_script(NO_LOOKS)
    late = Held(ada.page, "**/conversations?*")
    ada.go(support="yes")
    late.wait()
    ada.is_live_list()  # and asks again
    late.let_go()
    ada.is_live()
    ada.say("Where is it?")
    expect(ada.entries).to_have_count(1)
    fetched: list[str] = []
    ada.page.on("request", lambda request: fetched.append(request.url))
    chat = Conversation.objects.get().id
    for each in (one, two):
        support.assign(one, chat, each.id)
    entries.post(one, chat, "On its way.")
    expect(ada.entry("Where is it?").get_by_role("img", name="Read")).to_be_visible()
    support.set_status(one, chat, Status.CLOSED)
    support.assign(two, chat, None)
    support.set_status(two, chat, Status.PENDING)
    entries.post(two, chat, "Here it is.")
    shown = ada.chat.locator(".entry[data-id] .text, .system")
    everything = [
        "Where is it?",
        "On its way.",
        "The conversation was closed",
        "The conversation was opened again",
        "Here it is.",
    ]
    expect(shown).to_have_text(everything)
    assert [url for url in fetched if "/entries" in url] == []  # nothing seemed to be missing
    ada.shot("widget-support")
    ada.go(support="yes").is_live()
    expect(shown).to_have_text(everything)
    ada.say("Thank you")
    expect(ada.entries).to_have_count(4)
    team.read(one, chat)
    expect(ada.entry("Thank you").get_by_role("img", name="Read")).to_be_visible()


def test_who_puts_the_only_conversation_away_sees_it_and_gets_it_back(visit: Visit) -> None:
    ada = visit("ada", viewport=PHONE).go(support="yes")
    ada.is_live()
    ada.say("Where is it?")
    expect(ada.entries).to_have_count(1)
    away = ada.chat.get_by_role("status").filter(has_text="Archived")
    ada.choose("Archive")
    expect(away).to_be_visible()
    expect(ada.chat.locator(".choices")).to_have_count(0)
    ada.shot("widget-archived-phone")
    assert violations(ada.page) == []
    ada.go(support="yes").is_live()
    expect(ada.entry("Where is it?")).to_be_visible()  # and not another one
    assert Conversation.objects.count() == 1
    away.get_by_role("button", name="Take out of the archive").click()
    expect(away).to_have_count(0)
    ada.choose("Archive")
    expect(away).to_be_visible()
    ada.say("Are you there?")  # which brings it back
    expect(away).to_have_count(0)


# --- Drafts and files ----------------------------------------------------------------------------


def test_a_draft_outlives_the_page(visit: Visit) -> None:
    bob = person("bob")
    talk = start(bob, "group", "ada", "eve", title="Oslo")
    write(bob, talk, "At nine?")
    place = {"conversation": str(talk["id"])}
    ada = visit("ada").go(**place)
    ada.is_live()
    ada.act("At nine?", "Reply")
    ada.box.fill("Half of what")
    ada.go(**place).is_live()
    expect(ada.box).to_have_value("Half of what")
    expect(ada.chat.locator(".about")).to_contain_text("At nine?")

    eve = ada.tab()  # of the same browser, and hers alone
    eve.user = "eve"
    eve.go(**place).is_live()
    expect(eve.box).to_have_value("")

    ada.say("Half past nine")
    expect(ada.entry("Half past nine").locator(".quote")).to_contain_text("At nine?")
    ada.go(**place).is_live()
    expect(ada.box).to_have_value("")
    expect(ada.chat.locator(".about")).to_have_count(0)


def files(count: int) -> list[FilePayload]:
    return [
        FilePayload(name=f"{number}.txt", mimeType="text/plain", buffer=b"a" * number)
        for number in range(1, count + 1)
    ]


def test_more_files_than_fit_are_told_and_the_others_keep_their_order(visit: Visit) -> None:
    ada, bob = both(visit)
    late: list[Route] = []
    ada.page.route("**/attachments", lambda route: late.append(route), times=1)
    ada.chat.locator("input[type=file]").set_input_files(files(12))
    left = "At most 10 files go with one message. Left out: 11.txt and 12.txt"
    expect(ada.chat.get_by_role("alert")).to_contain_text(left)
    expect(ada.chat.locator(".uploads li")).to_have_count(10)
    expect(ada.chat.locator(".uploads progress")).to_have_count(1)
    late[0].continue_()  # the first one is there last
    uploaded(ada.chat)
    ada.say("All of them")
    shown = bob.entry("All of them").locator(".file")
    expect(shown.locator(".cut")).to_have_text([f"{number}.txt" for number in range(1, 11)])
    expect(shown.locator("small").nth(2)).to_have_text("3 bytes")


_HASTY = """
const usual = window.setTimeout;
let isFirst = true;
window.setTimeout = (action, wait, ...more) => {
  const isIt = wait === 30_000 && isFirst;
  if (isIt) isFirst = false;
  return usual(action, isIt ? 500 : wait, ...more);
};
"""
"""The first half minute is over soon."""


def test_an_upload_that_hangs_is_tried_again(visit: Visit) -> None:
    ada, bob = visit("ada"), visit("bob")
    ada.page.add_init_script(_HASTY)
    ada.go(**{"with": "bob"}).is_live()
    bob.go(**{"with": "ada"}).is_live()
    hangs: list[Route] = []
    ada.page.route("**/attachments", lambda route: hangs.append(route), times=1)
    ada.chat.locator("input[type=file]").set_input_files(files(1))
    uploaded(ada.chat)
    assert len(hangs) == 1
    ada.say("Here")
    expect(bob.entry("Here").locator(".file")).to_contain_text("1.txt")


def test_a_message_waits_for_the_file_that_was_chosen_just_now(visit: Visit) -> None:
    """What takes files is loaded when they are chosen, and the line may be slow."""
    ada, bob = both(visit)
    loads: list[Route] = []
    ada.page.route("**/comms-more.js*", lambda route: loads.append(route))
    ada.page.reload()
    ada.is_live()
    ada.chat.locator("input[type=file]").set_input_files(files(1))
    eventually(lambda: ada.page.evaluate("1") == 1 and bool(loads))
    ada.box.fill("Here it is")
    ada.box.press("Enter")
    expect(ada.chat.get_by_role("button", name="Send")).to_have_attribute("aria-disabled", "true")
    for route in loads:
        route.continue_()
    uploaded(ada.chat)
    expect(ada.box).to_have_value("Here it is")
    ada.box.press("Enter")
    expect(bob.entry("Here it is").locator(".file")).to_contain_text("1.txt")


def test_a_long_name_leaves_room_for_the_size(visit: Visit) -> None:
    ada, _ = both(visit, viewport=PHONE)
    name = "the-minutes-of-our-meeting-" * 5 + ".txt"
    long = FilePayload(name=name, mimeType="text/plain", buffer=b"a" * 1540)
    ada.page.set_viewport_size(PHONE)
    ada.chat.locator("input[type=file]").set_input_files([long, *files(1)])
    uploaded(ada.chat)
    ada.box.press("Enter")
    sizes = ada.entries.locator(".file small")
    expect(sizes).to_have_text(["1.5 kB", "1 byte"])
    assert sizes.evaluate_all(
        "all => all.map((one) => one.scrollWidth <= one.offsetWidth && one.offsetHeight < 30)"
    ) == [True, True]
    ada.shot("widget-files-phone")


def test_who_is_signed_out_is_told_once(visit: Visit, shop: Shop) -> None:
    ada = visit("ada")
    shop.is_signed_in = False
    ada.go()
    told = ada.chat.get_by_text("You are signed out.")
    expect(told).to_have_count(1)
    expect(told).to_be_visible()
    expect(ada.chat.get_by_text("Loading")).to_have_count(0)
    ada.shot("widget-signed-out")


@pytest.mark.parametrize("hours", [-24, 24])
def test_today_is_that_of_the_service(visit: Visit, hours: int) -> None:
    talk = start(person("bob"), "direct", "ada")
    write(person("bob"), talk, "Hello")
    ada = visit("ada", timezone_id="UTC")
    ada.page.clock.install(time=timezone.now() + timedelta(hours=hours))
    ada.go(conversation=str(talk["id"])).is_live()
    expect(ada.chat.locator(".day").first).to_have_text("Today")


@pytest.mark.timeout(400)
def test_by_keyboard_alone(visit: Visit) -> None:
    ada, bob = both(visit)
    keys = ada.page.keyboard
    bob.say("Lunch?")
    expect(ada.entry("Lunch?")).to_be_visible()
    tab_to(ada, "textarea")
    keys.type("Yes")
    keys.press("Enter")
    expect(bob.entry("Yes")).to_be_visible()
    expect(ada.entry("Yes")).to_be_visible()

    tab_to(ada, ".entry", "Shift+Tab")
    keys.press("ArrowUp")
    expect(ada.entry("Lunch?")).to_be_focused()
    keys.press("Enter")
    expect(ada.entry("Lunch?").get_by_role("button", name="React")).to_be_focused()
    keys.press("Enter")
    expect(ada.chat.get_by_role("button", name="React with 👍")).to_be_focused()
    keys.press("Enter")
    expect(ada.entry("Lunch?")).to_be_focused()
    expect(bob.entry("Lunch?").get_by_role("button", name="👍: ada")).to_be_visible()
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Enter")
    expect(ada.box).to_be_focused()
    expect(ada.chat.locator(".about")).to_contain_text("Reply to bob")
    keys.press("Escape")
    expect(ada.chat.locator(".about")).to_have_count(0)
    keys.press("ArrowUp")
    expect(ada.box).to_have_value("Yes")
    keys.type(", gladly")
    keys.press("Enter")
    expect(bob.entry("Yes, gladly")).to_contain_text("edited")
    tab_to(ada, "[aria-label='Conversation options']", "Shift+Tab")
    keys.press("Enter")
    expect(ada.chat.get_by_role("button", name="Mute")).to_be_visible()
    keys.press("Escape")
    expect(ada.chat.get_by_role("button", name="Mute")).to_have_count(0)

    deliver(parts={"title": "Your order"})
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")
    tab_to(ada, ".bell", "Shift+Tab")
    keys.press("Enter")
    tab_to(ada, "[role=tab][aria-selected=true]")
    keys.press("ArrowRight")
    expect(ada.inbox.get_by_role("tab", name="Unread")).to_have_attribute("aria-selected", "true")
    expect(ada.inbox.get_by_role("tab", name="Unread")).to_be_focused()
    expect(ada.inbox.get_by_role("listitem")).to_have_count(1)
    tab_to(ada, "[aria-label=Snooze]")
    keys.press("Enter")
    expect(ada.inbox.get_by_role("button", name="In an hour")).to_be_visible()
    keys.press("Escape")
    expect(ada.inbox.get_by_role("button", name="In an hour")).to_have_count(0)
    tab_to(ada, "[aria-label=Archive]")
    keys.press("Enter")
    expect(ada.inbox.get_by_role("listitem")).to_have_count(0)
    keys.press("Escape")
    expect(ada.bell).to_be_focused()
    expect(ada.inbox.get_by_role("dialog")).to_have_count(0)


@pytest.mark.timeout(400)
def test_everybody_can_read_and_hear_it(visit: Visit) -> None:
    """Axe finds nothing in any look; what has no text has a name; what comes is told."""
    Category.objects.create(key="news", name="News", kind=Category.Kind.MARKETING)
    ada, bob = both(visit)
    bob.say("Lunch?")
    expect(ada.chat.get_by_role("status").filter(has_text="bob: Lunch?")).to_be_attached()
    ada.act("Lunch?", "Reply")
    ada.say("Yes")
    bob.act("Yes", "React")
    bob.entry("Yes").get_by_role("button", name="React with 👍").click()
    expect(ada.entry("Yes").locator(".reactions")).to_be_visible()
    bob.chat.locator("input[type=file]").set_input_files(picture())
    uploaded(bob.chat)
    bob.box.press("Enter")
    expect(ada.chat.get_by_role("button", name="oslo.png")).to_be_visible()
    item = deliver(parts={"title": "Your order", "body": "Soon"})
    item.actions = [{"key": "yes", "label": "Yes", "link": "", "style": "primary"}]
    item.save(update_fields=["actions"])
    named = ["Send", "Attach files", "Conversation options", "Notifications, 1 unread"]
    for name in named:
        expect(ada.page.get_by_role("button", name=name)).to_be_visible()
    expect(ada.page.get_by_role("textbox", name="Write a message")).to_be_visible()
    expect(ada.page.get_by_role("listitem", name="You: Yes")).to_be_visible()
    expect(ada.page.get_by_role("region", name="bob")).to_be_visible()
    for look in (
        {"theme": "light"},
        {"theme": "dark"},
        {"theme": "dark", "lang": "ar"},
        {"theme": "light", "lang": "de"},
    ):
        ada.go(**{"with": "bob", **look})
        ada.is_live()
        expect(ada.entry("Yes")).to_be_visible()
        ada.page.evaluate("document.fonts.ready.then(() => null)")
        assert violations(ada.page) == [], look
        ada.entry("Yes").hover()
        ada.shot(f"widget-{look['theme']}-{look.get('lang', 'en')}")
        ada.bell.click()
        expect(ada.inbox.get_by_role("listitem")).to_have_count(1)
        assert violations(ada.page) == [], look
        ada.shot(f"widget-inbox-{look['theme']}-{look.get('lang', 'en')}")
        ada.inbox.locator("header button").nth(1).click()
        expect(ada.inbox.get_by_role("switch")).to_have_count(4)
        assert violations(ada.page) == [], look
        ada.shot(f"widget-preferences-{look['theme']}-{look.get('lang', 'en')}")


def test_it_is_read_from_right_to_left(visit: Visit) -> None:
    ada, bob = visit("ada"), visit("bob")
    bob.go(**{"with": "ada"}).is_live()
    bob.say("Hello")
    ada.go(**{"with": "bob", "lang": "ar"}).is_live()
    expect(ada.box).to_have_attribute("placeholder", "اكتب رسالة")
    expect(ada.box).to_have_css("direction", "rtl")
    expect(ada.bell).to_have_accessible_name(re.compile("الإشعارات"))
    ada.say("مرحبا")
    expect(ada.entry("مرحبا")).to_be_visible()
    theirs, mine, chat = (
        one.bounding_box() or {"x": 0, "width": 0}
        for one in (
            ada.entry("Hello").locator(".bubble"),
            ada.entry("مرحبا").locator(".bubble"),
            ada.chat,
        )
    )
    middle = chat["x"] + chat["width"] / 2
    assert mine["x"] + mine["width"] < middle < theirs["x"]
    expect(bob.entry("مرحبا").locator(".text")).to_have_css("direction", "rtl")
    expect(bob.entry("مرحبا")).to_have_css("direction", "ltr")


def test_a_choice_is_kept(visit: Visit) -> None:
    Category.objects.create(key="news", name="News", kind=Category.Kind.MARKETING)
    ada = visit("ada").go(**{"with": "bob"})
    for is_on in (True, False):  # as it is at first, and after the choice
        ada.bell.click()
        ada.inbox.get_by_role("button", name="Preferences").click()
        choice = ada.inbox.get_by_role("switch", name="News by Email")
        expect(choice).to_be_checked(checked=is_on)
        with ada.page.expect_response(lambda answer: answer.request.method == "PUT"):
            choice.click()
        ada.go(**{"with": "bob"})


def test_quiet_hours_are_kept(visit: Visit) -> None:
    ada = visit("ada", timezone_id="Europe/Berlin").go(**{"with": "bob"})
    periods = ada.inbox.locator(".quiet li")

    def change(action: Callable[[], None]) -> None:
        with ada.page.expect_response(lambda answer: answer.request.method == "PUT"):
            action()

    def look() -> None:
        ada.bell.click()
        ada.inbox.get_by_role("button", name="Preferences").click()
        expect(ada.inbox.get_by_role("heading", name="Quiet hours")).to_be_visible()

    look()
    expect(periods).to_have_count(0)
    change(ada.inbox.get_by_role("button", name="Add quiet hours").click)
    change(lambda: ada.inbox.get_by_label("To", exact=True).fill("06:30"))
    ada.shot("widget-quiet-hours")
    assert violations(ada.page) == []
    ada.go(**{"with": "bob"})
    look()
    expect(ada.inbox.locator(".quiet")).to_contain_text("Europe/Berlin")
    expect(ada.inbox.get_by_label("From", exact=True)).to_have_value("22:00")
    expect(ada.inbox.get_by_label("To", exact=True)).to_have_value("06:30")
    (kept,) = QuietHours.objects.all()
    assert (kept.recipient.user_id, kept.recipient.time_zone) == ("ada", "Europe/Berlin")
    change(ada.inbox.get_by_role("button", name="Remove", exact=True).click)
    expect(periods).to_have_count(0)


# --- Hostile text ----------------------------------------------------------------------------

_SCRIPT = "window.hacked=1"
HOSTILE = [
    f"<script>{_SCRIPT}</script>",
    f"<img src=x onerror={_SCRIPT}>",
    f"<svg onload={_SCRIPT}>",
    f"<svg><script>{_SCRIPT}</script></svg>",
    f'"><script>{_SCRIPT}</script>',
    f"'><img src=x onerror={_SCRIPT}>",
    f"</textarea><script>{_SCRIPT}</script>",
    f"</style><script>{_SCRIPT}</script>",
    f"</title><script>{_SCRIPT}</script>",
    f"<iframe src='javascript:{_SCRIPT}'></iframe>",
    f'<iframe srcdoc="<script>parent.{_SCRIPT}</script>"></iframe>',
    f"<object data='javascript:{_SCRIPT}'></object>",
    f"<embed src='javascript:{_SCRIPT}'>",
    f"<a href='javascript:{_SCRIPT}'>click</a>",
    f"[click](javascript:{_SCRIPT})",
    f"[click](JaVaScRiPt:{_SCRIPT})",
    f"[click](&#106;avascript:{_SCRIPT})",
    f"[click](data:text/html,<script>{_SCRIPT}</script>)",
    f"[click](vbscript:{_SCRIPT})",
    f"<javascript:{_SCRIPT}>",
    f"![x](https://example.com/x.png' onerror='{_SCRIPT})",
    f"<details open ontoggle={_SCRIPT}>",
    f"<video><source onerror={_SCRIPT}></video>",
    f"<body onload={_SCRIPT}>",
    f"<input autofocus onfocus={_SCRIPT}>",
    f"<marquee onstart={_SCRIPT}>",
    f"<math><mtext><img src=x onerror={_SCRIPT}></mtext></math>",
    f"<template><script>{_SCRIPT}</script></template>",
    f"<style>@import 'javascript:{_SCRIPT}';</style>",
    "<link rel=stylesheet href=https://example.com/x.css>",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "<base href=https://example.com/>",
    "<form action=https://example.com><button>go</button></form>",
    f"<!--><img src=x onerror={_SCRIPT}>-->",
    f"<![CDATA[<script>{_SCRIPT}</script>]]>",
    f"${{alert(1)}}{{{{constructor.constructor('{_SCRIPT}')()}}}}",
    f"<noscript><p title='</noscript><img src=x onerror={_SCRIPT}>'></noscript>",
    f"\u202etpircs\u202c<scr\u00adipt>{_SCRIPT}</script>",
    f"`<script>{_SCRIPT}</script>`",
    f"```\n<img src=x onerror={_SCRIPT}>\n```",
]
_FOREIGN = """() => {
  const ours = "a b br blockquote button code div em form h1 h2 header i img input li main nav ol p path"
    + " pre progress s section small span strong svg textarea time ul";
  const wrong = [];
  for (const widget of document.querySelectorAll("comms-chat, comms-inbox")) {
    for (const one of widget.shadowRoot.querySelectorAll("*")) {
      if (!ours.split(" ").includes(one.localName)) wrong.push(one.outerHTML);
      for (const { name, value } of one.attributes) {
        if (name.startsWith("on") || name === "srcdoc" || name === "style") wrong.push(one.outerHTML);
        if (["href", "src"].includes(name) && !/^https?:|^mailto:/i.test(value)) wrong.push(one.outerHTML);
      }
    }
  }
  return wrong;
}"""


@pytest.mark.timeout(400)
def test_hostile_names_and_messages_are_text(visit: Visit) -> None:
    assert len(HOSTILE) == 40
    bob = person("bob")
    talk = start(bob, "group", "ada", title=HOSTILE[1])
    for text in HOSTILE:
        write(bob, talk, text)
        deliver(parts={"title": text, "body": text})
    names = {"bob": HOSTILE[0], "ada": HOSTILE[2]}
    ada = visit("ada")
    ada.go(conversation=str(talk["id"]), names=json.dumps(names))
    expect(ada.entries).to_have_count(40)
    assert ada.page.evaluate(_FOREIGN) == []
    expect(ada.chat.locator(".author").first).to_have_text(HOSTILE[0])
    expect(ada.chat.locator(".thread h2")).to_have_text(HOSTILE[1])
    shown = ada.entries.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert shown == [f"{HOSTILE[0]}: {markup.excerpt(text, 1000)}" for text in HOSTILE]
    as_they_are = [text for text in HOSTILE if text[0] == "<" and "`" not in text]
    texts = ada.entries.locator(".text").all_text_contents()
    assert [text for text in as_they_are if text not in texts] == []
    ada.bell.click()
    ada.inbox.get_by_role("button", name="Show more").click()
    expect(ada.inbox.locator(".item")).to_have_count(40)
    assert ada.page.evaluate(_FOREIGN) == []
    titles = ada.inbox.locator(".title").all_text_contents()
    assert sorted(titles) == sorted(HOSTILE)
    assert sorted(ada.inbox.locator(".text").all_text_contents()) == sorted(HOSTILE)
    ada.say(HOSTILE[3])
    expect(ada.entries).to_have_count(41)
    assert ada.page.evaluate("window.hacked") is None
    assert ada.page.url.startswith("http://localhost")


# --- The client alone ------------------------------------------------------------------------

_MISBEHAVING = """async () => {
  const { CommsClient } = await import("/comms/comms-client.js");
  const id = "019a0000-0000-7000-8000-000000000021";
  const sockets = [], asked = [];
  class Socket {
    constructor(url, protocols) {
      this.readyState = 1;
      this.protocols = protocols;
      this.sent = [];
      sockets.push(this);
      queueMicrotask(() => this.say({ type: "hello", session: "s", heartbeat_ms: 60000, reconnect_after_ms: 0, limits: {} }));
    }
    send(text) {
      const frame = JSON.parse(text);
      this.sent.push(frame);
      if (frame.type === "subscribe") this.say({ type: "ack", id: frame.id, heads: { conversations: { [id]: 5 } }, refused: [] });
      else if (frame.type === "send" && !Socket.isDeaf) this.say({ type: "ack", id: frame.id, conversation: id, seq: 99, entry: "e" });
      else if (frame.id && !["send"].includes(frame.type)) this.say({ type: "ack", id: frame.id });
    }
    say(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
    close() { this.readyState = 3; }
    break() { this.readyState = 3; this.onclose({ code: 1006 }); }
  }
  const entry = (seq) => ({ type: "entry", conversation: id, seq, entry: { id: String(seq), conversation: id, seq, changed_seq: seq } });
  const page = (first, last) => ({
    results: Array.from({ length: last - first + 1 }, (_, at) => entry(first + at).entry), next: null, previous: null, last_seq: last,
  });
  const answer = (body) => new Response(JSON.stringify(body), { status: 200 });
  const client = new CommsClient({
    url: "https://comms.example.com", token: () => "token", user: "ada", WebSocket: Socket, storage: null,
    fetch: async (url, init) => {
      asked.push(`${init.method} ${new URL(url).pathname.split("/").at(-1)}${new URL(url).search}`);
      return answer(url.includes("ws-ticket") ? { ticket: "t" } : page(12, 15));
    },
  });
  const until = async (condition) => { for (let turn = 0; !condition() && turn < 3000; turn += 1) await new Promise((done) => setTimeout(done, 10)); };
  const heard = [], states = [], resets = [];
  client.on("entry", ({ seq }) => heard.push(seq));
  client.on("state", ({ state }) => states.push(state));
  client.on("reset", ({ seq }) => resets.push(seq));
  client.subscribe({ conversations: { [id]: 5 } });
  client.connect();
  await until(() => client.state === "live");
  const first = sockets[0];
  for (const seq of [6, 6, 5, 7]) first.say(entry(seq));      // twice, and an old one
  first.say(entry(9));                                        // 8 is missing: it asks again
  const askedAgain = first.sent.filter((one) => one.type === "subscribe").map((one) => one.conversations[id]);
  for (const seq of [8, 9]) first.say(entry(seq));
  client.send(id, "one", { clientId: "c1" });
  await until(() => first.sent.some((one) => one.client_id === "c1"));
  Socket.isDeaf = true;                                       // the answer is lost with the line
  const second = client.send(id, "two", { clientId: "c2" });
  const third = client.send(id, "three", { clientId: "c3" });
  await until(() => first.sent.some((one) => one.client_id === "c2"));
  first.break();
  Socket.isDeaf = false;
  await until(() => client.state === "live" && sockets.length === 2);
  const [sent, last] = await Promise.all([second, third]);
  const resumed = sockets[1].sent.find((one) => one.type === "subscribe").conversations[id];
  const written = sockets[1].sent.filter((one) => one.type === "send").map((one) => one.client_id);
  for (const seq of [10, 11]) sockets[1].say(entry(seq));
  sockets[1].say({ type: "resync", feed: "conversations", key: id, seq: 14 });
  for (const seq of [15, 16]) sockets[1].say(entry(seq));     // 15 is in the page that is fetched, too
  await until(() => heard.includes(16));
  sockets[1].say({ type: "resync", feed: "conversations", key: id, seq: 9000 });
  sockets[1].say(entry(9001));
  const many = Array.from({ length: 250 }, (_, at) => [`c${at}`, 0]);
  client.subscribe({ inbox: 0, conversations: Object.fromEntries(many) });
  const [letGo, added] = sockets[1].sent.slice(-2).map((one) => Object.values(one.conversations).length);
  client.close();
  return { letGo, added, heard, askedAgain, resumed, written, sent: [sent.clientId, last.clientId], states, resets, asked, protocols: first.protocols };
}"""


def test_a_client_keeps_the_order_whatever_the_line_does(visit: Visit) -> None:
    told = visit("ada").go(**{"with": "bob"}).page.evaluate(_MISBEHAVING)
    assert told["heard"] == [*range(6, 17), 9001]
    assert told["askedAgain"] == [5, 7]
    assert told["resumed"] == 9
    assert told["written"] == ["c2", "c3"] == told["sent"]
    assert told["resets"] == [9000]
    assert (told["letGo"], told["added"]) == (52, 199)  # and the inbox: 200 are the most
    assert told["protocols"] == ["comms.v1", "ticket.t"]
    assert told["asked"].count("POST ws-ticket") == 2
    assert "GET entries?after=11&limit=200" in told["asked"]
    steps = [
        one
        for one, before in zip(told["states"], [None, *told["states"]], strict=False)
        if one != before
    ]
    assert steps == ["connecting", "live", "offline", "connecting", "live", "offline"]
