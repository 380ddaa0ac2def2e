"""Redis Streams."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from commsproject.common.outbox import Event, envelope
from commsproject.common.outbox.brokers.base import Refused

SCHEMES = frozenset({"redis", "rediss"})
STREAM = "comms:events"


class RedisStream:
    """One entry for each in `comms:events`: its `id`, its `type`, and the whole `event`.

    The stream keeps about the last EVENTS_KEPT.
    """

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for what is no address."""
        self._client = redis.Redis.from_url(
            url, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def publish(self, events: Sequence[Event]) -> None:
        # All or none: what is refused for want of memory is not overtaken by what comes after it.
        pipe = self._client.pipeline(transaction=True)
        for event in events:
            told = envelope.encode(event)
            entry = {"id": event.id, "type": event.type, "event": told}
            pipe.xadd(STREAM, entry, maxlen=settings.EVENTS_KEPT, approximate=True)  # type: ignore[arg-type]  # its key type is invariant
        try:
            pipe.execute()
        except redis.RedisError as error:
            raise Refused(type(error).__name__) from error

    def close(self) -> None:
        self._client.close()
