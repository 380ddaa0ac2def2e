"""Channels by category: in what order, in which steps, collected into one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.models import ApiClient
from notifications.addresses import digest
from notifications.models import (
    Category,
    Delivery,
    Digest,
    Event,
    FallbackStep,
    InboxItem,
    SimulatedMessage,
    Suppression,
    Work,
)
from notifications.services import audit, submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel, EventType, Lane
from tests.engine import drain, make_everything_due
from tests.factories import CategoryFactory, TemplateFactory, TemplateVersionFactory

pytestmark = pytest.mark.django_db
ADDRESSES = {Channel.EMAIL: "ada@simulator.test", Channel.SMS: "+4915112345678"}
PARTS = {
    "email": {"subject": "{{ name }}", "text": "{{ name }}"},
    "sms": {"text": "{{ name }}"},
    "inapp": {"title": "{{ name }}", "body": "{{ name }}"},
}


@pytest.fixture(autouse=True)
def _ledger_adds_up(db: None) -> Iterator[None]:
    yield
    assert list(audit.findings()) == []


@pytest.fixture
def template() -> str:
    template = TemplateFactory.create(key="note")
    TemplateVersionFactory.create(template=template, channels=PARTS)
    return "note"


def send(agent: ApiClient, **fields: Any) -> dict[str, Any]:
    to = fields.pop("to", Target(user_id="ada", addresses=ADDRESSES))
    fields = {"template": "note", "data": {"name": "Ada"}, **fields}
    (result,) = submit.accept(agent, [Submission(to=to, **fields)])
    assert isinstance(result, submit.Accepted), result
    return dict(result.response)


def states() -> dict[str, tuple[str, str]]:
    rows = Delivery.objects.order_by("id")
    return {row.channel: (row.state, row.reason) for row in rows}


def step(channel: str, unless: str, after: int = 600) -> dict[str, Any]:
    return {"channel": channel, "after": after, "unless": unless}


# --- Which channels ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "named", "used"),
    [
        ([], [], {"email", "sms", "inapp"}),
        (["email"], [], {"email"}),
        (["sms", "inapp"], [], {"sms", "inapp"}),
        (["push", "sms"], [], {"sms"}),
        (["email"], ["sms"], {"sms"}),
    ],
)
def test_a_category_says_which_channels_are_used_where_the_message_does_not(
    agent: ApiClient, template: str, channels: list[str], named: list[str], used: set[str]
) -> None:
    CategoryFactory.create(key="news", channels=channels)
    answer = send(agent, category="news", channels=[Channel(name) for name in named])
    assert {one["channel"] for one in answer["deliveries"]} == used


def test_a_category_without_a_usable_channel_is_no_message(agent: ApiClient, template: str) -> None:
    CategoryFactory.create(key="news", channels=["push"])
    asked = Submission(
        to=Target(user_id="ada", addresses=ADDRESSES),
        template="note",
        data={"name": "Ada"},
        category="news",
    )
    (result,) = submit.accept(agent, [asked])
    assert getattr(result, "code", "") == "no_channel"


# --- Steps ---------------------------------------------------------------------------------------


def test_a_step_waits_and_is_needless_once_the_message_is_read(
    agent: ApiClient, template: str
) -> None:
    CategoryFactory.create(key="news", channels=["inapp"], fallback=[step("email", "read")])
    answer = send(agent, category="news")
    assert [(one["channel"], one["status"]) for one in answer["deliveries"]] == [
        ("inapp", "queued"),
        ("email", "scheduled"),
    ]
    due = FallbackStep.objects.get().due_at
    assert timedelta(seconds=590) < due - timezone.now() <= timedelta(seconds=601)
    drain()
    assert states()["email"] == (State.SCHEDULED, "waits whether the message is read")

    item = InboxItem.objects.get()
    Event.objects.create(
        delivery_id=item.id, type=EventType.OPENED, at=timezone.now(), dedupe="read"
    )
    _come(due)
    drain()
    assert states()["email"] == (State.CANCELLED, "not needed: the message was read")
    assert not SimulatedMessage.objects.exists()


def test_a_step_goes_when_its_time_comes_and_nobody_has_read(
    agent: ApiClient, template: str
) -> None:
    CategoryFactory.create(key="news", channels=["inapp"], fallback=[step("email", "read", 0)])
    send(agent, category="news")
    drain()
    drain()
    assert states()["email"][0] == State.SENT


def test_a_step_asked_too_early_is_put_off_to_its_time(agent: ApiClient, template: str) -> None:
    CategoryFactory.create(key="news", channels=["inapp"], fallback=[step("email", "delivered")])
    CategoryFactory.create(key="mail", channels=["email"], fallback=[step("sms", "delivered")])
    send(agent, category="mail")
    make_everything_due()
    drain()
    due = FallbackStep.objects.get().due_at
    assert states()["sms"] == (State.SCHEDULED, "waits whether the message is delivered")
    assert Work.objects.get().due_at == due


def test_a_step_is_hurried_where_what_was_before_failed(agent: ApiClient, template: str) -> None:
    CategoryFactory.create(key="mail", channels=["email"], fallback=[step("sms", "delivered")])
    to = Target(user_id="ada", addresses={**ADDRESSES, Channel.EMAIL: "fail@simulator.test"})
    send(agent, category="mail", to=to)
    drain()
    assert states()["email"][0] == State.FAILED
    assert states()["sms"][0] == State.SENT


def test_the_first_step_that_can_be_is_the_start_where_the_start_cannot(
    agent: ApiClient, template: str
) -> None:
    fallback = [step("email", "read"), step("sms", "delivered", 1200)]
    CategoryFactory.create(key="news", channels=["push"], fallback=fallback)
    answer = send(agent, category="news")
    assert [(one["channel"], one["status"]) for one in answer["deliveries"]] == [
        ("email", "queued"),
        ("sms", "scheduled"),
    ]


def test_a_step_to_a_suppressed_address_ends_at_once(agent: ApiClient, template: str) -> None:
    Suppression.objects.create(
        channel="email",
        address_hash=digest(Channel.EMAIL, "ada@simulator.test"),
        reason="bounce",
    )
    CategoryFactory.create(key="news", channels=["inapp"], fallback=[step("email", "read")])
    answer = send(agent, category="news")
    assert answer["deliveries"][1]["status"] == "suppressed"
    assert not FallbackStep.objects.exists()


def _come(due: datetime) -> None:
    """That time."""
    past = timezone.now() - timedelta(seconds=1)
    FallbackStep.objects.filter(due_at__lte=due).update(due_at=past)
    Work.objects.update(due_at=past)


# --- Digests -------------------------------------------------------------------------------------

LIST = {
    "email": {
        "subject": "{{ count }} new",
        "text": "{% for item in items %}{{ item.name }},{% endfor %}",
    }
}


@pytest.fixture
def collected() -> Category:
    template = TemplateFactory.create(key="list")
    TemplateVersionFactory.create(template=template, channels=LIST)
    return CategoryFactory.create(key="likes", digest_minutes=60)


def like(agent: ApiClient, name: str, **fields: Any) -> dict[str, Any]:
    to = Target(user_id="ada", addresses={Channel.EMAIL: "ada@simulator.test"})
    return send(agent, to=to, template="list", data={"name": name}, category="likes", **fields)


def go_out() -> None:
    Digest.objects.update(due_at=timezone.now())
    Work.objects.update(due_at=timezone.now())
    drain()


def mails() -> list[tuple[str, str]]:
    rows = SimulatedMessage.objects.order_by("id")
    return [(row.parts["subject"], row.parts["text"]) for row in rows]


def test_what_comes_in_its_time_is_one_message(agent: ApiClient, collected: Category) -> None:
    for name in ("Bob", "Eve", "Joe"):
        assert like(agent, name)["status"] == "scheduled"
    drain()
    assert not SimulatedMessage.objects.exists()
    assert set(Delivery.objects.values_list("state", "reason")) == {
        (State.SCHEDULED, "collected with others like it")
    }
    go_out()
    assert mails() == [("3 new", "Bob,Eve,Joe,")]
    first, *others = Delivery.objects.order_by("id")
    assert first.state == State.SENT
    assert {(one.state, one.reason) for one in others} == {
        (State.CANCELLED, f"collected: it went out with delivery {first.id}")
    }
    like(agent, "Ann")  # the next one
    go_out()
    assert mails()[1:] == [("1 new", "Ann,")]


def test_a_repetition_hears_that_it_waits_too(agent: ApiClient, collected: Category) -> None:
    first, again = (like(agent, "Bob", idempotency_key="once") for _ in range(2))
    assert first["status"] == "scheduled"
    assert again == first


def test_the_first_may_go_at_once(agent: ApiClient, collected: Category) -> None:
    Category.objects.update(digest_first_at_once=True)
    for name in ("Bob", "Eve", "Joe"):
        like(agent, name)
    drain()
    assert mails() == [("1 new", "Bob,")]
    go_out()
    assert mails()[1:] == [("2 new", "Eve,Joe,")]


def test_what_is_cancelled_is_not_in_it(
    agent: ApiClient, api: APIClient, collected: Category
) -> None:
    like(agent, "Bob")
    unwanted = like(agent, "Eve")["id"]
    assert api.post(f"/api/v1/notifications/{unwanted}/cancel").status_code == 200
    go_out()
    assert mails() == [("1 new", "Bob,")]


def test_each_person_has_their_own(agent: ApiClient, collected: Category) -> None:
    like(agent, "Bob")
    to = Target(user_id="bob", addresses={Channel.EMAIL: "bob@simulator.test"})
    send(agent, to=to, template="list", data={"name": "Eve"}, category="likes")
    go_out()
    assert sorted(mails()) == [("1 new", "Bob,"), ("1 new", "Eve,")]


def test_urgent_and_written_messages_do_not_wait(agent: ApiClient, collected: Category) -> None:
    like(agent, "Bob", priority=Lane.URGENT)
    send(agent, template="", content={"subject": "x", "text": "y"}, data=None, category="likes")
    drain(Lane.URGENT)
    drain()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}


def test_what_a_digest_fills_cannot_be_given(agent: ApiClient, collected: Category) -> None:
    to = Target(user_id="ada", addresses={Channel.EMAIL: "ada@simulator.test"})
    asked = Submission(to=to, template="list", data={"name": "x", "items": []}, category="likes")
    (result,) = submit.accept(agent, [asked])
    assert [(e.field, e.code) for e in getattr(result, "errors", ())] == [
        ("data.items", "reserved")
    ]


def test_who_dies_between_the_claim_and_the_call_sends_it_again_whole(
    agent: ApiClient, collected: Category
) -> None:
    """The carrier keeps what it carries: its message has the data of all."""
    for name in ("Bob", "Eve"):
        like(agent, name)
    go_out()
    first = Delivery.objects.order_by("id")[0]
    assert first.notification.data is not None
    assert [one["name"] for one in first.notification.data["items"]] == ["Bob", "Eve"]
    assert Digest.objects.get().carried_by == first.id
