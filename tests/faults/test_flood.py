"""A bulk flood of one agent, while others have something urgent to say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from commsproject.common.models import ApiClient
from notifications.models import Batch, Delivery
from notifications.services import batches, bulk
from notifications.services.asked import Row, Target
from notifications.services.bulk import BatchRequest
from notifications.types import Channel, Lane
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.conftest import Size
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, accept, env, has_started, is_quiet, percentile, tell
from tests.processes import eventually

URGENT_IN, NORMAL_IN = 2.0, 3.0
"""Seconds. What takes longer was not slow, it had to wait for the flood."""


class Flood:
    """The rows of an upload."""

    def __init__(self, count: int) -> None:
        self._count = count

    def rows(self) -> Iterator[Row]:
        for number in range(1, self._count + 1):
            address = f"reader-{number}@flood.example.org"
            yield Row(Target(addresses={Channel.EMAIL: address}), {"name": str(number)}, "", number)

    def digest(self) -> bytes:
        return b""


def pour(count: int) -> Batch:
    """A batch whose messages need a call each: its text depends on the row."""
    text = "{% if name %}Hello {{ name }}.{% endif %}"
    request = BatchRequest(content={"subject": "News", "text": text}, data={}, priority=Lane.BULK)
    batch, _ = bulk.receive(ApiClient.objects.create(name="news"), request, Flood(count))
    return batch


def test_flood(
    moves: None,
    sendgrid: SendGridServer,
    tmp_path: Path,
    size: Size,
    within: Callable[[float], float],
) -> None:
    """G10: codes and orders of other agents pass the flood."""
    posted: dict[str, float] = {}
    with Nursery(tmp_path, **env(sendgrid)) as nursery:
        workers = [
            nursery.start("worker", "--lane", "urgent"),
            nursery.start("worker", "--lane", "normal", "--lane", "bulk"),
        ]
        eventually(lambda: all(has_started(worker.log) for worker in workers), PATIENCE)
        batch = pour(int(size["bulk"]))
        eventually(lambda: len(sendgrid.messages) > 0, PATIENCE)
        poured = len(sendgrid.messages)
        for number in range(int(size["urgent"])):
            for first, agent, lane in ((0, "codes", Lane.URGENT), (10**6, "orders", Lane.NORMAL)):
                posted[f"user-{first + number}@example.org"] = time.monotonic()
                accept(1, first=first + number, agent=agent, lane=lane)
            time.sleep(0.03)
        eventually(lambda: posted.keys() <= _seen(sendgrid).keys(), PATIENCE)
        beside = len(sendgrid.messages) - poured - len(posted)
        batches.act(batch, Batch.Action.CANCEL)  # what has not gone by now
        eventually(is_quiet, PATIENCE)
        batches.tend()

    seen = _seen(sendgrid)
    took = {address: seen[address] - at for address, at in posted.items()}
    urgent = [seconds for address, seconds in took.items() if int(address[5:-12]) < 10**6]
    normal = [seconds for address, seconds in took.items() if int(address[5:-12]) >= 10**6]
    tell(f"urgent beside {beside} of a flood", urgent)
    tell(f"normal beside {beside} of a flood", normal)
    assert beside > 100
    assert percentile(urgent, 0.99) < within(URGENT_IN)
    assert percentile(normal, 0.99) < within(NORMAL_IN)
    assert Delivery.objects.count() == size["bulk"] + len(posted)
    invariants.check(sendgrid.messages)


def _seen(sendgrid: SendGridServer) -> dict[str, float]:
    """When the provider got each of the messages that are not of the flood."""
    return {
        mail.recipient: mail.at
        for mail in sendgrid.messages
        if not mail.recipient.endswith("@flood.example.org")
    }
