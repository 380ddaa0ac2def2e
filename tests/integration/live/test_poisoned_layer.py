"""Whoever can publish on the broker publishes what is no note of ours: sockets stay, and hear the rest."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has none
from channels.layers import get_channel_layer

from commsproject.common import valkey
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
)
STRANGE: tuple[bytes, ...] = (
    b"\xff\xfe\x00",
    b"",
    b"\xc1" * 1000,
    b"\x80" * 500_000,
    *map(msgpack.packb, _NOTES),
)


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
