"""What is too old goes, first what messages say; what is left adds up at any time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from commsproject.common import clock
from commsproject.common.ids import floor, new_id
from commsproject.common.models import Alert, ApiClient, IdempotencyKey, PersonalDataJob
from commsproject.common.personal_data import registry, retention
from notifications.models import (
    Batch,
    BatchRejection,
    Category,
    ContentHold,
    DeadLetter,
    Delivery,
    Event,
    FallbackStep,
    Notification,
    SimulatedMessage,
    Work,
)
from notifications.providers import mailgun, resend, sendgrid
from notifications.providers.common import signed_at, sns
from notifications.services import audit, replay
from notifications.services import retention as service
from notifications.services.counts import move
from notifications.states import State
from tests.factories import (
    ApiClientFactory,
    AttemptFactory,
    CategoryFactory,
    DeliveryFactory,
    NotificationFactory,
    WorkFactory,
)
from tracking.models import Bounce, InboundMessage, WebhookReceipt

pytestmark = pytest.mark.django_db
SAID = {"email": {"subject": "Hello {{ name }}", "text": "It works, {{ name }}."}}


def made(days: float) -> UUID:
    """A key of so many days ago."""
    return UUID(int=floor(timezone.now() - timedelta(days=days)).int | new_id().int & (1 << 64) - 1)


def message(days: float, state: State = State.SENT, **fields: Any) -> Delivery:
    """One that is so old, in this state, with all that may hang on it."""
    delivery = DeliveryFactory.create(
        id=made(days),
        notification=NotificationFactory.create(
            id=made(days), content=SAID, data={"name": "Ada"}, metadata={"a": "b"}, **fields
        ),
        address=f"ada.{new_id().hex}@simulator.test",
        state=state,
        reason="550 <ada@x.test> unknown",
        provider="simulator",
        attempts_made=1,
    )
    attempt = AttemptFactory.create(delivery=delivery, detail="250 ok ada@x.test")
    SimulatedMessage.objects.create(
        attempt_id=attempt.id, channel="email", address=delivery.address, parts={"text": "Ada"}
    )
    Event.objects.create(delivery=delivery, type="delivered", at=timezone.now(), detail="to Ada")
    return delivery


def kept(delivery: Delivery) -> str:
    """What is still known: its content, where it went, that it was."""
    row = Notification.objects.filter(id=delivery.notification_id).first()
    if row is None:
        return ""
    delivery.refresh_from_db()
    found = [
        ("content", bool(row.content or row.data or row.metadata)),
        ("rendered", SimulatedMessage.objects.filter(address=delivery.address).exists()),
        ("address", bool(delivery.address)),
        ("words", Event.objects.filter(delivery=delivery, detail="to Ada").exists()),
        ("row", True),
    ]
    return " ".join(name for name, there in found if there)


ALL = "content rendered address words row"


def run(now: datetime | None = None) -> dict[tuple[str, str], int]:
    gone: dict[tuple[str, str], int] = {}
    while some := retention.run(60, now):
        gone |= some
    return gone


def test_each_category_keeps_content_for_its_days_and_rows_are_kept_for_statistics() -> None:
    month = CategoryFactory.create(content_days=30)
    year = CategoryFactory.create(content_days=365)
    expected = {
        (None, 89): ALL,
        (None, 91): "row",
        (month, 29): ALL,
        (month, 31): "row",
        (year, 364): ALL,
        (year, 366): "row",
        (year, 401): "",
        (None, 500): "",
    }
    rows = {
        key: message(days, category=category)
        for key, (category, days) in zip(expected, expected, strict=True)
    }
    DeadLetter.objects.create(delivery=rows[None, 500], reason="given up")
    FallbackStep.objects.create(
        delivery=rows[None, 500],
        notification=rows[None, 500].notification,
        number=1,
        unless="read",
        due_at=timezone.now(),
        work_id=new_id(),
    )
    told = StringIO()
    call_command("retention", "--dry-run", stdout=told)
    assert {key: kept(row) for key, row in rows.items()} == dict.fromkeys(expected, ALL)
    lines = [line.split(None, 2) for line in told.getvalue().splitlines()]
    by_table = {(what, why): int(rows) for rows, what, why in lines}
    assert (
        by_table[
            "notifications_notification:", "older than STATISTICS_DAYS, with all that hangs on it"
        ]
        == 2
    )
    assert (
        by_table["notifications_notification:", "what it said is older than its category keeps it"]
        == 5
    )
    call_command("retention", stdout=told)
    assert {key: kept(row) for key, row in rows.items()} == expected
    assert Delivery.objects.exclude(address_hash="").count() == 6
    assert list(audit.findings()) == []
    assert run() == {}

    # A category that keeps less from now on begins anew; one that keeps more gets nothing back.
    Category.objects.filter(id=year.id).update(content_days=100)
    Category.objects.filter(id=month.id).update(content_days=300)
    run()
    assert kept(rows[year, 364]) == kept(rows[month, 31]) == "row"
    assert kept(rows[month, 29]) == ALL


def test_sensitive_content_goes_once_it_has_arrived_and_nothing_goes_before() -> None:
    code = CategoryFactory.create(is_sensitive=True)
    arrived = message(0.01, category=code)
    fresh = message(0, category=code)
    waiting = message(0.01, State.QUEUED, category=code)
    work = WorkFactory.create(deliveries=[waiting], client=waiting.notification.client)
    planned = message(120, State.SCHEDULED)
    later = WorkFactory.create(deliveries=[planned], client=planned.notification.client)
    run()
    assert kept(arrived) == "address words row"
    assert kept(fresh) == kept(waiting) == kept(planned) == ALL
    assert ContentHold.objects.count() == 2
    Delivery.objects.filter(id__in=[waiting.id, planned.id]).update(state=State.SENT)
    Work.objects.filter(id__in=[work.id, later.id]).delete()
    run()
    assert kept(waiting) == "address words row"
    assert kept(planned) == "row"
    assert not ContentHold.objects.exists()
    run(timezone.now() + timedelta(minutes=5))
    assert kept(fresh) == "address words row"
    assert list(audit.findings()) == []


def test_a_slow_clock_keeps_no_sensitive_content() -> None:
    """A host that is half an hour behind makes keys that the erasing has passed already."""
    code = CategoryFactory.create(is_sensitive=True)
    before = message(0.01, category=code)
    run()
    late = message(0.5 / 24, category=code)
    waiting = message(0.5 / 24, State.QUEUED, category=code)
    work = WorkFactory.create(deliveries=[waiting], client=waiting.notification.client)
    erased_at = Notification.objects.get(id=before.notification_id).erased_at
    run()
    assert kept(late) == ALL
    run(timezone.now() + clock.SKEW)
    assert kept(before) == kept(late) == "address words row"
    assert Notification.objects.get(id=before.notification_id).erased_at == erased_at
    assert kept(waiting) == ALL
    Delivery.objects.filter(id=waiting.id).update(state=State.SENT)
    work.delete()
    run()
    assert kept(waiting) == "address words row"


def test_it_goes_by_the_databases_clock(api: APIClient) -> None:
    code = CategoryFactory.create(is_sensitive=True)
    fresh = message(0, category=code)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)):
        run()
    assert kept(fresh) == ALL
    with time_machine.travel(datetime.now(UTC) + timedelta(days=300)):
        run()
    assert kept(fresh) == ALL


def test_idempotency_keys_are_kept_for_a_week(agent: ApiClient) -> None:
    for days in (6.9, 7.1, 30):
        IdempotencyKey.objects.create(id=made(days), client=agent, key=f"k-{days}", fingerprint=b"")
    run()
    assert [row.key for row in IdempotencyKey.objects.all()] == ["k-6.9"]


def test_what_was_erased_is_not_sent_again(api: APIClient, agent: ApiClient) -> None:
    dead = message(91, State.DEAD, client=agent)
    letter = DeadLetter.objects.create(delivery=dead, reason="given up", data={"name": "Eve"})
    run()
    letter.refresh_from_db()
    assert letter.data is None
    answer = api.post(f"/api/v1/dead-letters/{letter.id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "content_erased")
    assert not replay.replayable(DeadLetter.objects.all()).exists()
    Delivery.objects.filter(id=dead.id).update(state=State.UNCONFIRMED)
    assert replay.resend(Delivery.objects.all(), by="staff") == 0


def test_batches_go_with_their_messages_and_add_up_meanwhile(monkeypatch: Any) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 2)
    rows = {}
    for days in (10, 95, 410):
        ended = timezone.now() - timedelta(days=days)
        batch = Batch.objects.create(
            id=made(days + 1),
            client=ApiClientFactory.create(),
            state=Batch.State.DONE,
            content=SAID,
            data={"name": "all"},
            created_at=ended,
            finished_at=ended,
        )
        BatchRejection.objects.create(id=made(days), batch=batch, row=9, reference="Ada", errors=[])
        for _ in range(5):
            message(days, batch=batch, client=batch.client)
        move([(batch.id, "", State.SENT.value)] * 5)
        rows[days] = batch
    for purge in registry.purges():
        step = purge.step(timezone.now())  # one of many
        assert step.rows <= 5
        assert list(audit.findings()) == []
    run()
    assert list(audit.findings()) == []
    left = {row.id: row for row in Batch.objects.all()}
    assert set(left) == {rows[10].id, rows[95].id}
    assert left[rows[10].id].content == SAID
    assert (left[rows[95].id].content, left[rows[95].id].data) == (None, None)
    assert [row.batch_id for row in BatchRejection.objects.all()] == [rows[10].id]
    assert Notification.objects.count() == 10


def test_logs_and_what_came_in_go_too() -> None:
    now = timezone.now()
    for days in (5, 35, 95, 410):
        key = made(days)
        WebhookReceipt.objects.create(id=key, provider="ses", dedupe=key.hex, body=b"{}")
        SimulatedMessage.objects.create(id=key, channel="email", address="a@b.test", parts={})
        InboundMessage.objects.create(
            id=key, provider="ses", dedupe=key.hex, channel="email", sender="a@b.test", at=now
        )
        Bounce.objects.create(
            id=key, delivery_id=key, event_id=key, channel="email", kind="hard", at=now
        )
        Alert.objects.create(id=key, key=key.hex, severity="warning", title="x", resolved_at=now)
        PersonalDataJob.objects.create(
            id=key,
            kind="export",
            subject=key.hex,
            state="done",
            user_id="u",
            expires_at=now - timedelta(days=days - 7),
        )
        PersonalDataJob.objects.create(
            kind="erasure", subject=key.hex, state="done", finished_at=now - timedelta(days=days)
        )
    run()
    counts = [
        model.objects.count()
        for model in (WebhookReceipt, SimulatedMessage, InboundMessage, Bounce, Alert)
    ]
    assert counts == [1, 1, 2, 2, 3]
    assert PersonalDataJob.objects.filter(kind="export").count() == 1
    assert PersonalDataJob.objects.filter(kind="erasure").count() == 3


def test_a_signature_is_known_for_as_long_as_it_is_taken(settings: Any) -> None:
    """Who keeps no logs keeps that a webhook came: it must not come again with another body."""
    settings.LOG_DAYS = 0
    taken = max(mailgun.MAX_AGE, sendgrid.MAX_AGE, resend.MAX_AGE, sns.MAX_AGE.total_seconds())
    hours = (taken + 2 * signed_at.CLOCK_SKEW) / 3600
    for age in (0, hours, 30):
        key = made(age / 24)
        WebhookReceipt.objects.create(id=key, provider="mailgun", dedupe=key.hex, body=b"{}")
    run()
    assert WebhookReceipt.objects.count() == 2


def test_two_do_not_erase_at_once_and_time_is_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr(service, "_alone", lambda: False)
    old = message(91)
    run()
    assert kept(old) == ALL
    monkeypatch.undo()
    assert retention.run(0) == {}
    assert kept(old) == ALL
