"""Tell a worker that there is something to do. The broker is a bell: it carries no work.

Losing every ring costs a second of latency, because each worker and the scheduler also look by
themselves. Dramatiq's retries, delays, results and groups are not used: docs/decisions/0001.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import dramatiq
import redis
import structlog
from django.conf import settings
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

_UNANSWERED_MS = 1000
_SILENT_SECONDS = 1.0
_silent_until = 0.0


@cache
def client() -> redis.Redis:
    """The broker, asked briefly and once: no request waits for a bell."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.3,
        socket_timeout=0.3,
        retry=Retry(NoBackoff(), 0),
    )


@cache
def broker() -> RedisBroker:
    """Dramatiq's broker of this process."""
    patient = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.3,
        socket_timeout=2.0,  # for those who listen; who rings has asked `client` first
        retry=Retry(NoBackoff(), 0),
    )
    made = RedisBroker(  # type: ignore[no-untyped-call]
        client=patient,
        middleware=[],
        namespace="comms",
        maintenance_chance=1_000_000,  # per million: a dead worker's rings come back at once
        heartbeat_timeout=15_000,
    )
    dramatiq.set_broker(made)
    return made


def ring(name: str, send: Callable[[], object]) -> None:
    """Ring bell `name` by `send`; many rings that nobody has answered yet are one.

    Never raises. A broker that is away costs one caller 0.3 s, then it is left alone for a second.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        if client().set(_key(name), 1, nx=True, px=_UNANSWERED_MS):
            send()
    except Exception as error:  # noqa: BLE001 - dramatiq wraps the client's errors in its own
        _silent_until = time.monotonic() + _SILENT_SECONDS
        log.warning("doorbell unavailable", bell=name, error=type(error).__name__)


def answer(name: str) -> None:
    """Take the bell down *before* looking, so that what comes while looking rings again."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        client().delete(_key(name))
    except redis.RedisError as error:
        _silent_until = time.monotonic() + _SILENT_SECONDS
        log.warning("doorbell unavailable", bell=name, error=type(error).__name__)


def _key(name: str) -> str:
    return f"comms:bell:{name}"
