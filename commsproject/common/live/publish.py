"""Tell the sockets of all processes that something is new. Never content, never waiting.

Notes go into a bounded queue of this process, which one thread empties into the channel layer. What
does not fit, or finds Valkey away, is dropped: the next heartbeat's heads heal it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Collection, Mapping
from typing import Any, Literal

import structlog
from channels.layers import get_channel_layer
from django.db import transaction

from commsproject.common.live import registry
from commsproject.common.live.people import Session

GROUP = "comms.live"
"""Every process with sockets listens to it, by one channel."""

MOST_WAITING = 10_000
_MOST_AT_ONCE = 500
_SECONDS = 1.0  # for one message to the layer

log = structlog.get_logger(__name__)

Note = (
    tuple[Literal["head"], str, str, int]
    | tuple[Literal["ephemeral"], str, str, Mapping[str, Any], str]
    | tuple[Literal["presence"], str]
)
"""A new head of (feed, key); a frame for the followers of (feed, key) but one session; a user id
whose presence has changed.
"""


def advanced(feed: str, heads: Mapping[str, int]) -> None:
    """After this transaction: these keys of the feed have these last seqs."""
    notes: list[Note] = [("head", feed, key, seq) for key, seq in heads.items()]
    transaction.on_commit(lambda: _publisher.put(notes), robust=True)


def ephemeral(
    feed: str, keys: Collection[str], frame: Mapping[str, Any], *, skip: Session | None = None
) -> None:
    """After this transaction: `frame` for who follows one of the keys just now, and for nobody later.

    It has no seq and may be lost. Ids and times only: it goes through the broker as it is.
    `skip`: the session it came from. Raises `ValueError` where the feed does not name the frame in
    `passing`: hubs would drop it.
    """
    if frame["type"] not in registry.passing(registry.feeds[feed]):
        raise ValueError(f"{frame['type']} is not in `passing` of the feed {feed}.")
    sender = skip.id if skip else ""
    notes: list[Note] = [("ephemeral", feed, key, dict(frame), sender) for key in keys]
    transaction.on_commit(lambda: _publisher.put(notes), robust=True)


def post(notes: Collection[Note]) -> None:
    """At once. For the event loop, where there is no transaction to wait for."""
    _publisher.put(notes)


def dropped() -> int:
    """Notes of this process that did not go out."""
    return _publisher.dropped


class _Publisher:
    """The queue and its thread, which starts with the first note."""

    def __init__(self) -> None:
        self.dropped = 0
        self._notes: queue.Queue[Note] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, notes: Collection[Note]) -> None:
        self._start()
        for note in notes:
            try:
                self._notes.put_nowait(note)
            except queue.Full:
                self.dropped += 1

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                notes = [self._notes.get()]
                with contextlib.suppress(queue.Empty):
                    while len(notes) < _MOST_AT_ONCE:
                        notes.append(self._notes.get_nowait())
                runner.run(self._send(notes))

    async def _send(self, notes: list[Note]) -> None:
        layer = get_channel_layer()
        try:
            async with asyncio.timeout(_SECONDS):
                await layer.group_send(GROUP, {"type": "notes", "notes": notes})
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
            self.dropped += len(notes)
            log.warning("live notes dropped", notes=len(notes), error=type(error).__name__)


_publisher = _Publisher()
