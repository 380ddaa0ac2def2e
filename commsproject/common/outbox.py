"""Events out: written with the change they tell of, published afterwards, each at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commsproject.common.models import OutboxEvent

Item = Mapping[str, Any]
"""The data of one event, as its schema has it; JSON values only."""


def emit(kind: str, items: Sequence[Item]) -> None:
    """Tell of `items`, all of one type such as `notification.sent`, once this transaction commits.

    In the transaction of the change itself: there is no event without it, and no change without
    its event. Many items cost one row.
    """
    if items:
        OutboxEvent.objects.create(type=kind, items=list(items))
