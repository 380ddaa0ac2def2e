"""What is kept open (connections, locks) belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One `T` for each event loop that asks, made on first use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]

    def loops(self) -> list[asyncio.AbstractEventLoop]:
        """Those that have one."""
        return list(self._made)

    def pop(self) -> T | None:
        """That of the running loop, to be closed; None where nothing was made."""
        return self._made.pop(asyncio.get_running_loop(), None)
