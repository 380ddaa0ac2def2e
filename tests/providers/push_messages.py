"""The messages with which every push service is tried."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.types import Channel, Lane, Outbound
from tests.providers.contract import CONTENT

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def plain(to: str) -> Outbound:
    """An ordinary one."""
    return Outbound(
        attempt_id=UUID("019a0000-0000-7000-8000-000000000001"),
        delivery_id=UUID("019a0000-0000-7000-8000-000000000002"),
        notification_id=UUID("019a0000-0000-7000-8000-000000000003"),
        channel=Channel.PUSH,
        to=to,
        parts={"title": "Hi", "body": CONTENT},
    )


def rich(to: str) -> Outbound:
    """One with all that a push message can have, sent `NOW`."""
    return replace(
        plain(to),
        parts={
            "title": "Grüße aus 世界 ✓",
            "body": f"{CONTENT}\n",
            "link": "https://example.org/orders/17?a=1&b=2",
            "badge": "3",
            "image": "https://example.org/17.png",
            "collapse_id": "order/17 shipped",
        },
        lane=Lane.URGENT,
        expires_at=NOW + timedelta(hours=1),
        tags=("shipping",),
        metadata={"order": "A17"},
    )
