"""Settings of the socket: docs/subsystems/live.md."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from commsproject.common.env import Env

env = Env()

LIVE_ORIGINS = env.list("LIVE_ORIGINS", default=[])
"""Whose pages may open the socket and make the calls of widgets: `https://app.example.com`. Empty: only
those of PUBLIC_URL."""

LIVE_HEARTBEAT_SECONDS = env.int("LIVE_HEARTBEAT_SECONDS", default=15)
"""The longest time that anything lost on the way stays unnoticed."""

LIVE_RECONNECT_SECONDS = env.int("LIVE_RECONNECT_SECONDS", default=10)
"""Clients come back within so long after a restart, each at a time of its own."""

LIVE_MAX_CONNECTIONS = env.int("LIVE_MAX_CONNECTIONS", default=10_000)
"""Open sockets of one process; the next two also count in each process by itself."""

LIVE_MAX_PER_PERSON = env.int("LIVE_MAX_PER_PERSON", default=40)
"""A page with both widgets may have two, and people keep many tabs."""

LIVE_MAX_PER_ADDRESS = env.int("LIVE_MAX_PER_ADDRESS", default=200)


def channel_layers(url: str) -> dict[str, Any]:
    """Channels' layer on the broker at `url`. What it carries may be lost."""
    # Publish and subscribe knows no databases, so that of the address is in the name.
    prefix = f"comms{urlsplit(url).path.strip('/')}"
    # Idle connections live as long as they like: docs/decisions/0005.
    host = {"address": url, "socket_connect_timeout": 1, "socket_timeout": None}
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [host], "prefix": prefix},
        }
    }
