"""A batch with a pace, as the provider sees it over a longer time, and after pauses."""

from __future__ import annotations

import time
from pathlib import Path

from commsproject.common.models import ApiClient
from notifications.models import Batch, Delivery
from notifications.services import batches, bulk
from notifications.services.bulk import BatchRequest
from notifications.states import State
from notifications.types import Lane
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.test_broker import most_in
from tests.faults.test_flood import Flood
from tests.faults.vendors import calls
from tests.faults.world import PATIENCE, all_ended, env
from tests.processes import eventually

PACE = 20
"""Messages a second."""

PAUSES = 2


def test_pace(moves: None, sendgrid: SendGridServer, tmp_path: Path, size: Size) -> None:
    """Two workers keep to it: in no two seconds more than two seconds' worth, also not when the
    batch goes on after pauses in which much of it would have fallen due. In one second there may be
    as much, where a chunk is late and the next one is not (`limits._paced`).
    """
    content = {"subject": "News", "text": "{% if name %}Hello {{ name }}.{% endif %}"}
    request = BatchRequest(content=content, data={}, priority=Lane.NORMAL, pace=PACE)
    count = int(size["seconds"]) * PACE
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        nursery.start("worker")
        nursery.start("worker")
        batch, _ = bulk.receive(ApiClient.objects.create(name="news"), request, Flood(count))
        for part in range(1, PAUSES + 1):
            goal = count * part / (PAUSES + 2)
            eventually(lambda goal=goal: len(sendgrid.messages) >= goal, PATIENCE)  # type: ignore[misc]
            batches.act(batch, Batch.Action.PAUSE)
            time.sleep(size["pause"])
            batches.act(batch, Batch.Action.RESUME)
        eventually(all_ended, PATIENCE)

    times = [call.started_at.timestamp() for call in calls("sendgrid")]
    assert len(times) == len(sendgrid.messages) == count
    assert most_in(times, size["seen"]) <= 2 * PACE
    assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
    invariants.check(sendgrid.messages)
