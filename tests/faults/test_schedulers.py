"""Scheduler processes, really started and really killed: each run of a schedule is sent once."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from notifications.models import Notification, Schedule
from notifications.services import schedule
from tests.factories import ApiClientFactory
from tests.faults.world import PATIENCE
from tests.processes import eventually, running

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 150


def make() -> None:
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
        for number in range(COUNT)
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


def leads(log: Path) -> bool:
    return "scheduler leads" in log.read_text()


def test_two_schedulers_and_the_death_of_the_one_that_leads(tmp_path: Path) -> None:
    make()
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    with ExitStack() as stack:
        leader = stack.enter_context(running("scheduler", log=first))
        eventually(lambda: leads(first), PATIENCE)
        stack.enter_context(running("scheduler", log=second))
        make_all_due()
        eventually(lambda: sent() == COUNT, PATIENCE)
        make_all_due()
        eventually(lambda: sent() > COUNT, PATIENCE)
        leader.kill()  # with some of the runs done
        eventually(lambda: sent() == 2 * COUNT, PATIENCE)
        assert leads(second)
    assert not Schedule.objects.exclude(last_error=None).exists()


def test_two_schedulers_whose_clocks_disagree(tmp_path: Path) -> None:
    """G13: only the database's clock says what is due, whoever leads, and each run is sent once."""
    make()
    ahead, behind = tmp_path / "ahead.log", tmp_path / "behind.log"
    skewed = "tests.faults.skewed_settings"
    with ExitStack() as stack:
        leader = stack.enter_context(
            running("scheduler", log=ahead, DJANGO_SETTINGS_MODULE=skewed, CLOCK_SKEW="3600")
        )
        eventually(lambda: leads(ahead), PATIENCE)
        stack.enter_context(
            running("scheduler", log=behind, DJANGO_SETTINGS_MODULE=skewed, CLOCK_SKEW="-3600")
        )
        Schedule.objects.update(next_at=Now() + timedelta(minutes=30))
        make_due(COUNT // 2)
        eventually(lambda: sent() >= COUNT // 2, PATIENCE)
        assert sent() == COUNT // 2  # the others are due by the leader's clock alone
        leader.kill()
        make_due(COUNT)
        eventually(lambda: sent() == COUNT + COUNT // 2, PATIENCE)
        assert leads(behind)
    assert not Schedule.objects.exclude(last_error=None).exists()
