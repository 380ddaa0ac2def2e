"""The threads providers are called in: bounded, and no call is judged before it began."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from notifications.services import pump


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(pump, "PROVIDER_THREADS", 2)
    settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = -0.35  # plus one second


def test_a_call_that_hangs_ends_as_a_timeout_and_keeps_its_place(few: None) -> None:
    release = threading.Event()

    async def main() -> list[object]:
        threads = pump.Threads()
        try:
            hanging = [asyncio.create_task(threads.provider(release.wait, 20)) for _ in range(2)]
            await asyncio.sleep(0.05)
            third = asyncio.create_task(threads.provider(lambda: "called"))
            ended = await asyncio.gather(*hanging, return_exceptions=True)
            assert not third.done()  # both threads are still taken: it waits, and is not judged
            release.set()
            return [*ended, await third]
        finally:
            release.set()
            threads.close()

    *hung, third = asyncio.run(main())
    assert [type(error) for error in hung] == [TimeoutError, TimeoutError]
    assert third == "called"
