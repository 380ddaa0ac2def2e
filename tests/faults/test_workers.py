"""Worker processes, really started and really killed, against providers at the wire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from notifications.models import Attempt, Delivery
from notifications.services import audit
from notifications.states import State
from notifications.types import Lane
from tests.fakes.behaviours import Hang
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.smtp import SmtpServer
from tests.fakes.smtp_behaviours import Take
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, accept, env
from tests.processes import SCRAPER, eventually, free_port, running, scraped

pytestmark = pytest.mark.django_db(transaction=True)


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
        accept(1)
        eventually(all_sent, 40)


def test_without_a_broker_the_poll_finds_the_work(sendgrid: SendGridServer, tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:9/0"
    with Nursery(tmp_path, **env(sendgrid, REDIS_URL=nowhere)) as nursery:
        nursery.start("worker")
        for _ in range(2):
            accept(1)
            eventually(all_sent, PATIENCE)


def test_a_stopped_worker_leaves_nothing_open(sendgrid: SendGridServer, tmp_path: Path) -> None:
    accept(60)
    port = free_port()
    told = {"METRICS_PORT": str(port), "METRICS_TOKEN": SCRAPER}
    with running("worker", log=tmp_path / "log", **env(sendgrid), **told) as worker:
        eventually(lambda: len(sendgrid.messages) > 5)
        assert "comms_provider_call_seconds_count" in scraped(port)
        assert worker.stop() == 0

    assert not Attempt.objects.filter(state=Attempt.State.CALLING).exists()
    assert len(sendgrid.messages) == Delivery.objects.filter(state=State.SENT).count()
    assert list(audit.findings()) == []


def test_a_stop_does_not_wait_for_calls_that_hang(sendgrid: SendGridServer, tmp_path: Path) -> None:
    sendgrid.script.always(Hang())
    waits = {"DJANGO_SETTINGS_MODULE": "tests.faults.vendor_settings", "TIMES": "10"}
    patient = env(sendgrid, AWS_SMS_ENDPOINT_URL="", **waits)  # waits 100 s for an answer
    with running("worker", log=tmp_path / "log", **patient) as worker:
        accept(1)
        sendgrid.ledger.wait_for(1, timeout=PATIENCE)
        assert worker.stop(60) == 0  # six seconds for the window, then it leaves

    sendgrid.script.reset()
    with running("worker", log=tmp_path / "log", **env(sendgrid)):
        eventually(all_sent, PATIENCE)
    assert Attempt.objects.get(number=1).state == Attempt.State.UNKNOWN
    assert list(audit.findings()) == []


@pytest.mark.parametrize("seconds", [0.5, 100])
def test_a_stop_leaves_only_calls_that_were_made_unanswered(
    sendgrid: SendGridServer, tmp_path: Path, seconds: float
) -> None:
    """A mail server has sixteen connections for them: what waits for one is put back, whether those
    answer meanwhile or not.
    """
    with SmtpServer() as relay:
        by_mail = env(sendgrid, SENDGRID_API_KEY="", SMTP_URL=relay.url)
        relay.script.always(Take(delay=seconds))
        with running("worker", log=tmp_path / "log", **by_mail) as worker:
            accept(300, lane=Lane.BULK)
            relay.commands.wait_for(16, timeout=PATIENCE)
            assert worker.stop() == 0

        out = set(Attempt.objects.filter(state=Attempt.State.CALLING).values_list("id", flat=True))
        assert len(out) == (16 if seconds > 10 else 0)
        relay.script.reset()
        with running("worker", log=tmp_path / "log", **by_mail):
            eventually(lambda: Delivery.objects.filter(state=State.SENT).count() == 300 - len(out))
        unknown = Attempt.objects.filter(state=Attempt.State.UNKNOWN).values_list("id", flat=True)
        assert set(unknown) == out
    assert list(audit.findings()) == []
