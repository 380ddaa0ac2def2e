"""What the answer to a batch's cancel says: no call follows it, unless one hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connection, connections
from django.utils import timezone
from typing_extensions import override

from notifications import queue
from notifications.models import Attempt, Batch, Delivery, Work
from notifications.providers.base import Provider
from notifications.services import audit, batches, counts
from notifications.states import State
from notifications.types import Channel, Lane, Outbound, Sent
from tests.engine import carry_out, drain
from tests.factories import ApiClientFactory, DeliveryFactory, NotificationFactory, WorkFactory
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


class Slow(Provider):
    """Says when it is called, and takes the message when it is told to."""

    channels = frozenset(Channel)
    begun: ClassVar[list[UUID]]
    began: ClassVar[threading.Event]
    may_answer: ClassVar[threading.Event]
    taken: ClassVar[list[UUID]]

    @override
    def send(self, message: Outbound) -> Sent:
        self.begun.append(message.delivery_id)
        self.began.set()
        assert self.may_answer.wait(30)
        self.taken.append(message.delivery_id)
        return Sent(message.attempt_id.hex, 202)


@pytest.fixture(autouse=True)
def _slow(settings: Any) -> None:
    settings.PROVIDERS = {"slow": {"CLASS": f"{__name__}.Slow", "ENABLED": True, "OPTIONS": {}}}
    Slow.began, Slow.may_answer = threading.Event(), threading.Event()
    Slow.begun, Slow.taken = [], []


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads with connections of their own, closed at the end."""
    count = 2
    with ThreadPoolExecutor(count) as pool:
        yield pool
        Slow.may_answer.set()
        met = threading.Barrier(count)

        def leave() -> None:
            met.wait(30)
            connections.close_all()

        for done in [pool.submit(leave) for _ in range(count)]:
            done.result()


@pytest.fixture
def batch(transactional_db: None) -> Batch:
    """Two works with three messages each; the first is due before the second."""
    client = ApiClientFactory.create()
    batch = Batch.objects.create(
        client=client,
        state=Batch.State.RUNNING,
        content={"email": {"subject": "Hello", "text": "It works."}},
        priority=Lane.NORMAL,
        started_at=timezone.now(),
    )
    for _ in range(2):
        messages = NotificationFactory.create_batch(3, client=client, batch=batch, content=None)
        deliveries = [DeliveryFactory.create(notification=message) for message in messages]
        WorkFactory.create(client=client, batch=batch, deliveries=deliveries)
    counts.move((batch.id, "", State.QUEUED) for _ in range(6))
    return batch


def claim() -> queue.Lease:
    (lease,) = queue.claim(Lane.NORMAL, 1)
    return lease


def cancel(batch: Batch, looked: Callable[[], None] = lambda: None) -> list[UUID]:
    """Cancel it; who had been sent to when the answer came. `looked`: it has read the attempts."""

    def watch(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        answer = execute(sql, *args)
        if "notifications_attempt" in sql:
            looked()
        return answer

    with connection.execute_wrapper(watch):
        assert batches.act(batch, Batch.Action.CANCEL).state == Batch.State.CANCELLED
    return list(Slow.taken)


def assert_ended(batch: Batch, sent: set[UUID]) -> None:
    """Once what was not sent has been claimed: these were sent to, the others never."""
    drain()
    batches.tend()
    mine = Delivery.objects.filter(notification__batch=batch)
    assert set(mine.filter(state=State.SENT).values_list("id", flat=True)) == sent
    assert set(mine.exclude(id__in=sent).values_list("state", flat=True)) == {State.CANCELLED}
    assert len(Slow.taken) == len(set(Slow.taken))
    assert set(Slow.taken) == sent
    assert not Work.objects.exists()
    assert list(audit.findings()) == []


def test_a_cancel_is_answered_when_the_calls_that_are_out_are_over(
    batch: Batch, pool: ThreadPoolExecutor
) -> None:
    lease = claim()
    carrying = pool.submit(carry_out, lease)
    assert Slow.began.wait(20)
    looks: list[float] = []
    answer = pool.submit(cancel, batch, lambda: looks.append(time.monotonic()))
    eventually(lambda: len(looks) >= 3)
    assert not answer.done()
    Slow.may_answer.set()
    by_then = answer.result()
    carrying.result()

    # One call was out, and two were written down: it waited for all that were to be made.
    assert by_then == Slow.taken == Slow.begun
    assert_ended(batch, set(by_then))


def test_a_claim_that_has_opened_no_window_makes_no_call_after_the_answer(batch: Batch) -> None:
    lease = claim()
    assert cancel(batch) == []
    Slow.may_answer.set()
    carry_out(lease)
    assert not Attempt.objects.exists()
    assert_ended(batch, set())


def test_a_cancel_gives_up_waiting_for_a_call_that_hangs(
    batch: Batch, pool: ThreadPoolExecutor
) -> None:
    """After five seconds. The call that hangs may still come to something, and then it counts; none
    begins any more, though two are written down.
    """
    lease = claim()
    carrying = pool.submit(carry_out, lease)
    assert Slow.began.wait(20)
    started = time.monotonic()
    assert cancel(batch) == []
    assert time.monotonic() - started >= batches.SETTLE_SECONDS == 5.0
    assert Attempt.objects.filter(state=Attempt.State.CALLING).count() == 3
    (hanging,) = Slow.begun
    Slow.may_answer.set()
    carrying.result()
    assert_ended(batch, {hanging})
