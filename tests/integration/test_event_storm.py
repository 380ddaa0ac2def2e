"""Thousands of webhook events, each three times, shuffled, among forged ones: the states are an oracle's.

`--full-faults` runs 30 seeds of 5,000 events, otherwise 3 of 400.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Event, Notification
from notifications.services import audit
from tests.factories import AttemptFactory, NotificationFactory
from tests.integration.test_analytics import counts
from tests.integration.test_webhooks_in import body_of, post, report, signed
from tracking.models import Bounce, WebhookReceipt
from tracking.services import ingest

pytestmark = pytest.mark.django_db

KINDS = ("sent", "delivered", "bounced", "complained", "opened", "clicked", "deferred")
RANKS = {"sent": 0, "delivered": 1, "bounced": 2, "complained": 3}
BEST = {"sent": 0, "bounced": 1, "delivered": 2, "complained": 3}
"""Of several copies: written down a second time, so that a slip in the code is no slip here."""


@pytest.fixture
def sizes(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Seeds and events of each."""
    return (30, 5000) if request.config.getoption("full_faults") else (3, 400)


def messages(count: int, random: Random, message: Notification) -> list[Attempt]:
    """Sent ones and unanswered ones; every fourth left twice."""
    first: Attempt = AttemptFactory.create(delivery__notification=message)
    deliveries, attempts = [], []
    for _ in range(count):
        state = random.choice(("sent", "sent", "unknown", "dead"))
        copies = 2 if random.random() < 0.25 else 1
        row = Delivery(
            notification=message,
            channel="email",
            address="x@simulator.test",
            address_hash=f"{random.getrandbits(256):064x}",
            state=state,
            attempts_made=copies,
        )
        deliveries.append(row)
        attempts += [
            Attempt(
                delivery=row,
                work_id=first.work_id,
                token=1,
                number=number,
                provider="simulator",
                state="accepted" if state == "sent" else "unknown",
            )
            for number in range(1, copies + 1)
        ]
    Delivery.objects.bulk_create(deliveries)
    Attempt.objects.bulk_create(attempts)
    return attempts


def oracle(told: Sequence[tuple[UUID, str]]) -> str | None:
    """Where the reports put a delivery; None: nowhere."""
    copies: dict[UUID, list[str]] = defaultdict(list)
    for attempt, kind in told:
        if kind in RANKS:
            copies[attempt].append(kind)
    each = [max(kinds, key=RANKS.__getitem__) for kinds in copies.values()]
    return max(each, key=BEST.__getitem__, default=None)


def webhooks(events: Sequence[dict[str, Any]], random: Random) -> Iterator[list[dict[str, Any]]]:
    """All events three times, in any order, in webhooks of any size."""
    left = [*events, *events, *events]
    random.shuffle(left)
    while left:
        size = random.choice((1, 1, 3, 40))
        yield left[:size]
        del left[:size]


def storm(seed: int, count: int, message: Notification) -> None:
    random = Random(seed)
    attempts = messages(count // 5, random, message)
    was = dict(Delivery.objects.values_list("id", "state"))
    events, told = [], defaultdict(list)
    for _ in range(count):
        attempt, kind = random.choice(attempts), random.choice(KINDS)
        events.append(report(attempt.id, kind))
        told[attempt.delivery_id].append((attempt.id, kind))
    forged = 0
    for body in webhooks(events, random):
        if random.random() < 0.05:
            forged += 1
            lie = body_of(*(report(one["attempt_id"], "complained", id="forged") for one in body))
            headers = random.choice([{}, signed(b"another"), signed(lie, age=10_000)])
            assert post(lie, headers).status_code == 400
        assert post(body_of(*body)).status_code == 200
        if random.random() < 0.02:
            ingest.run()
    ingest.run()
    assert forged
    for delivery, state in Delivery.objects.values_list("id", "state"):
        assert state == (oracle(told[delivery]) or was[delivery]), f"seed {seed}: {delivery}"
    unique = {(one["attempt_id"], one["type"]) for one in events}
    assert Event.objects.count() == len(unique)
    counted = Counter(kind for _, kind in unique)
    assert Bounce.objects.count() == counted["bounced"] + counted["complained"]
    figures = counts()
    for kind in ("delivered", "bounced", "complained", "opened", "clicked"):
        those = sum(kind in {each for _, each in reports} for reports in told.values())
        assert figures[kind] == those, f"seed {seed}: {kind}"
    assert not Event.objects.filter(dedupe="forged").exists()
    assert not WebhookReceipt.objects.filter(processed_at=None).exists()
    assert [one for one in audit.findings() if one.rule == "state_below_report"] == []


@pytest.mark.timeout(1800)
def test_any_order_repetition_and_forgery_ends_where_the_oracle_says(
    agent: ApiClient, sizes: tuple[int, int]
) -> None:
    seeds, count = sizes
    message = NotificationFactory.create(client=agent)
    for seed in range(seeds):
        mark = transaction.savepoint()
        storm(seed, count, message)
        transaction.savepoint_rollback(mark)


def test_the_oracle_tells_copies_apart() -> None:
    one, two = UUID(int=1), UUID(int=2)
    assert oracle([(one, "bounced"), (two, "delivered")]) == "delivered"
    assert oracle([(one, "bounced"), (one, "delivered")]) == "bounced"
    assert oracle([(one, "opened")]) is None
