"""The doorbell of the ingest."""

from __future__ import annotations

from commsproject.common import doorbell

BELL = "ingest"


def ring() -> None:
    """Tell a worker that webhooks wait. Best effort: the scheduler looks every second."""
    from tracking import tasks  # the one import upwards: tasks call services, webhooks ring

    doorbell.ring(BELL, tasks.ingest.send)
