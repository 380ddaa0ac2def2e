"""Links out of messages: what a scanner, a person and a mail program do with them (RFC 8058)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from commsproject.common.ids import new_id
from notifications import addresses
from notifications.models import Category, SimulatedMessage, Suppression
from notifications.types import Channel
from templates_app import links
from tests.engine import drain
from tests.factories import CategoryFactory

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HASH = addresses.digest(Channel.EMAIL, "ada@simulator.test")


@pytest.fixture
def path() -> str:
    token = links.unsubscribe_token(
        channel="email", address_hash=HASH, scope="news", delivery_id=new_id()
    )
    return f"/u/{token}"


@pytest.fixture
def browser() -> Client:
    """With the CSRF check that a test client leaves out unless told."""
    return Client(enforce_csrf_checks=True)


def assert_plain(answer: Any) -> None:
    assert not answer.cookies
    assert "Location" not in answer.headers
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_at_a_link_a_hundred_times_never_unsubscribes(browser, path, method):
    for _ in range(100):
        answer = getattr(browser, method)(path)
        assert answer.status_code in (200, 405)
        assert not answer.cookies
    assert not Suppression.objects.exists()


def test_the_page_asks_and_its_form_posts_what_a_mail_program_posts(browser, path):
    answer = browser.get(path)
    assert_plain(answer)
    page = answer.content.decode()
    assert '<form method="post">' in page
    assert '<input type="hidden" name="List-Unsubscribe" value="One-Click">' in page
    assert "<script" not in page
    assert "csrf" not in page


@pytest.mark.parametrize("end", ["", "\r\n", None])
def test_a_post_unsubscribes_at_once(browser, path, end):
    """As a form, with a line end behind it or not, or as multipart."""
    if end is None:
        answer = browser.post(path, ONE_CLICK)
    else:
        body = urlencode(ONE_CLICK) + end
        answer = browser.post(path, body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    assert_plain(answer)
    assert b"You are unsubscribed" in answer.content
    entry = Suppression.objects.get()
    assert (entry.channel, entry.address_hash, entry.scope) == ("email", HASH, "news")
    assert (entry.reason, entry.source) == ("unsubscribe", "link")


def test_a_post_that_is_repeated_is_fine(browser, path):
    for _ in range(5):
        assert browser.post(path, ONE_CLICK).status_code == 200
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=Yes", "application/x-www-form-urlencoded"),
        (b"list-unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (b"List-Unsubscribe=One-Click", "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=b&" * 5000, "application/x-www-form-urlencoded"),
        (b"x" * 10_000_000, "application/x-www-form-urlencoded"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_post_that_says_something_else_is_400_and_unsubscribes_nobody(
    browser, path, body, content_type
):
    answer = browser.post(path, body, content_type=content_type)
    assert answer.status_code == 400
    assert not answer.cookies
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: ("B" if token[0] == "A" else "A") + token[1:],
        lambda token: token.swapcase(),
        lambda token: "x",
        lambda token: "%C3%A9:%C3%A9:%C3%A9",
        lambda token: "%00",
        lambda token: "%ED%A0%80",
        lambda token: token * 100,
    ],
)
def test_a_tampered_token_is_404(browser, path, spoil):
    spoiled = f"/u/{spoil(path.removeprefix('/u/'))}"
    for answer in (browser.get(spoiled), browser.post(spoiled, ONE_CLICK)):
        assert answer.status_code == 404
        assert_plain(answer)
        assert b"This link is not known" in answer.content
    assert not Suppression.objects.exists()


def test_a_token_that_was_refused_is_in_no_log(path, caplog, capsys):
    Client().post(path, {"a": "b"})
    written = "".join([caplog.text, *capsys.readouterr()])
    assert "'status': 400" in written
    assert path.removeprefix("/u/") not in written


# The whole way


def send(api: APIClient, **more: Any) -> dict[str, Any]:
    body = {
        "to": {"email": "ada@simulator.test"},
        "content": {"subject": "Hello", "text": "It works."},
        **more,
    }
    answer = api.post("/api/v1/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    drain()
    found: dict[str, Any] = api.get(f"/api/v1/notifications/{answer.json()['id']}").json()
    return found


def unsubscribe_by_header(browser: Client) -> None:
    """What a mail program does with the last message."""
    headers = SimulatedMessage.objects.latest("id").headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = headers["List-Unsubscribe"].strip("<>")
    assert link.startswith(f"{settings.PUBLIC_URL}/u/")
    answer = browser.post(
        link.removeprefix(settings.PUBLIC_URL),
        headers["List-Unsubscribe-Post"],
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 200


def test_the_header_of_a_message_ends_its_category_and_no_other(api, browser):
    CategoryFactory.create(key="news", kind=Category.Kind.MARKETING)
    CategoryFactory.create(key="orders")
    CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    assert send(api, category="news")["status"] == "sent"
    unsubscribe_by_header(browser)
    (delivery,) = send(api, category="news")["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("suppressed", [])
    assert delivery["reason"] == "the recipient unsubscribed"
    assert send(api, category="orders")["status"] == "sent"
    assert send(api, category="codes")["status"] == "sent"
    assert send(api)["status"] == "sent"


def test_a_message_without_a_category_ends_all_but_essential_ones(api, browser):
    CategoryFactory.create(key="news")
    CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    send(api)
    unsubscribe_by_header(browser)
    assert send(api)["status"] == "suppressed"
    assert send(api, category="news")["status"] == "suppressed"
    assert send(api, category="codes")["status"] == "sent"


def test_an_essential_message_offers_no_unsubscribing(api):
    CategoryFactory.create(key="codes", kind=Category.Kind.ESSENTIAL)
    send(api, category="codes")
    assert SimulatedMessage.objects.get().headers == {}


def test_the_link_of_one_person_says_nothing_about_another(api, browser):
    send(api)
    unsubscribe_by_header(browser)
    assert send(api, to={"email": "bob@simulator.test"})["status"] == "sent"


def test_the_link_does_not_show_the_address(api):
    send(api)
    header = SimulatedMessage.objects.get().headers["List-Unsubscribe"]
    assert "ada" not in header
    assert "simulator.test" not in header
