"""What happens to a chunk when processes die, claims run out and receipts overtake answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common.ids import new_id
from commsproject.common.models import ApiClient
from notifications import breaker, congestion, queue
from notifications.addresses import digest
from notifications.models import (
    Attempt,
    Category,
    DeadLetter,
    Delivery,
    Event,
    Notification,
    ProviderState,
    SimulatedMessage,
    Suppression,
    Work,
)
from notifications.providers.simulator import post_receipts
from notifications.services import audit, calls, complete, status, submit
from notifications.services.asked import Submission, Target
from notifications.services.complete import Outcome
from notifications.services.compose import Call
from notifications.services.load import Load
from notifications.services.traffic import Traffic, Turn
from notifications.services.window import Window
from notifications.services.window import open_window as open_for
from notifications.signals import status_changed
from notifications.states import State
from notifications.types import (
    Channel,
    ErrorClass,
    EventType,
    Lane,
    ProviderError,
    ProviderEvent,
    Sent,
)
from tests.email_world import EmailWorld, email_world
from tests.engine import Inline, carry_out, carry_out_load, drain, make_everything_due
from tests.fakes.behaviours import Behaviour, Exchange, Reset, Status, throttled
from tests.integration.test_queue import batch_of, chunk
from tests.scripted import entry, unanswered

T = TypeVar("T")


def submission(address: str = "ada@simulator.test", **fields: object) -> Submission:
    return Submission(
        to=Target(addresses={Channel.EMAIL: address}),
        content={"subject": "Hello", "text": "It works."},
        **fields,  # type: ignore[arg-type]
    )


def send(agent: ApiClient, count: int = 1, **fields: object) -> list[Delivery]:
    """`count` messages accepted together: one chunk."""
    asked = [submission(f"user-{n}@simulator.test", **fields) for n in range(count)]
    results = submit.accept(agent, asked)
    assert all(isinstance(result, submit.Accepted) for result in results)
    return list(Delivery.objects.order_by("id"))


def claim(lane: Lane = Lane.NORMAL) -> queue.Lease:
    (lease,) = queue.claim(lane, 1)
    return lease


def open_window(lease: queue.Lease, ids: Sequence[UUID]) -> Window:
    return open_for(dict.fromkeys(lease.ids, lease), ids, {})


def outcome(call: Call, answer: Sent | ProviderError | None, state: State) -> Outcome:
    """Of a call for one message."""
    return Outcome(call.items[0], call.attempts[0], call.provider.name, answer, state)


def expire_leases() -> None:
    Work.objects.filter(lease_until__isnull=False).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def event(attempt: Attempt, kind: EventType, *, dedupe: str = "") -> ProviderEvent:
    return ProviderEvent(kind, timezone.now(), dedupe or f"{attempt.id}-{kind}", attempt.id)


@pytest.fixture(autouse=True)
def _ledger_adds_up(db: None) -> Iterator[None]:
    yield
    assert list(audit.findings()) == []


def test_many_messages_are_one_chunk_and_each_is_sent_once(agent: ApiClient) -> None:
    send(agent, 250)
    assert Work.objects.count() == 1
    drain()
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    assert SimulatedMessage.objects.count() == 250 == Attempt.objects.count()


def test_more_than_500_messages_are_several_chunks(agent: ApiClient) -> None:
    send(agent, 501)
    assert sorted(len(work.ids) for work in Work.objects.all()) == [1, 500]
    for work in Work.objects.all():
        work.delete()
    Notification.objects.all().delete()


def test_a_claimed_chunk_is_claimed_by_nobody_else(agent: ApiClient) -> None:
    send(agent)
    lease = claim()
    assert queue.claim(Lane.NORMAL, 10) == []
    assert (lease.token, lease.claims) == (1, 1)
    carry_out(lease)


def test_a_lease_is_renewed_by_its_holder_only(agent: ApiClient) -> None:
    send(agent)
    first = claim()
    expire_leases()
    second = claim()
    first.deadline = second.deadline = 0.0
    queue.renew([first])
    queue.renew([second])
    assert first.deadline == 0.0
    assert second.holds()
    carry_out(second)


def left_in_the_database(lease: queue.Lease) -> float:
    """Seconds until others may claim it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8"
            " FROM notifications_work WHERE id = %s",
            [lease.id],
        )
        return float(cursor.fetchone()[0])


def test_a_holder_knows_no_longer_lease_than_the_others_do(agent: ApiClient) -> None:
    send(agent)
    lease = claim()
    left = left_in_the_database(lease)
    assert left - 1 < lease.deadline - time.monotonic() <= left
    lease.deadline = 0.0
    queue.renew([lease])
    left = left_in_the_database(lease)
    assert left - 1 < lease.deadline - time.monotonic() <= left
    carry_out(lease)


def test_the_progress_of_a_lost_claim_is_not_that_of_the_new_holder(agent: ApiClient) -> None:
    send(agent)
    claim()
    expire_leases()
    lost = claim()
    expire_leases()
    holder = claim()
    queue.note_progress([lost])
    assert Work.objects.get().claims == 3
    queue.note_progress([holder])
    assert Work.objects.get().claims == 1
    carry_out(holder)


def test_progress_is_noted_once_more_when_it_was_rolled_back(
    agent: ApiClient, django_capture_on_commit_callbacks: Any
) -> None:
    send(agent)
    claim()
    expire_leases()
    lease = claim()
    with django_capture_on_commit_callbacks(), suppress(OperationalError), transaction.atomic():
        queue.note_progress([lease])
        raise OperationalError("away")
    with django_capture_on_commit_callbacks(execute=True):
        queue.note_progress([lease])
    assert (Work.objects.get().claims, lease.claims) == (1, 1)
    carry_out(lease)


def test_a_process_that_dies_before_its_calls_leaves_the_outcome_unknown(
    agent: ApiClient,
) -> None:
    (delivery,) = send(agent)
    lease = claim()
    open_window(lease, [delivery.id])
    expire_leases()
    drain()

    delivery.refresh_from_db()
    assert delivery.state == State.UNKNOWN
    assert Attempt.objects.get().code == "process_lost"
    assert SimulatedMessage.objects.count() == 0  # only deliveries without such an attempt are sent
    make_everything_due()
    drain()
    delivery.refresh_from_db()
    assert delivery.state == State.SENT
    assert delivery.attempts_made == 2


def test_a_kill_between_two_windows_costs_only_the_open_one(agent: ApiClient) -> None:
    deliveries = send(agent, 150)
    lease = claim()
    first = open_window(lease, [d.id for d in deliveries[:100]])
    sent = [outcome(call, Sent("ref"), State.SENT) for call in first.calls]
    complete.record([lease], sent)
    open_window(lease, [d.id for d in deliveries[100:110]])
    expire_leases()
    drain()

    states = list(Delivery.objects.order_by("id").values_list("state", flat=True))
    assert states[:100] == [State.SENT] * 100
    assert states[100:110] == [State.UNKNOWN] * 10
    assert states[110:] == [State.SENT] * 40
    assert Attempt.objects.count() == 150


def test_nothing_is_written_under_a_claim_that_was_lost(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    lease = claim()
    window = open_window(lease, [delivery.id])
    expire_leases()
    other = claim()

    late = outcome(window.calls[0], None, State.FAILED)
    assert complete.record([lease], [late], [lease]) == [lease]

    delivery.refresh_from_db()
    assert delivery.state == State.QUEUED
    assert Work.objects.count() == 1
    carry_out(other)


def test_a_late_answer_settles_what_another_process_holds_for_unknown(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    lease = claim()
    window = open_window(lease, [delivery.id])
    expire_leases()
    drain()  # another process: finds the open attempt, and waits for a receipt

    taken = outcome(window.calls[0], Sent("ref-1"), State.SENT)
    assert complete.record([lease], [taken], [lease]) == [lease]

    delivery.refresh_from_db()
    assert delivery.state == State.SENT
    assert Attempt.objects.get().provider_ref == "ref-1"
    make_everything_due()
    drain()
    assert Attempt.objects.count() == 1  # nothing is sent twice


def test_a_receipt_that_overtakes_our_own_answer_stands(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    lease = claim()
    window = open_window(lease, [delivery.id])
    status.apply("simulator", [event(Attempt.objects.get(), EventType.DELIVERED)])
    complete.record([lease], [outcome(window.calls[0], Sent("ref"), State.SENT)], [lease])

    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED
    assert delivery.attempts_made == 1


@pytest.mark.parametrize("error_class", [ErrorClass.TEMPORARY, ErrorClass.AMBIGUOUS])
def test_a_receipt_outweighs_a_refusal_that_comes_after_it(
    agent: ApiClient, error_class: ErrorClass
) -> None:
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    status.apply("simulator", [event(Attempt.objects.get(), EventType.SENT)])
    refused = outcome(call, ProviderError(error_class, "late"), State.QUEUED)
    complete.record([lease], [refused], [lease])

    delivery.refresh_from_db()
    attempt = Attempt.objects.get()
    assert (delivery.state, attempt.state, attempt.code) == (State.SENT, "accepted", "")


@pytest.mark.parametrize("end", [State.DEAD, State.EXPIRED, State.UNCONFIRMED])
def test_what_a_receipt_has_told_of_is_not_told_to_have_ended(agent: ApiClient, end: State) -> None:
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    status.apply("simulator", [event(Attempt.objects.get(), EventType.DELIVERED)])
    gone = outcome(call, ProviderError(ErrorClass.TEMPORARY, "503"), end)
    complete.record([lease], [gone], [lease])

    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED
    assert not DeadLetter.objects.exists()
    assert [told.type for told in Event.objects.all()] == [EventType.DELIVERED]


def test_only_the_end_of_a_delivery_tells_that_its_address_is_dead(agent: ApiClient) -> None:
    """A call for several was refused: it is not known yet whose address is meant."""
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    refusal = ProviderError(ErrorClass.PERMANENT_RECIPIENT, "550")
    complete.record([lease], [outcome(call, refusal, State.QUEUED)])
    assert not Suppression.objects.exists()

    (call,) = open_window(lease, [delivery.id]).calls
    complete.record([lease], [outcome(call, refusal, State.FAILED)], [lease])
    assert Suppression.objects.get().reason == "bounce"


def test_a_delivery_that_was_erased_during_its_call_costs_no_other_its_answer(
    agent: ApiClient,
) -> None:
    erased, other = send(agent, 2)
    lease = claim()
    window = open_window(lease, lease.ids)
    outcomes = [outcome(call, Sent("ref"), State.SENT) for call in window.calls]
    Notification.objects.filter(id=erased.notification_id).delete()
    assert complete.record([lease], outcomes, [lease]) == []
    other.refresh_from_db()
    assert other.state == State.SENT


def test_a_receipt_during_the_wait_settles_an_unknown_outcome(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    open_window(claim(), [delivery.id])
    expire_leases()
    drain()
    status.apply("simulator", [event(Attempt.objects.get(), EventType.DELIVERED)])
    make_everything_due()
    drain()

    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED
    assert delivery.attempts_made == 1 == Attempt.objects.count()
    assert not Work.objects.exists()


def test_an_opt_out_after_acceptance_is_heard(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    Suppression.objects.create(
        channel="email", address_hash=delivery.address_hash, reason="unsubscribe"
    )
    drain()

    delivery.refresh_from_db()
    assert delivery.state == State.SUPPRESSED
    assert delivery.reason == "the recipient unsubscribed"
    assert Event.objects.get().type == EventType.SUPPRESSED
    assert not Attempt.objects.exists()


def test_what_expires_while_waiting_is_not_sent(agent: ApiClient) -> None:
    (delivery,) = send(agent, expires_at=timezone.now() + timedelta(hours=1))
    Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    drain()

    delivery.refresh_from_db()
    assert delivery.state == State.EXPIRED
    assert not Attempt.objects.exists()


def test_a_scheduled_message_waits_for_its_time(agent: ApiClient) -> None:
    (delivery,) = send(agent, send_at=timezone.now() + timedelta(hours=1))
    assert delivery.state == State.SCHEDULED
    assert drain() == 0
    make_everything_due()
    assert drain() == 1
    delivery.refresh_from_db()
    assert delivery.state == State.SENT


class Interrupted(Inline):
    """The stop comes with the first call."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    @override
    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        self._load.stop()
        return await super().provider(function, *args)


def test_stopping_before_the_first_window_hands_on_all(agent: ApiClient) -> None:
    send(agent, 3)
    load = Load([claim()])
    load.stop()
    carry_out_load(load)
    assert not Attempt.objects.exists()
    assert len(Work.objects.get().ids) == 3
    drain()


def test_stopping_finishes_the_calls_that_are_out_and_hands_on_the_rest(agent: ApiClient) -> None:
    send(agent, 150)
    load = Load([claim()])
    carry_out_load(load, runner=Interrupted(load))

    assert 1 <= Delivery.objects.filter(state=State.SENT).count() < 100
    assert set(Attempt.objects.values_list("state", "code")) == {
        ("accepted", ""),
        ("failed", "halted"),
    }
    assert Work.objects.get().claims == 0
    drain()
    assert Delivery.objects.filter(state=State.SENT).count() == 150


def test_a_claim_that_runs_out_before_the_calls_makes_none(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    lease = claim()
    lease.deadline = 0.0
    carry_out(lease)

    attempt = Attempt.objects.get()
    assert attempt.code == "lease_lost"
    assert not SimulatedMessage.objects.exists()
    drain()
    delivery.refresh_from_db()
    assert delivery.state == State.SENT


def test_with_every_breaker_open_nothing_is_called_and_the_work_is_due_when_one_closes(
    agent: ApiClient,
) -> None:
    until = timezone.now() + timedelta(seconds=20)
    ProviderState.objects.create(name="simulator", breaker="open", failures=5, opened_until=until)
    (delivery,) = send(agent)
    drain()

    delivery.refresh_from_db()
    assert delivery.state == State.QUEUED
    assert delivery.attempts_made == 0
    # It is alone on its channel, so it gets a probe earlier.
    soon = until - breaker.OPEN_FOR + breaker.ALONE_FOR
    assert abs(Work.objects.get().due_at - soon) < timedelta(seconds=1)


def test_with_every_provider_switched_off_messages_wait(agent: ApiClient) -> None:
    ProviderState.objects.create(name="simulator", enabled=False)
    (delivery,) = send(agent)
    drain()
    delivery.refresh_from_db()
    assert delivery.reason == "no provider is available now"
    ProviderState.objects.update(enabled=True)
    make_everything_due()
    drain()
    delivery.refresh_from_db()
    assert delivery.state == State.SENT


def test_changes_are_announced_as_lists(agent: ApiClient) -> None:
    heard: list[list[status.StatusChange]] = []

    def listen(changes: list[status.StatusChange], **_: object) -> None:
        heard.append(changes)

    status_changed.connect(listen)
    try:
        send(agent, 3)
        drain()
    finally:
        status_changed.disconnect(listen)
    assert [len(changes) for changes in heard] == [3]
    assert {change.state for change in heard[0]} == {State.SENT}


# --- Unknown outcomes ------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[EmailWorld]:
    with email_world() as world:
        for server in (world.sendgrid, world.ses):
            server.script.always(Reset())
        yield world


def unknown(agent: ApiClient, **fields: object) -> Delivery:
    submit.accept(agent, [submission("ada@example.org", **fields)])
    drain(Lane(str(fields.get("priority", "normal"))))
    delivery = Delivery.objects.get()
    assert delivery.state == State.UNKNOWN
    return delivery


def test_a_category_may_hold_instead_of_sending_twice(agent: ApiClient, silent: EmailWorld) -> None:
    Category.objects.create(key="bills", name="Bills", on_unknown="hold")
    delivery = unknown(agent, category="bills")
    make_everything_due()
    drain()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.UNKNOWN, "held until a receipt comes")

    Attempt.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    make_everything_due()
    drain()
    delivery.refresh_from_db()
    assert delivery.state == State.UNCONFIRMED
    assert silent.taken()["ses"] == 0


def opt_out(delivery: Delivery) -> None:
    Suppression.objects.create(
        channel="email", address_hash=delivery.address_hash, reason="unsubscribe"
    )


def expire(delivery: Delivery) -> None:
    Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("end", "words"), [(opt_out, "the recipient unsubscribed"), (expire, "expired")]
)
def test_what_may_have_arrived_is_not_said_to_have_been_stopped(
    agent: ApiClient, silent: EmailWorld, end: Callable[[Delivery], None], words: str
) -> None:
    delivery = unknown(agent)
    end(delivery)
    make_everything_due()
    drain()  # no receipt came: it is to be sent again, and may not be
    delivery.refresh_from_db()
    assert delivery.state == State.UNCONFIRMED
    assert words in delivery.reason
    assert delivery.reason.startswith("not sent again")
    assert Event.objects.get().type == EventType.UNCONFIRMED
    assert Attempt.objects.count() == 1


def test_what_waits_for_a_receipt_takes_no_turns_of_its_batch(
    agent: ApiClient, settings: Any
) -> None:
    settings.PROVIDERS = {"a": entry(answer=unanswered())}
    batch = batch_of(agent)
    chunk(2, batch=batch)
    drain()
    work = Work.objects.get()
    assert (work.kind, work.flow, work.batch_id) == (Work.Kind.RECONCILE, agent.id, batch.id)
    Work.objects.update(flow=batch.id)
    assert named("wrong_work") == [f"work {work.id}"]
    Work.objects.update(flow=agent.id)


def test_bulk_is_never_sent_twice(agent: ApiClient, silent: EmailWorld) -> None:
    delivery = unknown(agent, priority=Lane.BULK)
    wait = Work.objects.get().due_at - timezone.now()
    assert wait > timedelta(hours=23)
    Attempt.objects.update(ended_at=timezone.now() - timedelta(hours=25))
    make_everything_due()
    drain(Lane.BULK)
    delivery.refresh_from_db()
    assert delivery.state == State.UNCONFIRMED
    assert Attempt.objects.count() == 1


def test_a_message_no_provider_ever_answers_is_given_up(agent: ApiClient) -> None:
    (delivery,) = send(agent, priority=Lane.URGENT)
    with email_world() as world:
        for server in (world.sendgrid, world.ses):
            server.script.always(Reset())
        world.smtp.refuse()
        for _ in range(60):
            ProviderState.objects.update(opened_until=None, failures=0)
            make_everything_due()
            if not drain(Lane.URGENT):
                break
    delivery.refresh_from_db()
    assert delivery.state == State.DEAD
    assert DeadLetter.objects.get().delivery_id == delivery.id


# --- The audit finds what is planted -----------------------------------------------------------


def named(rule: str) -> list[str]:
    return [finding.row for finding in audit.findings() if finding.rule == rule]


def test_the_audit_names_a_lost_work_row(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    Work.objects.all().delete()
    assert named("lost_work") == [f"delivery {delivery.id}"]
    Notification.objects.all().delete()


def test_the_audit_names_a_missing_attempt_and_a_wrong_count(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    Attempt.objects.all().delete()
    assert named("missing_attempt") == named("wrong_count") == [f"delivery {delivery.id}"]
    Notification.objects.all().delete()


def test_the_audit_names_a_wrong_count(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    Delivery.objects.update(attempts_made=7)
    assert named("wrong_count") == [f"delivery {delivery.id}"]
    Notification.objects.all().delete()


@pytest.mark.parametrize("until", [timedelta(minutes=-5), timedelta(days=1)])
def test_the_audit_names_a_stuck_lease(agent: ApiClient, until: timedelta) -> None:
    send(agent)
    lease = claim()
    Work.objects.update(lease_until=timezone.now() + until)
    assert named("stuck_lease") == [f"work {lease.id}"]
    Work.objects.update(lease_until=None)


def test_the_audit_names_an_attempt_nobody_is_making(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    open_window(claim(), [delivery.id])
    Attempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    expire_leases()
    assert named("open_attempt") == [f"attempt {Attempt.objects.get().id}"]
    drain()


def test_the_audit_names_work_for_a_delivery_that_is_not_there(agent: ApiClient) -> None:
    send(agent)
    Work.objects.update(ids=[*Work.objects.get().ids, UUID(int=1)])
    assert len(named("dangling_work")) == 1
    Work.objects.all().delete()
    Notification.objects.all().delete()


def test_the_audit_names_a_dead_delivery_without_its_letter(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    Delivery.objects.update(state=State.DEAD)
    assert named("missing_dead_letter") == [f"delivery {delivery.id}"]
    Notification.objects.all().delete()


def test_the_audit_names_what_was_kept_of_an_erased_message(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    Delivery.objects.update(state=State.DEAD)
    letter = DeadLetter.objects.create(delivery=delivery, data={"name": "Ada"})
    assert named("erased_letter") == []
    Notification.objects.update(erased_at=timezone.now())
    assert named("erased_letter") == [f"dead letter {letter.id}"]
    Notification.objects.all().delete()


def test_the_audit_names_a_state_below_what_was_reported(api: APIClient, agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    status.apply("simulator", [event(Attempt.objects.get(), EventType.BOUNCED)])
    Delivery.objects.update(state=State.DELIVERED)
    assert named("state_below_report") == [f"delivery {delivery.id}"]
    Notification.objects.all().delete()


def test_receipts_nobody_could_take_are_posted_again(agent: ApiClient) -> None:
    send(agent)
    drain()
    SimulatedMessage.objects.update(receipts_due_at=timezone.now())
    assert post_receipts() == 1  # the address in the settings does not answer
    waiting = SimulatedMessage.objects.get()
    assert waiting.receipts == ["delivered"]
    assert waiting.receipts_due_at is not None
    assert waiting.receipts_due_at > timezone.now()


# --- An unknown outcome is never simply repeated -----------------------------------------------


@pytest.mark.parametrize("lane", [Lane.BULK, Lane.NORMAL])
def test_a_crash_between_two_windows_keeps_unknown_outcomes_waiting(
    agent: ApiClient, lane: Lane
) -> None:
    """One of two was not answered; the process dies before it leaves the work that waits."""
    with email_world() as world:
        world.sendgrid.script.when("silent@example.org", Reset())
        addresses = ["silent@example.org", "other@example.org"]
        submit.accept(agent, [submission(address, priority=lane) for address in addresses])
        lease = claim(lane)
        silent = Delivery.objects.get(address="silent@example.org")
        window = open_window(lease, [silent.id])
        error = ProviderError(ErrorClass.AMBIGUOUS, "read_timeout")
        unknown_now = outcome(window.calls[0], error, State.UNKNOWN)
        complete.record([lease], [unknown_now])  # and then the process is gone
        expire_leases()
        drain(lane)

        silent.refresh_from_db()
        assert silent.state == State.UNKNOWN
        assert Attempt.objects.filter(delivery=silent).count() == 1
        assert Delivery.objects.get(address="other@example.org").state == State.SENT
        (work,) = Work.objects.all()
        assert work.kind == Work.Kind.RECONCILE
        assert work.ids == [silent.id]


def test_a_crash_after_finding_an_open_attempt_forgets_nothing(agent: ApiClient) -> None:
    (delivery,) = send(agent, priority=Lane.BULK)
    open_window(claim(Lane.BULK), [delivery.id])
    expire_leases()
    open_window(claim(Lane.BULK), [delivery.id])  # finds it, and dies before it records that
    expire_leases()
    drain(Lane.BULK)

    delivery.refresh_from_db()
    assert delivery.state == State.UNKNOWN
    assert Attempt.objects.count() == 1
    assert Work.objects.get().kind == Work.Kind.RECONCILE


# --- A provider that asks for time -------------------------------------------------------------


def test_throttles_use_up_no_chances_and_stop_the_rest_of_the_window(agent: ApiClient) -> None:
    with email_world() as world:
        world.sendgrid.refuse()
        world.ses.script.always(throttled(60))
        world.smtp.refuse()
        send(agent, 30)
        drain()
        asked = len(world.ses.ledger)
        assert asked <= congestion.START  # the others were not even asked
        assert set(Delivery.objects.values_list("state", flat=True)) == {State.QUEUED}
        assert Attempt.objects.filter(code="halted").count() >= 30 - asked
    Notification.objects.all().delete()
    Work.objects.all().delete()


def test_a_pause_outlasts_the_successes_of_its_window(agent: ApiClient) -> None:
    with email_world() as world:
        world.sendgrid.script.when("user-1@simulator.test", world.sendgrid.throttled(reset_in=600))
        send(agent, 3)
        drain()
        until = ProviderState.objects.get(name="sendgrid").opened_until
        assert until is not None
        assert until > timezone.now() + timedelta(minutes=5)


# --- Acceptance --------------------------------------------------------------------------------


def test_what_is_refused_at_acceptance_says_so_in_its_timeline(agent: ApiClient) -> None:
    hashed = digest(Channel.EMAIL, "user-0@simulator.test")
    Suppression.objects.create(channel="email", address_hash=hashed, reason="bounce")
    heard: list[str] = []

    def listen(changes: list[status.StatusChange], **_: object) -> None:
        heard.extend(change.state for change in changes)

    status_changed.connect(listen)
    try:
        (delivery,) = send(agent)
    finally:
        status_changed.disconnect(listen)
    assert delivery.state == State.SUPPRESSED
    assert Event.objects.get().type == EventType.SUPPRESSED
    assert heard == [State.SUPPRESSED]


def test_a_time_in_the_past_is_no_way_to_the_front_of_the_queue(agent: ApiClient) -> None:
    send(agent, send_at=timezone.now() - timedelta(days=1000))
    assert Work.objects.get().due_at > timezone.now() - timedelta(minutes=1)
    drain()


def test_the_audit_names_a_sent_message_that_no_provider_took(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    Attempt.objects.update(state=Attempt.State.REJECTED)
    assert named("unproven_state") == [f"delivery {delivery.id}"]
    Attempt.objects.update(state=Attempt.State.ACCEPTED)


def test_the_audit_names_two_attempts_with_one_number(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    twin = Attempt.objects.get()
    twin.pk = new_id()
    twin.save(force_insert=True)
    assert named("double_number") == [f"delivery {delivery.id}"]
    twin.delete()


def test_the_audit_names_a_notification_without_deliveries(agent: ApiClient) -> None:
    (delivery,) = send(agent)
    drain()
    notification = delivery.notification
    Delivery.objects.all().delete()
    assert named("empty_notification") == [f"notification {notification.id}"]
    notification.delete()


def test_an_answer_after_the_time_limit_settles_the_outcome(
    agent: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery,) = send(agent)
    lease = claim()
    (call,) = open_window(lease, [delivery.id]).calls
    judged = ProviderError(ErrorClass.AMBIGUOUS, "deadline")
    complete.record([lease], [outcome(call, judged, State.UNKNOWN)])
    monkeypatch.setattr(calls, "call_limit", lambda: 0.0)  # every answer comes too late
    assert not isinstance(call.outbound, ProviderError)
    calls._send(call, call.outbound, Turn(Traffic("simulator"), is_last=False, patience=0))

    delivery.refresh_from_db()
    assert delivery.state == State.SENT
    assert Attempt.objects.get().state == Attempt.State.ACCEPTED
    expire_leases()
    drain()


def test_a_call_that_hangs_holds_up_no_other_message(agent: ApiClient) -> None:
    """In one chunk: one is never answered, the others go by the next provider meanwhile."""
    with email_world(PROVIDER_READ_TIMEOUT=40) as world:
        silence = Until(lambda: len(world.ses.messages) == 4)
        world.sendgrid.script.when("silent@example.org", silence)
        world.sendgrid.script.always(Status(503))
        addresses = ["silent@example.org", *(f"user-{n}@example.org" for n in range(4))]
        submit.accept(agent, [submission(address) for address in addresses])
        carry_out(claim(), runner=Concurrent())
        assert silence.has_ended  # when the others had gone, not for want of an answer
    assert Delivery.objects.get(address="silent@example.org").state == State.UNKNOWN
    assert Delivery.objects.filter(state=State.SENT).count() == 4


class Until(Behaviour):
    """No answer until something has happened; then the connection is closed."""

    def __init__(self, happened: Callable[[], bool]) -> None:
        self._happened = happened
        self.has_ended = False

    @override
    async def play(self, exchange: Exchange) -> None:
        while not self._happened():  # noqa: ASYNC110 - a fake tells nobody
            await asyncio.sleep(0.02)
        self.has_ended = True
        exchange.close()


class Concurrent(Inline):
    """Providers are called in threads of their own, as in a worker."""

    @override
    def thread(self) -> asyncio.Semaphore:
        return asyncio.Semaphore()

    @override
    async def provider(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, function, *args)
