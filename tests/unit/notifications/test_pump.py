"""The threads of a worker: bounded, no call judged before it began, no beat behind slow windows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from notifications.services import pump


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(pump, "PROVIDER_THREADS", 2)
    settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = -0.35  # plus one second


def test_calls_that_hang_are_judged_by_their_own_time_and_cost_no_place(few: None) -> None:
    release = threading.Event()
    began: list[float] = []

    def third() -> str:
        began.append(time.monotonic())
        return "called"

    async def main() -> list[object]:
        threads = pump.Threads()
        try:
            started = time.monotonic()

            async def call(function: Callable[..., object], *args: object) -> object:
                async with threads.thread():
                    return await threads.provider(function, *args)

            hanging = [asyncio.create_task(call(release.wait, 20)) for _ in range(2)]
            await asyncio.sleep(0.05)
            waiting = asyncio.create_task(call(third))
            ended = await asyncio.gather(*hanging, return_exceptions=True)
            answer = await asyncio.wait_for(waiting, 5)  # though both still hang
            assert began[0] - started >= 0.3  # it waited for a place, and was not judged meanwhile
            hangs = not threads.shut_down()  # Python itself would wait for them
            return [*ended, hangs, answer]
        finally:
            release.set()

    *hung, hangs, answer = asyncio.run(main())
    assert hangs
    assert [type(error) for error in hung] == [TimeoutError, TimeoutError]
    assert answer == "called"


def test_a_beat_waits_for_no_window() -> None:
    """Four that take their time are all the database's threads."""
    release = threading.Event()

    async def main() -> str:
        threads = pump.Threads()
        try:
            windows = [
                asyncio.create_task(threads.database(release.wait, 20))
                for _ in range(pump.DATABASE_THREADS)
            ]
            await asyncio.sleep(0.05)
            beat = await asyncio.wait_for(threads.beat(lambda: "beat"), 5)
            assert not any(window.done() for window in windows)
            release.set()
            await asyncio.gather(*windows)
            return beat
        finally:
            release.set()
            assert threads.shut_down()

    assert asyncio.run(main()) == "beat"
