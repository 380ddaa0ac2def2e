"""A webhook's list of events, of which one may be malformed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from notifications.types import ProviderEvent

logger = logging.getLogger(__name__)

MALFORMED = (
    *(KeyError, IndexError, TypeError, ValueError, AttributeError),
    *(OverflowError, OSError),  # a time that no clock has ever shown
)
"""What reading an event may raise that lacks something, or has it of another kind."""


def of_each(rows: object, read: Callable[[Any], Iterable[ProviderEvent]]) -> list[ProviderEvent]:
    """The events in each of a list's rows.

    A row that cannot be read would be as malformed next time, and the others would wait for it: it is
    left out, with a line in the log. Raises `ValueError` where that would be all of them.
    """
    if not isinstance(rows, list):
        raise ValueError("not a list of events")
    found: list[ProviderEvent] = []
    unread = 0
    for row in rows:
        try:
            found += list(read(row))
        except MALFORMED:
            unread += 1
    if unread and unread == len(rows):
        raise ValueError("no event that can be read")
    if unread:
        logger.warning("%d of %d events malformed, left out", unread, len(rows))
    return found
