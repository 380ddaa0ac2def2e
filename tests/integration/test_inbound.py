"""What people write to us: stored once, tied to what it answers, and obeyed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import alerts, ids
from commsproject.common.models import ApiClient, ApiKey
from notifications import addresses
from notifications.models import Category, Delivery, Notification, SimulatedMessage, Suppression
from notifications.states import State
from notifications.types import Channel, Inbound, SuppressionReason
from tests.engine import drain
from tests.factories import DeliveryFactory, SuppressionFactory
from tests.fakes import twilio
from tests.fakes.twilio import TwilioServer
from tracking.models import InboundMessage, WebhookReceipt
from tracking.services import inbound, ingest
from tracking.signals import inbound_received

pytestmark = pytest.mark.django_db

ADA = "+4915112345678"
OURS = "+15005550006"
PUBLIC = "https://comms.example.org"
Wish = Inbound.Wish


def said(text: str, **changes: Any) -> Inbound:
    """A text message of Ada's, by a provider that understands no keywords."""
    message = Inbound(
        channel=Channel.SMS,
        sender=ADA,
        to=OURS,
        text=text,
        at=timezone.now(),
        dedupe=str(ids.new_id()),
    )
    return replace(message, **changes)


def mailed(**changes: Any) -> Inbound:
    message = Inbound(
        channel=Channel.EMAIL,
        sender="Ada@Example.ORG",
        to="help@example.com",
        text="Thank you!",
        subject="Re: Hello",
        at=timezone.now(),
        dedupe=str(ids.new_id()),
    )
    return replace(message, **changes)


def receive(*reports: Inbound, provider: str = "simulator", ago: float = 0) -> None:
    with transaction.atomic():
        at = timezone.now() - timedelta(seconds=ago)
        inbound.record(provider, list(reports), received_at=at)


def digest(number: str = ADA) -> str:
    return addresses.digest(Channel.SMS, number)


def opt_outs() -> list[tuple[str, str, str]]:
    rows = Suppression.objects.filter(address_hash=digest(), channel=Channel.SMS)
    return list(rows.order_by("id").values_list("reason", "scope", "source"))


def answers() -> list[str]:
    """What was answered, by text."""
    drain()
    return [row.parts["text"] for row in SimulatedMessage.objects.order_by("id")]


STOPPED = [("unsubscribe", "*", "keyword")]
STOP_ANSWER = "Acme: You are unsubscribed and will get no more messages. Reply START to undo."
START_ANSWER = "Acme: You will get messages again. Reply HELP for help, STOP to unsubscribe."
HELP_ANSWER = "Acme: Reply STOP to unsubscribe. Message and data rates may apply."


@pytest.fixture(autouse=True)
def _brand(settings: Any) -> None:
    settings.SMS_BRAND = "Acme"


@pytest.fixture
def heard() -> Iterator[list[UUID]]:
    """The ids that were announced."""
    found: list[UUID] = []

    def hear(ids: list[UUID], **_: Any) -> None:
        found.extend(ids)

    inbound_received.connect(hear)
    yield found
    inbound_received.disconnect(hear)


# Stored once


def test_a_message_is_stored_as_it_came():
    at = timezone.now() - timedelta(minutes=1)
    receive(said("Danke, passt ✓", at=at, has_attachments=True))
    row = InboundMessage.objects.get()
    assert (row.provider, row.channel, row.sender, row.to) == ("simulator", "sms", ADA, OURS)
    assert (row.text, row.wish, row.at, row.has_attachments) == ("Danke, passt ✓", "", at, True)
    assert row.sender_hash == digest()
    assert row.notification_id is None


def test_the_same_message_five_times_is_one(heard, django_capture_on_commit_callbacks):
    message = said("STOP")
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(5):
            receive(message)
        receive(message, message)
    assert heard == [InboundMessage.objects.get().id]
    assert answers() == [STOP_ANSWER]


def test_each_provider_numbers_its_own(heard):
    receive(said("one", dedupe="1"))
    receive(said("two", dedupe="1"), provider="aws_sms")
    assert InboundMessage.objects.count() == 2


def test_a_number_is_put_in_normal_form_and_a_short_code_stays():
    receive(said("a", sender="+49 151 12345678"), said("b", sender="32665"), said("c", sender=""))
    assert set(InboundMessage.objects.values_list("text", "sender")) == {
        ("a", ADA),
        ("b", "32665"),
        ("c", ""),
    }


@pytest.mark.parametrize(
    "report",
    [
        said("a\0b\ud800", dedupe="x" * 500, to="y" * 500, sender="z" * 500),
        mailed(subject="s" * 2000, text="t" * 200_000, sender="nobody", in_reply_to=["<>", "<x>"]),
        mailed(sender="a\0@b", in_reply_to=["<" + "f" * 600 + "@x>"]),
    ],
)
def test_what_does_not_fit_is_made_to_fit(report):
    receive(report)
    receive(report)
    assert InboundMessage.objects.get().provider == "simulator"


def test_nothing_is_announced_where_the_transaction_fails(
    heard, django_capture_on_commit_callbacks
):
    @transaction.atomic
    def broken() -> None:
        receive(said("STOP"))
        raise RuntimeError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError):
        broken()
    assert not InboundMessage.objects.exists()
    assert not heard
    assert not opt_outs()


# What it answers


def test_a_text_answers_the_last_message_to_its_number():
    DeliveryFactory.create(channel=Channel.SMS, address=ADA, state=State.SENT, attempts_made=1)
    last = DeliveryFactory.create(
        channel=Channel.SMS, address=ADA, state=State.DELIVERED, attempts_made=1
    )
    DeliveryFactory.create(channel=Channel.SMS, address=ADA, state=State.SUPPRESSED)
    other = DeliveryFactory.create(
        channel=Channel.SMS, address=OURS, state=State.SENT, attempts_made=1
    )
    receive(said("ok"), said("ok", sender=OURS))
    found = dict(InboundMessage.objects.values_list("sender", "notification_id"))
    assert found == {ADA: last.notification_id, OURS: other.notification_id}


@pytest.mark.parametrize(("days", "answers_it"), [(29, True), (31, False)])
def test_a_text_answers_nothing_older_than_thirty_days(days, answers_it):
    then = ids.floor(timezone.now() - timedelta(days=days))
    sent = DeliveryFactory.create(
        id=then, channel=Channel.SMS, address=ADA, state=State.SENT, attempts_made=1
    )
    receive(said("ok"))
    found = InboundMessage.objects.get().notification_id
    assert found == (sent.notification_id if answers_it else None)


def test_a_text_does_not_answer_our_answer_to_a_stop():
    sent = DeliveryFactory.create(
        channel=Channel.SMS, address=ADA, state=State.SENT, attempts_made=1
    )
    receive(said("HELP"))
    assert answers() == [HELP_ANSWER]
    receive(said("and now?"))
    assert InboundMessage.objects.latest("id").notification_id == sent.notification_id


def test_a_mail_answers_the_one_it_names_last():
    first, second = DeliveryFactory.create(), DeliveryFactory.create()
    named = [f"<{first.id}@example.com>", f"<{second.id}@example.com>", "<other@elsewhere>"]
    receive(mailed(in_reply_to=named))
    row = InboundMessage.objects.get()
    assert row.notification_id == second.notification_id
    assert row.sender == "Ada@example.org"


def test_a_mail_that_names_nothing_of_ours_answers_nothing():
    receive(mailed(in_reply_to=[f"<{ids.new_id()}@example.com>", "<a@b>", "junk"]), mailed())
    assert set(InboundMessage.objects.values_list("notification_id", flat=True)) == {None}


# STOP, START, HELP


def test_stop_is_for_all_messages_to_that_number_and_is_confirmed_once(api: APIClient):
    receive(said("Please stop!"))
    assert opt_outs() == STOPPED
    assert answers() == [STOP_ANSWER]
    receive(said("STOP"), said("stop it"))
    assert opt_outs() == STOPPED
    assert answers() == [STOP_ANSWER]
    assert InboundMessage.objects.filter(wish=Wish.STOP).count() == 3

    message = {"to": {"phone": ADA}, "content": {"text": "Hello"}}
    (delivery,) = api.post("/api/v1/notifications", message, format="json").json()["deliveries"]
    assert (delivery["status"], delivery["reason"]) == (
        "suppressed",
        "the recipient unsubscribed",
    )


def test_start_lifts_what_stop_did_and_nothing_else(agent):
    receive(said("STOP"))
    kept: list[dict[str, str]] = [
        {"reason": SuppressionReason.BOUNCE},
        {"reason": SuppressionReason.MANUAL},
        {"reason": SuppressionReason.COMPLAINT},
        {"reason": SuppressionReason.UNSUBSCRIBE, "scope": "news"},
    ]
    for entry in kept:
        SuppressionFactory.create(address=ADA, channel=Channel.SMS, **entry)
    SuppressionFactory.create(address=OURS, channel=Channel.SMS, reason="unsubscribe")
    SuppressionFactory.create(address=ADA, channel=Channel.EMAIL, reason="unsubscribe")
    assert Suppression.objects.count() == 7
    receive(said("Start"))
    assert Suppression.objects.count() == 6
    assert [entry[:2] for entry in opt_outs()] == [
        ("bounce", "*"),
        ("manual", "*"),
        ("complaint", "*"),
        ("unsubscribe", "news"),
    ]
    assert InboundMessage.objects.latest("id").wish == Wish.START


def test_start_undoes_what_a_vendor_or_a_link_told_too():
    SuppressionFactory.create(
        address=ADA, channel=Channel.SMS, reason="unsubscribe", source="twilio"
    )
    receive(said("START"))
    assert opt_outs() == []
    assert answers() == [START_ANSWER]


@pytest.mark.parametrize("text", ["Yes", "START", "resume"])
def test_who_never_opted_out_does_not_mean_it(text):
    receive(said(text))
    assert InboundMessage.objects.get().wish == ""
    assert answers() == []


def test_help_is_answered_also_to_who_opted_out():
    receive(said("STOP"))
    receive(said("help?"))
    assert answers() == [STOP_ANSWER, HELP_ANSWER]
    assert opt_outs() == STOPPED


def test_each_wish_is_answered_once_a_day_and_again_the_next():
    for _ in range(3):
        receive(said("STOP"))
        receive(said("START"))
        receive(said("HELP"))
    assert answers() == [STOP_ANSWER, START_ANSWER, HELP_ANSWER]
    assert opt_outs() == []
    receive(said("HELP"), ago=-24 * 3600)
    assert answers() == [STOP_ANSWER, START_ANSWER, HELP_ANSWER, HELP_ANSWER]


def test_who_is_on_the_list_already_is_not_told_so_again():
    receive(said("STOP"))
    receive(said("STOP"), ago=-24 * 3600)
    assert answers() == [STOP_ANSWER]


def test_two_people_are_two():
    receive(said("STOP"), said("STOP", sender="+4915112345679"))
    assert answers() == [STOP_ANSWER] * 2


def test_what_is_no_wish_is_answered_by_nobody():
    receive(said("stop by tomorrow"), said("thanks"), mailed(text="STOP"))
    assert answers() == []
    assert not Suppression.objects.exists()
    assert not ApiClient.objects.exists()


def test_a_machine_is_obeyed_and_not_answered():
    receive(said("STOP", is_automatic=True), said("HELP", is_automatic=True))
    assert opt_outs() == STOPPED
    assert answers() == []


def test_a_stop_in_national_form_is_for_the_number_that_messages_are_sent_to():
    receive(said("STOP", sender="015112345678", to="+4915799912345"))
    assert opt_outs() == STOPPED
    assert InboundMessage.objects.get().sender == ADA
    assert answers() == [STOP_ANSWER]


def test_a_stop_of_no_number_is_not_obeyed_and_staff_are_told(caplog):
    inbound.watch()
    receive(said("STOP", sender="32665"), said("STOP", sender="Bank"), said("HELP", sender="123"))
    receive(said("STOP"))
    assert Suppression.objects.get().address_hash == digest()
    assert answers() == [STOP_ANSWER]
    assert "Bank" not in caplog.text
    inbound.watch()
    (alert,) = alerts.standing()
    assert alert.title == "2 asked to stop from what is no telephone number"
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        inbound.watch()
    assert not alerts.standing()


@pytest.mark.parametrize("wish", Wish)
def test_an_empty_text_is_no_answer(settings, wish):
    setattr(settings, f"SMS_{wish.name}_TEXT", "")
    SuppressionFactory.create(address=ADA, channel=Channel.SMS, reason="unsubscribe")
    if wish is Wish.STOP:
        Suppression.objects.all().delete()
    receive(said(wish.value))
    assert answers() == []


def test_an_answer_that_comes_too_late_is_not_sent():
    receive(said("STOP"), ago=301)
    assert opt_outs() == STOPPED
    assert answers() == []
    assert Delivery.objects.get().state == State.EXPIRED


def test_answers_are_sent_by_an_agent_that_nobody_can_be():
    receive(said("HELP"))
    receive(said("HELP", sender="+4915112345679"))
    system = ApiClient.objects.get()
    assert (system.name, system.is_active) == ("system", False)
    assert not ApiKey.objects.exists()
    category = Category.objects.get()
    assert category.kind == Category.Kind.ESSENTIAL
    assert set(Notification.objects.values_list("client", "category")) == {(system.id, category.id)}


# Any order


def test_a_stop_that_is_read_after_a_later_start_does_not_count():
    now = timezone.now()
    SuppressionFactory.create(address=ADA, channel=Channel.SMS, reason="unsubscribe")
    receive(said("START", at=now))
    receive(said("STOP", at=now - timedelta(seconds=5)))
    assert opt_outs() == []
    assert answers() == [START_ANSWER]


def test_a_start_that_is_read_after_a_later_stop_does_not_count():
    now = timezone.now()
    receive(said("STOP", at=now))
    receive(said("START", at=now - timedelta(seconds=5)))
    assert opt_outs() == STOPPED
    assert answers() == [STOP_ANSWER]


def test_at_the_same_moment_the_stop_counts():
    now = timezone.now()
    SuppressionFactory.create(address=ADA, channel=Channel.SMS, reason="unsubscribe")
    receive(said("STOP", at=now))
    receive(said("START", at=now))
    assert len(opt_outs()) == 1
    Suppression.objects.all().delete()
    InboundMessage.objects.all().delete()
    SuppressionFactory.create(address=ADA, channel=Channel.SMS, reason="unsubscribe")
    receive(said("START", at=now))
    receive(said("STOP", at=now))
    assert len(opt_outs()) == 1


def test_where_a_vendor_tells_no_time_that_of_arrival_counts():
    """Twilio's reports have the time of reading: the later one may be read first."""
    receive(said("STOP"), ago=5)
    receive(said("START"), ago=10)
    assert opt_outs() == STOPPED


@pytest.mark.django_db(transaction=True)
def test_stop_and_start_at_once_end_as_the_later_one_says():
    now = timezone.now()
    for round_ in range(10):
        later, earlier = ("STOP", "START") if round_ % 2 else ("START", "STOP")
        SuppressionFactory.create(address=ADA, channel=Channel.SMS, reason="unsubscribe")
        at = now + timedelta(seconds=10 * round_)
        both = [said(earlier, at=at), said(later, at=at + timedelta(seconds=1))]
        start = threading.Barrier(2)

        def deliver(report: Inbound, start: threading.Barrier = start) -> None:
            try:
                start.wait()
                with transaction.atomic():
                    inbound.record("simulator", [report], received_at=report.at)
            finally:
                connection.close()

        threads = [threading.Thread(target=deliver, args=[report]) for report in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bool(opt_outs()) == (later == "STOP"), round_
        Suppression.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_the_same_message_in_two_workers_is_one():
    message = said("STOP")
    start = threading.Barrier(4)

    def deliver() -> None:
        try:
            start.wait()
            receive(message)
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert InboundMessage.objects.count() == Notification.objects.count() == 1


# Through the door


@pytest.fixture
def server(settings: Any) -> Iterator[TwilioServer]:
    settings.PUBLIC_URL = PUBLIC
    with TwilioServer("ACfake", "fake") as server:
        entry = {
            **settings.PROVIDERS["twilio"],
            "ENABLED": True,
            "LIMIT": None,
            "OPTIONS": {
                "account_sid": "ACfake",
                "auth_token": "fake",
                "from_number": OURS,
                "messaging_service_sid": "",
                "api_url": server.url,
            },
        }
        settings.PROVIDERS = {"twilio": entry}
        yield server


def text(body: str, **changes: str) -> Any:
    """Ada writes to us by Twilio, and the webhook is applied."""
    path = "/webhooks/twilio/inbound/"
    fields = {
        "AccountSid": "ACfake",
        "MessageSid": f"SM{ids.new_id().hex}",
        "SmsStatus": "received",
        "From": ADA,
        "To": OURS,
        "Body": body,
        "NumMedia": "0",
        **changes,
    }
    post = twilio.post("fake", f"{PUBLIC}{path}", fields)
    answer = Client().post(
        path,
        post.body,
        content_type=post.headers["Content-Type"],
        headers={"X-Twilio-Signature": post.headers["X-Twilio-Signature"]},
    )
    ingest.run()
    assert not WebhookReceipt.objects.filter(processed_at=None).exists()
    return answer


def test_a_reply_by_twilio_is_announced(server, api, heard, django_capture_on_commit_callbacks):
    message = {"to": {"phone": ADA}, "content": {"text": "Does Monday suit you?"}}
    notification = api.post("/api/v1/notifications", message, format="json").json()["id"]
    drain()
    with django_capture_on_commit_callbacks(execute=True):
        answer = text("Yes")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml")
    row = InboundMessage.objects.get()
    assert heard == [row.id]
    assert (str(row.notification_id), row.text, row.wish) == (notification, "Yes", "")


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ("STOP", {}),
        (" unsubscribe ", {}),
        ("STOP", {"OptOutType": "STOP"}),
        ("Lass mich", {"OptOutType": "STOP"}),
    ],
)
def test_what_twilio_confirms_itself_is_not_confirmed_again(server, body, changes):
    text(body, **changes)
    drain()
    assert opt_outs() == STOPPED
    assert len(server.messages) == 0


def test_what_twilio_does_not_understand_is_confirmed_by_us(server):
    text("Please stop texting me")
    drain()
    assert opt_outs() == STOPPED
    assert [message.body for message in server.messages] == [STOP_ANSWER]


def test_a_listener_that_fails_costs_nothing(server, django_capture_on_commit_callbacks):
    def fail(**_: Any) -> None:
        raise RuntimeError

    inbound_received.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            text("Hello")
    finally:
        inbound_received.disconnect(fail)
    assert InboundMessage.objects.count() == 1


# The page


def staff(client: Client, *names: str) -> Client:
    user = User.objects.create_user("staff", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def test_the_words_are_for_those_who_may_read_them(client: Client):
    sent = DeliveryFactory.create(
        channel=Channel.SMS, address=ADA, state=State.SENT, attempts_made=1
    )
    receive(said("My secret is 42. STOP", has_attachments=True, is_automatic=True))
    row = InboundMessage.objects.get()
    page = reverse("admin:tracking_inboundmessage_change", args=[row.pk])
    listed = reverse("admin:tracking_inboundmessage_changelist")
    staff(client, "view_inboundmessage")
    for url in (page, listed):
        shown = client.get(url).content.decode()
        assert ADA in shown
        assert str(sent.notification_id) in shown
        assert "secret" not in shown
    client.logout()
    User.objects.all().delete()
    staff(client, "view_inboundmessage", "read_inboundmessage")
    shown = client.get(page).content.decode()
    assert "My secret is 42." in shown
    assert "It came with files; a machine wrote it" in shown
    assert "secret" not in client.get(listed).content.decode()


def test_a_message_is_found_by_its_number_and_by_what_it_answers(client: Client):
    sent = DeliveryFactory.create(
        channel=Channel.SMS, address=ADA, state=State.SENT, attempts_made=1
    )
    receive(said("ok"), said("ok", sender=OURS))
    staff(client, "view_inboundmessage")
    listed = reverse("admin:tracking_inboundmessage_changelist")
    for term in (ADA, str(sent.notification_id)):
        shown = client.get(listed, {"q": term}).content.decode()
        assert ADA in shown
        assert OURS not in shown
