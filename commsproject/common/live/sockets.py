"""One connection as the hub knows it: what it follows, and what it is still to be sent.

Its outbox holds no frames of feeds but the numbers it has reached; beside that a few shared frames
that may be lost. A task writes only while there is something to write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from commsproject.common.live import server, wire
from commsproject.common.live.closes import Close
from commsproject.common.live.counts import counts
from commsproject.common.live.people import Person, Session
from commsproject.common.live.server import Send
from commsproject.common.live.sessions import Login
from commsproject.common.live.topics import Message, Topic

MOST_EPHEMERAL = 64
"""Frames without a seq that wait for one socket; then the oldest is dropped."""

MOST_BEHIND = 256
"""Frames that a socket which is just being written to may fall behind."""

MOST_SECONDS = 10.0
"""For one write. The server's own buffer takes 64 KB without waiting."""


class Socket:
    __slots__ = (
        "_dirty",
        "_ephemeral",
        "_is_closing",
        "_loop",
        "_on_behind",
        "_owes_heads",
        "_send",
        "_since",
        "_writer",
        "follows",
        "is_held",
        "login",
        "session",
        "watches",
    )

    def __init__(
        self, session: Session, login: Login, send: Send, on_behind: Callable[[Topic[Socket]], None]
    ) -> None:
        self.session = session
        self.login = login
        self.follows: dict[Topic[Socket], None] = {}
        self.watches: frozenset[str] = frozenset()
        self.is_held = False
        """Set while an answer must go out before frames do."""
        server.bound_buffer(send)
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._on_behind = on_behind
        self._dirty: dict[Topic[Socket], None] = {}
        self._ephemeral: deque[Message] | None = None
        self._owes_heads = False
        self._writer: asyncio.Task[None] | None = None
        self._since = 0.0
        self._is_closing = False

    @property
    def is_closing(self) -> bool:
        """Whether it ends: nothing more is written, and nothing that still comes is heard."""
        return self._is_closing

    @property
    def person(self) -> Person:
        return self.session.person

    async def answer(self, message: Message) -> None:
        """Send at once, before what waits. Only for the one who reads this socket's frames."""
        if self._is_closing:
            return
        try:
            await self._send(message)
        except OSError:  # ASGI's word for a client that has gone: we hear of that next
            pass
        except RuntimeError:  # a frame after the close, which came while we waited
            if not self._is_closing:
                raise

    def tell(self, message: Message) -> None:
        """Send what may be lost."""
        if self._ephemeral is None:
            self._ephemeral = deque()
        if len(self._ephemeral) >= MOST_EPHEMERAL:
            self._ephemeral.popleft()
            counts.dropped += 1
        self._ephemeral.append(message)
        self.wake()

    def beat(self) -> None:
        """Send the heads of all that it follows."""
        self._owes_heads = True
        self.wake()

    def catch_up(self, topic: Topic[Socket]) -> None:
        """Send what there is of `topic`."""
        self._dirty[topic] = None
        self.wake()

    def wake(self) -> None:
        if self._writer is None and not self.is_held and not self._is_closing:
            self._since = self._loop.time()
            self._writer = self._loop.create_task(self._write())

    def is_slow(self, now: float) -> bool:
        """Whether a write lasts too long, or a feed has left it behind while it does."""
        if self._writer is None or now - self._since < 1:
            return False
        behind = any(topic.head - topic.cursors[self] > MOST_BEHIND for topic in self.follows)
        return behind or now - self._since > MOST_SECONDS

    def forget(self, topic: Topic[Socket]) -> None:
        """Follow `topic` no longer."""
        self.follows.pop(topic, None)
        self._dirty.pop(topic, None)

    def stop(self) -> None:
        """Write no more."""
        self._is_closing = True
        if self._writer is not None:
            self._writer.cancel()

    async def close(self, why: Close) -> None:
        """Say why and close. Waits until the client reads; see `Hub.shut`."""
        self.stop()
        counts.closed[why.name.lower()] += 1
        await self._send({"type": "websocket.close", "code": why.code, "reason": why.reason})

    def abort(self) -> None:
        """Drop the connection with what was written and not read."""
        server.abort(self._send)

    async def _write(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._since = self._loop.time()
                await self._send(message)
                counts.sent += 1
        except (OSError, RuntimeError):
            self._is_closing = True  # it is gone, or closed: who reads it hears of that
        finally:
            self._writer = None

    def _next(self) -> Message | None:
        if self.is_held:
            return None
        if self._ephemeral:
            return self._ephemeral.popleft()
        if self._owes_heads:
            self._owes_heads = False
            return self._heads()
        while self._dirty:
            topic = next(iter(self._dirty))
            if (messages := topic.next_for(self)) is not None:
                return messages[self.person.kind]
            del self._dirty[topic]
            if topic.is_behind(self):
                self._on_behind(topic)
        return None

    def _heads(self) -> Message:
        pairs = {(topic.feed, topic.key): topic.head for topic in self.follows}
        return wire.message({"type": "heads", **wire.positions(pairs)})
