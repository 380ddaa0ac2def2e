"""A worker: which claims it carries together; its threads: bounded, no call judged before it began,
no beat behind slow windows.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from commsproject.common.ids import new_id
from notifications import queue
from notifications.models import Work
from notifications.services import pump
from notifications.types import Channel, Lane


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


AGENT, ONE, OTHER = new_id(), new_id(), new_id()


def lease(
    size: int,
    batch: UUID | None = ONE,
    *,
    kind: Work.Kind = Work.Kind.SEND,
    channel: Channel = Channel.EMAIL,
) -> queue.Lease:
    ids = [new_id() for _ in range(size)]
    now = datetime.now(UTC)
    return queue.Lease(new_id(), kind, Lane.BULK, channel, AGENT, batch, ids, 1, 1, now)


def carried(*leases: queue.Lease) -> list[list[int]]:
    """The sizes of the claims of each load."""
    return [[len(one.ids) for one in load.leases] for load in pump.loads(leases)]


def test_whole_chunks_of_one_flow_are_carried_in_pairs() -> None:
    assert carried(*[lease(500)] * 3) == [[500, 500], [500]]
    assert carried(lease(500), lease(500, OTHER), lease(400)) == [[500, 400], [500]]
    assert carried(lease(500), lease(500, None), lease(500, None)) == [[500], [500, 500]]
    assert carried(lease(500), lease(500, channel=Channel.PUSH)) == [[500], [500]]
    assert carried(lease(300), lease(300), lease(300), lease(300)) == [[300, 300, 300], [300]]


def test_small_claims_of_any_flow_are_carried_together_and_apart_from_large_ones() -> None:
    assert carried(lease(1), lease(500), lease(50, OTHER), lease(50)) == [[1, 50], [500], [50]]


def test_what_is_to_be_settled_of_a_large_claim_is_settled_beside_the_others() -> None:
    settle = Work.Kind.RECONCILE
    assert carried(lease(500, kind=settle), lease(500, kind=settle)) == [[500], [500]]
    assert carried(lease(1, kind=settle), lease(1), lease(1, kind=settle)) == [[1, 1], [1]]


def test_a_load_may_have_as_many_calls_out_as_its_claims_could_have_by_themselves() -> None:
    small, pair = pump.loads([lease(1), lease(50), lease(500), lease(500)])
    assert (small.calls, pair.calls) == (100, 200)
