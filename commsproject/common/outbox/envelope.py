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


def schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a whole event of the type."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": {"type": "string", "format": "uri"},
            "type": {"const": kind},
            "subject": text,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "dataschema": {"type": "string", "format": "uri"},
            "data": catalogue.KINDS[kind].schema(),
        },
    }


def encode(event: Event) -> bytes:
    """The same bytes for the same event, every time."""
    return orjson.dumps(wrap(event))
