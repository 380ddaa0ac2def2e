"""Dramatiq's part: the actors that have stored webhooks applied, and providers asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dramatiq
import structlog
from django.db import InterfaceError, OperationalError, close_old_connections

from commsproject.common import doorbell
from tracking import queue
from tracking.services import ingest as service
from tracking.services import silence

log = structlog.get_logger(__name__)


@dramatiq.actor(broker=doorbell.broker(), queue_name=queue.BELL)
def ingest() -> None:
    """Apply what waits."""
    doorbell.answer(queue.BELL)
    with _database():
        service.run()


@dramatiq.actor(broker=doorbell.broker(), queue_name=queue.ANSWERS)
def look_up() -> None:
    """Ask about messages that nothing was heard of."""
    doorbell.answer(queue.ANSWERS)
    with _database():
        silence.ask()


@contextmanager
def _database() -> Iterator[None]:
    """Where it is away, the work stays in it: the scheduler looks every second."""
    close_old_connections()
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        log.warning("receipts wait for the database", error=type(error).__name__)
    finally:
        close_old_connections()
