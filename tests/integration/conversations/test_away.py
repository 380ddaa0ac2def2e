"""People who are away are told once, and what they write back is an entry of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.live.people import Kind, Person
from commsproject.common.live.presence import store
from conversations import jobs, reply_to
from conversations.models import Entry, Notice, Participant, Reminder
from conversations.services import notices, reminders
from notifications.models import (
    Address,
    Category,
    Delivery,
    Notification,
    Recipient,
    SimulatedMessage,
)
from notifications.types import Channel, Inbound
from templates_app import services as authors
from templates_app.models import Template
from tests.engine import drain
from tests.integration.conversations.people import call, person, start, write
from tracking.services import inbound

pytestmark = pytest.mark.django_db

BOB = "bob@example.com"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(timezone.now(), tick=False) as travelled:
        yield travelled


@pytest.fixture
def ada(clock: time_machine.Traveller, settings: Any) -> APIClient:
    settings.REPLY_DOMAIN = "reply.example.com"
    known(("ada", "ada@example.com"), ("bob", BOB), ("eve", "eve@example.com"))
    Recipient.objects.filter(user_id="ada").update(data={"name": "Ada\nLovelace"})
    return person("ada")


def known(*people: tuple[str, str]) -> None:
    for user_id, email in people:
        recipient = Recipient.objects.create(user_id=user_id)
        Address.objects.create(recipient=recipient, channel=Channel.EMAIL, value=email)


def later(clock: time_machine.Traveller, minutes: float = 5.1) -> list[tuple[str, str]]:
    """Whom the job tells after so long, and of what."""
    clock.shift(timedelta(minutes=minutes))
    before = set(SimulatedMessage.objects.values_list("id", flat=True))
    jobs.tell_away_people()
    drain()
    rows = SimulatedMessage.objects.exclude(id__in=before).order_by("id")
    return sorted((row.address, row.parts["text"]) for row in rows)


def test_who_does_not_read_is_told_once_of_all(
    ada: APIClient, clock: time_machine.Traveller
) -> None:
    chat = start(ada, "direct", "bob")
    write(ada, chat, "one")
    assert later(clock, 4) == []
    write(ada, chat, "two")
    ((to, text),) = later(clock, 1.1)
    footer = "\n\nReply to this message to answer."
    assert (to, text) == (BOB, f"Ada Lovelace: one\nAda Lovelace: two{footer}")
    assert SimulatedMessage.objects.get().parts["subject"] == "New message from Ada Lovelace"
    write(ada, chat, "three")
    assert later(clock, 30) == []  # they have been told

    call(person("bob"), "post", f"/{chat['id']}/read", {})
    for number in range(7):
        write(ada, chat, f"n{number}")
    ((_, text),) = later(clock)
    assert text.startswith("... and 2 before that\nAda Lovelace: n2\n")


def test_people_are_told_in_their_language_and_in_the_words_of_staff(
    ada: APIClient, clock: time_machine.Traveller
) -> None:
    Recipient.objects.filter(user_id="bob").update(locale="de-AT")
    Recipient.objects.filter(user_id="eve").update(locale="fi")
    chat = start(ada, "group", "bob", "eve", title="Oslo")
    write(ada, chat, "{{ more }}")
    assert later(clock) == [
        (BOB, "Ada Lovelace: {{ more }}\n\nAntworten Sie einfach auf diese Nachricht."),
        ("eve@example.com", "Ada Lovelace: {{ more }}\n\nReply to this message to answer."),
    ]
    mine = SimulatedMessage.objects.get(address=BOB)
    assert mine.parts["subject"] == "Neue Nachricht von Ada Lovelace in Oslo"

    template = Template.objects.get(key=notices.TEMPLATE)
    channels = {"email": {"subject": "{{ author }}", "text": "Look at it!"}}
    authors.revise(template, author="staff", channels=channels, translations={})
    authors.publish(template)
    call(person("bob"), "post", f"/{chat['id']}/read", {})
    write(ada, chat, "two")
    assert later(clock) == [(BOB, "Look at it!")]


def test_who_reads_mutes_looks_or_leaves_is_not_told(
    ada: APIClient, clock: time_machine.Traveller
) -> None:
    bob, group = person("bob"), start(ada, "group", "bob", "eve", "nobody-we-know")
    path = f"/{group['id']}"
    entry = write(ada, group, "one")
    call(bob, "post", f"{path}/read", {})
    call(ada, "delete", f"{path}/participants/eve", status=204)
    assert later(clock) == []
    assert list(Reminder.objects.values_list("participant__person_id", "due_at")) == [
        ("nobody-we-know", None)
    ]
    write(ada, group, "two")
    call(bob, "post", f"{path}/read", {"seq": entry["seq"]})
    call(
        bob, "post", f"{path}/mute", {"until": (timezone.now() + timedelta(minutes=20)).isoformat()}
    )
    assert later(clock) == []
    write(ada, group, "three")  # muted: not even noted
    assert later(clock) == []
    clock.shift(timedelta(minutes=20))
    write(ada, group, "four")
    looks = store.Doing(store.State.ACTIVE, "conversations", group["id"])
    clock.shift(timedelta(minutes=5))
    store.write([store.Change(Person(Kind.USER, "bob"), "c1", None, looks)])
    assert later(clock, 0.1) == []
    store.write([store.Change(Person(Kind.USER, "bob"), "c1", looks, None)])
    assert [to for to, _ in later(clock)] == [BOB]
    call(bob, "post", f"{path}/read", {})
    gone = write(ada, group, "five")
    call(ada, "delete", f"{path}/entries/{gone['id']}", status=204)
    assert later(clock) == []
    write(ada, group, "six")
    assert [to for to, _ in later(clock)] == [BOB]


def test_nobody_is_told_where_that_is_switched_off(ada: APIClient, settings: Any) -> None:
    settings.CONVERSATION_AWAY_MINUTES = 0
    write(ada, start(ada, "direct", "bob"))
    assert not Reminder.objects.exists()


def test_a_kill_tells_nobody_and_forgets_nobody(
    ada: APIClient, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ada, start(ada, "direct", "bob"))
    clock.shift(timedelta(minutes=6))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Notice.objects, "create", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.tell_away_people()
    assert not Notification.objects.exists()
    assert [to for to, _ in later(clock, 0)] == [BOB]


def mail(to: str, text: str = "At nine.", sender: str = BOB, **more: Any) -> Inbound:
    at = timezone.now()
    return Inbound(Channel.EMAIL, sender, to, text, at, f"d{at}{to}{sender}", **more)


def arrives(report: Inbound, capture: Any) -> list[str]:
    """What is written in conversations when it has come in."""
    before = set(Entry.objects.values_list("id", flat=True))
    with capture(execute=True):
        inbound.record("simulator", [report], received_at=timezone.now())
    jobs.take_answers()  # finds it again
    rows = Entry.objects.exclude(id__in=before).order_by("seq")
    return [f"{row.person_id}: {row.body}" for row in rows]


def test_an_answer_by_mail_is_an_entry(
    ada: APIClient, clock: time_machine.Traveller, django_capture_on_commit_callbacks: Any
) -> None:
    chat, capture = start(ada, "group", "bob"), django_capture_on_commit_callbacks
    write(ada, chat, "When?")
    later(clock)
    me = Participant.objects.get(person_id="bob")
    to = Notification.objects.get().reply_to
    assert to == reply_to.address(me.id)
    assert len(to.partition("@")[0]) <= 64

    assert arrives(mail(to), capture) == ["bob: At nine."]
    assert not Reminder.objects.filter(participant=me).exists()  # who writes has read
    assert arrives(mail(to.upper(), "Or at ten?"), capture) == ["bob: Or at ten?"]
    other = reply_to.address(Participant.objects.get(person_id="ada").id)
    refused = {
        "of somebody else": mail(to, sender="eve@example.com"),
        "to the address of another": mail(other),
        "with a signature that is made up": mail(to.replace("reply+", "reply+a", 1)),
        "changed": mail(to[:40] + ("a" if to[40] != "a" else "b") + to[41:]),
        "to us in general": mail("hello@example.com"),
        "of who says to be them, and is not": mail(to, is_forged=True),
        "of a machine": mail(to, "I am away", is_automatic=True),
        "empty": mail(to, " \n"),
    }
    for name, report in refused.items():
        assert arrives(report, capture) == [], name
    call(ada, "delete", f"/{chat['id']}/participants/bob", status=204)
    assert arrives(mail(to, "Too late"), capture) == []


def test_an_answer_by_text_message_is_an_entry(
    ada: APIClient,
    clock: time_machine.Traveller,
    django_capture_on_commit_callbacks: Any,
) -> None:
    number, capture = "+4915112345678", django_capture_on_commit_callbacks
    Address.objects.filter(recipient__user_id="bob").update(channel=Channel.SMS, value=number)
    chat = start(ada, "direct", "bob")
    write(ada, chat, "When?")
    reminders._category()
    Category.objects.filter(key="conversation").update(channels=[Channel.SMS])
    assert [to for to, _ in later(clock)] == [number]
    assert Delivery.objects.get().attempts_made

    def says(text: str, at: datetime) -> Inbound:
        return Inbound(Channel.SMS, number, "+4915100000000", text, at, f"s{at}{text}")

    assert arrives(says("At nine", timezone.now()), capture) == ["bob: At nine"]
    assert arrives(says("STOP", timezone.now()), capture) == []
    clock.shift(timedelta(days=31))
    jobs.forget_notices()
    assert not Notice.objects.exists()
