"""What a person has chosen, and their category's rules, hold at the moment of sending."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from commsproject.common.models import ApiClient
from notifications.models import (
    CappedMessage,
    Category,
    Delivery,
    Preference,
    QuietHours,
    Recipient,
    SimulatedMessage,
    Work,
)
from notifications.services import audit, submit
from notifications.services.asked import Submission, Target
from notifications.services.frequency import Caps
from notifications.services.items import Item
from notifications.states import State
from notifications.types import Channel, QuietRule
from tests.engine import drain
from tests.factories import CategoryFactory, DeliveryFactory, RecipientFactory
from tests.processes import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ledger_adds_up(db: None) -> Iterator[None]:
    yield
    assert list(audit.findings()) == []


def send(agent: ApiClient, user_id: str = "u-1", count: int = 1, **fields: Any) -> list[Delivery]:
    asked = [
        Submission(
            to=Target(user_id=user_id, addresses={Channel.EMAIL: f"{user_id}@simulator.test"}),
            content={"subject": "Hello", "text": "It works."},
            **fields,
        )
        for _ in range(count)
    ]
    results = submit.accept(agent, asked)
    assert all(isinstance(result, submit.Accepted) for result in results), results
    return list(Delivery.objects.order_by("id"))


def outcomes() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("id").values_list("state", "reason"))


def test_what_is_turned_off_after_acceptance_is_not_sent(agent: ApiClient) -> None:
    news = CategoryFactory.create(key="news")
    send(agent, category="news")
    person = Recipient.objects.get(user_id="u-1")
    Preference.objects.create(recipient=person, category=news, channel="email", is_on=False)
    drain()
    assert outcomes() == [(State.SUPPRESSED, "the recipient turned off news by email")]
    assert not SimulatedMessage.objects.exists()


def test_a_pause_of_the_person_holds_all_but_codes(agent: ApiClient) -> None:
    CategoryFactory.create(key="code", kind=Category.Kind.ESSENTIAL)
    send(agent, category="code")
    send(agent)
    Recipient.objects.update(paused_until=timezone.now() + timedelta(hours=1))
    drain()
    assert outcomes() == [
        (State.SENT, ""),
        (State.SUPPRESSED, "the recipient has paused all messages"),
    ]


def test_a_category_that_staff_pause_sends_nothing_more(agent: ApiClient) -> None:
    CategoryFactory.create(key="news")
    send(agent, category="news")
    Category.objects.update(is_paused=True)
    drain()
    assert outcomes() == [(State.SUPPRESSED, "its category is paused: by staff")]


def test_only_who_asked_for_it_gets_what_must_be_asked_for(agent: ApiClient) -> None:
    offers = CategoryFactory.create(key="offers", is_opt_in=True)
    for user_id in ("asked", "sorry", "silent"):
        person = RecipientFactory.create(user_id=user_id)
        if user_id != "silent":
            Preference.objects.create(recipient=person, category=offers, is_on=True)
        send(agent, user_id, category="offers")
    Preference.objects.filter(recipient__user_id="sorry").delete()
    drain()
    states = dict(Delivery.objects.values_list("notification__recipient__user_id", "state"))
    assert states == {
        "asked": State.SENT,
        "sorry": State.SUPPRESSED,
        "silent": State.SUPPRESSED,
    }


def test_quiet_hours_put_a_message_off_to_their_end(agent: ApiClient) -> None:
    CategoryFactory.create(key="news", quiet=QuietRule.DELAY)
    send(agent, category="news")
    person = Recipient.objects.get(user_id="u-1")
    now = timezone.now()
    hours = QuietHours.objects.create(
        recipient=person,
        start=(now - timedelta(hours=1)).time(),
        end=(now + timedelta(hours=1)).time(),
    )
    drain()
    assert outcomes() == [(State.SCHEDULED, "these are quiet hours")]
    work = Work.objects.get()
    assert timedelta(minutes=59) < work.due_at - now <= timedelta(hours=1)
    assert work.claims == 0

    hours.delete()
    Work.objects.update(due_at=now)
    drain()
    assert outcomes() == [(State.SENT, "")]


def test_a_cap_counts_messages_not_deliveries_and_no_message_twice(agent: ApiClient) -> None:
    CategoryFactory.create(key="news", daily_cap=2)
    send(agent, category="news", count=3)
    drain()
    reason = "the recipient had 2 of these in 24 hours"
    assert outcomes() == [(State.SENT, ""), (State.SENT, ""), (State.SUPPRESSED, reason)]
    assert CappedMessage.objects.count() == 2

    CappedMessage.objects.update(at=timezone.now() - timedelta(hours=24, minutes=1))
    send(agent, category="news")
    drain()
    assert outcomes()[-1] == (State.SENT, "")


def test_a_cap_is_each_persons_own(agent: ApiClient) -> None:
    CategoryFactory.create(key="news", daily_cap=1)
    for user_id in ("u-1", "u-2", "u-1"):
        send(agent, user_id, category="news")
    drain()
    assert [state for state, _ in outcomes()] == [State.SENT, State.SENT, State.SUPPRESSED]


@pytest.mark.django_db(transaction=True)
def test_two_windows_at_once_keep_to_a_cap() -> None:
    """The second waits for the first to be written, and then counts what it let pass."""
    person, news = RecipientFactory.create().id, CategoryFactory.create(key="news", daily_cap=1).id
    seen: list[int] = []

    def window() -> None:
        with transaction.atomic():
            seen.append(Caps([(person, news)], timezone.now()).taken(item(person, news)))
        connection.close()

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database AS it ON it.oid = database"
                " WHERE NOT granted AND datname = current_database())"
            )
            return bool(cursor.fetchone()[0])

    other = threading.Thread(target=window)
    with transaction.atomic():
        caps = Caps([(person, news)], timezone.now())
        first = item(person, news)
        assert caps.taken(first) == 0
        caps.count(first)
        caps.write()
        other.start()
        eventually(waits)
        assert not seen
    other.join(60)
    assert seen == [1]


def item(person: UUID, category: UUID) -> Item:
    message = DeliveryFactory.create(state=State.CANCELLED).notification_id
    known = SimpleNamespace(notification_id=message, recipient_id=person, category_id=category)
    return cast("Item", known)
