"""Hands the outbox on: first inside this installation, then to the broker.

Two stages, each a loop of its own, so that a broker that is away delays nobody inside. One process
at a time does a stage: the lock belongs to its transaction, so whoever comes next takes over as
soon as that is over, by a kill too. Rows are taken in the order of their numbers, which are given
while what changed is locked: events of one thing keep their order. There is no cursor: a row that
commits late is simply still there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.db.models import QuerySet

from commsproject.common.models import OutboxEvent
from commsproject.common.outbox import Consumer, Event, brokers, consumers

log = structlog.get_logger(__name__)

_HANDING = 0x636F6D6D73 + 2  # advisory locks: those of the scheduler and of migrating, plus one
_PUBLISHING = 0x636F6D6D73 + 3
LOOK_SECONDS = 0.2
AT_ONCE = 2000
"""Events of one transaction, about."""


def hand_over() -> int:
    """Stage one: what is new goes to the consumers of this installation. How many events."""
    with transaction.atomic():
        if not _is_ours(_HANDING):
            return 0
        rows = _some(OutboxEvent.objects.filter(is_handed=False))
        events = _events(rows)
        for name, consumer in consumers.items():
            _hand(name, consumer, rows)
        OutboxEvent.objects.filter(number__in=[row.number for row in rows]).update(is_handed=True)
    return len(events)


def publish(broker: brokers.Broker) -> int:
    """Stage two: what was handed over goes to the broker and is deleted. How many events.

    Raises `brokers.Refused`; nothing is deleted then. A kill between the two publishes them once
    more, with the same ids.
    """
    with transaction.atomic():
        if not _is_ours(_PUBLISHING):
            return 0
        rows = _some(OutboxEvent.objects.filter(is_handed=True))
        events = _events(rows)
        if events:
            broker.publish(events)
        OutboxEvent.objects.filter(number__in=[row.number for row in rows]).delete()
    return len(events)


def serve_hand_over(stopping: threading.Event) -> None:
    """Stage one, until `stopping`."""
    _serve(hand_over, stopping)


def serve_publish(stopping: threading.Event) -> None:
    """Stage two, until `stopping`."""
    with contextlib.closing(brokers.of(settings.EVENTS_URL)) as broker:
        _serve(lambda: publish(broker), stopping)


def _serve(work: Callable[[], int], stopping: threading.Event) -> None:
    while not stopping.is_set():
        pause = LOOK_SECONDS
        try:
            close_old_connections()
            if work():
                continue
        except (DatabaseError, InterfaceError, brokers.Refused) as error:
            log.warning("outbox waits", error=type(error).__name__, why=str(error.__cause__ or ""))
            pause = 1.0
        finally:
            close_old_connections()
        stopping.wait(pause)


def _is_ours(lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
        return bool(cursor.fetchone()[0])


def _some(rows: QuerySet[OutboxEvent]) -> list[OutboxEvent]:
    """The first of them, about `AT_ONCE` events together."""
    found: list[OutboxEvent] = []
    left = AT_ONCE
    for row in rows.order_by("number")[:AT_ONCE].iterator(chunk_size=100):
        found.append(row)
        left -= len(row.items)
        if left <= 0:
            break
    return found


def _events(rows: Sequence[OutboxEvent]) -> list[Event]:
    return [
        Event(f"{row.id}.{place}", row.type, row.at, item)
        for row in rows
        for place, item in enumerate(row.items)
    ]


def _hand(name: str, consumer: Consumer, rows: Sequence[OutboxEvent]) -> None:
    """A row that a consumer cannot take is logged and lost to it alone."""
    if not rows or _takes(name, consumer, rows):
        return
    for row in rows:
        if not _takes(name, consumer, [row]):
            log.error("event not taken", consumer=name, outbox_event=str(row.id), type=row.type)


def _takes(name: str, consumer: Consumer, rows: Sequence[OutboxEvent]) -> bool:
    try:
        with transaction.atomic():
            consumer.take(_events(rows))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        log.warning("events not taken", consumer=name, error=type(error).__name__)
        return False
    return True
