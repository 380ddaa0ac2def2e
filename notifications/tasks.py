"""Dramatiq's part: the actor that wakes a lane's pump. It carries no work, only a lane's name."""

from __future__ import annotations

import dramatiq

from commsproject.common import doorbell
from notifications.services import pump
from notifications.types import Lane

broker = doorbell.broker()
for _lane in Lane:  # one queue a lane: a ring reaches only processes that serve the lane
    broker.declare_queue(_lane.value)


@dramatiq.actor(broker=broker, queue_name=Lane.NORMAL.value)
def deliver(lane: str) -> None:
    """Wake this process's pump of `lane`; where it runs already, it only looks once more."""
    pump.wake(Lane(lane))


def wake(lane: Lane) -> None:
    """One message to one process that serves `lane`; raises the broker's errors."""
    broker.enqueue(deliver.message(lane.value).copy(queue_name=lane.value))
