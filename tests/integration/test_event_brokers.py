"""Where events go: what each broker must keep to, whatever happens to it or to the publisher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings as django_settings

from commsproject.common import outbox
from commsproject.common.ids import new_id
from commsproject.common.models import OutboxEvent
from commsproject.common.outbox import brokers, envelope, publisher
from commsproject.common.outbox.brokers import rabbitmq
from tests import told
from tests.documents import ROOT, fences
from tests.fakes.amqp import AmqpServer, Answer
from tests.fakes.proxy import TcpProxy
from tests.processes import eventually, running
from tests.rabbitmq import RabbitNode, server

pytestmark = pytest.mark.django_db


class Transport(Protocol):
    """A broker under test."""

    @property
    def url(self) -> str: ...

    def heard(self) -> list[dict[str, Any]]:
        """All events that it has taken."""

    def refusing(self) -> Any:
        """A block in which it is there and takes nothing."""


class _Redis:
    url = django_settings.EVENTS_URL

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        client.delete(brokers.STREAM)

    def heard(self) -> list[dict[str, Any]]:
        entries: Any = self._client.xrange(brokers.STREAM)
        return [json.loads(fields[b"event"]) for _, fields in entries]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        kept = "kept:events"
        if self._client.exists(brokers.STREAM):
            self._client.rename(brokers.STREAM, kept)
        self._client.set(brokers.STREAM, "not a stream")
        yield
        self._client.delete(brokers.STREAM)
        if self._client.exists(kept):
            self._client.rename(kept, brokers.STREAM)


@pytest.fixture(scope="module")
def _node() -> Iterator[RabbitNode]:
    with RabbitNode() as node:
        yield node


@pytest.fixture
def rabbitmq_node(request: pytest.FixtureRequest) -> RabbitNode:
    if server() is None:
        pytest.skip("There is no rabbitmq-server on this machine (apt install rabbitmq-server).")
    node: RabbitNode = request.getfixturevalue("_node")
    node.forget()
    return node


@pytest.fixture(params=["redis", "amqp", "rabbitmq"])
def transport(request: pytest.FixtureRequest, _patient: redis.Redis) -> Iterator[Transport]:
    """Each in turn. `amqp` is a fake that speaks the protocol, `rabbitmq` the real server."""
    if request.param == "redis":
        yield _Redis(_patient)
    elif request.param == "amqp":
        with AmqpServer() as fake:
            yield fake
    else:
        yield request.getfixturevalue("rabbitmq_node")


def emit(first: int, count: int, *, subjects: int, per_row: int = 10) -> None:
    for start in range(first, first + count, per_row):
        numbers = range(start, start + per_row)
        outbox.emit("alert.raised", [told.alert(f"k{n % subjects}", n=n) for n in numbers])


def publish_all(broker: brokers.Broker) -> None:
    while publisher.hand_over():
        pass
    while publisher.publish(broker):
        pass


def check(heard: list[dict[str, Any]], total: int, subjects: int) -> None:
    """None is missing; a repeat has its first id; those of one subject come in order."""
    first: dict[str, int] = {}
    for event in heard:
        assert first.setdefault(event["id"], event["data"]["n"]) == event["data"]["n"]
    assert sorted(first.values()) == list(range(total))
    for subject in range(subjects):
        numbers = [number for number in first.values() if number % subjects == subject]
        assert numbers == sorted(numbers)


def test_nothing_is_missing_whatever_happens_to_the_broker(transport: Transport) -> None:
    address = urlsplit(transport.url)
    with TcpProxy(address.port or 0, address.hostname or "") as proxy:
        where = transport.url.replace(f":{address.port}", f":{proxy.port}")
        with closing(brokers.of(where)) as broker:
            emit(0, 60, subjects=7)
            publish_all(broker)
            assert len(transport.heard()) == 60
            emit(60, 40, subjects=7)
            for _ in range(2):
                proxy.refuse()
                with pytest.raises(brokers.Refused):
                    publish_all(broker)
                proxy.accept()
                with transport.refusing(), pytest.raises(brokers.Refused):
                    publish_all(broker)
                broker.close()
                eventually(lambda: not proxy.connections)
                proxy.reset_after(answer_bytes=30)  # in the middle of it, or of its greeting
                with pytest.raises(brokers.Refused):
                    publish_all(broker)
            assert OutboxEvent.objects.count() == 4
            publish_all(broker)
            emit(100, 20, subjects=7)
            publish_all(broker)
    assert not OutboxEvent.objects.exists()
    check(transport.heard(), 120, 7)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_nothing_is_missing_after_the_publisher_was_killed(
    transport: Transport, tmp_path: Path
) -> None:
    env = {"DJANGO_SETTINGS_MODULE": "tests.events_settings", "EVENTS_URL": transport.url}
    emit(0, 4000, subjects=50)
    with running("scheduler", log=tmp_path / "log", **env) as scheduler:
        eventually(transport.heard, 60)
        scheduler.kill()
    emit(4000, 500, subjects=50)
    with running("scheduler", log=tmp_path / "log", **env):
        eventually(lambda: not OutboxEvent.objects.exists(), 60)
    check(transport.heard(), 4500, 50)
    assert "guest:guest" not in (tmp_path / "log").read_text()


def test_the_consumer_of_the_page_hears_what_fails(
    rabbitmq_node: RabbitNode, tmp_path: Path
) -> None:
    _, code = fences(ROOT / "docs/how-to/consume-events.md", "python")
    (tmp_path / "consumer.py").write_text(code)
    failed = {
        **dict.fromkeys(("user_id", "reference", "channel"), "x"),
        **{name: str(new_id()) for name in ("notification_id", "delivery_id", "agent")},
        "timestamp": "2026-11-22T09:00:00Z",
        "error": "mailbox unknown",
        "retry_count": 0,
        "status": "failed",
    }
    with (
        closing(brokers.of(rabbitmq_node.url)) as broker,
        subprocess.Popen(
            [sys.executable, "-u", str(tmp_path / "consumer.py")],
            stdout=subprocess.PIPE,
            env={**os.environ, "EVENTS_URL": rabbitmq_node.url},
        ) as consumer,
    ):
        try:
            eventually(lambda: rabbitmq_node.has_queue("alarm"), 60)
            outbox.emit("alert.raised", [told.alert("k")])
            outbox.emit("notification.failed", [failed])
            publish_all(broker)
            assert consumer.stdout
            line = consumer.stdout.readline().decode()
        finally:
            consumer.kill()
    assert line == f"{failed['notification_id']} mailbox unknown\n"


def test_what_amqp_consumers_see() -> None:
    outbox.emit("alert.raised", [told.alert("k")])
    with AmqpServer() as fake:
        broker = brokers.of(fake.url)
        publish_all(broker)
        broker.close()
    (event,), (properties,) = fake.heard(), fake.properties
    assert properties.content_type == envelope.CONTENT_TYPE
    assert (properties.message_id, properties.message_type) == (event["id"], "alert.raised")
    assert properties.delivery_mode == 2
    (exchange,) = fake.exchanges.values()
    assert (exchange.exchange, exchange.exchange_type) == (rabbitmq.EXCHANGE, "topic")
    assert exchange.durable


def test_amqp_nothing_overtakes_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in "aba":
        outbox.emit("alert.raised", [told.alert(key)])
    ids = [f"{row.id}.0" for row in OutboxEvent.objects.order_by("number")]
    with AmqpServer() as fake:
        broker = brokers.of(fake.url)
        for answer in (Answer.NACK, Answer.HANG_UP):
            with fake.refusing(answer), pytest.raises(brokers.Refused):
                publish_all(broker)
        monkeypatch.setattr(rabbitmq, "SECONDS", 1.0)  # it keeps silent: this must run out
        with fake.refusing(Answer.NONE), pytest.raises(brokers.Refused):
            publish_all(broker)
        assert ids[2] not in fake.offered
        monkeypatch.undo()
        publish_all(broker)
        broker.close()
    assert sorted(event["id"] for event in fake.heard()) == sorted(ids)
    assert fake.heard()[-1]["id"] == ids[2]
