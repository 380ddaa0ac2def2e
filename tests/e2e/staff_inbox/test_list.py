"""The list of the staff inbox after a break and where answers come late; who takes what; low windows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from commsproject.common.ids import new_id
from commsproject.common.live.closes import Close
from conversations.models import Conversation, Participant
from conversations.services import entries, marks, support
from conversations.types import Actor, Kind, Status, Who
from tests.e2e.staff_inbox.staff import (
    INBOX,
    Open,
    ada,
    bubbles,
    join_the_team,
    look,
    rows,
    talk,
    write,
)
from tests.e2e.widgets import Held

pytestmark = pytest.mark.django_db(transaction=True)


def many(number: int) -> list[Conversation]:
    made = [
        Conversation(kind=Kind.SUPPORT, status=Status.OPEN, last_seq=1, entries_made=1)
        for _ in range(number)
    ]
    Conversation.objects.bulk_create(made)
    Participant.objects.bulk_create(
        Participant(conversation=one, person_id=f"p{place}") for place, one in enumerate(made)
    )
    return made


def to_the_end(page: Page, number: int) -> None:
    box = page.locator("[data-rows-box]")
    while (before := rows(page).count()) < number:
        box.evaluate("it => { it.scrollTop = it.scrollHeight; }")
        expect(rows(page)).not_to_have_count(before)


def test_nothing_is_missing_after_a_break(opened: Open) -> None:
    made = many(120)  # the first of them is the last of the list
    grace = Actor(Who.STAFF, str(join_the_team("grace").pk))
    visit = opened("grace")
    page, state = visit.page, visit.page.locator("[data-state]")
    expect(rows(page)).to_have_count(30)
    to_the_end(page, 60)
    shown = page.evaluate(
        "[...document.querySelectorAll('[data-rows] a')].map(it => it.dataset.id)"
    )
    deep = Conversation.objects.get(pk=shown[50])
    visit.context.set_offline(True)
    expect(state).not_to_have_text("Live")
    for place, one in enumerate(made[:70]):
        if str(one.pk) not in shown:
            entries.post(Actor(Who.USER, f"p{place}"), one.pk, f"gap {place}")
    support.set_status(grace, deep.pk, Status.CLOSED)
    visit.context.set_offline(False)
    expect(state).to_have_text("Live")
    expect(rows(page).first).to_contain_text("gap")
    to_the_end(page, 119)
    expect(page.locator("[data-more]")).to_be_hidden()
    expect(page.locator(f"a[data-id='{deep.pk}']")).to_have_count(0)
    ids = page.evaluate("[...document.querySelectorAll('[data-rows] a')].map(it => it.dataset.id)")
    known = Conversation.objects.exclude(status=Status.CLOSED).order_by("-active_at", "-id")
    assert ids == [str(one.pk) for one in known]


def test_what_is_closed_behind_the_first_page_in_a_break_goes(opened: Open) -> None:
    many(70)
    grace = Actor(Who.STAFF, str(join_the_team("grace").pk))
    visit = opened("grace")
    page, state = visit.page, visit.page.locator("[data-state]")
    expect(rows(page)).to_have_count(30)
    to_the_end(page, 60)
    deep = rows(page).nth(50).get_attribute("data-id")
    assert deep is not None
    visit.context.set_offline(True)
    expect(state).not_to_have_text("Live")
    support.set_status(grace, Conversation.objects.get(pk=deep).pk, Status.CLOSED)
    visit.context.set_offline(False)
    expect(state).to_have_text("Live")
    expect(rows(page)).to_have_count(59)
    to_the_end(page, 69)


def test_a_late_answer_takes_nothing_back(opened: Open) -> None:
    many(40)
    row = talk()
    page = opened("grace", f"{INBOX}?queue=open").page
    expect(rows(page)).to_have_count(30)
    old = Conversation.objects.order_by("active_at").first()
    assert old is not None
    who = Participant.objects.get(conversation=old).person_id
    late = Held(page, "**/rows?queue=open")
    look(page)
    late.wait()
    entries.post(Actor(Who.USER, who), old.pk, "Are you there?")
    entries.post(ada(), row.pk, "And it was red")
    mine = page.locator(f"a[data-id='{row.pk}']")
    expect(mine).to_contain_text("And it was red")
    expect(page.locator(f"a[data-id='{old.pk}']")).to_have_count(1)
    late.let_go()  # of before
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    expect(mine).to_contain_text("And it was red")
    expect(page.locator(f"a[data-id='{old.pk}']")).to_have_count(1)


def test_what_was_read_in_a_break_is_seen_after_it(opened: Open) -> None:
    row = talk()
    visit = opened("grace", f"{INBOX}{row.pk}/")
    page, state = visit.page, visit.page.locator("[data-state]")
    expect(bubbles(page)).to_have_count(1)
    write(page, "We look for it")
    foot = page.locator("[data-entries] .inbox-foot").last
    expect(foot).to_contain_text("Sent")
    visit.context.set_offline(True)
    expect(state).not_to_have_text("Live")
    row.refresh_from_db()
    marks.read(ada(), row.pk, row.last_seq)
    visit.context.set_offline(False)
    expect(state).to_have_text("Live")
    expect(foot).to_contain_text("Seen")


def test_a_key_that_is_held_does_it_once(opened: Open) -> None:
    row = talk()
    page = opened("grace", f"{INBOX}{row.pk}/?queue=closed").page
    expect(bubbles(page)).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda it: asked.append(it.url))
    page.focus("[data-scroll]")
    for _ in range(6):
        page.keyboard.down("e")
        page.wait_for_timeout(30)
    page.keyboard.up("e")
    expect(page.locator("[data-close]")).to_have_text("Reopen")
    page.keyboard.press("3")
    expect(page.locator("[data-queue=open]")).to_have_attribute("aria-current", "true")
    expect(page).not_to_have_url(re.compile("queue"))
    assert sum(url.endswith("/status") for url in asked) == 1


def test_who_is_later_is_told_who_was_first(opened: Open) -> None:
    row = talk()
    alan = join_the_team("alan")
    page = opened("grace", f"{INBOX}{row.pk}/").page
    expect(bubbles(page)).to_have_count(1)
    page.route_web_socket("**/ws/", lambda route: None)
    page.reload()  # what others do is not heard
    assignee = page.locator("[data-assignee-name]")
    expect(assignee).to_have_text("Unassigned")
    them = Actor(Who.STAFF, str(alan.pk))
    support.assign(them, row.pk, them.id)
    page.focus("[data-scroll]")
    page.keyboard.press("a")
    trouble = page.locator("[data-trouble]")
    expect(trouble).to_have_text("It is not assigned by this: alan has it now.")
    expect(assignee).to_have_text("alan")
    row.refresh_from_db()
    assert row.assignee_id == alan.pk
    page.focus("[data-scroll]")
    page.keyboard.press("a")  # who has seen it may
    expect(assignee).to_have_text("grace (you)")


def test_why_there_is_nothing_to_see_is_told(opened: Open) -> None:
    visit = opened("grace")
    page = visit.page
    page.goto(f"{visit.base}{INBOX}{new_id()}/")
    expect(page.locator("[data-failed]")).to_contain_text("There is no such conversation")
    expect(page.get_by_text("It is tried again by itself.")).to_be_hidden()
    code, reason = Close.CROWD.value
    page.route_web_socket("**/ws/", lambda route: route.close(code=code, reason=reason))
    page.goto(f"{visit.base}{INBOX}")
    state = page.locator("[data-state]")
    expect(state).to_have_text("Too many windows are open: trying again")


@pytest.mark.parametrize(("width", "height"), [(320, 256), (640, 400)])
def test_a_low_window_has_room_to_read(opened: Open, width: int, height: int) -> None:
    """A window of 1280 pixels magnified by four, and by two."""
    row = talk("Where is my parcel? The ferry leaves at nine.")
    visit = opened("grace", f"{INBOX}{row.pk}/", viewport={"width": width, "height": height})
    page = visit.page
    expect(bubbles(page)).to_have_count(1)
    page.locator("[data-send]").scroll_into_view_if_needed()
    expect(page.locator("[data-send]")).to_be_in_viewport(ratio=1)
    log = page.locator("[data-scroll]")
    assert log.evaluate("it => it.clientHeight") >= height / 2
    log.scroll_into_view_if_needed()
    expect(bubbles(page)).to_be_in_viewport(ratio=1)
    assert visit.fits()
    visit.shot(f"staff-inbox-low-{width}")
