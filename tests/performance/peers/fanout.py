"""What the fan-out is compared with: a consumer of Channels for each socket in one group, and the
broadcast of the `websockets` library alone.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from websockets import Subprotocol

GROUP = "fanout"
VERSION = Subprotocol("comms.v1")


def channels_application() -> Any:
    """For `uvicorn --factory`: as Channels' documentation shows it."""
    import django

    django.setup()
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import URLRouter
    from django.urls import path

    class Listener(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
        async def connect(self) -> None:
            await self.channel_layer.group_add(GROUP, self.channel_name)
            await self.accept("comms.v1")

        async def disconnect(self, code: int) -> None:
            await self.channel_layer.group_discard(GROUP, self.channel_name)

        async def line(self, event: dict[str, str]) -> None:
            await self.send(text_data=event["text"])

    return URLRouter([path("ws/", Listener.as_asgi())])


async def websockets_server(port: int) -> None:
    """One subscription to Valkey, one broadcast for each message."""
    from redis import asyncio as redis
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    async def hold(connection: ServerConnection) -> None:
        await connection.wait_closed()

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    async with (
        serve(hold, "127.0.0.1", port, subprotocols=[VERSION], compression=None) as server,
        client.pubsub() as bus,
    ):
        await bus.subscribe(GROUP)
        async for message in bus.listen():
            if message["type"] == "message":
                broadcast(server.connections, message["data"].decode())


if __name__ == "__main__":
    import uvloop

    uvloop.run(websockets_server(int(sys.argv[1])))
