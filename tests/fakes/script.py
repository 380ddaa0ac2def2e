from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

B = TypeVar("B")


class Script(Generic[B]):
    """How a fake behaves: by recipient first, then the queue, then the standing behaviour."""

    def __init__(self, normal: B) -> None:
        self._normal = normal
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything; behave normally."""
        with self._lock:
            self._standing = self._normal
            self._queue: deque[B] = deque()
            self._by_recipient: dict[str, deque[B]] = {}

    def next(self, *behaviours: B, times: int = 1) -> None:
        """Queue behaviours for the next requests, each used once."""
        with self._lock:
            self._queue.extend(behaviours * times)

    def always(self, behaviour: B) -> None:
        """The behaviour of every request that nothing else is planned for."""
        with self._lock:
            self._standing = behaviour

    def when(self, recipient: str, *behaviours: B) -> None:
        """For a recipient or pattern (`*@slow.example`): in this order, the last one stays."""
        if not behaviours:
            raise ValueError("when() needs at least one behaviour")
        with self._lock:
            self._by_recipient[recipient.lower()] = deque(behaviours)

    def choose(self, recipients: Iterable[str] = ()) -> B:
        """Take the behaviour of one request."""
        chosen = self.for_recipient(recipients)
        return self.planned() if chosen is None else chosen

    def planned(self) -> B:
        """Take the next queued behaviour, or the standing one."""
        with self._lock:
            return self._queue.popleft() if self._queue else self._standing

    def for_recipient(self, recipients: Iterable[str]) -> B | None:
        """Take what `when` planned for one of these, if anything."""
        addresses = [recipient.lower() for recipient in recipients]
        with self._lock:
            for pattern, plan in self._by_recipient.items():
                if any(a == pattern or fnmatchcase(a, pattern) for a in addresses):
                    return plan.popleft() if len(plan) > 1 else plan[0]
        return None
