"""Where events are published: Redis Streams, RabbitMQ, or nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from commsproject.common.outbox import Event
from commsproject.common.outbox.brokers.base import Broker, Refused
from commsproject.common.outbox.brokers.redis_stream import SCHEMES as _OF_REDIS
from commsproject.common.outbox.brokers.redis_stream import STREAM, RedisStream

__all__ = ["STREAM", "Broker", "Nowhere", "Refused", "has_stream", "of"]


class Nowhere:
    """No EVENTS_URL: those inside the installation have heard, that is all."""

    def publish(self, events: Sequence[Event]) -> None: ...

    def close(self) -> None: ...


def of(url: str) -> Broker:
    """Raises `ImproperlyConfigured`, which does not repeat the address: it may hold a password."""
    if not url:
        return Nowhere()
    with contextlib.suppress(ValueError):  # a port that is no number, and the like
        if has_stream(url):
            return RedisStream(url)
        if urlsplit(url).scheme in {"amqp", "amqps"}:
            from commsproject.common.outbox.brokers.rabbitmq import RabbitMQ

            return RabbitMQ(url)
    raise ImproperlyConfigured(
        "EVENTS_URL is an address such as redis://host:6379/0 or amqp://host:5672/, or empty."
    )


def has_stream(url: str) -> bool:
    """Whether events stay in `STREAM`, where they can be looked through."""
    return urlsplit(url).scheme in _OF_REDIS
