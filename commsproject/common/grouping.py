"""Many who ask at once, answered by the list: what comes while one is worked on is the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Full(Exception):
    """Too many wait already; nothing was done."""


class Grouped(Generic[Q, A]):
    """Asked on one event loop; `work` answers a list of at most `most` on a thread of `pool`, in
    order, `at_once` of them side by side. Nobody who is alone waits for others.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Sequence[A]],
        pool: Executor,
        *,
        most: int,
        at_once: int,
        room: int,
    ) -> None:
        self._work = work
        self._pool = pool
        self._most = most
        self._free = at_once
        self._room = room
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """Raises `Full` with `room` others waiting, and what `work` raises for the whole list."""
        if len(self._waiting) >= self._room:
            raise Full
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        self._start()
        return await answer

    def _start(self) -> None:
        if self._free and self._waiting:
            self._free -= 1
            task = asyncio.create_task(self._serve())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                count = min(self._most, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(count)])
        finally:
            self._free += 1

    async def _answer(self, group: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        loop = asyncio.get_running_loop()
        questions = [question for question, _ in group]
        try:
            answers = await loop.run_in_executor(self._pool, self._work, questions)
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them hears it
            for _, waiting in group:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for (_, waiting), answer in zip(group, answers, strict=True):
            if not waiting.done():  # who asked may have gone
                waiting.set_result(answer)
