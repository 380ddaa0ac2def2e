"""The events that go out: what each tells, and the JSON Schema of its data. Pure.

A contract with programs that are not ours: fields may be added, none is ever taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_ID: Schema = {"type": "string", "format": "uuid"}
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": "string", "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


@dataclass(frozen=True)
class Kind:
    """A type of event. `subject` names the field whose thing it is about."""

    tells: str
    subject: str
    fields: Mapping[str, Schema]

    def schema(self) -> dict[str, Any]:
        """Of the `data`; fields that are not named here may come later."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "description": self.tells,
            "type": "object",
            "properties": dict(self.fields),
            "required": list(self.fields),
        }


def _message(tells: str, **more: Schema) -> Kind:
    """About one delivery of a message. `user_id` is null where it went to an address alone."""
    return Kind(
        tells,
        "notification_id",
        {
            "notification_id": _ID,
            "delivery_id": _ID,
            "user_id": _TEXT_OR_NULL,
            "channel": _TEXT,
            "timestamp": _TIME,
            "agent": _TEXT,
            "reference": _TEXT,
            **more,
        },
    )


def _choice(tells: str) -> Kind:
    fields = {"user_id": _TEXT_OR_NULL, "channel": _TEXT, "category": _TEXT, "timestamp": _TIME}
    return Kind(tells, "user_id", fields)


def _talk(tells: str, **more: Schema) -> Kind:
    return Kind(tells, "conversation_id", {"conversation_id": _ID, "sender_id": _TEXT, **more})


def _alert(tells: str) -> Kind:
    return Kind(
        tells,
        "key",
        {"alert_id": _ID, "key": _TEXT, "severity": _TEXT, "title": _TEXT, "timestamp": _TIME},
    )


_ENDED = {"reason": _TEXT}
_BY_WHOM = {"machine": {"type": "boolean"}}

KINDS: Mapping[str, Kind] = {
    "notification.accepted": _message("It is stored and will be sent"),
    "notification.sent": _message("A provider has taken it"),
    "notification.delivered": _message("It has arrived, says the provider"),
    "notification.failed": _message(
        "It was refused for good, given up, or its outcome was never learnt (`status`)",
        error=_TEXT,
        retry_count=_COUNT,
        status={"enum": ["failed", "dead", "unconfirmed"]},
    ),
    "notification.bounced": _message("It came back", **_ENDED),
    "notification.complained": _message("The person called it spam", **_ENDED),
    "notification.suppressed": _message("It may not be sent", **_ENDED),
    "notification.expired": _message("Its time was over before it was sent", **_ENDED),
    "notification.cancelled": _message("It was stopped before it was sent", **_ENDED),
    "notification.opened": _message("Somebody opened it, or a machine of theirs did", **_BY_WHOM),
    "notification.clicked": _message("Somebody followed a link in it, or a scanner", **_BY_WHOM),
    "recipient.opted_out": _choice(
        "A person wants no messages of a category, on a channel; empty: of all, on all"
    ),
    "recipient.opted_in": _choice("A person wants them (again)"),
    "conversation.created": _talk("A conversation was started", kind=_TEXT),
    "conversation.message.sent": _talk("Somebody wrote", message_id=_ID, seq=_COUNT),
    "conversation.message.read": _talk("Somebody has read up to `seq`", seq=_COUNT),
    "conversation.archived": _talk("Somebody put it out of their list"),
    "provider.state_changed": Kind(
        "A provider was switched, or its breaker opened or closed",
        "provider",
        {"provider": _TEXT, "was": _TEXT, "now": _TEXT, "reason": _TEXT, "timestamp": _TIME},
    ),
    "alert.raised": _alert("Something is wrong"),
    "alert.resolved": _alert("It is well again"),
    "webhook.test": Kind(
        "Somebody tries a webhook endpoint", "endpoint_id", {"endpoint_id": _ID, "timestamp": _TIME}
    ),
}


_EXAMPLES: Mapping[str, Any] = {
    "user_id": "u-1042",
    "sender_id": "u-1042",
    "channel": "email",
    "category": "news",
    "reference": "order-1042",
    "error": "mailbox unknown",
    "reason": "mailbox unknown",
    "provider": "ses",
    "was": "closed",
    "now": "open",
    "key": "rule.provider-shut:ses",
    "severity": "critical",
    "title": "ses is not asked any more",
    "agent": "019a0000-0000-7000-8000-000000000003",
    "kind": "group",
}


def example(kind: str) -> dict[str, Any]:
    """Data as an event of this type has them."""
    return {name: _example(name, schema) for name, schema in KINDS[kind].fields.items()}


def _example(name: str, schema: Schema) -> Any:
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"], schema.get("format"):
        case "integer", _:
            return 2
        case "boolean", _:
            return False
        case _, "date-time":
            return "2026-11-22T09:00:00+00:00"
    return "019a0000-0000-7000-8000-000000000001"


def subject(kind: str, data: Mapping[str, Any]) -> str:
    """What an event is about: events with the same subject go out in order."""
    known = KINDS.get(kind)
    return str(data.get(known.subject) or "") if known else ""
