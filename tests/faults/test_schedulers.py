"""Scheduler processes, really started and really killed: each run of a schedule is sent once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from notifications.models import Notification, Schedule
from notifications.services import schedule
from tests.factories import ApiClientFactory
from tests.faults.nursery import Infant, Nursery
from tests.faults.world import PATIENCE, has_started
from tests.processes import SCRAPER, eventually, free_port, scraped

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 150


def make(count: int = COUNT) -> None:
    client = ApiClientFactory.create()
    half_a_day_from_now = f"0 {(schedule._now().hour + 12) % 24} * * *"
    Schedule.objects.bulk_create(
        Schedule(
            client=client,
            name=f"n{number}",
            cron=half_a_day_from_now,
            kind=Schedule.Kind.NOTIFICATION,
            request={
                "to": {"email": f"user-{number}@simulator.test"},
                "content": {"subject": "Hello", "text": "It works."},
                "priority": "normal",
            },
        )
        for number in range(count)
    )


def make_all_due() -> None:
    make_due(COUNT)


def make_due(count: int) -> None:
    some = Schedule.objects.order_by("id").values_list("id", flat=True)[:count]
    Schedule.objects.filter(id__in=list(some)).update(next_at=Now() - timedelta(seconds=1))


def sent() -> int:
    keys = list(Notification.objects.values_list("idempotency_key", flat=True))
    assert len(keys) == len(set(keys))
    return len(keys)


def leads(scheduler: Infant) -> bool:
    return has_started(scheduler.log, "scheduler leads")


def test_two_schedulers_and_the_death_of_the_one_that_leads(tmp_path: Path) -> None:
    make()
    port = free_port()
    with Nursery(tmp_path, METRICS_PORT=str(port), METRICS_TOKEN=SCRAPER) as nursery:
        leader = nursery.start("scheduler")
        eventually(lambda: leads(leader), PATIENCE)
        assert "process_open_fds" in scraped(port)
        other = nursery.start("scheduler")  # its port is taken: it works all the same
        make_all_due()
        eventually(lambda: sent() == COUNT, PATIENCE)
        make_all_due()
        eventually(lambda: sent() > COUNT, PATIENCE)
        leader.kill()  # with some of the runs done
        eventually(lambda: sent() == 2 * COUNT, PATIENCE)
        assert leads(other)
    assert not Schedule.objects.exclude(last_error=None).exists()


def test_two_schedulers_whose_clocks_disagree(tmp_path: Path) -> None:
    """G13: only the database's clock says what is due, whoever leads, and each run is sent once."""
    make()
    skewed = {"DJANGO_SETTINGS_MODULE": "tests.faults.skewed_settings"}
    logs = [tmp_path / "ahead", tmp_path / "behind"]
    for folder in logs:
        folder.mkdir()
    with (
        Nursery(logs[0], **skewed, CLOCK_SKEW="3600") as ahead,
        Nursery(logs[1], **skewed, CLOCK_SKEW="-3600") as behind,
    ):
        leader = ahead.start("scheduler")
        eventually(lambda: leads(leader), PATIENCE)
        other = behind.start("scheduler")
        Schedule.objects.update(next_at=Now() + timedelta(minutes=30))
        make_due(COUNT // 2)
        eventually(lambda: sent() >= COUNT // 2, PATIENCE)
        assert sent() == COUNT // 2  # the others are due by the leader's clock alone
        leader.kill()
        make_due(COUNT)
        eventually(lambda: sent() == COUNT + COUNT // 2, PATIENCE)
        assert leads(other)
    assert not Schedule.objects.exclude(last_error=None).exists()
