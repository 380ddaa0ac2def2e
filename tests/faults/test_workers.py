"""Worker processes, really started and really killed, against providers at the wire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery
from notifications.services import audit, submit
from notifications.services.asked import Submission, Target
from notifications.states import State
from notifications.types import Channel
from tests.fakes.behaviours import Hang
from tests.fakes.sendgrid import SendGridServer
from tests.faults.nursery import Nursery
from tests.processes import eventually, running

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "SG.fake"


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with SendGridServer(api_key=KEY) as server:
        yield server


def env(sendgrid: SendGridServer, **changes: str) -> dict[str, str]:
    return {
        "SENDGRID_API_KEY": KEY,
        "SENDGRID_API_URL": sendgrid.api_url,
        "SENDGRID_LIMIT": "none",
        "DJANGO_SETTINGS_MODULE": "tests.impatient_settings",
        **changes,
    }


def accept(count: int, *, one_by_one: bool = False) -> None:
    client, _ = ApiClient.objects.get_or_create(name="billing")
    asked = [
        Submission(
            to=Target(addresses={Channel.EMAIL: f"user-{number}@example.org"}),
            content={"subject": "Hello", "text": "It works."},
        )
        for number in range(count)
    ]
    for chunk in [[one] for one in asked] if one_by_one else [asked]:
        with transaction.atomic():
            submit.accept(client, chunk)


def all_sent() -> bool:
    return not Delivery.objects.exclude(state=State.SENT).exists()


def test_the_doorbell_starts_a_delivery_long_before_the_poll(
    sendgrid: SendGridServer, tmp_path: Path
) -> None:
    with Nursery(tmp_path, **env(sendgrid, POLL_SECONDS="60")) as nursery:
        nursery.start("worker")
        accept(1)
        eventually(all_sent)  # the worker has started and looked once
        time.sleep(1)
        started = time.monotonic()
        accept(1)
        eventually(all_sent, 5)
        assert time.monotonic() - started < 3


def test_without_a_broker_the_poll_finds_the_work(sendgrid: SendGridServer, tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:9/0"
    with Nursery(tmp_path, **env(sendgrid, REDIS_URL=nowhere)) as nursery:
        nursery.start("worker")
        accept(1)
        eventually(all_sent)
        started = time.monotonic()
        accept(1)
        eventually(all_sent, 5)
        assert time.monotonic() - started < 4


def test_a_stopped_worker_leaves_nothing_open(sendgrid: SendGridServer, tmp_path: Path) -> None:
    accept(60)
    with running("worker", log=tmp_path / "log", **env(sendgrid)) as worker:
        eventually(lambda: len(sendgrid.messages) > 5)
        assert worker.stop() == 0

    assert not Attempt.objects.filter(state=Attempt.State.CALLING).exists()
    assert len(sendgrid.messages) == Delivery.objects.filter(state=State.SENT).count()
    assert list(audit.findings()) == []


def test_a_stop_does_not_wait_for_calls_that_hang(sendgrid: SendGridServer, tmp_path: Path) -> None:
    sendgrid.script.always(Hang())
    with running("worker", log=tmp_path / "log", **env(sendgrid)) as worker:
        accept(1)
        sendgrid.ledger.wait_for(1, timeout=20)
        started = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - started < 9  # six seconds for the window, then it leaves

    sendgrid.script.reset()
    with running("worker", log=tmp_path / "log", **env(sendgrid)):
        eventually(all_sent, 30)
    assert Attempt.objects.get(number=1).state == Attempt.State.UNKNOWN
    assert list(audit.findings()) == []
