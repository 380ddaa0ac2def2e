"""A batch before somebody approves it: who gets what, who is left out, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from django.db.models import QuerySet

from notifications import addresses, sms
from notifications.admin import rendering
from notifications.admin.rendering import Rendered
from notifications.models import Batch, Delivery, Notification
from notifications.states import PENDING, State
from notifications.types import Channel

SAMPLE = 500
"""Messages that are looked at; of a larger batch what is said of all of them is an estimate."""
NAMED = 10
"""Of those who are left out, so many are named."""


@dataclass(frozen=True)
class Review:
    """`number` counts from 1 among `of` messages that can be looked at. `cost` is of the text
    messages; None where no price is known.
    """

    messages: int
    left_out: int
    named: Sequence[Delivery]
    channels: Mapping[str, int]
    segments: int
    cost: Decimal | None
    is_estimate: bool
    number: int
    of: int
    shown: Sequence[Rendered]


def review(batch: Batch, by_state: Mapping[str, int], number: int) -> Review:
    sample = list(_messages(batch)[:SAMPLE])
    deliveries = [(message, one) for message in sample for one in message.deliveries.all()]
    going = [(message, one) for message, one in deliveries if one.state in PENDING]
    messages = batch.received - batch.rejected
    scale = messages / len(sample) if sample else 0
    channels = Counter(Channel(one.channel).label for _, one in going)
    segments, cost = _bill(going)
    number = min(max(number, 1), len(sample) or 1)
    return Review(
        messages=messages,
        left_out=by_state.get(State.SUPPRESSED, 0),
        named=list(islice((one for _, one in deliveries if one.state == State.SUPPRESSED), NAMED)),
        channels={name: round(count * scale) for name, count in channels.items()},
        segments=round(segments * scale),
        cost=None if cost is None else round(cost * Decimal(scale), 2),
        is_estimate=messages > len(sample),
        number=number,
        of=len(sample),
        shown=rendering.of_message(sample[number - 1]) if sample else [],
    )


def _messages(batch: Batch) -> QuerySet[Notification]:
    rows = Notification.objects.filter(batch=batch).order_by("id")
    return rows.select_related("batch", "category", "template_version__template").prefetch_related(
        "deliveries"
    )


def _bill(going: Sequence[tuple[Notification, Delivery]]) -> tuple[int, Decimal | None]:
    """Segments of the text messages, and what they cost at the prices that are known."""
    segments, cost = 0, Decimal(0)
    is_known = False
    for message, delivery in going:
        count = rendering.segments(message) if delivery.channel == Channel.SMS else 0
        if not count:
            continue
        segments += count
        price = sms.price(addresses.country(delivery.address), count)
        is_known = is_known or price is not None
        cost += price or 0
    return segments, cost if is_known else None
