"""What the processes tell each other, by one channel of the channel layer each.

The layer may lose anything and says nothing when it does: a broker that was flushed, killed or cut
off leaves a subscription that hears nothing for ever. So we call ourselves, and whoever does not
hear that subscribes anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from channels.layers import get_channel_layer

from commsproject.common.live.counts import counts
from commsproject.common.live.publish import GROUP

log = structlog.get_logger(__name__)

_SECONDS = 2.0
"""For one call of the layer, which has no time limits of its own."""


class Bus:
    """The subscription of one event loop. `take` gets notes; `missed` is called when some may be lost."""

    def __init__(
        self, take: Callable[[Sequence[Any]], None], missed: Callable[[], None], call_every: float
    ) -> None:
        self._take = take
        self._missed = missed
        self._call_every = call_every
        self._heard = time.monotonic()

    async def listen(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            _calling = group.create_task(self._call())
            while True:
                receiving = group.create_task(self._receive())
                await self._silence(receiving)
                receiving.cancel()
                await self._forget()
                counts.resubscribed += 1
                await asyncio.sleep(1)

    async def _silence(self, receiving: asyncio.Task[None]) -> None:
        """Until nothing was heard for three calls, or there is nobody who listens."""
        self._heard = time.monotonic()
        patience = 3 * self._call_every
        while (left := self._heard + patience - time.monotonic()) > 0 and not receiving.done():
            await asyncio.wait([receiving], timeout=left)

    async def _receive(self) -> None:
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(_SECONDS):
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
            self._missed()
            while True:
                message = await layer.receive(channel)
                self._heard = time.monotonic()
                self._take(message["notes"])
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
            log.warning("channel layer unavailable", error=type(error).__name__)

    async def _call(self) -> None:
        """Say something, for us to hear."""
        while True:
            await asyncio.sleep(self._call_every)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_SECONDS):
                    await get_channel_layer().group_send(GROUP, {"type": "notes", "notes": []})

    async def _forget(self) -> None:
        """Give up the layer's connections; they are made anew."""
        try:
            async with asyncio.timeout(_SECONDS):
                await get_channel_layer().flush()
        except Exception as error:  # noqa: BLE001
            log.warning("channel layer does not close", error=type(error).__name__)
