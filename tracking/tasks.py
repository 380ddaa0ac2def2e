"""Dramatiq's part: the actors that have stored webhooks applied, and providers asked."""

from __future__ import annotations

import dramatiq
from django.db import close_old_connections

from commsproject.common import doorbell
from tracking import queue
from tracking.services import ingest as service
from tracking.services import silence


@dramatiq.actor(broker=doorbell.broker(), queue_name=queue.BELL)
def ingest() -> None:
    """Apply what waits."""
    doorbell.answer(queue.BELL)
    close_old_connections()
    try:
        service.run()
    finally:
        close_old_connections()


@dramatiq.actor(broker=doorbell.broker(), queue_name=queue.ANSWERS)
def look_up() -> None:
    """Ask about messages that nothing was heard of."""
    doorbell.answer(queue.ANSWERS)
    close_old_connections()
    try:
        silence.ask()
    finally:
        close_old_connections()
