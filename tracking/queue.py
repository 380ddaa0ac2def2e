"""The doorbells of the ingest and of look-ups."""

from __future__ import annotations

from commsproject.common import doorbell

BELL = "ingest"
ANSWERS = "look-ups"


def ring() -> None:
    """Tell a worker that webhooks wait. Best effort: the scheduler looks every second."""
    from tracking import tasks  # the one import upwards: tasks call services, webhooks ring

    doorbell.ring(BELL, tasks.ingest.send)


def ring_for_answers() -> None:
    """Have a worker ask providers about what they have not reported on."""
    from tracking import tasks

    doorbell.ring(ANSWERS, tasks.look_up.send)
