"""The frames that every client meets, whatever apps add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from commsproject.common.errors import CommsError
from commsproject.common.live.frames import REF, SEQ, ClientFrame, Schema, ServerFrame
from commsproject.common.live.limits import MOST_KEYS
from commsproject.common.live.registry import Feed, OwnFeed, feeds
from commsproject.common.live.topics import Message

_TEXT: Schema = {"type": "string"}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_LIMITS = ("frame_bytes", "frames_per_second", "frames_at_once", "keys", "replay")
_ID = {**REF, "description": "The `id` of the frame that this answers."}

HELLO = ServerFrame(
    "hello",
    "The first frame: the connection is open, and how it works.",
    {
        "session": {**REF, "description": "Of this connection; it names it in logs."},
        "heartbeat_ms": {**_POSITIVE, "description": "`heads` comes as often as this."},
        "reconnect_after_ms": {
            "type": "integer",
            "minimum": 0,
            "description": "Wait so long before connecting again after close code 1012 or a lost"
            " connection. Random for each connection, so that not all come at once.",
        },
        "limits": {
            "type": "object",
            "properties": dict.fromkeys(_LIMITS, _POSITIVE),
            "required": list(_LIMITS),
            "additionalProperties": False,
        },
    },
    {
        "type": "hello",
        "session": "01936f1c-7c2e-7a5b-9d3f-0a1b2c3d4e5f",
        "heartbeat_ms": 15000,
        "reconnect_after_ms": 4210,
        "limits": {
            "frame_bytes": 65536,
            "frames_per_second": 20,
            "frames_at_once": 40,
            "keys": 200,
            "replay": 500,
        },
    },
)

RESYNC = ServerFrame(
    "resync",
    "What lies between the client's seq and this one is not sent: fetch it by REST. The next frame of"
    " the key has seq + 1.",
    {"feed": _TEXT, "key": {**_TEXT, "description": "Empty for a feed of one's own."}, "seq": SEQ},
    {"type": "resync", "feed": "inbox", "key": "", "seq": 4711},
)

ACK = ServerFrame(
    "ack",
    "A frame that carried an `id` was carried out. More fields depend on the frame.",
    {"id": _ID},
    {"type": "ack", "id": "7"},
    is_open=True,
)

REFUSED = ServerFrame(
    "refused",
    "A frame without an `id` was carried out, but for these, which do not exist or are not for this"
    " person. With an `id`, the `ack` lists them.",
    {
        "frame": {**_TEXT, "description": "The `type` of what was sent."},
        "refused": {"type": "array", "items": {"type": ["object", "string"]}, "minItems": 1},
    },
    {
        "type": "refused",
        "frame": "subscribe",
        "refused": [{"feed": "conversations", "key": "01936f1c-7c2e-7a5b-9d3f-0a1b2c3d4e5f"}],
    },
)

ERROR = ServerFrame(
    "error",
    "A frame was refused, and nothing was done; or (with `feed`) a key is no longer followed."
    " `code` is one of the API's error codes.",
    {
        "code": _TEXT,
        "title": _TEXT,
        "detail": _TEXT,
        "id": _ID,
        "feed": _TEXT,
        "key": _TEXT,
        "errors": {"type": "array", "items": {"type": "object"}},
        "retry_after": {"type": "integer", "minimum": 0, "description": "Seconds."},
    },
    {
        "type": "error",
        "id": "8",
        "code": "not_found",
        "title": "Not found",
        "detail": "There is no such key, or it is not yours.",
    },
    optional={"id", "feed", "key", "errors", "retry_after"},
)

PONG = ServerFrame("pong", "The answer to `ping`.", {"id": _ID}, {"type": "pong"}, optional={"id"})
PING = ClientFrame("ping", "Is anybody there? Answered by `pong`.", {}, {"type": "ping"})

ANSWERS: Mapping[str, Schema] = {
    "subscribe": {
        "heads": {"type": "object", "description": "As in the frame `heads`."},
        "refused": {"type": "array", "items": {"type": "object"}},
    },
    "presence.watch": {"refused": {"type": "array", "items": {"type": "string"}}},
}
"""Fields of the `ack` of built-in frames."""

BUILT_IN: tuple[ServerFrame, ...] = (HELLO, RESYNC, ACK, REFUSED, ERROR, PONG)


def heads() -> ServerFrame:
    """With a field for each feed there is."""
    return ServerFrame(
        "heads",
        "The heartbeat: the last seq of all that this connection follows. Who holds less than that"
        " for two heartbeats subscribes again from what it holds.",
        {name: _positions(feed, SEQ) for name, feed in feeds.items()},
        {"type": "heads", **{name: _example(feed) for name, feed in feeds.items()}},
        optional=set(feeds),
    )


def subscribe() -> ClientFrame:
    position: Schema = {**SEQ, "type": ["integer", "null"]}
    return ClientFrame(
        "subscribe",
        "Follow keys, each from the last seq that the client holds: what is after it is sent, then"
        " what comes. null: from now. The `ack` tells the heads; `refused` lists keys that do not"
        f" exist or are not for this person, as does the frame `refused` where there is no `id`. At most {MOST_KEYS} keys for one connection.",
        {name: _positions(feed, position) for name, feed in feeds.items()},
        {"type": "subscribe", "id": "1", **{name: _example(feed) for name, feed in feeds.items()}},
        optional=set(feeds),
    )


def unsubscribe() -> ClientFrame:
    return ClientFrame(
        "unsubscribe",
        "Follow these keys no longer.",
        keys(),
        {
            "type": "unsubscribe",
            "id": "2",
            **{
                name: True if isinstance(feed, OwnFeed) else list(_example(feed))
                for name, feed in feeds.items()
            },
        },
        optional=set(feeds),
    )


def keys() -> dict[str, Schema]:
    """A field for each feed that names keys without seqs."""
    return {name: _listed(feed) for name, feed in feeds.items()}


def message(frame: Mapping[str, Any]) -> Message:
    """`frame` as the ASGI message that sends it."""
    return {"type": "websocket.send", "text": orjson.dumps(frame).decode()}


def error(problem: CommsError, **about: Any) -> Message:
    """`problem` as an `error` frame."""
    body = problem.problem()
    kept = ("code", "title", "detail", "errors")
    found: dict[str, Any] = {name: value for name, value in body.items() if name in kept}
    if problem.retry_after is not None:
        found["retry_after"] = problem.retry_after
    return message({"type": "error", **about, **found})


def named(feed: Feed, key: str) -> dict[str, str]:
    """A key as clients know it."""
    return {"feed": feed.name, "key": "" if isinstance(feed, OwnFeed) else key}


def positions(pairs: Mapping[tuple[Feed, str], int]) -> dict[str, Any]:
    """Seqs of keys as in `heads`."""
    found: dict[str, Any] = {}
    for (feed, key), seq in pairs.items():
        if isinstance(feed, OwnFeed):
            found[feed.name] = seq
        else:
            found.setdefault(feed.name, {})[key] = seq
    return found


def _positions(feed: Feed, position: Schema) -> Schema:
    if isinstance(feed, OwnFeed):
        return position
    return {
        "type": "object",
        "propertyNames": {"type": "string", "minLength": 1, "maxLength": 255},
        "additionalProperties": position,
        "maxProperties": MOST_KEYS,
    }


def _listed(feed: Feed) -> Schema:
    if isinstance(feed, OwnFeed):
        return {"const": True}
    return {"type": "array", "items": {"type": "string"}, "maxItems": MOST_KEYS}


def _example(feed: Feed) -> Any:
    return 17 if isinstance(feed, OwnFeed) else {"01936f1c-7c2e-7a5b-9d3f-0a1b2c3d4e5f": 41}
