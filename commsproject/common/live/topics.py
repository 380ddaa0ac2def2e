"""One key of a feed in this process: who follows it, how far each has got, the frames on their way.

Nothing here waits or asks: the hub does, and tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from commsproject.common.live.people import Kind
from commsproject.common.live.registry import Feed

S = TypeVar("S")
"""A follower."""

REPLAY = 500
"""Frames that a client may be behind; who is further behind is told to `resync`."""

Message = Mapping[str, Any]
"""An ASGI message, serialised once and sent to many."""

Messages = Mapping[Kind, Message]
"""A frame as each kind of person gets it; mostly one message for all."""


class Topic(Generic[S]):
    """`head`: the last seq there is, as far as we know. `window`: messages of the seqs up to `loaded`
    that some follower has not been sent yet. A follower's cursor is the last seq sent to it.
    """

    __slots__ = (
        "_asking",
        "_due",
        "cursors",
        "expected",
        "feed",
        "head",
        "key",
        "loaded",
        "window",
    )

    def __init__(self, feed: Feed, key: str) -> None:
        self.feed = feed
        self.key = key
        self.head = 0
        self.loaded = 0
        self.window: deque[Messages] = deque()
        self.cursors: dict[S, int] = {}
        self.expected = 0
        """Sockets that wait to be let in."""
        self._due: set[S] = set()
        self._asking: set[S] = set()

    @property
    def wants_more(self) -> bool:
        """Whether there is something to read for somebody."""
        return bool(self.cursors) and (self.loaded < self.head or bool(self._asking))

    def start(self) -> int:
        """The seq after which to read next. What was loaded beyond it is read again."""
        start = min((self.cursors[one] for one in self._asking), default=self.loaded)
        self._asking.clear()
        if not self.loaded - len(self.window) <= start <= self.loaded:
            self.window.clear()
            self.loaded = start
        return self.loaded

    def extend(self, seq: int, messages: Sequence[Messages]) -> bool:
        """Take messages of the seqs after `seq`. False where they no longer join what is loaded."""
        if seq != self.loaded:
            return False
        self.window.extend(messages)
        self.loaded += len(messages)
        self.head = max(self.head, self.loaded)
        while len(self.window) > REPLAY:  # who still waits for these is slow, and asks again
            self.window.popleft()
        self._due = {one for one, cursor in self.cursors.items() if cursor < self.loaded}
        return True

    def due(self) -> set[S]:
        """Followers that have not been sent all that is loaded."""
        return self._due

    def next_for(self, socket: S) -> Messages | None:
        """The message that is next for `socket`, which counts as sent; None where none is loaded."""
        cursor = self.cursors.get(socket)
        if cursor is None:
            return None
        at = cursor - (self.loaded - len(self.window))
        if 0 <= at < len(self.window):
            self.cursors[socket] = cursor + 1
            return self.window[at]
        self._served(socket)
        return None

    def is_behind(self, socket: S) -> bool:
        """Whether there is more for `socket`; it is then read from where the socket is."""
        cursor = self.cursors.get(socket, self.head)
        if cursor < self.loaded:
            self._asking.add(socket)
        return cursor < self.head

    def move(self, socket: S, seq: int) -> None:
        """Set a follower's cursor, or make it one."""
        if not self.cursors:
            self.window.clear()
            self.loaded = seq
        self.cursors[socket] = seq
        self._due.discard(socket)

    def drop(self, socket: S) -> None:
        self.cursors.pop(socket, None)
        self._asking.discard(socket)
        self._served(socket)

    def skip_to(self, seq: int) -> list[S]:
        """Nothing between the cursors and `seq` can be read: those who were before it go on from
        there, and are returned to be told.
        """
        skipped = [socket for socket, cursor in self.cursors.items() if cursor < seq]
        self.window.clear()
        self.loaded = seq
        self.head = max(self.head, seq)
        for socket in skipped:
            self.move(socket, seq)
        self._asking.clear()
        return skipped

    def begin_anew(self, seq: int) -> list[S]:
        """The numbers that were are gone, and others begin: everybody goes on from `seq`, and is
        returned to be told.
        """
        self.window.clear()
        self._due.clear()
        self._asking.clear()
        self.loaded = self.head = seq
        self.cursors = dict.fromkeys(self.cursors, seq)
        return list(self.cursors)

    def _served(self, socket: S) -> None:
        self._due.discard(socket)
        if not self._due:
            self.window.clear()
