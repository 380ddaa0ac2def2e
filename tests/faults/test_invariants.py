"""The check itself: each invariant that is broken is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from commsproject.common.ids import new_id
from notifications.models import Attempt, Delivery, Work
from notifications.states import State
from notifications.types import ErrorClass
from tests.factories import AttemptFactory, DeliveryFactory, WorkFactory
from tests.fakes.sendgrid import SentMail
from tests.faults import invariants

pytestmark = pytest.mark.usefixtures("moves")


@pytest.fixture(autouse=True)
def _audited() -> None:
    """Here the rows are broken on purpose."""


def mail(attempt: Any) -> SentMail:
    ids = {
        "attempt_id": str(attempt.id),
        "message_id": str(attempt.delivery.notification_id),
    }
    return SentMail("ada@example.org", "m-1", "Hello", ids, [], {}, {})


def sent_once() -> list[SentMail]:
    return [mail(AttemptFactory())]


def left_open(attempt: Any, number: int) -> Any:
    return AttemptFactory(
        delivery=attempt.delivery,
        number=number,
        state=Attempt.State.UNKNOWN,
        error_class=ErrorClass.AMBIGUOUS,
    )


def count_two(attempt: Any) -> None:
    Delivery.objects.filter(id=attempt.delivery_id).update(attempts_made=2)


def test_all_is_well() -> None:
    attempt: Any = AttemptFactory(number=2)
    earlier = left_open(attempt, 1)
    count_two(attempt)
    held: Any = DeliveryFactory(state=State.UNKNOWN, attempts_made=1)
    waits: Any = AttemptFactory(
        delivery=held, state=Attempt.State.UNKNOWN, error_class=ErrorClass.AMBIGUOUS
    )
    WorkFactory(deliveries=[held], kind=Work.Kind.RECONCILE, client=held.notification.client)
    message = str(attempt.delivery.notification_id)
    invariants.check([mail(earlier), mail(attempt), mail(waits)], answered=[message])


def nobody_took_it() -> list[SentMail]:
    AttemptFactory()
    return []


def not_written_down() -> list[SentMail]:
    known: Any = AttemptFactory()
    unknown: Any = AttemptFactory.build(delivery=known.delivery, id=new_id())
    return [mail(known), mail(unknown)]


def called_twice() -> list[SentMail]:
    return sent_once() * 2


def a_copy_too_many() -> list[SentMail]:
    first: Any = AttemptFactory()
    second: Any = AttemptFactory(delivery=first.delivery, number=2)
    count_two(first)
    return [mail(first), mail(second)]


def denied() -> list[SentMail]:
    refused: Any = AttemptFactory(state=Attempt.State.FAILED, delivery__state=State.FAILED)
    return [mail(refused)]


def twice_in_bulk() -> list[SentMail]:
    attempt: Any = AttemptFactory(number=2, delivery__notification__priority="bulk")
    count_two(attempt)
    return [mail(left_open(attempt, 1)), mail(attempt)]


def waits_for_nothing() -> list[SentMail]:
    WorkFactory(deliveries=[DeliveryFactory()])
    return []


def goes_back() -> list[SentMail]:
    taken = sent_once()
    Delivery.objects.update(state=State.QUEUED)
    Delivery.objects.update(state=State.SENT)
    return taken


def is_stuck() -> list[SentMail]:
    taken = sent_once()
    held: Any = DeliveryFactory(state=State.UNKNOWN, attempts_made=1)
    waits: Any = AttemptFactory(delivery=held, state=Attempt.State.UNKNOWN)
    WorkFactory(
        deliveries=[held],
        kind=Work.Kind.RECONCILE,
        lease_until=timezone.now() - timedelta(seconds=10),
    )
    return [*taken, mail(waits)]


def is_named_by_no_work() -> list[SentMail]:
    DeliveryFactory()
    return []


@pytest.mark.parametrize(
    ("world", "told"),
    [
        (nobody_took_it, "I3: delivery"),
        (not_written_down, "I4: attempt"),
        (called_twice, "I4: attempt"),
        (a_copy_too_many, "and answered"),
        (denied, "is failed, the provider took it"),
        (twice_in_bulk, "I4: bulk message"),
        (waits_for_nothing, "I2: delivery"),
        (goes_back, "went from sent to queued"),
        (a_copy_too_many, "I5: delivery"),
        (is_stuck, "I6: work"),
        (is_named_by_no_work, "lost_work"),
    ],
)
def test_what_is_broken_is_told(world: Callable[[], list[SentMail]], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        invariants.check(world())


def test_an_answer_without_rows_is_told() -> None:
    with pytest.raises(AssertionError, match="I1: "):
        invariants.check(sent_once(), answered=[str(new_id())])
