"""The widgets where things go wrong: slow lines, two tabs, clocks, tokens that end, late answers."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import FilePayload, Page, expect

from conversations.models import Conversation, Participant
from conversations.types import Kind
from notifications.models import InboxItem
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
    expect(ada.chat.locator(".uploads progress")).to_have_count(0)
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
    expect(ada.chat.locator(".uploads progress")).to_have_count(0)
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
