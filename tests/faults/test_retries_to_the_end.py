"""A provider that never works again: every retry in its time, then one dead letter, then a replay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from notifications import queue
from notifications.errors import AlreadyReplayed
from notifications.models import Attempt, DeadLetter, Delivery, ProviderState, Work
from notifications.retry import POLICIES, Policy
from notifications.services import audit, replay
from notifications.states import State
from notifications.types import Lane
from tests.email_world import EmailWorld, email_world
from tests.engine import carry_out, drain, make_everything_due
from tests.fakes.behaviours import Status

pytestmark = pytest.mark.django_db

LATE = timedelta(seconds=1)
"""By how much `clock` may be behind this process's own."""


@pytest.fixture
def world() -> Iterator[EmailWorld]:
    """SendGrid alone, which answers 503."""
    with email_world() as world:
        ProviderState.objects.bulk_create(
            ProviderState(name=name, enabled=False) for name in ("ses", "smtp")
        )
        world.sendgrid.script.always(Status(503))
        yield world


def post(api: APIClient, lane: Lane) -> Any:
    message = {
        "to": {"email": "ada@example.org"},
        "content": {"subject": "Hello", "text": "It works."},
        "priority": lane.value,
    }
    key = {"Idempotency-Key": "order-17"}
    return api.post("/api/v1/notifications", message, format="json", headers=key)


def bound(policy: Policy, calls: int) -> float:
    """Seconds that the next call may be away at most, after so many."""
    return min(policy.cap, policy.base * 2.0 ** (calls - 1))


def refuse_until_given_up(lane: Lane, world: EmailWorld) -> list[float]:
    """The seconds until each retry, as its Work row says; the breaker is no subject here."""
    waits: list[float] = []
    while True:
        ProviderState.objects.update(failures=0, opened_until=None)
        make_everything_due()
        before = timezone.now()
        (lease,) = queue.claim(lane, 10)  # once: what follows may be due at once
        carry_out(lease)
        after = timezone.now()
        if not Work.objects.exists():
            return waits
        (work,) = Work.objects.all()
        calls = len(world.sendgrid.ledger)
        assert calls == len(waits) + 1
        assert not work.held
        assert work.claims == 0
        assert before <= work.due_at + LATE
        assert (work.due_at - after).total_seconds() <= bound(POLICIES[lane], calls)
        waits.append((work.due_at - before).total_seconds())


@pytest.mark.parametrize("lane", Lane)
def test_each_retry_has_its_time_until_the_last(
    api: APIClient, world: EmailWorld, lane: Lane
) -> None:
    answer = post(api, lane)
    assert answer.status_code == 202
    policy = POLICIES[lane]

    waits = refuse_until_given_up(lane, world)

    assert len(world.sendgrid.ledger) == policy.rounds
    assert len(waits) == policy.rounds - 1
    assert max(waits) > policy.cap / 10  # jitter over all of the bound: not all can be small
    assert len({round(wait, 6) for wait in waits}) == len(waits)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made) == (State.DEAD, policy.rounds)
    assert list(Attempt.objects.order_by("number").values_list("number", flat=True)) == list(
        range(1, policy.rounds + 1)
    )
    letter = DeadLetter.objects.get()
    assert (letter.delivery_id, letter.code, letter.providers) == (delivery.id, "503", ["sendgrid"])
    assert list(audit.findings()) == []

    world.sendgrid.script.reset()
    ProviderState.objects.filter(name="sendgrid").update(failures=0, opened_until=None)
    replay_it(letter, lane)
    (mail,) = world.sendgrid.messages
    assert mail.custom_args["message_id"] == answer.json()["id"]
    again = post(api, lane)
    assert again.json()["id"] == answer.json()["id"]  # the key stands for this message still
    assert drain(lane) == 0
    assert len(world.sendgrid.messages) == 1
    assert list(audit.findings()) == []


def replay_it(letter: DeadLetter, lane: Lane) -> None:
    rows = DeadLetter.objects.all()
    made = replay.replay(rows, [letter.id], by="staff")[letter.id]
    assert isinstance(made, Delivery)
    assert made.notification_id == letter.delivery.notification_id
    assert made.notification.idempotency_key == "order-17"
    assert drain(lane) == 1
    made.refresh_from_db()
    assert (made.state, made.attempts_made) == (State.SENT, 1)
    refused = replay.replay(rows, [letter.id], by="staff")[letter.id]
    assert isinstance(refused, AlreadyReplayed)


def test_a_provider_that_names_a_time_is_not_asked_before(
    api: APIClient, world: EmailWorld
) -> None:
    world.sendgrid.script.always(Status(503, headers={"Retry-After": "45"}))
    post(api, Lane.URGENT)
    before = timezone.now()
    drain(Lane.URGENT)
    wait = (Work.objects.get().due_at - before).total_seconds()
    assert 45 - LATE.total_seconds() <= wait <= 45 + bound(POLICIES[Lane.URGENT], 1) + 5
