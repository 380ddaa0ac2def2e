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
    order, one list at a time: two would cost more than they save (measured), each list being
    half as long. Nobody who is alone waits for others.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Sequence[A]],
        pool: Executor,
        *,
        most: int,
        room: int,
    ) -> None:
        self._work = work
        self._pool = pool
        self._most = most
        self._room = room
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """Raises `Full` with `room` others waiting, and what `work` raises for the whole list."""
        if len(self._waiting) >= self._room:
            raise Full
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await answer

    async def _serve(self) -> None:
        try:
            while self._waiting:
                count = min(self._most, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(count)])
        finally:
            self._serving = None

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
