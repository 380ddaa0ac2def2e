"""The pages on which people choose what they get, and what the choices do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from notifications import addresses
from notifications.models import (
    Address,
    Category,
    Consent,
    Delivery,
    LiftedSuppression,
    Preference,
    Recipient,
    SimulatedMessage,
    Suppression,
)
from notifications.services import centre, suppress
from notifications.types import Channel, Inbound, Lane, SuppressionReason
from templates_app import links
from tests.engine import drain
from tests.factories import AddressFactory, CategoryFactory, RecipientFactory, SuppressionFactory
from tests.integration.conversations.people import person
from tracking.services import inbound

pytestmark = pytest.mark.django_db
V1 = "/api/v1"


@pytest.fixture
def browser() -> Client:
    """Without a cookie, and with the CSRF check."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def ada() -> Recipient:
    person = RecipientFactory.create(user_id="ada", locale="de", time_zone="Europe/Berlin")
    AddressFactory.create(recipient=person, value="ada@simulator.test")
    return person


@pytest.fixture(autouse=True)
def categories() -> None:
    CategoryFactory.create(key="codes", name="Codes", kind="essential", channels=["email", "sms"])
    CategoryFactory.create(key="news", name="News", kind="marketing", channels=["email"])
    CategoryFactory.create(key="orders", name="Orders", is_optional=False, channels=["email"])
    CategoryFactory.create(key="tips", name="Tips", channels=["email", "inapp"])
    CategoryFactory.create(
        key="club", name="Club", is_opt_in=True, needs_confirmation=True, channels=["email"]
    )


def address(person: Recipient) -> str:
    return f"/preferences/{links.preferences_token(person.id)}"


def form(browser: Client, page: str) -> dict[str, Any]:
    """What a browser would post of the page as it is."""
    html = browser.get(page).content.decode()
    fields: dict[str, Any] = {"on": re.findall(r'name="on" value="([^"]+)"[^>]* checked>', html)}
    for tag in re.findall(r"<input [^>]+>", html):
        name, value = (re.search(f'{what}="([^"]*)"', tag) for what in ("name", "value"))
        if name and value and 'type="checkbox"' not in tag:
            fields[name[1]] = value[1]
    for name, options in re.findall(r'(?s)<select name="(\w+)"(.*?)</select>', html):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else ""
    return fields


def test_the_page_shows_what_holds_and_saves_what_was_changed(browser, ada):
    page = address(ada)
    shown = form(browser, page)
    assert sorted(shown["on"]) == ["news:email", "tips:email", "tips:inapp"]
    assert (shown["locale"], shown["time_zone"]) == ("de", "Europe/Berlin")
    until = timezone.localdate() + timedelta(days=3)
    answer = browser.post(
        page,
        {
            **shown,
            "on": ["tips:email", "codes:email", "nonsense", "no:channel"],
            "paused_until": until.isoformat(),
            "locale": "pt-BR",
            "quiet-0-start": "22:00",
            "quiet-0-end": "07:00",
            "quiet-0-days": ["5", "6"],
        },
    )
    assert answer.status_code == 200
    assert not answer.cookies
    said = answer.content.decode()
    assert "Turned off: News by Email, Tips by In-app." in said
    assert "Turned on" not in said
    ada.refresh_from_db()
    assert ada.locale == "pt-BR"
    assert ada.paused_until is not None
    assert ada.paused_until.isoformat().startswith(
        f"{until - timedelta(days=1)}T23:00"
    )  # in Berlin
    (period,) = ada.quiet_hours.all()
    assert (f"{period.start:%H:%M}", f"{period.end:%H:%M}", period.days) == (
        "22:00",
        "07:00",
        [5, 6],
    )
    chosen = Preference.objects.values_list("category__key", "channel", "is_on")
    assert set(chosen) == {("news", "email", False), ("tips", "inapp", False)}
    acts = Consent.objects.values_list("category__key", "act", "source")
    assert set(acts) == {(key, "withdrawn", "preference centre") for key in ("news", "tips")}
    again = form(browser, page)
    assert "tips:email" in again["on"]
    assert "news:email" not in again["on"]
    assert b"Turned" not in browser.post(page, again).content
    assert Consent.objects.count() == 2


def test_what_is_wrong_saves_nothing_and_says_where(browser, ada):
    page = address(ada)
    wrong = {
        "paused_until": "2020-01-01",
        "locale": "xx-Nowhere",
        "time_zone": "Mars/Base",
        "quiet-0-start": "25:00",
    }
    for name, value in wrong.items():
        shown = {**form(browser, page), "on": ["tips:inapp"], name: value}
        answer = browser.post(page, shown)
        assert answer.status_code == 422, name
        assert b"Nothing was saved" in answer.content
        assert b'aria-invalid="true"' in answer.content, name
        assert re.findall(r'value="(\S+)"[^>]* checked>', answer.content.decode()) == [
            "tips:inapp"  # what was turned off stays so, to be saved with the rest
        ]
    half = browser.post(page, {**form(browser, page), "quiet-0-start": "22:00"})
    assert b"Give both times, or neither." in half.content
    assert browser.post(page, {}).status_code == 422  # no form of ours
    assert not Preference.objects.exists()
    assert not ada.quiet_hours.exists()


def test_links_that_are_forged_or_for_something_else_are_404(browser, ada):
    token = links.preferences_token(ada.id)
    confirm = links.confirmation_token(ada.id, ada.id, "", timezone.now())
    unsubscribe = links.unsubscribe_token(
        channel="email", address_hash="0" * 64, scope="news", delivery_id=ada.id
    )
    gone = links.preferences_token(CategoryFactory.create().pk)
    forged = ("B" if token[0] == "A" else "A") + token[1:]
    for spoilt in (token[:-2], forged, token.swapcase(), "x", confirm, unsubscribe, gone):
        for path in (f"/preferences/{spoilt}", f"/c/{spoilt}" if spoilt != confirm else "/c/x"):
            assert browser.get(path).status_code == 404
            assert browser.post(path, {"on": []}).status_code == 404
    assert browser.get(f"/c/{confirm}").status_code == 404  # of a category that is gone
    answer = browser.get(address(ada))
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_turning_on_takes_back_an_unsubscribing_and_nothing_else_comes_back(browser, ada):
    SuppressionFactory.create(reason=SuppressionReason.UNSUBSCRIBE)  # from everything
    bounce = SuppressionFactory.create(reason=SuppressionReason.BOUNCE, scope="news")
    page = address(ada)
    shown = form(browser, page)
    assert not {"tips:email", "news:email"} & set(shown["on"])
    said = browser.post(page, {**shown, "on": [*shown["on"], "news:email"]}).content.decode()
    assert "Turned on: News by Email." in said
    assert list(Suppression.objects.all()) == [bounce]
    again = set(form(browser, page)["on"])
    assert "news:email" in again
    assert "tips:email" not in again
    all_off = browser.post(page, {**form(browser, page), "all": "off"}).content.decode()
    assert "Turned off: News by Email, Tips by In-app." in all_off


def held(api: APIClient) -> set[tuple[str, str]]:
    shown = api.get(f"{V1}/recipients/ada/preferences").json()["unsubscribed"]
    return {(one["category"], one["channel"]) for one in shown}


def test_a_yes_with_proof_takes_back_an_unsubscribing_but_no_complaint(api, browser, ada):
    def say(client: APIClient, *choices: dict[str, Any], **proof: str) -> None:
        body = {"preferences": [{"is_on": True, **choice} for choice in choices], "proof": proof}
        answer = client.put(f"{V1}/recipients/ada/preferences", body, format="json")
        assert answer.status_code == 200, answer.content

    def leave(category: str, *, everything: bool) -> None:
        assert send(api, category) == "sent"
        header = SimulatedMessage.objects.latest("id").headers["List-Unsubscribe"]
        path = header.strip("<>").removeprefix(settings.PUBLIC_URL)
        asked = {"List-Unsubscribe": "One-Click", "from": "everything" if everything else ""}
        assert browser.post(path, asked).status_code == 200

    given = Consent.objects.filter(act="given", recipient=ada)
    leave("news", everything=False)
    say(api, {"category": "news", "channel": "email"})  # says who? the agent
    assert (held(api), send(api, "news")) == ({("news", "email")}, "suppressed")
    say(api, {"category": "news"}, form=" ")
    assert held(api)
    say(api, {"category": "news"}, form="newsletter, 22 November")  # on every channel
    assert (held(api), send(api, "news")) == (set(), "sent")
    assert given.latest("id").proof == {"form": "newsletter, 22 November"}
    lifted = LiftedSuppression.objects.get()
    assert (lifted.lifted_by, lifted.why) == ("the person", "turned on again")

    say(api, {"category": "tips", "channel": "email"}, form="x")
    leave("tips", everything=True)
    before = given.count()
    say(person("ada"), {"category": "news"})  # by herself: no proof is needed
    assert given.count() > before
    assert (held(api), send(api, "news")) == (set(), "sent")
    CategoryFactory.create(key="offers", kind="marketing")  # since then
    assert [send(api, key) for key in ("tips", "offers")] == ["suppressed", "suppressed"]
    say(person("ada"), {"channel": "email"}, {"category": "tips", "channel": "email"})
    assert [send(api, key) for key in ("tips", "offers")] == ["sent", "sent"]

    for reason in (SuppressionReason.COMPLAINT, SuppressionReason.BOUNCE, SuppressionReason.MANUAL):
        SuppressionFactory.create(reason=reason)
        say(person("ada"), {}, {"category": "news"}, {"category": "news", "channel": "email"})
        assert send(api, "news") == "suppressed", reason
        Suppression.objects.all().delete()


def test_a_yes_that_is_to_be_confirmed_takes_nothing_back_before_it_is(api, browser, ada):
    SuppressionFactory.create(reason=SuppressionReason.UNSUBSCRIBE)  # from everything
    body = {"preferences": [{"category": "club", "is_on": True}]}
    answer = person("ada").put(f"{V1}/recipients/ada/preferences", body, format="json")
    assert answer.status_code == 200
    assert held(api) == {("", "email")}
    drain()
    link = re.search(r"(/c/[\w-]+)", SimulatedMessage.objects.get().parts["text"])
    assert link
    for _ in range(2):
        assert browser.post(link[1]).status_code == 200
    assert held(api) == set()
    assert [send(api, key) for key in ("club", "tips", "codes")] == ["sent", "suppressed", "sent"]


def test_the_page_says_what_no_switch_changes(browser, ada):
    def told() -> list[str]:
        return re.findall(r"By Email you get ([^.]+)", browser.get(address(ada)).content.decode())

    SuppressionFactory.create(reason=SuppressionReason.UNSUBSCRIBE)
    SuppressionFactory.create(reason=SuppressionReason.BOUNCE, scope="news")
    assert told() == []
    SuppressionFactory.create(reason=SuppressionReason.COMPLAINT)
    assert ["spam" in why for why in told()] == [True]
    SuppressionFactory.create(reason=SuppressionReason.BOUNCE)
    assert told() == ["nothing, as messages to you came back"]
    AddressFactory.create(recipient=ada, value="ada.new@simulator.test")
    assert told() == []


def send(api: APIClient, category: str) -> str:
    body = {
        "to": {"user_id": "ada"},
        "category": category,
        "channels": ["email"],
        "content": {"subject": "Hello", "text": "It works."},
    }
    answer = api.post(f"{V1}/notifications", body, format="json")
    assert answer.status_code == 202, answer.content
    drain()
    return Delivery.objects.get(notification=answer.json()["id"]).state


def test_who_asks_gets_a_link_that_a_scanner_cannot_follow(api, browser, ada):
    page = address(ada)
    for _ in range(2):  # asked twice, told once
        said = browser.post(page, {**form(browser, page), "on": ["club:email"]}).content.decode()
        assert "Please confirm: Club by Email." in said
    drain()
    (message,) = SimulatedMessage.objects.all()
    assert "List-Unsubscribe" not in message.headers
    link = re.search(r"(/c/[\w-]+)", message.parts["text"])
    assert link
    assert f"{settings.PUBLIC_URL}{link[1]}" in message.parts["text"]
    for _ in range(100):
        assert b"Yes, I want it" in browser.get(link[1]).content
    acts = Consent.objects.filter(category__key="club").values_list("act", flat=True)
    assert list(acts) == ["asked", "asked"]
    assert "club:email" not in form(browser, page)["on"]
    for _ in range(2):
        assert b"Thank you" in browser.post(link[1]).content
    assert list(acts.all()) == ["confirmed", "asked", "asked"]
    assert "club:email" in form(browser, page)["on"]
    old = links.confirmation_token(
        ada.id,
        Category.objects.get(key="club").id,
        "",
        timezone.now() - timedelta(days=7, seconds=1),
    )
    assert browser.post(f"/c/{old}").status_code == 410


def test_unsubscribing_by_a_link_is_a_choice_of_the_person(api, browser, ada):
    assert send(api, "news") == "sent"
    header = SimulatedMessage.objects.latest("id").headers["List-Unsubscribe"]
    path = header.strip("<>").removeprefix(settings.PUBLIC_URL)
    page = browser.get(path).content.decode()
    assert "of “News”" in page
    assert address(ada) in page
    for _ in range(2):
        assert browser.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert list(Preference.objects.values_list("category__key", "is_on")) == [("news", False)]
    consent = Consent.objects.get()
    assert (consent.act, consent.source) == ("withdrawn", "unsubscribe link")
    assert consent.address_hash == addresses.digest(Channel.EMAIL, Address.objects.get().value)
    assert send(api, "orders") == "sent"  # no choice of hers, and yet she is let out
    header = SimulatedMessage.objects.latest("id").headers["List-Unsubscribe"]
    orders = header.strip("<>").removeprefix(settings.PUBLIC_URL)
    assert browser.post(orders, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert send(api, "orders") == "suppressed"
    assert Consent.objects.latest("id").category == Category.objects.get(key="orders")
    everything = {"List-Unsubscribe": "One-Click", "from": "everything"}
    assert b"of any kind" not in browser.post(path, everything).content
    assert send(api, "tips") == "suppressed"
    assert send(api, "codes") == "sent"
    on = {line.category.key: [s.is_on for s in line.switches] for line in centre.lines(ada)}
    assert on["tips"] == [False, True]  # the inbox is another matter
    assert suppress.has_opted_out("email", consent.address_hash)


def test_start_takes_back_a_no_that_was_said_by_a_link(api, browser, ada):
    """And each word is on record: 47 CFR 64.1200(a)(10) asks for proof of both."""
    number = "+4915112345678"
    AddressFactory.create(recipient=ada, channel="sms", value=number)
    by_text = {"to": {"user_id": "ada"}, "channels": ["sms"], "content": {"text": "Hello"}}

    def state() -> str:
        answer = api.post(f"{V1}/notifications", by_text, format="json")
        drain()
        return Delivery.objects.get(notification=answer.json()["id"]).state

    def text(words: str, minutes: int) -> None:
        message = Inbound(
            channel=Channel.SMS,
            sender=number,
            to="+15005550006",
            text=words,
            at=timezone.now() - timedelta(minutes=60 - minutes),
            dedupe=words + str(minutes),
        )
        with transaction.atomic():
            inbound.record("simulator", [message], received_at=timezone.now())

    assert state() == "sent"
    token = links.unsubscribe_token(
        channel="sms",
        address_hash=addresses.digest(Channel.SMS, number),
        scope="*",
        delivery_id=Delivery.objects.get().id,
    )
    assert browser.post(f"/u/{token}", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert state() == "suppressed"
    text("START", 1)
    assert state() == "sent"
    for minutes, words in enumerate(["STOP", "STOP", "START", "STOP"], 2):
        text(words, minutes)
    assert state() == "suppressed"
    acts = Consent.objects.filter(source="keyword").order_by("id")
    assert list(acts.values_list("act", flat=True)) == [
        *("given", "withdrawn", "given", "withdrawn")
    ]
    assert acts[0].recipient == ada


# --- What the law asks for in a message ---------------------------------------------------------


def test_messages_carry_the_ways_out_that_their_category_needs(api, browser, ada, settings):
    settings.POSTAL_ADDRESS = "Comms & Co, 1 Main Street, Springfield"
    channels = {
        "email": {
            "subject": "Hello",
            "text": "{{ preferences_url }} {{ unsubscribe_url }}",
            "html": "<body><a href='{{ preferences_url }}'>{{ name }}</a></body>",
        }
    }
    addressed = {"email": {**channels["email"], "text": "{{ postal_address }}"}}
    for key, of in {"ways": channels, "addressed": addressed}.items():
        body = {"key": key, "name": key, "channels": of}
        assert api.post(f"{V1}/templates", body, format="json").status_code == 201
        made = api.post(f"{V1}/templates/{key}/publish")
        assert made.status_code == 200, made.content
        assert set(made.json()["schema"]["properties"]) == {"name"}

    def sent(template: str, category: str, to: dict[str, str]) -> SimulatedMessage:
        ask = {"to": to, "template": template, "category": category, "data": {"name": "Ada"}}
        answer = api.post(f"{V1}/notifications", {**ask, "channels": ["email"]}, format="json")
        assert answer.status_code == 202, answer.content
        drain()
        return SimulatedMessage.objects.latest("id")

    message = sent("ways", "news", {"user_id": "ada"})
    assert message.headers["List-Id"].startswith("<news.")
    preferences, unsubscribe = message.parts["text"].split("\n")[0].split()
    assert preferences == f"{settings.PUBLIC_URL}{address(ada)}"
    assert f"<{unsubscribe}>" == message.headers["List-Unsubscribe"]
    assert f"<a href='{preferences}'>" in message.parts["html"]
    assert "Comms & Co, 1 Main Street" in message.parts["text"]
    assert "Comms &amp; Co, 1 Main Street, Springfield</p></body>" in message.parts["html"]
    once = sent("addressed", "news", {"user_id": "ada"})
    assert once.parts["text"].strip() == settings.POSTAL_ADDRESS
    assert "Springfield" not in once.parts["html"]
    plain = sent("ways", "tips", {"email": "bob@simulator.test"})
    assert "List-Id" not in plain.headers
    assert "Springfield" not in plain.parts["text"]
    assert plain.parts["text"].split()[0] == plain.parts["text"].split()[1]  # nobody we know
    assert sent("ways", "codes", {"user_id": "ada"}).headers == {}

    rows = "user_id\n" + "".join(f"batch-{n}\n" for n in range(3))
    for n in range(3):
        person = RecipientFactory.create(user_id=f"batch-{n}")
        AddressFactory.create(recipient=person, value=f"batch-{n}@simulator.test")
    query = 'template=ways&category=news&channels=email&data={"name":"Ada"}'
    answer = api.generic("POST", f"{V1}/batches?{query}", rows, content_type="text/csv")
    assert answer.status_code == 202, answer.content
    drain(Lane.BULK)
    for person in Recipient.objects.filter(user_id__startswith="batch-"):
        message = SimulatedMessage.objects.get(address=f"{person.user_id}@simulator.test")
        assert f"{settings.PUBLIC_URL}{address(person)} " in message.parts["text"]
        assert message.parts["text"].count("Springfield") == 1
