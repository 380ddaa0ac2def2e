"""A day at the console, in a browser: writing to one and to many, an opt-out, a dead letter, the home page."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from commsproject.common.models import ApiClient
from commsproject.console import demo, demo_figures
from notifications.models import Batch, DeadLetter, Delivery, Notification, Suppression
from notifications.services import batches, submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel, ErrorClass, Lane
from templates_app import links
from tests.e2e.conftest import PHONE, Visit
from tests.engine import drain

ROWS = """\
email,reference,name,plan,link
ada@simulator.test,r1,Ada,Pro,https://example.com/1
grace@simulator.test,r2,Grace,Starter,https://example.com/2
left@simulator.test,r3,Left,Starter,https://example.com/3
nonsense,r4,Nobody,Starter,https://example.com/4
"""


pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def agent(transactional_db: None) -> ApiClient:
    made = ApiClient.objects.create(name="demo")
    demo.content()
    return made


def test_a_message_is_composed_seen_and_delivered(visit: Any, agent: ApiClient) -> None:
    staff: Visit = visit(timezone_id="Asia/Tokyo")
    page = staff.go("/admin/")
    page.get_by_role("link", name="Compose").click()
    page.get_by_label("Email address").fill("bob@simulator.test")
    page.get_by_label("Template").select_option("welcome")
    data = page.get_by_label("Data")
    expect(data).to_have_value(re.compile('"plan": ""'))
    data.fill('{"name": "Bob"}')
    page.get_by_role("button", name="Check and preview").click()
    expect(page.locator(".comms-error", has_text="plan")).to_be_visible()
    data.fill('{"name": "Bob", "plan": "Pro", "link": "https://example.com"}')
    page.get_by_role("button", name="Check and preview").click()
    expect(page.frame_locator("#look iframe").locator("body")).to_contain_text("Welcome, Bob")
    assert not Notification.objects.exists()
    staff.shot("compose")
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("Accepted: it is on its way")).to_be_visible()
    page.get_by_text("Why it goes out, or does not").click()
    expect(page.locator(".comms-findings")).to_contain_text("can carry it")
    drain()
    page.reload()
    expect(page.locator(".comms-timeline")).to_contain_text("Handed to provider")
    created = timezone.localtime(Notification.objects.get().created_at) + timedelta(hours=9)
    expect(page.locator("time").first).to_have_attribute(
        "title", re.compile(created.strftime("%H:%M:%S JST"))
    )
    staff.shot("composed")


def test_many_are_looked_at_let_go_and_followed(
    visit: Any, agent: ApiClient, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(ROWS)
    staff: Visit = visit()
    leave(staff, agent, "left@simulator.test")
    page = staff.go(reverse("admin:notifications_suppression_changelist"))
    page.get_by_placeholder("Exact address").fill("left@simulator.test")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list")).to_contain_text("Unsubscribed")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)

    page = staff.go(reverse("compose-batch"))
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_label("Template").select_option("welcome")
    page.get_by_label("Canary", exact=True).fill("40")
    page.get_by_label("Canary's wait").fill("0")
    page.get_by_role("button", name="Check and preview").click()
    expect(page.get_by_text("1 will not get it")).to_be_visible()
    expect(page.frame_locator("#preview iframe").locator("body")).to_contain_text("Welcome")
    staff.shot("batch-review")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Message 2 of 3")).to_be_visible()
    page.get_by_role("link", name="Approve").click()
    page.get_by_role("button", name="Approve and send").click()
    expect(page.locator("[data-standing=running]")).to_be_visible()
    for _ in range(3):  # the canary, the others, the end
        drain(Lane.BULK)
        batches.tend()
    expect(page.locator("[data-standing=done]")).to_contain_text("100 %")  # by itself
    staff.shot("batch-done")
    assert Batch.objects.get().composer == "ada"


def leave(staff: Visit, agent: ApiClient, address: str) -> None:
    """A person opts out by the link of a message."""
    send_one(agent, address)
    drain()
    delivery = Delivery.objects.get()
    token = links.unsubscribe_token(
        channel=delivery.channel,
        address_hash=delivery.address_hash,
        scope=Suppression.ALL,
        delivery_id=delivery.pk,
    )
    page = staff.go(reverse("unsubscribe", args=[token]))
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", name="You are unsubscribed")).to_be_visible()


def test_a_dead_letter_is_mended_and_replayed(visit: Any, agent: ApiClient) -> None:
    page, delivery = _dead(visit(), agent)
    page.locator("[name=to]").fill("mended@simulator.test")
    page.get_by_role("button", name="Save", exact=True).click()
    letter = DeadLetter.objects.get()
    page.goto(page.url.split("/admin/")[0] + _page(letter))
    page.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Replay it").click()
    expect(page.get_by_text("it is in the queue again")).to_be_visible()
    drain()
    again = Delivery.objects.get(replay_of=delivery)
    assert again.address == "mended@simulator.test"


def _dead(staff: Visit, agent: ApiClient) -> tuple[Page, Delivery]:
    send_one(agent)
    drain()
    delivery = Delivery.objects.get()
    Delivery.objects.filter(pk=delivery.pk).update(state=State.DEAD)
    letter = DeadLetter.objects.create(
        delivery=delivery,
        error_class=ErrorClass.TEMPORARY,
        code="421",
        reason="the provider was away",
        providers=["simulator"],
    )
    return staff.go(_page(letter)), delivery


def _page(letter: DeadLetter) -> str:
    return reverse("admin:notifications_deadletter_change", args=[letter.pk])


def test_the_home_page_follows_what_happens_on_every_screen(visit: Any, agent: ApiClient) -> None:
    demo_figures.seed(agent)
    staff: Visit = visit()
    page = staff.go("/admin/")
    expect(page.locator(".comms-headline-number")).to_have_text(re.compile(r"^(9\d|100)"))
    queue = page.locator(".comms-tile", has_text="Queue: normal").locator(".comms-tile-number")
    expect(queue).to_have_text("0")
    send_one(agent)
    expect(queue).to_have_text("1")
    drain()
    expect(queue).to_have_text("0")
    staff.shot("home")
    page.evaluate("document.documentElement.classList.add('dark')")
    staff.shot("home-dark")
    phone: Visit = visit(viewport=PHONE)
    phone.go("/admin/")
    assert phone.fits()
    phone.shot("home-phone")
    phone.go(reverse("compose-batch"))
    assert phone.fits()
    phone.shot("compose-phone")


def test_what_takes_long_says_that_it_goes_on(visit: Any) -> None:
    staff: Visit = visit()
    page = staff.go("/admin/")
    batches_page = reverse("admin:notifications_batch_changelist")
    held: list[Route] = []
    page.route(f"**{batches_page}", lambda route: held.append(route))
    page.evaluate(  # while a page is on its way Playwright looks for nothing in the old one
        """new MutationObserver(() => {
          if (document.querySelector("[role=progressbar]")) console.log("going");
        }).observe(document.body, {childList: true})"""
    )
    with page.expect_console_message(lambda message: message.text == "going", timeout=20_000):
        page.get_by_role("link", name="Batches").click(no_wait_after=True)
    held.pop().continue_()
    expect(page.get_by_text("Nobody has sent a batch")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)


def send_one(agent: ApiClient, address: str = "ada@simulator.test") -> None:
    to = Target(addresses={Channel.EMAIL: address})
    submit.accept(agent, [Submission(to=to, content={"subject": "Hello", "text": "It works."})])
