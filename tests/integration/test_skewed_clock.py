"""A worker, or a web process, whose clock is hours wrong: due times are by the database's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from rest_framework.test import APIClient

from notifications import queue
from notifications.models import Batch, Delivery, ProviderState, Work
from notifications.retry import HOLD_FOR, POLICIES
from notifications.services import batches
from notifications.states import State
from notifications.types import Lane
from tests.email_world import EmailWorld, email_world
from tests.engine import drain
from tests.factories import CategoryFactory
from tests.fakes.behaviours import Hang, Status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_wrong")]

SLACK = timedelta(seconds=1)
"""Between what the engine and what the test calls now."""


@pytest.fixture
def world() -> Iterator[EmailWorld]:
    """SendGrid alone."""
    with email_world() as world:
        ProviderState.objects.bulk_create(
            ProviderState(name=name, enabled=False) for name in ("ses", "smtp")
        )
        yield world


@pytest.fixture(params=[-5, 5], ids=["behind", "ahead"])
def _wrong(request: pytest.FixtureRequest, api: APIClient) -> Iterator[None]:
    """This process's clock; not the database's."""
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=request.param)):
        yield


def true_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def make_everything_due() -> None:
    Work.objects.update(due_at=true_now())


def post(api: APIClient, **fields: Any) -> None:
    message = {
        "to": {"email": "ada@example.org"},
        "content": {"subject": "Hello", "text": "It works."},
        **fields,
    }
    assert api.post("/api/v1/notifications", message, format="json").status_code == 202


def due_in(earliest: float, latest: float, since: datetime) -> bool:
    """Whether what is left is due so many seconds after `since`, give or take."""
    due, now = Work.objects.get().due_at, true_now()
    first, last = since + timedelta(seconds=earliest), now + timedelta(seconds=latest)
    return first - SLACK <= due <= last + SLACK


@pytest.mark.parametrize("lane", Lane)
def test_what_was_accepted_is_due_and_a_retry_has_its_time(
    api: APIClient, world: EmailWorld, lane: Lane
) -> None:
    world.sendgrid.script.always(Status(503))
    post(api, priority=lane.value)
    for _ in range(3):
        since = true_now()
        assert drain(lane) >= 1  # a delay may be next to nothing
        calls = len(world.sendgrid.ledger)
        assert due_in(0, POLICIES[lane].base * 2 ** (calls - 1), since)
        ProviderState.objects.update(failures=0, opened_until=None)
        make_everything_due()


def test_a_time_that_a_provider_names_in_seconds(api: APIClient, world: EmailWorld) -> None:
    world.sendgrid.script.always(Status(503, headers={"Retry-After": "45"}))
    post(api, priority="urgent")
    since = true_now()
    drain(Lane.URGENT)
    assert due_in(45, 45 + 6, since)


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_a_time_that_a_provider_names_as_a_date(
    api: APIClient, world: EmailWorld, header: str
) -> None:
    moment = true_now() + timedelta(seconds=45)
    is_date = header == "Retry-After"
    named = format_datetime(moment, usegmt=True) if is_date else str(int(moment.timestamp()))
    answered = format_datetime(true_now(), usegmt=True)
    world.sendgrid.script.always(Status(429, headers={header: named, "Date": answered}))
    post(api, priority="urgent")
    since = true_now()
    drain(Lane.URGENT)
    assert due_in(43, 45 + 6, since)


def test_the_wait_for_a_receipt(api: APIClient, world: EmailWorld, settings: Any) -> None:
    settings.UNKNOWN_WAIT = {"urgent": 5.0, "normal": 15.0, "bulk": 30.0}
    CategoryFactory.create(key="careful", on_unknown="hold")
    settings.PROVIDER_READ_TIMEOUT = 0.5
    world.sendgrid.script.always(Hang())
    post(api, category="careful")
    since = true_now()
    drain()
    assert Work.objects.get().kind == Work.Kind.RECONCILE
    assert due_in(15, 15, since)

    make_everything_due()
    drain()
    held = HOLD_FOR.total_seconds()
    assert due_in(held - 15, held, since)
    assert Delivery.objects.get().state == State.UNKNOWN


def test_the_time_at_which_a_breaker_may_close(api: APIClient, world: EmailWorld) -> None:
    post(api)
    until = true_now() + timedelta(seconds=40)
    ProviderState.objects.update_or_create(name="sendgrid", defaults={"opened_until": until})
    drain()
    assert Work.objects.get().due_at == until
    assert len(world.sendgrid.ledger) == 0
    ProviderState.objects.update(opened_until=true_now() - SLACK)
    make_everything_due()
    drain()
    assert Delivery.objects.get().state == State.SENT


def test_a_limit_and_a_pace(api: APIClient, world: EmailWorld, settings: Any) -> None:
    settings.PROVIDERS["sendgrid"]["LIMIT"] = {"COUNT": 1, "SECONDS": 30, "UNIT": "calls"}
    for _ in range(2):
        post(api)
    since = true_now()
    drain()
    assert len(world.sendgrid.ledger) == 1
    assert due_in(0, 2 * 30 * 1.2, since)


def test_what_a_pause_and_a_stop_put_back_is_due(api: APIClient, world: EmailWorld) -> None:
    rows = [{"to": {"email": f"p{n}@example.org"}} for n in range(3)]
    content = {"subject": "News", "text": "Hello."}
    body = {"content": content, "rows": rows, "priority": "normal", "pace": 1}
    assert api.post("/api/v1/batches", body, format="json").status_code == 202
    batch = Batch.objects.get()
    leases = queue.claim(Lane.NORMAL, 1)
    queue.give_back(leases)
    batches.act(batch, Batch.Action.PAUSE)
    make_everything_due()
    since = true_now()
    batches.act(batch, Batch.Action.RESUME)
    dues = sorted(Work.objects.values_list("due_at", flat=True))
    assert [round((due - since).total_seconds()) for due in dues] == [0, 1, 2]
