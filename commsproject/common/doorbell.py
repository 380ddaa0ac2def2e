"""Tell a worker that there is something to do. The broker is a bell: it carries no work.

Losing every ring costs a second of latency, because each worker and the scheduler also look by
themselves. Dramatiq's retries, delays, results and groups are not used: docs/decisions/0001.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache

import dramatiq
import redis
from django.conf import settings
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry
from typing_extensions import override

from commsproject.common import valkey

_UNANSWERED_MS = 1000


class Bells(RedisBroker):
    """Without Dramatiq's delays nobody has to listen for them: half of what an idle worker asked."""

    @override
    def get_declared_delay_queues(self) -> set[str]:
        return set()


@cache
def broker() -> RedisBroker:
    """Dramatiq's broker of this process."""
    patient = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.3,
        socket_timeout=2.0,  # for those who listen; who rings has asked `valkey` first
        retry=Retry(NoBackoff(), 0),
    )
    made = Bells(  # type: ignore[no-untyped-call]
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

    def pull(broker: redis.Redis) -> None:
        if broker.set(_key(name), 1, nx=True, px=_UNANSWERED_MS):
            send()

    with contextlib.suppress(valkey.Away):
        valkey.ask(pull, what=f"ring {name}")


def answer(name: str) -> None:
    """Take the bell down *before* looking, so that what comes while looking rings again."""
    with contextlib.suppress(valkey.Away):
        valkey.ask(lambda broker: broker.delete(_key(name)), what=f"answer {name}")


def _key(name: str) -> str:
    return f"comms:bell:{name}"
