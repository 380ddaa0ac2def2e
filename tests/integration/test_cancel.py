"""A message is stopped before its call or not at all, whoever is at its delivery at the same time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications import queue
from notifications.errors import CannotCancel
from notifications.models import (
    Attempt,
    Batch,
    BatchDelta,
    Delivery,
    Event,
    Notification,
    SimulatedMessage,
    Work,
)
from notifications.services import audit, cancel, status, submit
from notifications.services.asked import Submission, Target
from notifications.services.cancel import Outcome
from notifications.services.status import StatusChange
from notifications.services.window import open_window
from notifications.signals import status_changed
from notifications.states import PENDING, State
from notifications.types import Channel, EventType, Lane, ProviderEvent
from tests.engine import drain, make_everything_due
from tests.factories import (
    ApiClientFactory,
    AttemptFactory,
    DeliveryFactory,
    NotificationFactory,
    WorkFactory,
)
from tests.processes import eventually


def send(agent: ApiClient, **fields: Any) -> Notification:
    asked = Submission(
        to=Target(addresses={Channel.EMAIL: "ada@simulator.test"}),
        content={"subject": "Hello", "text": "It works."},
        **fields,
    )
    (result,) = submit.accept(agent, [asked])
    assert isinstance(result, submit.Accepted), result
    return Notification.objects.get(id=result.response["id"])


def stop(api: APIClient, message: Notification) -> Any:
    return api.post(f"/api/v1/notifications/{message.id}/cancel")


def the(message: Notification) -> Delivery:
    return message.deliveries.get()


def in_state(agent: ApiClient, state: State, attempt: Attempt.State | None = None) -> Notification:
    """A message whose delivery is in `state`, with its work where the engine has some to do."""
    message = NotificationFactory.create(client=agent)
    delivery = DeliveryFactory.create(
        notification=message, state=state, attempts_made=1 if attempt else 0
    )
    if attempt:
        ended = None if attempt is Attempt.State.CALLING else timezone.now()
        AttemptFactory.create(delivery=delivery, state=attempt, ended_at=ended)
    if state in PENDING:
        WorkFactory.create(client=agent, deliveries=[delivery])
    return message


@pytest.mark.django_db
class TestWhatIsStopped:
    def test_a_queued_message_is_never_sent(self, api: APIClient, agent: ApiClient) -> None:
        message = send(agent)
        answer = stop(api, message)
        assert answer.status_code == 200, answer.content
        assert answer.json() == {
            "id": str(message.id),
            "status": "cancelled",
            "deliveries": [
                {
                    "id": str(the(message).id),
                    "channel": "email",
                    "to": "ada@simulator.test",
                    "status": "cancelled",
                    "reason": "cancelled by its sender",
                    "outcome": "cancelled",
                    "detail": "No provider has it, and none will be called.",
                }
            ],
        }
        drain()
        assert not Attempt.objects.exists()
        assert not SimulatedMessage.objects.exists()
        assert not Work.objects.exists()
        assert list(audit.findings()) == []

    def test_a_scheduled_message_is_never_sent(self, api: APIClient, agent: ApiClient) -> None:
        message = send(agent, send_at=timezone.now() + timedelta(days=1))
        assert the(message).state == State.SCHEDULED
        assert stop(api, message).json()["status"] == "cancelled"
        make_everything_due()
        drain()
        assert the(message).state == State.CANCELLED
        assert not SimulatedMessage.objects.exists()

    def test_a_message_that_waits_for_a_retry_is_not_tried_again(
        self, api: APIClient, agent: ApiClient
    ) -> None:
        message = in_state(agent, State.QUEUED, Attempt.State.FAILED)
        assert stop(api, message).json()["deliveries"][0]["outcome"] == "cancelled"
        drain()
        assert Attempt.objects.count() == 1

    @pytest.mark.parametrize("state", [State.UNKNOWN, State.QUEUED])
    def test_a_message_that_may_have_arrived_is_not_sent_again_and_not_called_cancelled(
        self, api: APIClient, agent: ApiClient, state: State
    ) -> None:
        """Unknown, or about to be sent once more after it was."""
        message = in_state(agent, state, Attempt.State.UNKNOWN)
        (shown,) = stop(api, message).json()["deliveries"]
        assert (shown["status"], shown["outcome"]) == ("unconfirmed", "not_sent_again")
        assert shown["reason"] == (
            "not sent again, cancelled by its sender; a call was not answered"
        )
        drain()
        assert Attempt.objects.count() == 1
        assert the(message).state == State.UNCONFIRMED
        assert list(audit.findings()) == []

    def test_its_receipt_still_counts(self, api: APIClient, agent: ApiClient) -> None:
        message = in_state(agent, State.UNKNOWN, Attempt.State.UNKNOWN)
        stop(api, message)
        told = ProviderEvent(
            EventType.DELIVERED, timezone.now(), "receipt-1", Attempt.objects.get().id
        )
        status.apply("simulator", [told])
        assert the(message).state == State.DELIVERED
        assert stop(api, message).status_code == 409

    def test_one_channel_is_stopped_where_the_other_has_been_sent(
        self, api: APIClient, agent: ApiClient
    ) -> None:
        message = in_state(agent, State.DELIVERED, Attempt.State.ACCEPTED)
        waiting = DeliveryFactory.create(
            notification=message, channel=Channel.SMS, address="+14155550132"
        )
        WorkFactory.create(client=agent, channel=Channel.SMS, deliveries=[waiting])
        answer = stop(api, message)
        assert answer.status_code == 200
        assert answer.json()["status"] == "delivered"
        shown = {one["channel"]: one for one in answer.json()["deliveries"]}
        assert (shown["email"]["outcome"], shown["email"]["status"]) == ("ended", "delivered")
        assert (shown["sms"]["outcome"], shown["sms"]["status"]) == ("cancelled", "cancelled")

    def test_a_batch_counts_it(self, agent: ApiClient) -> None:
        batch = Batch.objects.create(client=agent)
        message = in_state(agent, State.QUEUED)
        message.batch = batch
        message.save()
        cancel.cancel(message, cancel.BY_STAFF)
        assert BatchDelta.objects.get().counts == {"queued": -1, "cancelled": 1}
        assert the(message).reason == "cancelled by staff"


@pytest.mark.django_db
class TestRepeating:
    @pytest.mark.parametrize(
        ("state", "attempt"),
        [(State.QUEUED, None), (State.UNKNOWN, Attempt.State.UNKNOWN)],
    )
    def test_a_cancel_may_be_repeated(
        self, api: APIClient, agent: ApiClient, state: State, attempt: Attempt.State | None
    ) -> None:
        message = in_state(agent, state, attempt)
        first, second = stop(api, message), stop(api, message)
        assert first.status_code == second.status_code == 200
        assert first.json() == second.json()
        assert Event.objects.count() == 1

    def test_it_is_announced_once(self, agent: ApiClient) -> None:
        heard: list[list[StatusChange]] = []

        def hear(changes: list[StatusChange], **_: object) -> None:
            heard.append(changes)

        message = in_state(agent, State.QUEUED)
        status_changed.connect(hear)
        try:
            cancel.cancel(message, cancel.BY_SENDER)
            cancel.cancel(message, cancel.BY_SENDER)
        finally:
            status_changed.disconnect(hear)
        assert heard == [
            [
                StatusChange(
                    the(message).id, message.id, "cancelled", "cancelled by its sender", "queued"
                )
            ]
        ]


@pytest.mark.django_db
class TestTooLate:
    def test_while_the_call_is_out(self, api: APIClient, agent: ApiClient) -> None:
        message = in_state(agent, State.QUEUED, Attempt.State.CALLING)
        answer = stop(api, message)
        assert answer.status_code == 409
        assert answer.json()["code"] == "cannot_cancel"
        assert answer.json()["detail"] == (
            "Email is sending. Too late: the call to its provider has begun."
        )
        assert the(message).state == State.QUEUED
        assert not Event.objects.exists()

    @pytest.mark.parametrize(
        "state", sorted(set(State) - PENDING - {State.CANCELLED, State.UNCONFIRMED})
    )
    def test_at_every_end(self, api: APIClient, agent: ApiClient, state: State) -> None:
        message = in_state(agent, state)
        answer = stop(api, message)
        assert answer.status_code == 409
        assert answer.json()["detail"] == (
            f"Email is {state.value}. Too late: it is sent, or at an end."
        )
        assert the(message).state == state
        assert not Event.objects.exists()

    def test_the_problem_names_each_channel_and_no_address(
        self, api: APIClient, agent: ApiClient
    ) -> None:
        message = in_state(agent, State.SENT)
        DeliveryFactory.create(
            notification=message, channel=Channel.SMS, address="+14155550132", state=State.FAILED
        )
        detail = stop(api, message).json()["detail"]
        assert "Email is sent." in detail
        assert "SMS is failed." in detail
        assert "simulator.test" not in detail
        assert "+1415" not in detail


@pytest.mark.django_db
class TestWhoMay:
    def test_only_its_sender(self, api: APIClient) -> None:
        theirs = send(ApiClientFactory.create())
        answer = stop(api, theirs)
        assert answer.status_code == 404
        assert the(theirs).state == State.QUEUED

    def test_only_with_the_scope(self, agent: ApiClient) -> None:
        message = send(agent)
        _, secret = keys.issue(agent, [Scope.NOTIFICATIONS_READ])
        reader = APIClient()
        reader.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert stop(reader, message).status_code == 403
        assert the(message).state == State.QUEUED

    def test_nobody_without_a_key(self, agent: ApiClient) -> None:
        assert stop(APIClient(), send(agent)).status_code == 401

    @pytest.mark.parametrize("id_", ["none", "00000000-0000-0000-0000-000000000000"])
    def test_what_is_not_there_cannot_be_stopped(self, api: APIClient, id_: str) -> None:
        assert api.post(f"/api/v1/notifications/{id_}/cancel").status_code == 404

    def test_by_post_only(self, api: APIClient, agent: ApiClient) -> None:
        assert api.get(f"/api/v1/notifications/{send(agent).id}/cancel").status_code == 405


# --- Against windows, each on its own connection ---------------------------------------------


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads whose connections are gone afterwards."""
    with ThreadPoolExecutor(count) as pool:
        yield pool
        barrier = threading.Barrier(count)

        def leave() -> None:
            barrier.wait(10)
            connections.close_all()

        for done in [pool.submit(leave) for _ in range(count)]:
            done.result()


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def claim() -> queue.Lease:
    (lease,) = queue.claim(Lane.NORMAL, 1)
    return lease


def window(lease: queue.Lease) -> None:
    open_window(dict.fromkeys(lease.ids, lease), lease.ids, {})


def outcome_of(message: Notification) -> Outcome:
    try:
        (result,) = cancel.cancel(message, cancel.BY_SENDER)
    except CannotCancel:
        return Outcome.IN_FLIGHT
    return result.outcome


def hold(act: Callable[[], Any], done: threading.Event, go_on: threading.Event) -> None:
    """Do `act`, and commit when told to."""
    with transaction.atomic():
        act()
        done.set()
        assert go_on.wait(20)


@pytest.mark.django_db(transaction=True)
def test_a_cancel_that_waits_for_a_window_sees_its_calls() -> None:
    """The attempts are read anew once the lock is there: an earlier look would miss them."""
    message = send(ApiClientFactory.create())
    lease, done, go_on = claim(), threading.Event(), threading.Event()
    with threads(2) as pool:
        opening = pool.submit(hold, lambda: window(lease), done, go_on)
        assert done.wait(20)
        cancelling = pool.submit(outcome_of, message)
        eventually(is_waiting_for_a_lock)
        go_on.set()
        opening.result()
        assert cancelling.result() is Outcome.IN_FLIGHT
    assert the(message).state in PENDING


@pytest.mark.django_db(transaction=True)
def test_a_window_that_waits_for_a_cancel_makes_no_call() -> None:
    message = send(ApiClientFactory.create())
    lease, done, go_on = claim(), threading.Event(), threading.Event()
    with threads(2) as pool:
        cancelling = pool.submit(hold, lambda: outcome_of(message), done, go_on)
        assert done.wait(20)
        opening = pool.submit(window, lease)
        eventually(is_waiting_for_a_lock)
        go_on.set()
        cancelling.result()
        opening.result()
    assert the(message).state == State.CANCELLED
    assert not Attempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_200_races_end_in_a_call_or_a_cancel_and_never_in_both() -> None:
    agent = ApiClientFactory.create()
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    def at_once(act: Callable[[], Any], start: threading.Barrier, pause: float) -> Any:
        start.wait(10)
        threading.Event().wait(pause)
        return act()

    with threads(2) as pool:
        for number in range(200):
            message, lease, start = send(agent), claim(), threading.Barrier(2)
            racers: list[Callable[[], Any]] = [partial(outcome_of, message), partial(window, lease)]
            running = [pool.submit(at_once, act, start, chance.uniform(0, 0.004)) for act in racers]
            outcome, _ = [one.result(20) for one in running]
            called = Attempt.objects.filter(delivery__notification=message).exists()
            where = f"seed {seed}, race {number}"
            assert called is (outcome is Outcome.IN_FLIGHT), where
            assert (the(message).state == State.CANCELLED) is not called, where
            Work.objects.all().delete()
