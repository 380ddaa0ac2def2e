"""Gives Celery's workers their tasks and waits until they are done.

python -m tests.performance.peers.celery_sender '{"count": 2000, "durable": false}'
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import redis

from tests.performance import content
from tests.performance.peers.celery_app import app, durable, plain

LIST = 1000
WARM_UP = 50


def main(count: int, durable: bool) -> None:
    broker = redis.Redis.from_url(app.conf.broker_url)
    send = _stored() if durable else _unstored
    _unstored(range(WARM_UP))
    _wait(broker)
    sys.stdout.write("ready\n")
    sys.stdin.readline()
    started = time.perf_counter()
    for start in range(0, count, LIST):
        send(range(start, min(count, start + LIST)))
    accepted = time.perf_counter() - started
    _wait(broker)
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"accept": accepted, "seconds": seconds}) + "\n")
    sys.stdin.read()


def _unstored(numbers: range) -> None:
    for number in numbers:
        plain.delay(content.address(number), content.own(number))


def _stored() -> Callable[[range], None]:
    from commsproject.common.models import ApiClient
    from notifications import addresses
    from notifications.models import Delivery, Notification
    from notifications.states import State
    from notifications.types import Channel, Lane

    client = ApiClient.objects.get(name="bench")

    def send(numbers: range) -> None:
        notifications = Notification.objects.bulk_create(
            Notification(client=client, data=content.own(number), priority=Lane.BULK)
            for number in numbers
        )
        deliveries = Delivery.objects.bulk_create(
            Delivery(
                notification=notification,
                channel=Channel.EMAIL,
                address=content.address(number),
                address_hash=addresses.digest(Channel.EMAIL, content.address(number)),
                state=State.QUEUED,
            )
            for number, notification in zip(numbers, notifications, strict=True)
        )
        for delivery in deliveries:
            durable.delay(str(delivery.id))

    return send


def _wait(broker: redis.Redis) -> None:
    """A task that a worker has, finished or not, is in `unacked` until it is done."""
    while broker.llen("celery") or broker.hlen("unacked"):
        time.sleep(0.02)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
