"""Dramatiq's part: the actor that has stored webhooks applied."""

from __future__ import annotations

import dramatiq
from django.db import close_old_connections

from commsproject.common import doorbell
from tracking import queue
from tracking.services import ingest as service


@dramatiq.actor(broker=doorbell.broker(), queue_name=queue.BELL)
def ingest() -> None:
    """Apply what waits."""
    doorbell.answer(queue.BELL)
    close_old_connections()
    try:
        service.run()
    finally:
        close_old_connections()
