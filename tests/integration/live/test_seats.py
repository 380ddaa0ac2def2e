"""Limits that hold over all web processes: here each `Seats` stands for one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from commsproject.common import valkey
from commsproject.common.live import seats
from commsproject.common.live.people import Kind, Person
from commsproject.common.live.seats import Crowd, Seats
from tests.fakes.proxy import TcpProxy
from tests.live_client import user

ADA, BOB = user("seats-ada"), user("seats-bob")


@pytest.fixture(autouse=True)
def _few(settings: Any, patient: None) -> None:
    settings.LIVE_MAX_PER_PERSON, settings.LIVE_MAX_PER_ADDRESS = 3, 4
    settings.LIVE_HEARTBEAT_SECONDS = 60  # what is to be said anew, a test says
    if left := list(valkey.client().scan_iter("comms:seats:*")):
        valkey.client().delete(*left)


async def alive() -> Seats:
    process = Seats()
    await process._renew()
    return process


async def is_full(process: Seats, person: Any = ADA, address: str = "10.0.0.1") -> bool:
    try:
        async with process.of(person, address):
            return False
    except Crowd:
        return True


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_processes_count_together() -> None:
    async def story() -> None:
        one, other = await alive(), await alive()
        async with one.of(ADA, "10.0.0.1"), other.of(ADA, "10.0.0.2"):
            async with other.of(ADA, "10.0.0.3"):
                assert await is_full(one)
                assert await is_full(other)
                assert not await is_full(one, Person(Kind.STAFF, ADA.id))
            assert not await is_full(one)
            async with one.of(ADA, "10.0.0.1"):
                assert await is_full(other)
            # Many at once get no more than there are, and what was refused leaves nothing.
            tries = [is_full(one if number % 2 else other) for number in range(20)]
            assert True in await asyncio.gather(*tries)
            assert not await is_full(other)
        assert not list(valkey.client().scan_iter("comms:seats:person:*"))

    run(story())


def test_an_address_counts_whoever_it_is() -> None:
    async def story() -> None:
        one, other = await alive(), await alive()
        async with AsyncExitStack() as stack:
            for number, address in enumerate(["2001:db8::1", "2001:db8::2", "2001:db8::3:4"]):
                process = one if number % 2 else other
                await stack.enter_async_context(process.of(user(f"seats-{number}"), address))
            async with one.of(BOB, "2001:db8::5"):
                assert await is_full(other, address="2001:db8::6")  # of the same network
                assert not await is_full(other, address="2001:db8:0:1::1")
                assert not await is_full(other, address="unknown")
            async with AsyncExitStack() as inner:
                for number in range(4):
                    process = one if number % 2 else other
                    address = "10.0.0.9" if number % 2 else "::ffff:10.0.0.9"
                    await inner.enter_async_context(process.of(user(f"seats-{number}"), address))
                assert await is_full(one, BOB, "10.0.0.9")

    run(story())


def test_a_process_that_died_counts_no_more(settings: Any) -> None:
    async def story() -> None:
        one, dead = await alive(), Seats()
        async with AsyncExitStack() as stack:
            settings.LIVE_HEARTBEAT_SECONDS = 1
            await dead._renew()
            for _ in range(3):
                await stack.enter_async_context(dead.of(ADA, "10.0.0.1"))
            settings.LIVE_HEARTBEAT_SECONDS = 60
            async with asyncio.timeout(10):
                while await is_full(one):  # noqa: ASYNC110 - Valkey's clock tells nobody
                    await asyncio.sleep(0.1)
            # It was only held up: what it has counts again, under another name.
            await dead._renew()
            assert await is_full(one)
        assert not await is_full(one)

    run(story())


def test_all_is_said_anew_after_a_flush_and_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        one, other = await alive(), await alive()
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(one.of(ADA, "10.0.0.1"))
            valkey.client().flushdb()
            assert not await is_full(other)
            await one._renew()
            assert await is_full(other)
            name = one._process
            await one._renew()
            assert one._process == name
            monkeypatch.setattr(seats, "_ANEW_SECONDS", 0)
            one._anew_at = 0
            await one._renew()
            assert one._process != name
            assert await is_full(other)
            assert valkey.client().hlen(f"comms:seats:person:{ADA.kind}:{ADA.id}") == 1
        assert not await is_full(other)

    run(story())


def test_without_valkey_each_process_holds_the_limits(broker: TcpProxy) -> None:
    async def story() -> None:
        one, other = await alive(), await alive()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(one.of(ADA, "10.0.0.1"))
            broker.refuse()
            for _ in range(2):
                await stack.enter_async_context(one.of(ADA, "10.0.0.1"))
            assert await is_full(one)
            for _ in range(2):
                await stack.enter_async_context(other.of(ADA, "10.0.0.2"))
            broker.accept()
            async with asyncio.timeout(10):
                while not (one._is_known and other._is_known):  # a second of silence first
                    await asyncio.sleep(0.1)
                    await one._renew()
                    await other._renew()
            assert await is_full(one)
            assert await is_full(other)
        for process in (one, other):
            assert not await is_full(process)

    run(story())
