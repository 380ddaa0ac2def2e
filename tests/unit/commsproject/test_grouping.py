from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from commsproject.common.grouping import Full, Grouped

Work = Callable[[Sequence[int]], Sequence[int]]


def grouped(work: Work, *, most: int = 10, room: int = 100) -> Grouped[int, int]:
    return Grouped(work, ThreadPoolExecutor(1), most=most, room=room)


def test_what_comes_while_one_is_worked_on_is_the_next_list() -> None:
    lists: list[Sequence[int]] = []
    first_is_in, go_on = threading.Event(), threading.Event()

    def work(asked: Sequence[int]) -> list[int]:
        lists.append(asked)
        first_is_in.set()
        assert go_on.wait(30)
        return [-one for one in asked]

    async def run() -> list[int]:
        group = grouped(work)
        first = asyncio.create_task(group.ask(0))
        assert await asyncio.to_thread(first_is_in.wait, 30)
        others = [asyncio.create_task(group.ask(one)) for one in range(1, 16)]
        await asyncio.sleep(0)
        others.pop(3).cancel()
        go_on.set()
        return [await first, *[await other for other in others]]

    assert asyncio.run(run()) == [-one for one in range(16) if one != 4]
    assert lists == [[0], list(range(1, 11)), list(range(11, 16))]


def test_what_fails_fails_for_its_list_and_for_no_other() -> None:
    def work(asked: Sequence[int]) -> list[int]:
        if 1 in asked:
            raise ValueError(asked)
        return list(asked)

    async def run() -> list[int | BaseException]:
        group = grouped(work, most=1)
        return await asyncio.gather(*(group.ask(one) for one in range(3)), return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert (first, third) == (0, 2)
    assert isinstance(second, ValueError)


def test_there_is_room_for_so_many_and_no_more() -> None:
    is_in, go_on = threading.Event(), threading.Event()

    def work(asked: Sequence[int]) -> list[int]:
        is_in.set()
        assert go_on.wait(30)
        return list(asked)

    async def run() -> None:
        group = grouped(work, room=2)
        first = asyncio.create_task(group.ask(0))
        assert await asyncio.to_thread(is_in.wait, 30)
        waiting = [asyncio.create_task(group.ask(one)) for one in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Full):
            await group.ask(3)
        go_on.set()
        assert [await first, *[await one for one in waiting]] == [0, 1, 2]

    asyncio.run(run())
