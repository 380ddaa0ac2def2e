"""Events as CloudEvents 1.0, in their JSON format (github.com/cloudevents/spec)."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings

from commsproject.common.outbox import Event, catalogue

CONTENT_TYPE = "application/cloudevents+json"


def wrap(event: Event) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": settings.PUBLIC_URL,
        "type": event.type,
        "subject": catalogue.subject(event.type, event.data),
        "time": event.at.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"{settings.PUBLIC_URL}/api/events/{event.type}",
        "data": event.data,
    }


def encode(event: Event) -> bytes:
    """The same bytes for the same event, every time."""
    return orjson.dumps(wrap(event))
