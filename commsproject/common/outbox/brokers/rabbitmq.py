"""RabbitMQ, by AMQP 0-9-1."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
from amqp.exceptions import AMQPError, MessageNacked

from commsproject.common.outbox import Event, catalogue, envelope
from commsproject.common.outbox.brokers.base import Refused

EXCHANGE = "comms.events"

SECONDS = 10.0
"""For each answer of the broker."""

_PERSISTENT = 2


class RabbitMQ:
    """Each event to the durable topic exchange `comms.events`: its type is the routing key.

    Queues are the consumers': what none is bound for, RabbitMQ confirms and drops.
    """

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for what is no address."""
        self._options = _options(url)
        self._channel: _Channel | None = None

    def publish(self, events: Sequence[Event]) -> None:
        try:
            if self._channel is None:
                self._channel = _Channel(self._options)
            for wave in waves(events):
                self._channel.send(wave)
        except (AMQPError, MessageNacked, OSError) as error:
            self.close()
            raise Refused(type(error).__name__) from error

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _options(url: str) -> dict[str, Any]:
    """What `amqp.Connection` is made with (www.rabbitmq.com/docs/uri-spec).

    No heartbeats: between two calls of `publish` nobody could send them. A connection that died
    meanwhile costs the next call a `Refused`.
    """
    parts = urlsplit(url)
    is_tls = parts.scheme == "amqps"
    name = parts.hostname or "localhost"
    host = f"[{name}]" if ":" in name else name
    return {
        "host": f"{host}:{parts.port or (5671 if is_tls else 5672)}",
        "userid": unquote(parts.username or "guest"),
        "password": unquote(parts.password or "guest"),
        "virtual_host": unquote(parts.path[1:]) or "/",
        "ssl": {"server_hostname": name} if is_tls else False,
        "connect_timeout": SECONDS,
        "read_timeout": SECONDS,
        "write_timeout": SECONDS,
    }


def waves(events: Sequence[Event]) -> list[list[Event]]:
    """Of one subject one event in each wave, in order. With a wave sent when the one before it is
    confirmed, nothing overtakes what was refused.
    """
    made: list[list[Event]] = []
    before: Counter[str] = Counter()
    for event in events:
        subject = catalogue.subject(event.type, event.data)
        if before[subject] == len(made):
            made.append([])
        made[before[subject]].append(event)
        if subject:
            before[subject] += 1
    return made


class _Channel:
    """A connection with one channel that confirms. After an error it is good for nothing."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._connection = amqp.Connection(**options)
        self._unconfirmed: set[int] = set()
        self._sent = 0
        try:
            self._connection.connect()
            self._channel = self._connection.channel()
            self._channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)
            self._channel.confirm_select()
        except BaseException:
            self.close()
            raise
        self._channel.events["basic_ack"].add(self._confirm)
        self._channel.events["basic_nack"].add(_refuse)

    def send(self, events: Sequence[Event]) -> None:
        """Returns when each of them is confirmed."""
        for event in events:
            self._sent += 1
            self._unconfirmed.add(self._sent)
            self._channel.basic_publish(_message(event), EXCHANGE, event.type)
        while self._unconfirmed:
            self._connection.drain_events(SECONDS)

    def close(self) -> None:
        with contextlib.suppress(AMQPError, OSError):
            self._connection.collect()  # no word to a broker that may not answer

    def _confirm(self, tag: int, multiple: bool) -> None:
        done = {one for one in self._unconfirmed if one <= tag} if multiple else {tag}
        self._unconfirmed -= done


def _refuse(_tag: int, _multiple: bool) -> None:
    raise MessageNacked


def _message(event: Event) -> Any:
    return amqp.Message(
        envelope.encode(event),
        content_type=envelope.CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=event.id,
        timestamp=int(event.at.timestamp()),
        type=event.type,
    )
