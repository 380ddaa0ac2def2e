"""The staff inbox in browsers: two of the team and a person, live; a server that is killed; keys alone;
names and messages that mean harm; what it looks like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Browser, FilePayload, Page, WebSocketRoute, expect

from commsproject.common.identity import issuer
from commsproject.console import roles
from conversations.models import Conversation, Participant, TeamMark
from conversations.services import entries, notes, support
from conversations.types import Actor, Kind, Status, Who
from notifications.models import Recipient
from notifications.services.recipients import add_address
from notifications.types import Channel
from tests.e2e.axe import violations
from tests.e2e.conftest import DESK, PHONE
from tests.e2e.staff_inbox.staff import (
    INBOX,
    Open,
    ada,
    bubbles,
    canned,
    join_the_team,
    rows,
    said,
    talk,
    write,
)
from tests.e2e.widgets import Held, Server
from tests.processes import eventually
from tests.security.payloads import PAYLOADS

pytestmark = pytest.mark.django_db(transaction=True)


PERSON = """
async ([token, id]) => {
  const { CommsClient } = await import("/static/comms/comms-client.js");
  const client = new CommsClient({ token: () => token });
  window.heard = [];
  window.client = client;
  for (const type of ["entry", "typing", "read", "frame"]) client.on(type, (it) => heard.push(it));
  client.on("entry", ({ seq }) => client.delivered(id, seq));
  client.subscribe({ conversations: { [id]: 0 }, support: { team: 0 } });
  client.connect();
  await new Promise((done) => client.on("state", ({ state }) => state === "live" && done()));
  client.presence("active", { conversation: id });
}
"""


class Person:
    """Somebody who writes to the team, by the client that widgets are made of."""

    def __init__(self, browser: Browser, server: Server, row: Conversation) -> None:
        self.context = browser.new_context()
        self.page = self.context.new_page()
        self.id = str(row.pk)
        self.page.goto(f"{server.url}/health")
        token = issuer.issue("ada", timedelta(hours=1))
        self.page.evaluate(PERSON, [token, self.id])

    def says(self, text: str) -> None:
        self.page.evaluate("([id, text]) => client.send(id, text)", [self.id, text])

    def types(self) -> None:
        self.page.evaluate("id => client.typing(id)", self.id)

    def reads(self) -> None:
        self.page.evaluate(
            "id => client.read(id, Math.max(...heard.map((it) => it.seq ?? 0)))", self.id
        )

    @property
    def heard(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("heard")
        return found

    @property
    def bodies(self) -> list[str]:
        return [one["entry"]["body"] for one in self.heard if one["type"] == "entry"]


def until_seen(types: Callable[[], None], page: Page, text: str) -> None:
    """The frame is for who follows just then: whoever writes says so again."""

    def is_seen() -> bool:
        types()
        return text in page.locator("[data-typing]").inner_text()

    eventually(is_seen)


def choose(page: Page, name: str) -> None:
    page.click("[data-assignee]")
    page.fill("[data-picker-search]", name)
    page.keyboard.press("Enter")


def test_two_of_the_team_and_a_person(opened: Open, server: Server, browser: Browser) -> None:
    Recipient.objects.create(user_id="ada", data={"name": "Ada Lovelace"})
    row = talk()
    one, two = opened("grace"), opened("alan")
    grace, alan = one.page, two.page
    person = Person(browser, server, row)
    expect(rows(grace)).to_have_count(1)
    talk("Another person", "bob")
    for page in (grace, alan):  # live, and nothing was loaded again
        expect(rows(page)).to_have_count(2)
        expect(page.locator("[data-count=unassigned]")).to_have_text("2")

    grace.keyboard.press("j")
    grace.keyboard.press("j")
    grace.keyboard.press("Enter")
    expect(grace.locator("[data-name]")).to_have_text("Ada Lovelace")
    expect(grace.locator("[data-about]")).to_contain_text("here now")
    until_seen(person.types, grace, "Ada Lovelace is writing")
    person.says("Are you **there**?")
    expect(grace.locator("[data-entries] strong")).to_have_text("there")
    expect(grace.locator("[data-typing]")).to_be_empty()
    expect(rows(grace).first).to_contain_text("Are you there?")
    expect(rows(alan).first.locator(".inbox-dot")).to_have_count(1)

    alan.click(f"a[data-id='{row.pk}']")
    expect(alan.locator("[data-viewers]")).to_have_text(re.compile("grace looks"))
    grace.keyboard.press("r")
    until_seen(lambda: grace.press("[data-body]", "x"), alan, "grace is writing")
    eventually(lambda: any(it["type"] == "typing" for it in person.heard))
    grace.fill("[data-body]", "Yes")
    grace.keyboard.press("Enter")
    expect(bubbles(alan).last).to_have_text("Yes")
    eventually(lambda: "Yes" in person.bodies)
    expect(grace.locator("[data-entries]")).to_contain_text("Delivered")
    person.reads()
    expect(grace.locator("[data-entries]")).to_contain_text("Seen")

    grace.fill("[data-body]", "half a reply")
    write(alan, "She is *difficult*", "note")
    expect(grace.locator("[data-note]")).to_contain_text("alan · internal note")
    expect(grace.locator("[data-note] em")).to_have_text("difficult")
    grace.click("[data-mode=note]")  # what was begun as a reply is none
    expect(grace.locator("[data-body]")).to_have_value("")
    grace.click("[data-mode=reply]")
    expect(grace.locator("[data-body]")).to_have_value("half a reply")
    choose(alan, "grace")
    expect(grace.locator("[data-count=mine]")).to_have_text("1")
    expect(grace.locator("[data-entries]")).to_contain_text("alan assigned it to you")
    grace.press("[data-body]", "Escape")
    grace.keyboard.press("e")
    expect(grace.locator("[data-close]")).to_have_text("Reopen")
    expect(rows(alan)).to_have_count(1)
    person.says("It came!")
    expect(rows(alan)).to_have_count(2)
    expect(grace.locator("[data-close]")).to_have_text("Close")

    eventually(lambda: "It came!" in person.bodies)
    assert "difficult" not in str(person.heard)
    assert not any(it["type"] == "support" for it in person.heard)
    person.context.close()


def test_a_server_is_killed_while_they_write(opened: Open, server: Server, tmp_path: Path) -> None:
    row = talk()
    grace = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(grace)).to_have_count(1)
    server.process.kill()
    expect(grace.locator("[data-state]")).to_have_text(re.compile("No connection|Connecting"))
    for text in ("one", "two"):
        write(grace, text)
    expect(grace.locator(".inbox-waits")).to_have_count(2)
    entries.post(ada(), row.id, "while you were away")
    server.start()
    expect(grace.locator("[data-state]")).to_have_text("Live", timeout=60_000)
    expect(bubbles(grace)).to_have_count(4)
    expect(grace.locator(".inbox-waits")).to_have_count(0)
    said = list(row.entries.filter(kind="text").order_by("seq").values_list("body", flat=True))
    assert sorted(said) == sorted(["My parcel is lost", "one", "two", "while you were away"])

    picture = tmp_path / "bill.txt"
    picture.write_text("a bill")
    grace.set_input_files("[data-file]", picture)
    expect(grace.locator("[data-files] progress")).to_have_count(0)
    grace.evaluate(  # and one that is pasted
        """async () => {
          const paint = document.createElement("canvas");
          paint.width = paint.height = 8;
          const blob = await new Promise((done) => paint.toBlob(done));
          const data = new DataTransfer();
          data.items.add(new File([blob], "shot.png", { type: "image/png" }));
          const body = document.querySelector("[data-body]");
          body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
          const dropped = new DataTransfer();
          dropped.items.add(new File(["words"], "dropped.txt", { type: "text/plain" }));
          const place = document.querySelector("[data-thread]");
          for (const type of ["dragenter", "dragover", "drop"])
            place.dispatchEvent(new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }"""
    )
    expect(grace.locator("[data-files] li")).to_have_count(3)
    expect(grace.locator("[data-files] progress")).to_have_count(0)
    grace.click("[data-send]")
    expect(grace.locator(".inbox-attached .inbox-doc")).to_have_count(2)
    shown = grace.locator(".inbox-attached img")
    expect(shown).to_have_attribute("alt", "shot.png")
    eventually(lambda: shown.evaluate("it => it.complete && it.naturalWidth > 0"))


def led(page: Page) -> list[WebSocketRoute]:
    """The sockets of the page from its next load on, by which it can be told anything."""
    sockets: list[WebSocketRoute] = []

    def lead(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    page.route_web_socket("**/ws/", lead)
    return sockets


def resync(row: Conversation) -> dict[str, Any]:
    return {"type": "resync", "feed": "conversations", "key": str(row.pk), "seq": row.last_seq}


def test_what_comes_while_a_thread_is_fetched_anew_is_not_lost(opened: Open) -> None:
    row = talk()
    grace = opened("grace").page
    sockets = led(grace)
    grace.goto(f"{grace.url}{row.pk}/")
    expect(bubbles(grace)).to_have_count(1)
    expect(grace.locator("[data-state]")).to_have_text("Live")
    late = Held(grace, "**/thread")
    row.refresh_from_db()
    sockets[-1].send(json.dumps(resync(row)))
    late.wait()
    entries.post(ada(), row.id, "In **between**")
    expect(rows(grace).first).to_contain_text("In between")
    expect(bubbles(grace)).to_have_count(2)
    late.let_go()  # of before
    expect(grace.locator("[data-entries][aria-busy]")).to_have_count(0)
    expect(bubbles(grace)).to_have_text(["My parcel is lost", "In between"])


def test_what_could_not_be_fetched_is_told_and_comes_by_itself(opened: Open) -> None:
    row, other = talk(), talk("Second", "bob")
    grace = opened("grace").page
    sockets = led(grace)
    grace.clock.install()
    grace.reload()
    expect(grace.locator("[data-state]")).to_have_text("Live")
    failed, away = grace.locator("[data-failed]"), "**/thread"

    grace.route(away, lambda route: route.abort())
    grace.click(f"a[data-id='{row.pk}']")
    expect(failed).to_contain_text("The service cannot be reached.")
    expect(failed).to_contain_text("It is tried again by itself.")
    expect(grace.locator("[data-composer]")).to_be_hidden()
    grace.unroute(away)
    grace.clock.fast_forward(31_000)
    expect(bubbles(grace)).to_have_text("My parcel is lost")
    expect(failed).to_be_hidden()
    expect(grace.locator("[data-composer]")).to_be_visible()

    grace.route(away, lambda route: route.abort())
    row.refresh_from_db()
    sockets[-1].send(json.dumps(resync(row)))
    expect(grace.locator("[data-stale]")).to_be_visible()
    expect(bubbles(grace)).to_have_text("My parcel is lost")
    grace.unroute(away)
    grace.clock.fast_forward(16_000)
    expect(grace.locator("[data-stale]")).to_be_hidden()
    entries.post(ada(), row.id, "Hello?")
    expect(bubbles(grace)).to_have_text(["My parcel is lost", "Hello?"])

    grace.route("**/rows?*", lambda route: route.abort())
    grace.click("[data-queue=mine]")
    expect(grace.locator("[data-found]")).to_have_text("The service cannot be reached.")
    grace.unroute("**/rows?*")
    grace.clock.fast_forward(31_000)
    expect(grace.locator("[data-none]")).to_have_text("Nothing is assigned to you.")
    expect(grace.locator("[data-found]")).to_be_hidden()
    grace.click("[data-queue=open]")
    expect(grace.locator(f"a[data-id='{other.pk}']")).to_be_visible()


def test_a_late_answer_does_not_take_the_place_of_a_later_choice(opened: Open) -> None:
    """Of a thread, of its ways to answer, of the canned replies, which have a person's name."""
    row, other = talk(), talk("Second", "bob")
    add_address("ada", Channel.EMAIL, "ada@simulator.test", is_verified=True)
    grace = opened("grace").page
    ways = grace.locator("[data-way] option")
    first = Held(grace, f"**/{row.pk}/thread")
    grace.click(f"a[data-id='{row.pk}']")
    first.wait()
    grace.click(f"a[data-id='{other.pk}']")
    expect(bubbles(grace)).to_have_text("Second")
    second = Held(grace, f"**/{row.pk}/thread")
    grace.click(f"a[data-id='{row.pk}']")
    second.wait()
    first.let_go()
    expect(grace.locator("[data-composer]")).to_be_hidden()
    second.let_go()
    expect(bubbles(grace)).to_have_text("My parcel is lost")
    expect(ways).to_have_text(["Chat", "Email to ada@simulator.test"])

    late = Held(grace, f"**/{row.pk}/replies")
    grace.click("[data-canned]")
    late.wait()
    grace.keyboard.press("Escape")
    grace.click(f"a[data-id='{other.pk}']")
    expect(bubbles(grace)).to_have_text("Second")
    late.let_go()
    write(grace, "Hello Bob")
    expect(bubbles(grace).last).to_have_text("Hello Bob")
    expect(grace.locator("[data-picker]")).to_be_hidden()


def test_what_is_written_and_attached_outlives_a_bad_line(opened: Open) -> None:
    """A request that does not get through while the socket does; files stay with their conversation."""
    row, other = talk(), talk("Second", "bob")
    grace = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(grace)).to_have_count(1)
    files = grace.locator("[data-files] li")
    grace.route("**/upload", lambda route: route.fulfill(status=503), times=1)  # the second time
    for path in ("**/upload", "**/reply"):
        grace.route(path, lambda route: route.abort(), times=1)
    file = FilePayload(name="bill.txt", mimeType="text/plain", buffer=b"a bill")
    grace.set_input_files("[data-file]", file)
    expect(files).to_have_count(1)
    grace.click(f"a[data-id='{other.pk}']")
    expect(bubbles(grace)).to_have_text("Second")
    expect(files).to_have_count(0)
    grace.click(f"a[data-id='{row.pk}']")
    expect(files).to_contain_text("bill.txt")
    expect(files.locator("progress")).to_have_count(0)
    write(grace, "Here it is")
    expect(grace.locator(".inbox-waits")).to_have_count(0)
    expect(bubbles(grace).last).to_have_text("Here it is")
    expect(grace.locator(".inbox-attached .inbox-doc")).to_contain_text("bill.txt")
    expect(files).to_have_count(0)
    expect(grace.locator("[data-state]")).to_have_text("Live")
    assert row.entries.filter(kind="text").count() == 2


def test_two_tabs_of_one_of_the_team(opened: Open) -> None:
    row = talk()
    one = opened("grace").page
    two = one.context.new_page()
    two.goto(one.url)
    expect(two.locator("[data-state]")).to_have_text("Live")
    expect(rows(two).locator(".inbox-dot")).to_have_count(1)
    one.click(f"a[data-id='{row.pk}']")
    expect(bubbles(one)).to_have_count(1)
    eventually(lambda: TeamMark.objects.filter(read_seq=1).exists())
    two.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(rows(two).locator(".inbox-dot")).to_have_count(0)
    two.click(f"a[data-id='{row.pk}']")
    two.fill("[data-body]", "half a reply")
    write(one, "We look for it")
    for tab in (one, two):
        expect(bubbles(tab)).to_have_text(["My parcel is lost", "We look for it"])
    expect(two.locator("[data-body]")).to_have_value("half a reply")
    one.press("[data-body]", "Escape")
    one.keyboard.press("a")
    expect(two.locator("[data-assignee-name]")).to_have_text("grace (you)")
    one.keyboard.press("e")
    expect(two.locator("[data-close]")).to_have_text("Reopen")
    expect(two.locator("[data-body]")).to_have_value("half a reply")


def test_what_is_quoted_changes_where_it_is_quoted(opened: Open) -> None:
    row = talk()
    quoted = row.entries.get(kind="text")
    entries.post(ada(), row.id, "It was a red one", reply_to=quoted.id)
    grace = opened("grace", f"{INBOX}{row.pk}/").page
    quote = grace.locator(".inbox-quote span")
    expect(quote).to_have_text("My parcel is lost")
    entries.edit(ada(), row.id, quoted.id, "My **parcel** is late")
    expect(quote).to_have_text("My parcel is late")
    entries.delete(ada(), row.id, quoted.id)
    expect(quote).to_have_text("Deleted")


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_hours_wrong(opened: Open, hours: int) -> None:
    row = talk()
    grace = opened("grace").page
    grace.clock.install(time=timezone.now() + timedelta(hours=hours))
    grace.goto(f"{grace.url}{row.pk}/")
    expect(bubbles(grace)).to_have_count(1)
    expect(rows(grace).locator("time")).to_have_text("now")
    write(grace, "We look for it")
    expect(grace.locator(".inbox-waits")).to_have_count(0)
    entries.post(ada(), row.id, "Thank you")
    expect(bubbles(grace)).to_have_text(["My parcel is lost", "We look for it", "Thank you"])
    expect(rows(grace)).to_contain_text("Thank you")


SIGNED_IN = """
async () => {
  const { CommsClient } = await import("/static/comms/comms-client.js");
  const of = (more) => new CommsClient({ session: true, user: "staff:1", storage: null, ...more });
  const live = async (client) => {
    client.connect();
    const ends = new Promise((done) => client.on("signedout", ({ status }) => done(status)));
    const is = new Promise((done) => client.on("state", ({ state }) => state === "live" && done("live")));
    const found = await Promise.race([is, ends]);
    client.close();
    return found;
  };
  const asked = (client, path) => client.request("GET", path).then(() => 200, ({ status }) => status);
  const answers = [await live(of()), await of().me(), await asked(of(), "inbox")];
  for (const one of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) one.remove();
  document.cookie = "csrftoken=; max-age=0; path=/";
  answers.push(await live(of()));
  return answers;
}
"""


def test_a_client_goes_by_the_session_of_the_page(opened: Open) -> None:
    """For the socket, with the page's CSRF token and not without; no way to what is of end users."""
    page = opened("grace").page
    assert page.evaluate(SIGNED_IN) == ["live", "staff:1", 401, 403]
    page.context.clear_cookies()
    assert page.evaluate(SIGNED_IN)[0] in {401, 403}


def test_everything_is_done_by_keys_alone(opened: Open) -> None:
    canned("Sorry, {{ name }}, about {{ what }}.")
    row, other = talk(), talk("Second", "bob")
    add_address("bob", Channel.EMAIL, "bob@simulator.test", is_verified=True)
    visit = opened("grace")
    page, press = visit.page, visit.page.keyboard.press
    focused = page.locator(":focus")
    expect(rows(page)).to_have_count(2)
    press("?")
    expect(page.locator("[data-help-dialog]")).to_be_visible()
    press("Escape")
    expect(page.locator("[data-help-dialog] :focus")).to_have_count(
        0
    )  # a moment after it is hidden
    press("j")
    expect(focused).to_have_attribute("data-id", str(other.pk))
    press("j")
    expect(focused).to_have_attribute("data-id", str(row.pk))
    press("k")
    press("Enter")
    expect(page.locator("[data-name]")).to_have_text("bob")
    press("a")
    expect(page.locator("[data-count=mine]")).to_have_text("1")
    press("r")
    expect(focused).to_have_attribute("id", "inbox-body")
    press("/")
    expect(page.locator("[data-picker]")).to_be_visible()
    expect(page.locator("[data-picker-list]")).to_contain_text("Sorry, bob, about [what].")
    page.keyboard.type("sorry")
    press("Enter")
    expect(focused).to_have_value("Sorry, bob, about [what].")
    page.keyboard.type("the delay")  # over what is to be filled in
    expect(focused).to_have_value("Sorry, bob, about the delay.")
    press("Shift+Tab")
    page.select_option("[data-way]", "email")
    expect(page.locator("[data-hint]")).to_have_text("Ctrl + Enter sends")
    page.focus("[data-body]")
    press("Control+Enter")
    expect(page.locator("[data-entries]")).to_contain_text("Queued")
    expect(page.locator("[data-entries] [aria-label=Email]")).to_have_count(1)
    press("Escape")
    press("n")
    page.keyboard.type("Ask billing")
    press("Control+Enter")
    expect(page.locator("[data-note]")).to_contain_text("Ask billing")
    press("Escape")
    press("u")
    expect(page.locator(f"a[data-id='{other.pk}'] .inbox-dot")).to_have_count(1)
    press("e")
    expect(page.locator("[data-close]")).to_have_text("Reopen")
    press("4")
    expect(rows(page)).to_have_count(1)
    press("1")
    expect(page.locator("[data-none]")).to_have_text("Nothing is assigned to you.")
    press("/")
    page.keyboard.type("parcel")
    expect(page.locator("[data-found]")).to_have_text("1 found")
    expect(page.locator("[data-rows] mark")).to_have_text("parcel")
    press("Escape")
    press("?")
    page.uncheck("[data-single-keys]")
    press("Escape")
    press("3")
    expect(page.locator("[data-found]")).to_be_visible()  # it does nothing now


def test_what_means_harm_shows_as_text(opened: Open) -> None:
    author = User.objects.create_user("mallory", first_name=PAYLOADS[5], is_staff=True)
    author.groups.set(Group.objects.filter(name=roles.SUPPORT))
    first = talk("begin", "harm")
    for number, text in enumerate(PAYLOADS):
        user_id = f"u{number}{text}"[:200]
        Recipient.objects.create(user_id=user_id, data={"name": text, text[:100]: text})
        talk(text, user_id, title=text[:200])
        entries.post(Actor(Who.USER, "harm"), first.id, text)
        notes.add(Actor(Who.STAFF, str(author.pk)), first.id, text)
    support.assign(Actor(Who.STAFF, str(author.pk)), first.id, str(author.pk))
    Recipient.objects.create(user_id="harm", data={"name": PAYLOADS[7], "plan": PAYLOADS[5]})
    visit = opened("grace", f"{INBOX}{first.pk}/")
    page = visit.page
    page.evaluate("() => { window.alert = () => { window.caught = true; }; }")
    expect(page.locator("[data-note]")).to_have_count(len(PAYLOADS))
    page.locator("[data-rows-box]").evaluate("it => { it.scrollTop = it.scrollHeight; }")
    expect(rows(page)).to_have_count(len(PAYLOADS) + 1)
    expect(page.locator("[data-pane] h2")).to_have_text(PAYLOADS[7])
    for node in page.locator("[data-note] .inbox-bubble").all()[:17]:
        assert "<" in node.inner_text()
    page.fill("[data-search]", "onerror")
    expect(page.locator("[data-rows] mark").first).to_be_visible()
    found = page.evaluate(
        """() => [...document.querySelectorAll("#inbox *")].filter((it) =>
          ["SCRIPT", "IFRAME", "OBJECT", "EMBED", "STYLE", "LINK", "META", "BASE", "VIDEO", "IMG", "svg"]
            .includes(it.tagName) ||
          [...it.attributes].some((one) => one.name.startsWith("on") ||
            /^\\s*(javascript|data|vbscript):/i.test(one.value) && one.name === "href")
        ).map((it) => it.outerHTML)"""
    )
    assert found == []
    assert page.evaluate("window.caught") is None
    assert visit.requests == []  # nothing was asked of another host


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(opened: Open, scheme: str) -> None:
    """And two hundred conversations are there without a reload."""
    Recipient.objects.create(user_id="ada", data={"name": "Ada Lovelace"}, locale="en")
    made = [
        Conversation(kind=Kind.SUPPORT, status=Status.OPEN, last_seq=1, entries_made=1)
        for _ in range(199)
    ]
    Conversation.objects.bulk_create(made)
    Participant.objects.bulk_create(
        Participant(conversation=one, person_id=f"Person {number}")
        for number, one in enumerate(made)
    )
    row = talk("Where is my **parcel**?")
    grace = Actor(Who.STAFF, str(join_the_team("grace").pk))
    support.assign(grace, row.pk, grace.id)
    entries.post(grace, row.pk, "At the post office.")
    notes.add(grace, row.pk, "Ask them to be quicker.")
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        visit = opened("grace", viewport=size, color_scheme=scheme)
        page = visit.page
        expect(page.locator("[data-count=open]")).to_have_text("99+")
        assert (violations(page), visit.fits()) == ([], True)
        visit.shot(f"staff-inbox-{name}-{scheme}-list")
        box = page.locator("[data-rows-box]")
        while (before := rows(page).count()) < 200:
            box.evaluate("it => { it.scrollTop = it.scrollHeight; }")
            expect(rows(page)).not_to_have_count(before)
        expect(rows(page)).to_have_count(200)
        entries.post(Actor(Who.USER, "Person 7"), made[7].pk, f"Hello from {name}")
        expect(rows(page).first).to_contain_text(f"Hello from {name}")
        expect(rows(page)).to_have_count(200)
        page.locator(f"a[data-id='{row.pk}']").click()
        expect(page.locator("[data-note]")).to_have_count(1)
        assert (violations(page), visit.fits()) == ([], True)
        visit.shot(f"staff-inbox-{name}-{scheme}")
        page.click("[data-canned]")
        assert violations(page) == []
        page.keyboard.press("Escape")
        if name == "phone":
            page.click("[data-to-person]")
            expect(page.locator("[data-pane] h2")).to_have_text("Ada Lovelace")
            assert (violations(page), visit.fits()) == ([], True)
            visit.shot(f"staff-inbox-{name}-{scheme}-person")
            page.click("[data-back=thread]")
            page.click("[data-head] [data-back=list]")
            expect(rows(page).first).to_be_visible()


# --- What is done --------------------------------------------------------------------------------


def test_nobody_is_assigned_before_somebody_is_chosen(opened: Open) -> None:
    for name in ("alan", "barbara"):
        join_the_team(name)
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    press, button = page.keyboard.press, page.locator("[data-assignee]")
    asked: list[str] = []
    page.on("request", lambda it: asked.append(it.url))
    expect(button).to_have_text(re.compile("Unassigned"))
    button.focus()
    press("Enter")
    chosen = page.locator("[data-picker] [aria-selected=true]")
    expect(chosen).to_have_text("Nobody")
    for name in ("alan", "barbara", "grace (you)", "grace (you)"):
        press("ArrowDown")
        expect(chosen).to_have_text(name)
    press("Escape")
    expect(button).to_be_focused()
    press("Enter")
    page.keyboard.type("barb")
    expect(chosen).to_have_text("barbara")
    assert not any(url.endswith("/assign") for url in asked)
    press("Enter")
    expect(button).to_have_text(re.compile("barbara"))
    assert sum(url.endswith("/assign") for url in asked) == 1
    page.reload()
    expect(button).to_have_text(re.compile("barbara"))


def test_messages_are_answered_edited_reacted_to_and_deleted(opened: Open) -> None:
    row = talk()
    grace = opened("grace", f"{INBOX}{row.pk}/").page
    press = grace.keyboard.press
    hers = grace.locator("[data-entries] [data-seq]").first
    hers.hover()
    hers.get_by_role("button", name="Reply").click()
    expect(grace.locator("[data-quoted]")).to_contain_text("Reply to ada")
    press("Escape")
    expect(grace.locator("[data-quoted]")).to_be_hidden()
    hers.hover()
    hers.get_by_role("button", name="Reply").click()
    grace.keyboard.type("We look for it")
    grace.reload()  # with what it answers
    expect(grace.locator("[data-quoted]")).to_contain_text("My parcel is lost")
    grace.press("[data-body]", "Enter")
    mine = grace.locator(".inbox-entry-ours")
    expect(mine.locator(".inbox-quote")).to_contain_text("My parcel is lost")
    expect(grace.locator("[data-quoted]")).to_be_hidden()

    hers.focus()  # by keys
    press("Enter")
    expect(hers.get_by_role("button", name="React")).to_be_focused()
    assert hers.get_by_role("button", name="Edit").count() == 0
    press("Enter")
    expect(hers.get_by_role("button", name="React with 👍")).to_be_focused()
    press("Enter")
    chip = hers.locator(".inbox-reactions button")
    expect(chip).to_have_attribute("aria-pressed", "true")
    expect(chip).to_have_accessible_name("👍: You")
    chip.click()
    expect(chip).to_have_count(0)

    grace.fill("[data-body]", "half a reply")
    mine.focus()
    press("Enter")
    mine.get_by_role("button", name="Edit").press("Enter")
    expect(grace.locator("[data-body]")).to_have_value("We look for it")
    grace.fill("[data-body]", "We have it, e.g. there")
    press("Escape")
    expect(grace.locator("[data-body]")).to_have_value("half a reply")
    mine.hover()
    mine.get_by_role("button", name="Edit").click()
    grace.fill("[data-body]", "We have **it**")
    press("Enter")
    expect(mine.locator("strong")).to_have_text("it")
    expect(mine).to_contain_text("edited")
    expect(grace.locator("[data-body]")).to_have_value("half a reply")
    grace.fill("[data-body]", "")
    grace.press("[data-body]", "ArrowUp")  # the last of one's own
    expect(grace.locator("[data-body]")).to_have_value("We have **it**")
    press("Escape")

    mine.focus()
    press("Enter")
    for name in ("Delete", "Cancel", "Delete", "Delete for everybody"):
        mine.get_by_role("button", name=name, exact=True).press("Enter")
    expect(mine).to_contain_text("Deleted")
    mine.hover()
    expect(mine.locator(".inbox-actions")).to_have_count(0)
    assert said(row) == ["My parcel is lost", ""]
    expect(grace.locator("[data-close]")).to_have_text("Close")  # and no key did anything else

    mine.focus()
    press("a")
    expect(grace.locator(".inbox-event")).to_contain_text("You took it")
    grace.press("[data-body]", "ArrowUp")  # and nothing is left of one's own to be edited
    expect(grace.locator("[data-quoted]")).to_be_hidden()


def test_a_reply_may_begin_with_a_slash(opened: Open) -> None:
    canned("Sorry.")
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/").page
    body = page.locator("[data-body]")
    for is_late in (False, True):
        late = Held(page, "**/replies") if is_late else None
        body.click()  # which waits until it is there: elsewhere a slash means the search
        page.keyboard.type("/etc")
        if late:
            late.wait()
            late.let_go()
        expect(page.locator("[data-picker]")).to_be_hidden()
        expect(body).to_be_focused()
        page.keyboard.type("/hosts")
        expect(body).to_have_value("/etc/hosts")
        body.fill("")
    page.keyboard.press("/")
    expect(page.locator("[role=option]")).to_have_text(re.compile("We are sorry"))
    page.keyboard.type("so")
    page.keyboard.press("Escape")
    expect(body).to_have_value("/so")
    body.fill("/usr/local is full")  # as what is pasted
    page.keyboard.press("Enter")
    expect(bubbles(page).last).to_have_text("/usr/local is full")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_how_it_looks_while_things_are_done(opened: Open, scheme: str) -> None:
    Recipient.objects.create(user_id="ada", data={"name": "Ada Lovelace"})
    row = talk("Where is my **parcel**? The ferry leaves at nine.")
    asked = row.entries.get()
    grace = Actor(Who.STAFF, str(join_the_team("grace").pk))
    entries.react(ada(), row.pk, asked.pk, "🎉", on=True)
    entries.post(grace, row.pk, "At the post office.", reply_to=asked.pk)
    for size, name in (({"width": 1280, "height": 800}, "desk"), (PHONE, "phone")):
        visit = opened("grace", viewport=size, color_scheme=scheme)
        page = visit.page
        visit.shot(f"staff-inbox-done-{name}-{scheme}-list")
        page.goto(f"{visit.base}{INBOX}{row.pk}/")
        mine = page.locator(".inbox-entry-ours").last
        expect(page.locator("[data-state]")).to_have_text("Live")
        long = FilePayload(
            name=f"{'a very long name of a file ' * 6}.txt",
            mimeType="text/plain",
            buffer=b"x" * 420,
        )
        page.set_input_files("[data-file]", long)
        expect(page.locator("[data-files] progress")).to_have_count(0)
        assert visit.fits()
        write(page, "Here is the bill")
        expect(mine.locator(".inbox-doc small")).to_have_text("420 bytes")
        expect(mine.locator(".inbox-doc small")).to_be_in_viewport(ratio=1)
        mine.hover()
        expect(mine.locator(".inbox-actions")).to_be_visible()
        for part in ("unread", "assignee", "close"):
            expect(page.locator(f"[data-{part}]")).to_be_in_viewport(ratio=1)
        assert (violations(page), visit.fits()) == ([], True)
        visit.shot(f"staff-inbox-done-{name}-{scheme}-actions")
        mine.get_by_role("button", name="Edit").click()
        visit.shot(f"staff-inbox-done-{name}-{scheme}-edit")
        page.keyboard.press("Escape")
        page.click("[data-assignee]")
        assert violations(page) == []
        visit.shot(f"staff-inbox-done-{name}-{scheme}-assign")
        page.keyboard.press("Escape")
        if name == "phone":
            page.click("[data-head] [data-back=list]")
        page.fill("[data-search]", "ferry")
        expect(page.locator("[data-rows] mark")).to_be_visible()
        rows(page).click()
        expect(page.locator(".inbox-marked")).to_be_visible()
        visit.shot(f"staff-inbox-done-{name}-{scheme}-found")
        visit.context.clear_cookies()
        write(page, "Is anybody there?")
        expect(page.locator("[data-signed-out]")).to_be_visible()
        expect(page.locator(".inbox-waits")).to_contain_text("Waits until you are signed in")
        assert (violations(page), visit.fits()) == ([], True)
        visit.shot(f"staff-inbox-done-{name}-{scheme}-signed-out")
