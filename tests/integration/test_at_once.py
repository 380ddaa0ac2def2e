"""Two processes at one row at the same moment: two real connections, and who waits for whom."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import egress
from commsproject.common.errors import NotFound
from commsproject.common.models import ApiClient
from notifications import queue
from notifications.errors import ContentErased
from notifications.models import (
    Announcement,
    Attempt,
    Batch,
    DeadLetter,
    Delivery,
    InboxItem,
    Notification,
    Recipient,
    Schedule,
    Work,
)
from notifications.services import (
    announcements,
    audit,
    batches,
    complete,
    erase,
    inbox,
    inbox_feed,
    rehearsal,
    replay,
    schedule,
    status,
    window,
)
from notifications.services.complete import Successor
from notifications.states import State
from notifications.types import EventType, Lane, Sent
from tests.factories import ApiClientFactory
from tests.inboxes import announce
from tests.integration.test_engine import claim, event, open_window, outcome
from tests.integration.test_queue import batch_of, chunk, works
from tracking.models import WebhookAttempt, WebhookEndpoint
from tracking.services import endpoints, webhooks_out

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")
Start = Callable[[Callable[[], T]], "Future[T]"]


@pytest.fixture
def beside() -> Iterator[Start[Any]]:
    """Run something on a connection of its own, beside the test's."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit
        thread.submit(connections.close_all).result(10)


_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def until_it_waits(running: Future[Any]) -> None:
    """Return when the other side waits for a lock. Fails where it ends without having waited."""
    while not running.done():
        asked(
            "SELECT pg_stat_clear_snapshot()"
        )  # a transaction goes on seeing the same connections
        if asked(_WAITING):
            return
        threading.Event().wait(0.005)
    running.result()
    raise AssertionError("it did not wait")


def asked(query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


# --- Claims --------------------------------------------------------------------------------------


def claimed_by_another() -> None:
    assert len(queue.claim(Lane.NORMAL, 10)) == 2


def held_with_its_batch() -> None:
    Work.objects.update(held=True)


@pytest.mark.parametrize("meanwhile", [claimed_by_another, held_with_its_batch])
def test_what_was_taken_since_it_was_looked_for_is_not_claimed(
    beside: Start[Any], monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]
) -> None:
    """A claim reads what is due, then locks it: it may be another's by then."""
    works(ApiClientFactory.create(), 2)
    slow = queue._CLAIM.replace("FROM heads\n)", "FROM heads, pg_advisory_xact_lock(1)\n)")
    assert slow != queue._CLAIM
    monkeypatch.setattr(queue, "_CLAIM", slow)
    asked("SELECT pg_advisory_lock(1)")
    late = beside(lambda: queue.claim(Lane.NORMAL, 10))
    until_it_waits(late)
    meanwhile()
    tokens = sorted(Work.objects.values_list("token", flat=True))
    asked("SELECT pg_advisory_unlock(1)")
    assert late.result(10) == []
    assert sorted(Work.objects.values_list("token", flat=True)) == tokens


def test_a_row_that_another_is_just_claiming_is_passed_over(beside: Start[Any]) -> None:
    first, second = works(ApiClientFactory.create(), 2)
    with transaction.atomic():
        Work.objects.select_for_update().get(id=first.id)
        found = beside(lambda: queue.claim(Lane.NORMAL, 10)).result(10)
    assert [lease.id for lease in found] == [second.id]


def test_a_beat_does_not_wait_for_a_window(beside: Start[Any]) -> None:
    works(ApiClientFactory.create(), 2)
    leases = queue.claim(Lane.NORMAL, 10)
    for lease in leases:
        lease.deadline = 0.0
    with transaction.atomic():
        queue.hold(leases[:1])
        beside(lambda: queue.renew(leases)).result(10)
    assert [lease.holds() for lease in leases] == [False, True]


# --- Answers -------------------------------------------------------------------------------------


def test_a_receipt_that_is_just_being_written_moves_no_count_twice(beside: Start[Any]) -> None:
    chunk(1, batch=batch_of(ApiClientFactory.create()))
    lease = claim()
    (call,) = open_window(lease, lease.ids).calls
    sent = outcome(call, Sent("ref"), State.SENT)
    with transaction.atomic():
        status.apply("simulator", [event(Attempt.objects.get(), EventType.DELIVERED)])
        recording = beside(lambda: complete.record([lease], [sent], [lease]))
        until_it_waits(recording)
    assert recording.result(10) == []
    assert Delivery.objects.get().state == State.DELIVERED
    batch = Batch.objects.get()
    assert batches.counts([batch])[batch.id] == {"delivered": 1}
    assert list(audit.findings()) == []


def test_a_batch_that_is_just_being_resumed_leaves_nothing_held(beside: Start[Any]) -> None:
    batch = batch_of(ApiClientFactory.create())
    (delivery,) = chunk(1, batch=batch)
    lease = claim()
    batches.act(batch, Batch.Action.PAUSE)
    window = open_window(lease, lease.ids)
    assert window.held == [delivery.id]
    rest = Successor(lease, Successor.SEND, timezone.now(), [delivery.id], held=True)
    with transaction.atomic():
        batches.act(batch, Batch.Action.RESUME)
        recording = beside(lambda: complete.record([lease], [], [lease], [rest]))
        until_it_waits(recording)
    assert recording.result(10) == []
    assert not Work.objects.get().held


def test_to_draw_a_canary_waits_for_no_window(beside: Start[Any]) -> None:
    """Who held a chunk before the batch was held may still be looking at it, or have ended it."""
    batch = batch_of(ApiClientFactory.create())
    chunk(4, batch=batch)
    Batch.objects.update(canary={"percent": 50, "wait": 60, "max_failures": 10})
    Work.objects.update(held=True)
    batch.refresh_from_db()
    with transaction.atomic():
        work = Work.objects.select_for_update().get()
        assert beside(lambda: transaction.atomic(batches._draw)(batch)).result(10) == []
        Work.objects.all().delete()
    assert not transaction.atomic(batches._cut)(work.id, 2)


def test_a_window_that_waited_knows_what_was_cancelled_meanwhile(beside: Start[Any]) -> None:
    """It carries two batches, and waits for a row of the one while the other is cancelled."""
    agent = ApiClientFactory.create()
    first, second = batch_of(agent), batch_of(agent)
    for batch in (first, second):
        chunk(2, batch=batch)
    owners = {id_: lease for lease in queue.claim(Lane.NORMAL, 10) for id_ in lease.ids}
    with transaction.atomic():
        Work.objects.select_for_update().get(batch=first)
        Batch.objects.filter(id=second.id).update(state=Batch.State.CANCELLED)
        opening = beside(lambda: window.open_window(owners, list(owners), {}))
        until_it_waits(opening)
    opened = opening.result(10)
    assert {item.lease.batch_id for call in opened.calls for item in call.items} == {first.id}
    assert {item.lease.batch_id for item, _ in opened.refused} == {second.id}


# --- Schedules -----------------------------------------------------------------------------------


def due_schedule() -> Schedule:
    now = schedule._now()
    made = Schedule.objects.create(
        client=ApiClientFactory.create(),
        name="daily",
        cron=f"0 {(now.hour + 12) % 24} * * *",
        kind=Schedule.Kind.NOTIFICATION,
        request={
            "to": {"email": "ada@simulator.test"},
            "content": {"subject": "Hello", "text": "It works."},
            "priority": "normal",
        },
    )
    Schedule.objects.update(next_at=now - timedelta(seconds=1))
    return made


def test_two_schedulers_do_not_wait_for_each_other(beside: Start[Any]) -> None:
    due_schedule()
    with transaction.atomic():
        schedule.run_due()
        beside(schedule.run_due).result(10)  # it is the other's: nothing to do
    assert Notification.objects.count() == 1
    schedule.run_due()
    assert Notification.objects.count() == 1


def test_a_change_waits_for_the_run_that_is_under_way(
    beside: Start[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be overwritten by the time of the next run, as the old table has it."""
    due_schedule()
    then = timezone.now() + timedelta(days=9)
    changing: list[Future[Any]] = []
    send = schedule._send

    def slowly(*args: Any) -> None:
        send(*args)
        changing.append(beside(lambda: Schedule.objects.update(next_at=then)))
        until_it_waits(changing[0])

    monkeypatch.setattr(schedule, "_send", slowly)
    schedule.run_due()
    assert changing[0].result(10) == 1
    assert Schedule.objects.get().next_at == then
    assert Notification.objects.count() == 1


# --- A table that is locked ----------------------------------------------------------------------


def test_who_waits_too_long_for_a_lock_is_told_to_come_again(
    beside: Start[Any], api: APIClient
) -> None:
    def submit() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            body = {"to": {"email": "ada@example.org"}, "content": {"subject": "Hi", "text": "Hi"}}
            return api.post("/api/v1/notifications", body, format="json")
        finally:
            connection.close()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE notifications_work IN ACCESS EXCLUSIVE MODE")
        answer = beside(submit).result(30)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert not Notification.objects.exists()


# --- Dead letters --------------------------------------------------------------------------------


def dead_letter() -> DeadLetter:
    (delivery,) = chunk(1)
    Delivery.objects.update(state=State.DEAD)
    Work.objects.all().delete()
    return DeadLetter.objects.create(delivery=delivery, reason="it was tried")


def edited(letter: DeadLetter) -> None:
    changes = {"to": "somebody@example.org", "data": {"name": "Somebody"}}
    replay.edit(DeadLetter.objects.all(), letter.id, changes)


def test_who_edits_what_is_just_erased_is_refused(beside: Start[Any]) -> None:
    letter = dead_letter()
    with transaction.atomic():
        erase.content_and_addresses([letter.delivery.notification_id])
        editing = beside(lambda: edited(letter))
        until_it_waits(editing)
    with pytest.raises(ContentErased):
        editing.result(10)
    letter.refresh_from_db()
    assert (letter.address, letter.data) == ("", None)


def test_what_is_just_edited_is_erased_too(beside: Start[Any]) -> None:
    letter = dead_letter()
    with transaction.atomic():
        edited(letter)
        erasing = beside(
            lambda: transaction.atomic(erase.content_and_addresses)(
                [letter.delivery.notification_id]
            )
        )
        until_it_waits(erasing)
    erasing.result(10)
    letter.refresh_from_db()
    assert (letter.address, letter.data) == ("", None)


# --- Webhook endpoints ---------------------------------------------------------------------------


def test_an_endpoint_is_deleted_while_a_call_of_it_is_written_down(beside: Start[Any]) -> None:
    row = WebhookEndpoint.objects.create(client=ApiClientFactory.create(), url="https://a.example/")
    endpoints.test(row)
    (call,) = webhooks_out.claim({})
    with transaction.atomic():
        webhooks_out.record([webhooks_out.Result(call, egress.Answer(204, 0.1))])
        deleting = beside(lambda: endpoints.delete(row))
        until_it_waits(deleting)
    deleting.result(10)
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookAttempt.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/test", None),
        ("post", "/rotate-secret", None),
        ("patch", "", {"description": "late"}),
        ("patch", "", {"is_active": True}),
    ],
)
def test_what_is_asked_of_an_endpoint_that_is_just_deleted_finds_nothing(
    beside: Start[Any], agent: ApiClient, api: APIClient, method: str, path: str, body: Any
) -> None:
    row = WebhookEndpoint.objects.create(client=agent, url="https://a.example/")
    url = f"/api/v1/webhook-endpoints/{row.id}{path}"
    with transaction.atomic():
        endpoints.delete(row)
        asking = beside(lambda: getattr(api, method)(url, body, format="json"))
        until_it_waits(asking)
    assert asking.result(10).status_code == 404


def test_staff_who_ask_for_its_new_secret_are_told_that_an_endpoint_is_gone(
    beside: Start[Any], admin_client: Client
) -> None:
    row = WebhookEndpoint.objects.create(url="https://a.example/")
    listed = "/admin/tracking/webhookendpoint/"
    url = f"{listed}{row.id}/rotate/"
    with transaction.atomic():
        endpoints.delete(row)
        asking = beside(lambda: admin_client.post(url, follow=True))
        until_it_waits(asking)
    page = asking.result(30)
    assert page.redirect_chain == [(listed, 302)]
    assert "The endpoint has just been deleted." in page.content.decode()


def test_a_form_changes_an_endpoint_as_it_is_by_then(
    beside: Start[Any], admin_client: Client
) -> None:
    row = WebhookEndpoint.objects.create(url="https://hooks.example.org/", is_active=True)
    own = reverse("admin:tracking_webhookendpoint_change", args=[row.id])
    form = {"url": row.url, "description": "Pager", "is_active": "on"}
    with transaction.atomic():
        endpoints.rotate(row)
        changing = beside(lambda: admin_client.post(own, form))
        until_it_waits(changing)
    assert changing.result(10).status_code == 302
    row.refresh_from_db()
    assert (row.description, row.secret_number) == ("Pager", 2)


def test_a_form_does_not_bring_a_deleted_endpoint_back(
    beside: Start[Any], admin_client: Client
) -> None:
    row = WebhookEndpoint.objects.create(url="https://hooks.example.org/", is_active=True)
    own = reverse("admin:tracking_webhookendpoint_change", args=[row.id])
    form = {"url": row.url, "description": "Pager", "is_active": "on"}
    with transaction.atomic():
        endpoints.delete(row)
        changing = beside(lambda: admin_client.post(own, form, follow=True))
        until_it_waits(changing)
    assert "Perhaps it was deleted?" in html.unescape(changing.result(10).content.decode())
    assert not WebhookEndpoint.objects.exists()


# --- Announcements -------------------------------------------------------------------------------


def read_it(row: Announcement) -> None:
    inbox.change_some("ada", [row.id], inbox.read)


def read_all(_row: Announcement) -> None:
    inbox.change_all("ada", inbox_feed.Filter.UNREAD, inbox.read)


def give_it(row: Announcement) -> None:
    announcements._give(row, list(Recipient.objects.values_list("id", flat=True)))


@pytest.mark.parametrize("act", [read_it, read_all, give_it])
def test_nobody_gets_an_item_of_what_ends_just_now(
    beside: Start[Any], act: Callable[[Announcement], None]
) -> None:
    Recipient.objects.create(user_id="ada")
    row = announce()
    if act is not give_it:
        announcements.tend()
    with transaction.atomic():
        announcements.end(row)
        late = beside(lambda: act(row))
        until_it_waits(late)
    with suppress(NotFound):
        late.result(10)
    assert not InboxItem.objects.exists()


# --- Rehearsals ----------------------------------------------------------------------------------


def test_of_two_scripts_at_once_one_is_left(beside: Start[Any]) -> None:
    with transaction.atomic():
        rehearsal.replace([{"percent": 10}], by="ada")
        late = beside(lambda: rehearsal.replace([{"percent": 20}], by="bob"))
        until_it_waits(late)
    late.result(10)
    assert [rule.percent for rule in rehearsal.script()] == [20]
