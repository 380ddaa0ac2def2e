"""Events out: written with the change they tell of, handed on afterwards, each at least once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

Item = Mapping[str, Any]
"""The data of one event, as its schema in `catalogue` has it: JSON values, and UUIDs."""


@dataclass(frozen=True)
class Event:
    """One item on its way out. `id` stays the same however often it is handed on."""

    id: str
    type: str
    at: datetime
    data: Item


@dataclass(frozen=True)
class Consumer:
    """A part of this installation that hears of events.

    `take` runs in the transaction in which they are ticked off: what it writes is there exactly
    once, and it calls nobody. `wants` says whether an event of that type is of any use to it.
    """

    take: Callable[[Sequence[Event]], None]
    wants: Callable[[str], bool]


consumers: dict[str, Consumer] = {}


def consume(name: str, consumer: Consumer) -> None:
    """Hand events to `consumer` too; for an app's `ready`."""
    consumers[name] = consumer


def is_wanted(kind: str) -> bool:
    """Whether anybody is there to hear of events of this type."""
    return bool(settings.EVENTS_URL) or any(one.wants(kind) for one in consumers.values())


def emit(kind: str, items: Sequence[Item]) -> None:
    """Tell of `items`, all of one type such as `notification.sent`, once this transaction commits.

    In the transaction of the change itself, while what changed is locked: there is no event without
    it, no change without its event, and of one thing they go out in the order of its changes. Many
    items cost one row. Nothing is written where nobody listens.
    """
    if items and is_wanted(kind):
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [kind, orjson.dumps(items).decode()])


# Not by the ORM: its JSON takes ten times as long, and the engine pays for it with every message.
_INSERT = """
INSERT INTO common_outboxevent (id, type, items, at, is_handed)
VALUES (uuidv7(), %s, %s::jsonb, clock_timestamp(), false)
"""
