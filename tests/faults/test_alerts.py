"""A real scheduler, a target on the loopback: what is wrong is told in time, and that it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from commsproject.common.alerts import rules, targets
from commsproject.common.models import Alert, AlertRule, AlertTarget, ScheduledJob
from notifications.models import Work
from notifications.types import Lane
from tests.factories import WorkFactory
from tests.fakes.http import FakeHttpServer
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, has_started
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

IN_TIME = 15.0
"""Seconds from when a rule is true until somebody has heard of it: what is promised. The work is done
every five seconds, and each second what is to be told is.
"""


def told(sink: FakeHttpServer) -> list[str]:
    return [json.loads(request.body)["type"] for request in sink.accepted]


def test_it_is_told_in_time_and_once_in_its_cool_down(
    tmp_path: Path, settings: Any, request: pytest.FixtureRequest
) -> None:
    """The short form does not wait for the job's five seconds, and leaves out the cool-down."""
    is_full = request.config.getoption("full_faults")
    settings.WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    rules._make_defaults()
    AlertRule.objects.exclude(key="queue-urgent").update(enabled=False)
    sink = FakeHttpServer()
    sink.start()
    pager = AlertTarget(name="pager")
    targets.put(pager, f"{sink.url}/hook")
    pager.save()
    try:
        with Nursery(tmp_path, WEBHOOK_NETWORKS="127.0.0.0/8") as nursery:
            scheduler = nursery.start("scheduler")
            eventually(lambda: has_started(scheduler.log, "scheduler leads"), PATIENCE)
            _is_told(sink, "alert.raised", _nobody_works, hurry=not is_full)
            _is_told(sink, "alert.resolved", _all_is_done, hurry=not is_full)
            if is_full:
                _comes_and_goes()
    finally:
        sink.stop()
    assert told(sink) == ["alert.raised", "alert.resolved"]


def _comes_and_goes() -> None:
    _nobody_works()
    eventually(lambda: Alert.objects.count() == 2, PATIENCE)
    _all_is_done()
    eventually(lambda: not Alert.objects.filter(resolved_at=None).exists(), PATIENCE)


def _nobody_works() -> None:
    WorkFactory.create(lane=Lane.URGENT, due_at=timezone.now() - timedelta(seconds=16))


def _all_is_done() -> None:
    Work.objects.all().delete()


def _is_told(sink: FakeHttpServer, kind: str, act: Callable[[], None], *, hurry: bool) -> None:
    act()
    if hurry:
        ScheduledJob.objects.filter(name="alerts").update(next_run_at=timezone.now())
    began = time.monotonic()
    eventually(lambda: kind in told(sink), PATIENCE)
    assert hurry or time.monotonic() - began < IN_TIME
