"""What providers report of messages that left in several copies, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Event, Suppression
from notifications.services import audit, status
from notifications.services.status import StatusChange
from notifications.signals import status_changed
from notifications.states import State
from notifications.types import EventType, ProviderEvent, Sent
from tests.engine import drain
from tests.integration.test_engine import send
from tracking.models import Bounce

pytestmark = pytest.mark.django_db

BOUNCED, DELIVERED, COMPLAINED = EventType.BOUNCED, EventType.DELIVERED, EventType.COMPLAINED


@pytest.fixture
def copies(agent: ApiClient) -> list[Attempt]:
    """Two calls for one message, the first of them never answered."""
    (delivery,) = send(agent)
    drain()
    second = Attempt.objects.get()
    Attempt.objects.filter(id=second.id).update(number=2)
    first = Attempt.objects.create(
        delivery=delivery,
        work_id=second.work_id,
        token=1,
        number=1,
        provider="other",
        state=Attempt.State.UNKNOWN,
        ended_at=timezone.now(),
    )
    Delivery.objects.update(attempts_made=2)
    return [first, Attempt.objects.get(id=second.id)]


def tell(attempt: Attempt, kind: EventType) -> None:
    event = ProviderEvent(kind, timezone.now(), f"{attempt.id}-{kind}", attempt.id, permanent=True)
    status.apply(attempt.provider, [event])


def state() -> str:
    assert list(audit.findings()) == []
    return Delivery.objects.get().state


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([(0, BOUNCED), (1, DELIVERED)], State.DELIVERED),
        ([(0, BOUNCED), (0, DELIVERED), (1, DELIVERED), (1, DELIVERED)], State.DELIVERED),
        ([(0, BOUNCED), (1, DELIVERED), (1, BOUNCED)], State.BOUNCED),
        ([(0, COMPLAINED), (0, DELIVERED), (1, BOUNCED)], State.COMPLAINED),
    ],
)
def test_whatever_the_order_a_message_is_where_the_best_of_its_copies_is(
    copies: list[Attempt], told: list[tuple[int, EventType]], expected: State
) -> None:
    for order in permutations(told):
        mark = transaction.savepoint()
        for copy, kind in order:
            tell(copies[copy], kind)
        assert state() == expected, order
        transaction.savepoint_rollback(mark)


def test_the_bounce_of_a_copy_is_recorded_all_the_same(copies: list[Attempt]) -> None:
    tell(copies[1], DELIVERED)
    tell(copies[0], BOUNCED)
    assert state() == State.DELIVERED
    assert Bounce.objects.get().provider == "other"


def test_a_late_answer_to_one_copy_hides_no_report_on_the_other(copies: list[Attempt]) -> None:
    tell(copies[1], BOUNCED)
    status.settle_late(copies[0].id, Sent("ref"))
    assert state() == State.BOUNCED
    assert Attempt.objects.get(id=copies[0].id).state == Attempt.State.ACCEPTED


# --- Who hears of it -----------------------------------------------------------------------------


@contextmanager
def listening(hear: Callable[..., None]) -> Iterator[None]:
    status_changed.connect(hear)
    try:
        yield
    finally:
        status_changed.disconnect(hear)


def write(changes: list[StatusChange], **_: object) -> None:
    """A receiver that writes rows: one for each change."""
    for change in changes:
        Suppression.objects.create(
            channel="email", address_hash=str(change.delivery_id), reason="manual"
        )


def test_what_is_heard_is_written_in_the_transaction_of_the_change(copies: list[Attempt]) -> None:
    with listening(write):
        mark = transaction.savepoint()
        tell(copies[1], DELIVERED)
        assert Suppression.objects.count() == 1
        transaction.savepoint_rollback(mark)
    assert not Suppression.objects.exists()
    assert not Event.objects.exists()


def defect(**_: object) -> None:
    raise ValueError("a defect")


def bad_row(**_: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO notifications_suppression (id) VALUES (NULL)")


@pytest.mark.parametrize(("fail", "kept"), [(defect, 1), (bad_row, 0)])
def test_a_defect_of_who_listens_costs_no_status(
    copies: list[Attempt], fail: Callable[..., None], kept: int
) -> None:
    """A row that cannot be written takes those of the others along: they share a savepoint."""
    with listening(write), listening(fail):
        tell(copies[1], DELIVERED)
    assert state() == State.DELIVERED
    assert Suppression.objects.count() == kept


def test_where_the_database_is_in_trouble_all_of_it_is_done_again(copies: list[Attempt]) -> None:
    def deadlock(**_: Any) -> None:
        raise OperationalError("deadlock detected")

    with listening(deadlock), pytest.raises(OperationalError), transaction.atomic():
        tell(copies[1], DELIVERED)
    assert state() == State.SENT
