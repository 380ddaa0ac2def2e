"""Weight moves away from providers that fail or are slow, and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from commsproject.common import clock, ids
from commsproject.common.ids import new_id
from notifications.models import Attempt, Event, ProviderChange, ProviderState
from notifications.services import balance
from notifications.types import EventType
from tests.factories import DeliveryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> ProviderState:
    return ProviderState.objects.create(name="a", weight=70)


def attempts(count: int, state: str, *, age: timedelta, **fields: Any) -> list[Attempt]:
    """Of the provider `a`, with keys as old as they are."""
    delivery = DeliveryFactory.create()
    return Attempt.objects.bulk_create(
        Attempt(
            id=key_of(timezone.now() - age),
            delivery=delivery,
            work_id=new_id(),
            token=1,
            number=number,
            provider="a",
            state=state,
            started_at=timezone.now() - age,
            **fields,
        )
        for number in range(1, count + 1)
    )


def key_of(moment: datetime) -> UUID:
    return UUID(int=ids.floor(moment).int | (new_id().int & ((1 << 74) - 1)))


def receipt(attempt: Attempt, after: timedelta) -> None:
    Event.objects.create(
        delivery_id=attempt.delivery_id,
        attempt_id=attempt.id,
        type=EventType.DELIVERED,
        provider="a",
        dedupe=str(attempt.id),
        at=attempt.started_at + after,
    )


def health() -> int:
    balance.run()
    return ProviderState.objects.get().health


def test_failures_of_the_last_minute_cost_a_step_and_are_told(provider: ProviderState) -> None:
    attempts(60, "accepted", age=timedelta(seconds=20))
    attempts(49, "failed", age=timedelta(seconds=20))
    attempts(5, "failed", age=timedelta(seconds=20), code="halted")  # were not made
    attempts(5, "unknown", age=timedelta(seconds=20), code="process_lost")  # we died, not they
    attempts(50, "failed", age=timedelta(seconds=70))
    assert health() == 100
    attempts(1, "unknown", age=timedelta(seconds=20))
    assert health() == 90
    assert health() == 90  # one step a minute
    change = ProviderChange.objects.get()
    assert (change.was, change.now) == ("health 100 %", "health 90 %")
    assert change.reason == "50 of 110 calls failed in a minute"


def test_slow_receipts_cost_a_step(provider: ProviderState) -> None:
    taken = attempts(100, "accepted", age=timedelta(minutes=8))
    attempts(100, "accepted", age=timedelta(minutes=1))  # may still come in time
    assert health() == 100  # it never sends receipts, as far as we know
    for attempt in taken[:85]:
        receipt(attempt, timedelta(seconds=3))
    receipt(taken[85], timedelta(minutes=6))
    assert health() == 90
    assert "15 of 100 receipts" in ProviderChange.objects.get().reason


def test_receipts_in_time_cost_nothing(provider: ProviderState) -> None:
    for attempt in attempts(30, "accepted", age=timedelta(minutes=8)):
        receipt(attempt, timedelta(minutes=4))
    assert health() == 100


def test_it_heals_step_by_step(provider: ProviderState) -> None:
    long_ago = clock.now() - timedelta(minutes=15)
    ProviderState.objects.update(health=50, health_changed_at=long_ago)
    assert health() == 60
    assert health() == 60
    assert ProviderChange.objects.get().reason == "it has been well since"


def test_who_has_no_weight_is_left_alone(provider: ProviderState) -> None:
    ProviderState.objects.update(weight=0)
    attempts(60, "failed", age=timedelta(seconds=20))
    assert health() == 100
