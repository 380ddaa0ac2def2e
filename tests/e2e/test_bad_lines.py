"""The widgets where things go wrong: slow lines, two tabs, clocks, tokens that end, late answers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import FilePayload, Page, Request, Route, WebSocket, expect

from conversations.models import Conversation, Participant
from conversations.types import Kind
from notifications.models import Category, InboxItem
from tests.e2e.conftest import PHONE
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
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def visit(shoppers: Visit) -> Visit:
    """In the shop, and not on staff pages."""
    return shoppers


def slow(page: Page) -> None:
    """As in a train: 400 ms there and back, 50 kB a second."""
    session = page.context.new_cdp_session(page)
    conditions = {"downloadThroughput": 50_000, "uploadThroughput": 50_000}
    session.send(
        "Network.emulateNetworkConditions", {"offline": False, "latency": 400, **conditions}
    )


def noise(size: int) -> FilePayload:
    """A file that no line makes smaller."""
    text = os.urandom(size // 2).hex()
    return FilePayload(name="noise.txt", mimeType="text/plain", buffer=text.encode())


def rows(one: Visitor) -> Any:
    return one.chat.locator(".row[data-thread]")


def row(one: Visitor, name: str) -> Any:
    return rows(one).filter(has=one.page.get_by_text(name, exact=True))


def numbers(one: Visitor) -> list[int]:
    return [int(text.split()[1]) for text in one.said()]


def requests(one: Visitor, end: str) -> list[str]:
    """From now on: those to addresses that end so."""
    found: list[str] = []

    def hear(request: Request) -> None:
        if request.url.endswith(end):
            found.append(request.url)

    one.page.on("request", hear)
    return found


def look(one: Visitor) -> None:
    """The person comes back to the tab."""
    one.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


# --- What was written long ago -------------------------------------------------------------------


def test_an_old_message_is_shown_with_what_is_around_it(visit: Visit) -> None:
    bob = person("bob")
    talk = start(bob, "direct", "ada")
    fill(talk, 1000)
    old = write(bob, talk, "The ferry leaves at nine")
    fill(talk, 2000)
    write(bob, talk, "As I said", reply_to=old["id"])
    ada = visit("ada").go(**{"with": "bob"})
    ada.is_live()
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url))
    ada.entry("As I said").locator(".quote").click()
    expect(ada.entry("The ferry leaves")).to_be_focused()
    expect(ada.entry("The ferry leaves")).to_be_in_viewport()
    assert sum("/entries?" in url for url in asked) < 4

    # What comes does not belong here, and is not read by who looks at something else.
    write(bob, talk, "Did you find it?")
    end = ada.chat.get_by_role("button", name="To the latest message")
    expect(end).to_contain_text("1")
    expect(ada.entry("Did you find it?")).to_have_count(0)
    mine = Participant.objects.get(conversation=talk["id"], person_id="ada")
    assert mine.read_seq < 2002

    shown = ada.chat.locator(".scroller").evaluate(  # on to the end, and no gap
        """async (scroller) => {
          const found = new Set();
          for (let turn = 0; turn < 3000; turn += 1) {
            for (const one of scroller.querySelectorAll(".entry[data-id]")) found.add(Number(one.id.slice(1)));
            if (found.has(2002)) break;
            scroller.scrollTop += 2000;
            await new Promise((done) => setTimeout(done, 20));
          }
          scroller.scrollTop = scroller.scrollHeight;
          return [...found].sort((one, other) => one - other);
        }"""
    )
    assert shown == list(range(shown[0], 2003))
    expect(ada.entry("Did you find it?")).to_be_in_viewport()
    expect(end).to_have_count(0)

    there = ada.chat.locator(f"#e{old['seq']}")
    for is_late in (False, True):  # who writes is at the end again, also before what was asked for
        ada.go(**{"with": "bob"}).is_live()
        late = Held(ada.page, "**/entries?*around=*")
        ada.entry("As I said").locator(".quote").click()
        late.wait()
        if not is_late:
            late.let_go()
            expect(there).to_be_in_viewport()
        ada.say(f"Found it {is_late}")
        if is_late:
            late.let_go()
        expect(ada.entry(f"Found it {is_late}")).to_be_in_viewport()
        expect(there).to_have_count(0)


def test_a_late_answer_does_not_take_the_place_of_a_later_choice(visit: Visit) -> None:
    bob = person("bob")
    direct, group = start(bob, "direct", "ada"), start(bob, "group", "ada", title="Oslo")
    old = write(bob, direct, "The ferry leaves at nine")
    fill(direct, 300)
    write(bob, direct, "As I said", reply_to=old["id"])
    write(bob, group, "Who is coming?")
    call(person("ada"), "post", f"/{direct['id']}/archive")
    ada = visit("ada").go()
    expect(rows(ada)).to_have_count(1)

    late = Held(ada.page, f"**/conversations/{direct['id']}")
    ada.page.evaluate("id => void document.querySelector('comms-chat').open(id)", str(direct["id"]))
    late.wait()
    row(ada, "Oslo").click()
    expect(ada.entry("Who is coming?")).to_be_visible()
    late.let_go()
    write(bob, group, "Anybody?")
    expect(ada.entry("Anybody?")).to_be_visible()
    expect(ada.chat.locator(".thread h2")).to_have_text("Oslo")

    call(person("ada"), "delete", f"/{direct['id']}/archive")
    look(ada)
    row(ada, "bob").click()
    late = Held(ada.page, "**/entries?*around=*")
    ada.entry("As I said").locator(".quote").click()
    late.wait()
    row(ada, "Oslo").click()
    expect(ada.entry("Anybody?")).to_be_visible()
    late.let_go()
    write(bob, group, "Nobody?")
    expect(ada.entry("Nobody?")).to_be_in_viewport()
    expect(ada.chat.locator(".toast")).to_have_count(0)


def test_more_conversations_than_a_connection_follows(visit: Visit) -> None:
    """Those that are followed no more wake up at once, without a look at the list."""
    before = timezone.now() - timedelta(hours=1)
    made = [
        Conversation(kind=Kind.GROUP, title=f"Group {number}", active_at=before)
        for number in range(210)
    ]
    made[0].active_at -= timedelta(hours=1)  # the last of the list
    Conversation.objects.bulk_create(made)
    people = [
        Participant(conversation=one, person_id=id_) for one in made for id_ in ("ada", "bob")
    ]
    Participant.objects.bulk_create(people)
    ada = visit("ada")
    ada.page.add_init_script(NO_LOOKS)
    ada.go()
    ada.is_live_list()
    expect(rows(ada)).to_have_count(150)
    for number in range(2):
        write(person("bob"), {"id": str(made[0].pk)}, f"Number {number}")
        expect(rows(ada).first).to_contain_text(f"Number {number}")
    expect(rows(ada).locator(".badge")).to_have_text(["2"])


# --- The line ------------------------------------------------------------------------------------


def test_a_slow_line(visit: Visit) -> None:
    bob = person("bob")
    direct = start(bob, "direct", "ada")
    fill(direct, 400)
    groups = [start(bob, "group", "ada", title=name) for name in ("Oslo", "Rome")]
    for one in groups:
        write(bob, one, f"Who is coming to {one['title']}?")
    ada = visit("ada")
    slow(ada.page)
    ada.go()
    for name in ("bob", "Rome", "bob", "Oslo", "Rome"):  # and no waiting between them
        row(ada, name).click()
    expect(ada.entry("Who is coming to Rome?")).to_be_visible()
    ada.say("Me")
    row(ada, "bob").click()
    expect(ada.entry("message 400")).to_be_visible()
    shown = ada.chat.locator(".scroller").evaluate(
        """async (scroller) => {
          const found = new Set();
          for (let turn = 0; turn < 3000 && !found.has(1); turn += 1) {
            for (const one of scroller.querySelectorAll(".entry[data-id]")) found.add(Number(one.id.slice(1)));
            scroller.scrollTop -= 1000;
            await new Promise((done) => setTimeout(done, 20));
          }
          return found.size;
        }"""
    )
    assert shown == 400
    for number in range(401, 406):
        ada.say(f"message {number}")
    ada.chat.locator("input[type=file]").set_input_files(noise(100_000))
    ada.say("is not ready to go")  # while the file is on its way
    uploaded(ada.chat)
    ada.box.press("Enter")
    other = visit("bob").go(**{"with": "ada"})
    expect(other.entry("is not ready to go").locator(".file")).to_contain_text("noise.txt")
    expect(ada.chat.locator(".waiting")).to_have_count(0)
    said = [text for text in other.said() if text.startswith("message")][-6:]
    assert said == [f"message {number}" for number in range(400, 406)]
    group = call(bob, "get", f"/{groups[1]['id']}/entries")["results"]
    assert [one["body"] for one in group] == ["Who is coming to Rome?", "Me"]


def test_a_server_is_started_again_in_the_middle_of_an_upload(visit: Visit, server: Server) -> None:
    ada, bob = both(visit)
    slow(ada.page)
    ada.chat.locator("input[type=file]").set_input_files(noise(400_000))
    bar = ada.chat.locator(".uploads progress")
    eventually(lambda: 0 < bar.evaluate("one => one.value") < 1)
    server.process.kill()
    expect(ada.chat.locator(".banner")).not_to_have_text("")
    ada.box.fill("It was a long way")
    server.start()
    expect(bar).to_have_count(0, timeout=WAIT)
    ada.box.press("Enter")
    expect(bob.entry("It was a long way").locator(".file")).to_contain_text("noise.txt")
    expect(ada.chat.locator(".toast")).to_have_count(0)


# --- Tabs, tokens, clocks ------------------------------------------------------------------------


def test_two_tabs_of_one_person(visit: Visit) -> None:
    bob = person("bob")
    direct, group = start(bob, "direct", "ada"), start(bob, "group", "ada", title="Oslo")
    write(bob, group, "Who is coming?")
    write(bob, direct, "Hello")
    one = visit("ada").go()
    two = one.tab().go()
    for tab in (one, two):
        tab.is_live_list()
        expect(rows(tab).locator(".badge")).to_have_text(["1", "1"])
    row(one, "bob").click()  # read in one, read in both
    for tab in (one, two):
        expect(row(tab, "bob").locator(".badge")).to_have_count(0)
    row(two, "bob").click()
    expect(two.entry("Hello")).to_be_visible()

    two.box.fill("a draft")
    one.say("from one")
    expect(two.entry("from one")).to_be_visible()
    expect(two.box).to_have_value("a draft")
    one.context.set_offline(True)
    for tab in (one, two):
        expect(tab.chat.locator(".thread .banner.none")).to_have_count(0)
    one.say("one, offline")
    two.say("two, offline")
    one.context.set_offline(False)  # each may send what the other wrote, too
    for tab in (one, two):
        expect(tab.chat.locator(".waiting")).to_have_count(0, timeout=WAIT)
        expect(tab.entries).to_have_count(4, timeout=WAIT)
    texts = ["Hello", "from one", "one, offline", "two, offline"]
    assert sorted(one.said()) == sorted(two.said()) == sorted(texts)
    third = one.tab().go(**{"with": "bob"})  # nothing is left to be sent
    expect(third.entries).to_have_count(4)
    expect(third.chat.locator(".waiting")).to_have_count(0)

    one.chat.get_by_role("button", name="Conversation options").click()
    one.chat.get_by_role("button", name="Archive", exact=True).click()
    expect(rows(one).locator("b")).to_have_text(["Oslo"])
    look(two)
    expect(rows(two).locator("b")).to_have_text(["Oslo"])
    two.say("out of the archive")  # it is still open there
    expect(rows(two).locator("b")).to_have_text(["bob", "Oslo"])
    expect(rows(one).locator("b")).to_have_text(["bob", "Oslo"])


def test_a_token_ends_while_somebody_is_offline(visit: Visit, shop: Shop) -> None:
    ada, bob = visit("ada"), visit("bob")
    ada.page.clock.install()
    for one, other in ((ada, "bob"), (bob, "ada")):
        one.go(**{"with": other}).is_live()
    ada.context.set_offline(True)
    ada.say("from the tunnel")
    expect(ada.chat.locator(".waiting")).to_have_count(1)
    ada.page.clock.fast_forward("02:00:00")
    shop.tokens = 0
    ada.page.route("**/ws-ticket", lambda route: route.fulfill(status=401, body="{}"), times=1)
    ada.context.set_offline(False)
    expect(bob.entry("from the tunnel")).to_be_visible(timeout=WAIT)
    expect(ada.chat.locator(".waiting")).to_have_count(0)
    assert shop.tokens > 0
    expect(bob.entries).to_have_count(1)


def test_a_late_answer_says_nothing_of_the_sign_in(visit: Visit, shop: Shop) -> None:
    ada, _ = both(visit)
    Conversation.objects.update(title="Lunch")  # to see when the answer is there
    late = Held(ada.page, "**/conversations/*")
    look(ada)
    late.wait()
    shop.is_signed_in = False
    ada.page.route("**/ws-ticket", lambda route: route.fulfill(status=401, body="{}"))
    for name in ("offline", "online"):
        ada.page.evaluate(f"dispatchEvent(new Event('{name}'))")
    expect(ada.chat.locator(".banner")).to_contain_text("signed out")
    late.let_go()
    expect(ada.chat.get_by_role("heading", name="Lunch")).to_be_visible()
    expect(ada.chat.locator(".banner")).to_contain_text("signed out")


def test_a_new_sign_in_brings_the_widgets_back(visit: Visit, shop: Shop, server: Server) -> None:
    ada, bob = both(visit)
    shop.is_signed_in = False
    ada.page.route("**/ws-ticket", lambda route: route.fulfill(status=401, body="{}"))
    ada.context.set_offline(True)
    ada.context.set_offline(False)  # and the token is refused
    expect(ada.chat.locator(".banner")).to_contain_text("signed out")
    ada.say("kept for later")
    expect(ada.chat.locator(".waiting")).to_have_count(1)
    ada.page.unroute("**/ws-ticket")
    shop.is_signed_in = True
    look(ada)  # who signs in does it in another tab, or comes back from another page
    expect(bob.entry("kept for later")).to_be_visible(timeout=WAIT)
    expect(ada.chat.locator(".banner.none")).to_have_count(1)
    bob.say("There you are")
    expect(ada.entry("There you are")).to_be_visible()
    deliver(parts={"title": "Your order"})
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")

    ada.page.evaluate(  # the page gives a token itself from now on
        """() => {
          for (const one of document.querySelectorAll("comms-chat, comms-inbox")) {
            one.token = async () => (window.given = true) && (await fetch("/token?user=ada")).text();
          }
        }"""
    )
    ada.is_live()
    bob.say("And again")
    expect(ada.entry("And again")).to_be_visible()
    assert ada.page.evaluate("window.given")


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_hours_wrong(visit: Visit, shop: Shop, hours: int) -> None:
    ada, bob = visit("ada"), visit("bob")
    ada.page.clock.install(time=timezone.now() + timedelta(hours=hours))
    for one, other in ((ada, "bob"), (bob, "ada")):
        one.go(**{"with": other}).is_live()
    expect(ada.chat.locator(".thread header p")).to_have_text("Online")
    expect(bob.chat.locator(".thread header p")).to_have_text("Online")
    for number, who in enumerate((ada, bob, ada, bob)):
        who.say(f"message {number}")
        for one in (ada, bob):
            expect(one.entries).to_have_count(number + 1)
    ada.chat.locator("input[type=file]").set_input_files(noise(1000))
    uploaded(ada.chat)
    ada.say("message 4")
    expect(bob.entry("message 4").locator(".file")).to_be_visible()
    assert numbers(ada) == numbers(bob) == list(range(5))
    with ada.context.expect_page() as opened:
        ada.entry("message 4").locator(".file").click()
    opened.value.close()

    deliver(parts={"title": "Your order"})
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")
    ada.bell.click()
    item = ada.inbox.get_by_role("listitem").filter(has_text="Your order")
    expect(item.locator("time")).to_have_text("this minute")
    item.hover()
    item.get_by_role("button", name="Snooze").click()
    item.get_by_role("button", name="In an hour").click()
    expect(ada.inbox.get_by_role("listitem")).to_have_count(0)
    eventually(lambda: InboxItem.objects.filter(snoozed_until__isnull=False).exists())
    until = InboxItem.objects.get().snoozed_until
    assert until is not None
    assert timedelta(minutes=30) < until - timezone.now() < timedelta(minutes=61)
    assert shop.tokens < 10  # and not one for each request


# --- What is not done is not shown as done -------------------------------------------------------


def test_a_switch_shows_what_the_service_has(visit: Visit) -> None:
    Category.objects.create(key="news", name="News", kind=Category.Kind.MARKETING)
    ada = visit("ada").go(**{"with": "bob"})
    ada.is_live()
    ada.bell.click()
    ada.inbox.get_by_role("button", name="Preferences").click()
    choice = ada.inbox.get_by_role("switch", name="News by Email")
    expect(choice).to_be_checked()
    asked: list[Any] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(status=500, body="{}") if len(asked) == 1 else route.fallback()

    ada.page.route("**/recipients/*/preferences", lambda route: _puts(route, refuse))
    choice.click()
    expect(ada.inbox.locator(".notice")).to_have_text("Something went wrong. Try again.")
    expect(choice).to_be_checked()
    choice.click()
    expect(ada.inbox.locator(".notice")).to_have_text("")
    expect(choice).not_to_be_checked()
    assert [one["preferences"][0]["is_on"] for one in asked] == [False, False]


def _puts(route: Route, action: Callable[[Route], None]) -> None:
    if route.request.method == "PUT":
        action(route)
    else:
        route.fallback()


def test_what_the_bell_could_not_do_is_undone(visit: Visit) -> None:
    ada = visit("ada").go(**{"with": "bob"})
    ada.is_live()
    deliver(parts={"title": "Your order"})
    ada.bell.click()
    item = ada.inbox.get_by_role("listitem").filter(has_text="Your order")
    expect(item).to_be_visible()
    ada.context.set_offline(True)
    for action in ("Archive", "Mark as read"):
        item.hover()
        item.get_by_role("button", name=action).click()
        expect(ada.inbox.locator(".notice")).to_contain_text("nothing was changed")
        expect(item.locator(".unread")).to_have_count(1)
    ada.context.set_offline(False)
    expect(ada.inbox.locator(".notice")).to_have_text("")
    item.hover()
    item.get_by_role("button", name="Archive").click()
    expect(item).to_have_count(0)
    eventually(lambda: InboxItem.objects.filter(archived_at__isnull=False).exists())


def test_a_reaction_without_a_line_is_told_until_there_is_one(visit: Visit) -> None:
    ada, bob = both(visit)
    bob.say("Lunch?")
    ada.act("Lunch?", "React")
    ada.context.set_offline(True)
    ada.entry("Lunch?").get_by_role("button", name="React with 👍").click()
    expect(ada.chat.locator(".toast")).to_contain_text("nothing was changed")
    ada.context.set_offline(False)
    expect(ada.chat.locator(".toast")).to_have_count(0)


def test_a_message_that_waits_can_be_discarded(visit: Visit) -> None:
    ada, bob = both(visit)
    ada.context.set_offline(True)
    expect(ada.chat.locator(".banner")).to_contain_text("You are offline")
    ada.say("never mind")
    ada.chat.locator(".waiting").get_by_role("button", name="Discard").click()
    expect(ada.chat.locator(".waiting")).to_have_count(0)
    ada.say("this one")
    ada.context.set_offline(False)
    expect(bob.entry("this one")).to_be_visible()
    assert bob.said() == ["this one"]


def test_nobody_waits_for_what_is_read(visit: Visit) -> None:
    ada = visit("ada").go(**{"with": "bob"})
    ada.is_live()
    deliver(parts={"title": "Your order"})
    ada.bell.click()
    failed: list[str] = []
    ada.page.on("requestfailed", lambda request: failed.append(request.url))
    ada.page.route("**/inbox/read", lambda route: None)  # no answer
    ada.page.evaluate("addEventListener('comms-open', () => (window.opened = true))")
    ada.inbox.get_by_role("button", name="Your order").click()
    eventually(lambda: ada.page.evaluate("window.opened === true"))
    assert failed == []


# --- What is written -----------------------------------------------------------------------------

_CLIPBOARD = """async ([text, isPicture]) => {
  const parts = { "text/plain": new Blob([text], { type: "text/plain" }) };
  const canvas = new OffscreenCanvas(8, 8);
  canvas.getContext("2d").fillRect(0, 0, 8, 8);
  if (isPicture) parts["image/png"] = await canvas.convertToBlob();
  await navigator.clipboard.write([new ClipboardItem(parts)]);
}"""


def paste(one: Visitor, text: str, is_picture: bool = False) -> None:
    one.box.focus()
    one.page.evaluate(_CLIPBOARD, [text, is_picture])
    one.page.keyboard.press("Control+V")


def test_what_is_pasted_is_all_there_or_told(visit: Visit) -> None:
    ada = visit("ada", permissions=["clipboard-read", "clipboard-write"])
    ada.go(**{"with": "bob"}).is_live()
    ada.box.press_sequentially("So: ")
    paste(ada, "words and a picture", is_picture=True)
    expect(ada.box).to_have_value("So: words and a picture")
    expect(ada.chat.locator(".uploads li")).to_have_count(1)
    expect(ada.chat.locator(".toast")).to_have_count(0)
    paste(ada, "a" * 12_000)
    expect(ada.chat.get_by_role("alert")).to_contain_text("A message has at most 10000 characters")
    assert len(ada.box.input_value()) == 10_000


def test_what_one_tab_has_sent_is_no_draft_of_another(visit: Visit) -> None:
    one = visit("ada").go(**{"with": "bob"})
    one.is_live()
    one.box.fill("only once")
    two = one.tab().go(**{"with": "bob"})
    expect(two.box).to_have_value("only once")
    one.box.press("Enter")
    expect(two.entry("only once")).to_be_visible()
    expect(two.box).to_have_value("")
    two.box.press_sequentially("!")
    expect(two.box).to_have_value("!")


# --- Is somebody looking? ------------------------------------------------------------------------


def test_a_chat_that_is_not_shown_is_not_looked_at(visit: Visit) -> None:
    ada = visit("ada")
    told: list[dict[str, Any]] = []

    def hear(text: str | bytes) -> None:
        frame = json.loads(text)
        if frame["type"] == "presence":
            told.append(frame)

    sockets: list[WebSocket] = []

    def opened(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framesent", hear)

    ada.page.on("websocket", opened)

    def is_looking() -> bool:
        ada.page.wait_for_timeout(50)  # which lets the browser's events in
        return bool(told) and "looking_at" in told[-1]

    ada.go(**{"with": "bob"}).is_live()
    eventually(is_looking)
    ada.chat.evaluate("one => { one.hidden = true; }")
    eventually(lambda: not is_looking())
    ada.chat.evaluate("one => { one.hidden = false; }")
    eventually(is_looking)
    ada.chat.evaluate("one => one.remove()")
    eventually(lambda: not is_looking())
    assert len(sockets) == 1  # both widgets have one, and the bell still does
    deliver(parts={"title": "Your order"})
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")


# --- Late answers --------------------------------------------------------------------------------


def drawn(one: Visitor) -> None:
    one.page.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")


def test_a_late_list_takes_nothing_back(visit: Visit) -> None:
    bob = person("bob")
    direct = start(bob, "direct", "ada")
    write(bob, direct, "first")
    ada = visit("ada")
    ada.page.add_init_script(NO_LOOKS)
    ada.go()
    ada.is_live_list()
    late = Held(ada.page, "**/conversations?*")
    look(ada)
    late.wait()
    write(bob, direct, "second")
    expect(row(ada, "bob")).to_contain_text("second")
    late.let_go()
    drawn(ada)
    expect(row(ada, "bob")).to_contain_text("second")
    expect(row(ada, "bob").locator(".badge")).to_have_text("2")


def test_a_late_language_is_not_spoken(visit: Visit) -> None:
    ada = visit("ada").go(**{"with": "bob"})
    ada.is_live()
    late = Held(ada.page, "**/words/fr.js")
    ada.chat.evaluate("one => { one.lang = 'fr'; }")
    late.wait()
    ada.chat.evaluate("one => { one.lang = 'de_DE'; }")
    expect(ada.box).to_have_attribute("placeholder", "Nachricht schreiben")
    late.let_go()
    drawn(ada)
    expect(ada.box).to_have_attribute("placeholder", "Nachricht schreiben")


# --- What cannot be had --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"conversation": "019a0000-0000-7000-8000-000000000021"}, "It is not there"),
        ({"with": "ada"}, "The service does not take this"),
    ],
)
def test_a_conversation_that_is_none_is_told(
    visit: Visit, place: dict[str, str], told: str
) -> None:
    ada = visit("ada").go(**place)
    expect(ada.chat.locator(".hint")).to_contain_text(told)


def test_a_page_without_tokens_is_told(visit: Visit) -> None:
    ada = visit("ada")
    banner, told = ada.chat.locator(".banner"), "This page could not sign you in."
    answer: dict[str, Any] = {"status": 404, "body": "Not found"}
    ada.page.route("**/token?*", lambda route: route.fulfill(**answer))
    ada.go(**{"with": "bob"})
    expect(banner).to_contain_text(told)
    answer.update(status=200, body="<!doctype html><h1>Sign in</h1>")
    ada.go(**{"with": "bob"})
    expect(banner).to_contain_text(told)
    ada.page.unroute("**/token?*")
    ada.is_live()


def test_a_token_that_does_not_come_is_not_waited_for(visit: Visit) -> None:
    ada = visit("ada")
    ada.page.route("**/token?*", lambda route: None)
    ada.go(**{"with": "bob"})
    expect(ada.chat.locator(".banner")).to_contain_text("You are offline")


_SOCKET = """
window.WebSocket = class {
  constructor() { setTimeout(() => this.onclose({ code: CODE })); }
  close() {}
};
"""


def test_a_crowd_is_told(visit: Visit) -> None:
    ada = visit("ada")
    ada.page.add_init_script(_SOCKET.replace("CODE", "4430"))
    ada.go(**{"with": "bob"})
    expect(ada.chat.locator(".banner")).to_contain_text("Too many pages of yours are open")
    ada.bell.click()
    expect(ada.inbox.locator(".notice")).to_contain_text("Too many pages of yours are open")


def test_without_a_socket_messages_come_and_go_all_the_same(visit: Visit) -> None:
    ada, bob = visit("ada"), visit("bob").go(**{"with": "ada"})
    bob.is_live()
    ada.page.add_init_script(_SOCKET.replace("CODE", "1006"))
    ada.go(**{"with": "bob"})
    expect(ada.chat.locator(".banner")).to_contain_text("Your network")
    ada.say("by another way")
    expect(bob.entry("by another way")).to_be_visible()
    expect(ada.chat.locator(".waiting")).to_have_count(0)
    bob.say("I hear you")
    expect(ada.entry("I hear you")).to_be_visible()
    bob.act("I hear you", "Edit")
    bob.say("I hear you well")
    expect(ada.entry("I hear you well")).to_be_visible()
    deliver(parts={"title": "Your order"})
    expect(ada.bell).to_have_accessible_name("Notifications, 1 unread")
    assert ada.said() == bob.said() == ["by another way", "I hear you well"]


_BARE = """async ([url, id]) => {
  const { CommsClient, CommsError } = await import("/comms/comms-client.js");
  delete globalThis.WebSocket;
  delete globalThis.XMLHttpRequest;
  const client = new CommsClient({ url, token: async () => (await fetch("/token?user=ada")).text(), storage: null });
  const errors = [];
  client.on("state", ({ error }) => error && errors.push([error instanceof CommsError, error.code]));
  client.subscribe({ conversations: { [id]: null } });
  client.connect();
  const sent = await client.send(id, "from a program");
  const file = await client.conversations.upload(id, new Blob(["some notes"]), "notes.txt");
  client.close();
  return [errors[0], sent.seq, file.name];
}"""


def test_a_client_where_there_is_no_socket(visit: Visit, server: Server) -> None:
    talk = start(person("bob"), "direct", "ada")
    ada = visit("ada").go()
    told = ada.page.evaluate(_BARE, [server.url, str(talk["id"])])
    assert told == [[True, "no_socket"], 1, "notes.txt"]


def test_files_that_are_not_taken_are_told_in_the_persons_words(visit: Visit) -> None:
    ada = visit("ada").go(**{"with": "bob", "lang": "de"})
    ada.is_live()
    asked = requests(ada, "/attachments")
    told = ada.chat.get_by_role("alert")
    chosen = ada.chat.locator("input[type=file]")
    chosen.set_input_files([FilePayload(name="leer.txt", mimeType="text/plain", buffer=b"")])
    expect(told).to_contain_text("leer.txt: Die Datei ist leer.")
    ada.page.evaluate(
        """() => {
          const box = document.querySelector("comms-chat").shadowRoot.querySelector("input[type=file]");
          const all = new DataTransfer();
          all.items.add(new File([new Uint8Array(25 * 1024 * 1024 + 1)], "gross.bin"));
          box.files = all.files;
          box.dispatchEvent(new Event("change"));
        }"""
    )
    expect(told).to_contain_text("gross.bin: Eine Datei darf höchstens 25 MB haben.")
    assert asked == []
    chosen.set_input_files([FilePayload(name="x.exe", mimeType="", buffer=b"\x00\x01")])
    expect(told).to_contain_text("x.exe: Dateien dieser Art werden nicht angenommen.")


# --- Languages and looks -------------------------------------------------------------------------


def test_one_is_not_many(visit: Visit) -> None:
    bob = person("bob")
    talk = start(bob, "group", "ada", title="Oslo")
    for who in (["eve"], ["zoe", "tim"]):
        call(bob, "post", f"/{talk['id']}/participants", {"user_ids": who})
    deliver(parts={"title": "Your order"})
    ada = visit("ada").go(conversation=str(talk["id"]), lang="fr")
    ada.is_live()
    expect(ada.bell).to_have_accessible_name("Notifications, 1 non lue")
    expect(ada.chat.locator(".thread header p")).to_have_text("5 personnes")
    told = ["eve a rejoint la conversation", "tim et zoe ont rejoint la conversation"]
    expect(ada.chat.locator(".system")).to_have_text(told)
    deliver(parts={"title": "Another"})
    expect(ada.bell).to_have_accessible_name("Notifications, 2 non lues")


def test_the_country_that_is_asked_for_counts(visit: Visit) -> None:
    talk = start(person("bob"), "direct", "ada")
    write(person("bob"), talk, "Hello")
    ada = visit("ada", locale="en-US")
    for lang, times in (("en-GB", r"^\d{1,2}:\d\d$"), ("en", r"^\d{1,2}:\d\d\s[AP]M$")):
        ada.go(**{"with": "bob", "lang": lang}).is_live()
        expect(ada.entry("Hello").locator("time")).to_have_text(re.compile(times))


def test_colours_of_the_person_alone(visit: Visit) -> None:
    talk = start(person("bob"), "direct", "ada")
    write(person("bob"), talk, "Hello")
    ada = visit("ada", forced_colors="active").go(**{"with": "bob"})
    ada.is_live()
    expect(ada.entry("Hello").locator(".bubble")).to_have_css("border-top-width", "1px")
    deliver(parts={"title": "Your order"})
    ada.bell.click()
    expect(ada.inbox.locator(".dot")).to_be_visible()
    lines = ada.inbox.get_by_role("tab").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).borderBottomColor)"
    )
    ground = ada.inbox.locator(".panel").evaluate("one => getComputedStyle(one).backgroundColor")
    assert [line == ground for line in lines] == [False, True, True, True, True]
    dot = ada.inbox.locator(".dot").evaluate("one => getComputedStyle(one).backgroundColor")
    assert dot != ground
    ada.shot("widget-forced-colours")


def test_a_phone_does_not_zoom(visit: Visit) -> None:
    ada = visit("ada", viewport=PHONE, has_touch=True, is_mobile=True).go(**{"with": "bob"})
    ada.is_live()
    expect(ada.box).to_have_css("font-size", "16px")


def test_what_can_wait_is_loaded_when_somebody_turns_to_it(visit: Visit) -> None:
    talk = start(person("bob"), "direct", "ada")
    write(person("bob"), talk, "Hello")
    ada = visit("ada")
    asked = requests(ada, "/comms-more.js")
    ada.go(**{"with": "bob"}).is_live()
    expect(ada.entry("Hello")).to_be_visible()
    assert asked == []
    ada.act("Hello", "React")
    expect(ada.entry("Hello").get_by_role("button", name="React with 👍")).to_be_visible()
    assert len(asked) == 1
