"""A batch's pace when its worker is late: the help text says messages a second, at most."""

from __future__ import annotations

import time

import pytest
from rest_framework.test import APIClient

from notifications.models import Batch, SimulatedMessage, Work
from notifications.services import batches
from notifications.types import Lane
from tests.engine import drain, make_everything_due

pytestmark = pytest.mark.django_db


def send(api: APIClient, count: int, pace: float) -> None:
    body = {
        "content": {"subject": "News", "text": "Hello."},
        "rows": [{"to": {"email": f"p{n}@example.com"}} for n in range(count)],
        "pace": pace,
    }
    assert api.post("/api/v1/batches", body, format="json").status_code == 202


@pytest.mark.parametrize("overdue", [8, 80])
def test_what_is_overdue_goes_out_by_two_seconds_worth(api: APIClient, overdue: int) -> None:
    """All of it is due, as after an hour without workers; there is leave for some of it."""
    send(api, overdue, pace=2)
    make_everything_due()
    began = time.monotonic()
    drain(Lane.BULK)
    make_everything_due()
    drain(Lane.BULK)  # none before its time
    sent = SimulatedMessage.objects.count()
    assert 4 <= sent <= 4 + 2 * (time.monotonic() - began)
    assert sum(Work.objects.values_list("size", flat=True)) == overdue - sent


def test_a_short_pause_does_not_make_it_slower(api: APIClient) -> None:
    """What waits for its turn has it at the same time as before, however often it is paused."""
    send(api, 6, pace=2)
    batch = Batch.objects.get()
    for _ in range(2):
        batches.act(batch, Batch.Action.PAUSE)
        batches.act(batch, Batch.Action.RESUME)
    due = sorted(Work.objects.values_list("due_at", flat=True))
    assert [round((each - due[0]).total_seconds()) for each in due] == [0, 1, 2]


def test_who_is_late_sends_two_seconds_worth_and_no_more(api: APIClient) -> None:
    send(api, 8, pace=2)
    make_everything_due()
    drain(Lane.BULK)
    assert SimulatedMessage.objects.count() == 4
