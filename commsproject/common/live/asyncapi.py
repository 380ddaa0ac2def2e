"""The AsyncAPI document of `/ws/` and of the events that go out, made of the descriptions that the code
validates with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from commsproject.common import outbox
from commsproject.common.live import closes, registry, wire
from commsproject.common.live.dialogue import client_frames
from commsproject.common.live.frames import Frame, ServerFrame
from commsproject.common.live.presence.watching import PRESENCE
from commsproject.common.outbox import catalogue, envelope

VERSION = "3.0.0"

_EVENT_ID = "01a20246-171b-757a-9780-1afe852b87c0.0"
_MOMENT = datetime(2026, 11, 22, 9, tzinfo=UTC)

_EVENTS = """\
CloudEvents 1.0 in JSON: an entry of the Redis stream, a message of the RabbitMQ exchange, or the body of
a signed webhook. Each comes at least once, those of one `subject` in order.
"""

_DESCRIPTION = """\
One WebSocket for all that is live. Get a ticket by `POST /api/v1/ws-ticket`, then offer the
subprotocols `comms.v1` and `ticket.<ticket>`. Each frame is one JSON object of at most 64 KB. Frames
of a feed carry `seq`: 1, 2, 3 ... without a gap. Keep the last one, and `subscribe` from it when you
connect again: nothing is missed and nothing comes twice. A client frame may carry an `id`; its `ack`
or `error` repeats it.

| Close code | Meaning |
|---|---|
"""


def server_frames() -> dict[str, ServerFrame]:
    """Every frame that we send, by type."""
    feeds = registry.feeds.values()
    apps = [frame for feed in feeds for frame in (*feed.frames, *feed.passing)]
    apps += [relay.gives for relay in registry.relays.values()]
    return {frame.type: frame for frame in (*wire.BUILT_IN, wire.heads(), PRESENCE, *apps)}


def document() -> dict[str, Any]:
    """As a dict, ready for JSON or YAML."""
    url = urlsplit(settings.PUBLIC_URL)
    sent, received = server_frames(), client_frames()
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Communication service: live, and events",
            "version": "1",
            "description": _DESCRIPTION + "\n".join(_closes()),
        },
        "defaultContentType": "application/json",
        "servers": {
            "this": {
                "host": url.netloc,
                "protocol": "wss" if url.scheme == "https" else "ws",
                "security": [{"$ref": "#/components/securitySchemes/ticket"}],
            },
            "broker": {
                "host": "{broker}",
                "protocol": "redis",
                "description": "Where `EVENTS_URL` leads: Redis, or RabbitMQ. Webhooks need none.",
                "variables": {"broker": {"description": "Host and port of `EVENTS_URL`."}},
            },
        },
        "channels": {
            "live": {
                "address": "/ws/",
                "servers": [{"$ref": "#/servers/this"}],
                "messages": {
                    **{f"client.{name}": _ref("client", name) for name in received},
                    **{f"server.{name}": _ref("server", name) for name in sent},
                },
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            },
            "events": {
                "address": "comms:events",
                "servers": [{"$ref": "#/servers/broker"}],
                "description": _EVENTS,
                "messages": {f"event.{kind}": _ref("event", kind) for kind in catalogue.KINDS},
            },
        },
        "operations": {
            # By AsyncAPI 3 the document is the service's: it receives what clients send.
            "receive": _operation("receive", "client", received),
            "send": _operation("send", "server", sent),
            "publish": _operation("send", "event", catalogue.KINDS, channel="events"),
        },
        "components": {
            "messages": {
                **{f"client.{name}": _message(frame) for name, frame in received.items()},
                **{f"server.{name}": _message(frame) for name, frame in sent.items()},
                **{f"event.{kind}": _event(kind) for kind in catalogue.KINDS},
            },
            "securitySchemes": {
                "ticket": {
                    "type": "httpApiKey",
                    "in": "header",
                    "name": "Sec-WebSocket-Protocol",
                    "description": "`comms.v1, ticket.<ticket>`; a ticket works once, for 30 s.",
                }
            },
        },
    }


def answers() -> Mapping[str, Mapping[str, Any]]:
    """The fields of `ack` beside `id`, by the type of the frame that is answered."""
    return {**wire.ANSWERS, **{name: one.answers or {} for name, one in registry.commands.items()}}


def _closes() -> list[str]:
    ours = {one.code: f"{one.reason.capitalize()}." for one in closes.Close}
    return [
        f"| {code} | {text} |" for code, text in sorted({**ours, **closes.FROM_THE_SERVER}.items())
    ]


def _operation(
    action: str, side: str, names: Iterable[str], channel: str = "live"
) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [
            {"$ref": f"#/channels/{channel}/messages/{side}.{_escaped(name)}"} for name in names
        ],
    }


def _event(kind: str) -> dict[str, Any]:
    """A CloudEvent with the data of its type."""
    known = catalogue.KINDS[kind]
    example = outbox.Event(_EVENT_ID, kind, _MOMENT, catalogue.example(kind))
    return {
        "name": kind,
        "summary": known.tells,
        "contentType": envelope.CONTENT_TYPE,
        "payload": envelope.schema(kind),
        "examples": [{"payload": envelope.wrap(example)}],
    }


def _message(frame: Frame) -> dict[str, Any]:
    found = {
        "name": frame.type,
        "summary": frame.summary,
        "payload": frame.schema,
        "examples": [{"payload": dict(frame.example)}],
    }
    if fields := answers().get(frame.type):
        found["x-ack"] = fields
    return found


def _ref(side: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{side}.{_escaped(name)}"}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
