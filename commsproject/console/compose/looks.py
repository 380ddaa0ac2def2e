"""What somebody would get, before it is sent. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.safestring import SafeString

from commsproject.common.models import ApiClient
from notifications import addresses, sms
from notifications.admin import badges
from notifications.services import plan
from notifications.services.asked import Submission
from notifications.services.plan import Planned, PlannedDelivery
from notifications.states import PENDING
from notifications.types import Channel
from templates_app.models import Template, TemplateVersion


@dataclass(frozen=True)
class Look:
    """One delivery as it would be: `goes` out, or not for `reason`."""

    channel: Channel
    address: str
    badge: SafeString
    goes: bool
    reason: str
    due: datetime | None
    parts: Mapping[str, str]
    segments: int
    cost: Decimal | None


def of_message(client: ApiClient, asked: Submission) -> Sequence[Look]:
    """Raises `CommsError` with what is wrong with the message."""
    (planned,) = plan.plan([(client, asked)])
    if not isinstance(planned, Planned):
        raise planned
    return [_look(planned, delivery) for delivery in planned.deliveries]


def _look(planned: Planned, delivery: PlannedDelivery) -> Look:
    source = planned.shared.source(delivery.channel, planned.reader)
    parts = source.render(planned.row.data, planned.reader)
    cost = None
    if delivery.segments:
        cost = sms.price(addresses.country(delivery.address), delivery.segments)
        rule = planned.shared.category.long_text if planned.shared.category else None
        parts = {**parts, "text": sms.fit(parts["text"], *([rule] if rule else [])).text}
    return Look(
        channel=delivery.channel,
        address=delivery.address,
        badge=badges.state(delivery.state),
        goes=delivery.state in PENDING,
        reason=delivery.reason,
        due=delivery.due,
        parts=parts,
        segments=delivery.segments,
        cost=cost,
    )


def example(template: Template) -> Mapping[str, Any]:
    """Data to begin with: the template's first sample, else its variables with nothing in them."""
    if template.samples:
        found: Mapping[str, Any] = template.samples[0]["data"]
        return found
    version = (
        TemplateVersion.objects.filter(template=template, published_at__isnull=False)
        .order_by("-number")
        .first()
    )
    return _blank(version.schema) if version else {}


_BLANKS: Mapping[str, Any] = {"number": 0, "integer": 0, "boolean": False, "array": []}


def _blank(schema: Mapping[str, Any]) -> Any:
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else next(iter(kinds), "string")
    if kind == "object":
        return {name: _blank(one) for name, one in schema.get("properties", {}).items()}
    return _BLANKS.get(kind, "")
