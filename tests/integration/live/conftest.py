from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
import redis

from commsproject.common import valkey
from commsproject.common.live import limits
from tests.live_client import stop_hub
from tests.live_feed import rooms

HOUR = timedelta(hours=1)
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def patient(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey on a busy machine is not away."""
    made = cache(lambda: redis.Redis.from_url(settings.REDIS_URL, socket_timeout=20))
    monkeypatch.setattr(valkey, "client", made)


@pytest.fixture
def live(transactional_db: None, settings: Any, patient: None) -> Iterator[Run]:
    """Runs a coroutine with a hub of its own, and the feed `rooms`."""
    if left := list(valkey.client().scan_iter("comms:presence:*")):
        valkey.client().delete(*left)
    rooms.create_tables()
    rooms.register()
    settings.LIVE_HEARTBEAT_SECONDS = 1

    async def with_hub(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            await stop_hub()

    yield lambda work: asyncio.run(with_hub(work))
    rooms.unregister()
    rooms.drop_tables()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FRAMES_AT_ONCE", 1000)
