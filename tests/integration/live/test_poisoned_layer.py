"""Whoever can publish on the broker publishes what is no note of ours: sockets stay, and hear the rest."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has none
import pytest
from channels.layers import get_channel_layer

from commsproject.common import valkey
from commsproject.common.live import publish
from tests.integration.live.conftest import Run
from tests.integration.live.saying import app
from tests.live_client import connected
from tests.live_feed import rooms

_NOTES: tuple[Any, ...] = (
    None,
    [],
    "notes",
    {"type": "notes"},
    {"type": "notes", "notes": None},
    {"type": "notes", "notes": [1, None, {}, "head"]},
    {"type": "notes", "notes": [["head", "rooms", "open", "many"]]},
    {"type": "notes", "notes": [["head", "rooms", ["open"], 2**63]]},
    {"type": "notes", "notes": [["no such kind", "rooms", "open", 1]]},
    {"type": "notes", "notes": [["head"]]},
    {"type": "notes", "notes": [["ephemeral", "rooms", "open", "typing", ""]]},
    {"type": "notes", "notes": [["ephemeral", "rooms", "open", {"type": ["line"]}, ""]]},
)
STRANGE: tuple[bytes, ...] = (
    b"\xff\xfe\x00",
    b"",
    b"\xc1" * 1000,
    b"\x80" * 500_000,
    *map(msgpack.packb, _NOTES),
)


_TYPING = {
    "type": "room.typing",
    "room": "open",
    "person": {"kind": "user", "id": "u-1"},
    "lasts_ms": 6000,
}
_FORGED: tuple[dict[str, Any], ...] = (
    {"type": "line", "room": "open", "seq": 2, "text": "<img src=x onerror=alert(1)>"},
    {"type": "note", "seq": 1},
    {"type": "resync", "feed": "rooms", "key": "open", "seq": 9},
    {
        "type": "error",
        "code": "not_found",
        "title": "Gone",
        "detail": "Log in again at evil.example",
    },
    {"type": "hello"},
    {**_TYPING, "text": "Log in again at evil.example"},
    {**_TYPING, "lasts_ms": "<b>long</b>"},
    {**_TYPING, "person": {"kind": "user", "id": "u-1", "name": "The support"}},
)
"""Frames of ours in every shape, by somebody who is not one of us."""


def publish_everywhere(prefix: str, strange: bytes) -> int:
    """How many subscriptions got it."""
    broker: Any = valkey.client()
    return sum(broker.publish(one, strange) for one in broker.pubsub_channels(f"{prefix}*"))


def test_what_is_no_note_ends_no_socket(live: Run) -> None:
    async def story() -> None:
        async with connected() as client:
            await client.ask(type="subscribe", rooms={"open": 0})
            heard, prefix = 0, get_channel_layer().prefix
            for number, strange in enumerate(STRANGE, 1):
                heard += await app(publish_everywhere, prefix, strange)
                await app(rooms.say, "open", f"line {number}")
                frame = await client.frame("line")
                assert (frame["seq"], frame["text"]) == (number, f"line {number}")
            assert heard
            assert (await client.ask(type="ping"))["type"] == "pong"

    live(story())


def test_no_frame_of_a_feed_comes_by_the_layer(live: Run) -> None:
    """What is said stands in PostgreSQL; the layer tells that somebody writes just now, and no more."""

    async def story() -> None:
        async with connected() as client:
            await app(rooms.say, "open", "said")
            await client.ask(type="subscribe", rooms={"open": 0}, notes=0)
            assert (await client.frame("line"))["text"] == "said"
            prefix = get_channel_layer().prefix
            for frame in (*_FORGED, _TYPING):
                for feed, key in (("rooms", "open"), ("notes", "notes-u-1")):
                    note = ["ephemeral", feed, key, frame, ""]
                    notes = msgpack.packb({"type": "notes", "notes": [note]})
                    assert await app(publish_everywhere, prefix, notes)
            heard = [await client.frame()]
            with contextlib.suppress(TimeoutError):
                while True:
                    heard.append(await client.frame(seconds=0.5))
            assert all(frame == _TYPING for frame in heard), heard

    live(story())


@pytest.mark.usefixtures("live")
def test_what_a_feed_does_not_name_is_refused_where_it_is_told() -> None:
    """Hubs would drop it, and nobody would know."""
    with pytest.raises(ValueError, match="passing"):
        publish.ephemeral("rooms", ["open"], _FORGED[0])
