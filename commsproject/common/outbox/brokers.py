"""Where events are published: Redis Streams, or nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from commsproject.common.outbox import Event, envelope

STREAM = "comms:events"


class Broker(Protocol):
    def publish(self, events: Sequence[Event]) -> None:
        """Returns once the broker has all of them, in this order. Raises `Refused`: some of them
        may be there, and all of them come again.
        """


class Refused(Exception):
    """The broker is away or does not take them; the text names the kind of trouble."""


class Nowhere:
    """No EVENTS_URL: those inside the installation have heard, that is all."""

    def publish(self, events: Sequence[Event]) -> None: ...


class RedisStream:
    """One entry for each in `comms:events`: its `id`, its `type`, and the whole `event`.

    The stream keeps about the last EVENTS_KEPT.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def publish(self, events: Sequence[Event]) -> None:
        pipe = self._client.pipeline(transaction=False)
        for event in events:
            told = envelope.encode(event)
            entry = {"id": event.id, "type": event.type, "event": told}
            pipe.xadd(STREAM, entry, maxlen=settings.EVENTS_KEPT, approximate=True)  # type: ignore[arg-type]  # its key type is invariant
        try:
            pipe.execute()
        except redis.RedisError as error:
            raise Refused(type(error).__name__) from error


def of(url: str) -> Broker:
    """Raises `ImproperlyConfigured`, which does not repeat the address: it may hold a password."""
    if not url:
        return Nowhere()
    if urlsplit(url).scheme in {"redis", "rediss"}:
        with contextlib.suppress(ValueError):  # a port that is no number, and the like
            return RedisStream(url)
    raise ImproperlyConfigured("EVENTS_URL is an address such as redis://host:6379/0, or empty.")
