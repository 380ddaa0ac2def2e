"""Whoever can write to the broker writes what nobody can read: it costs rings, and nothing else."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
from pathlib import Path

import pytest
import redis
from channels_redis.pubsub import RedisPubSubChannelLayer
from typing_extensions import override

from commsproject import embedded
from commsproject.settings.live import channel_layers
from notifications.models import Delivery
from notifications.types import Lane
from tests.fakes.sendgrid import SendGridServer
from tests.faults import invariants
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, accept, all_ended, env, has_started, is_ready
from tests.processes import eventually, free_port


class Mischief:
    """Run by whoever unpickles it."""

    @override
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was run",))


def ring_of(actor: str) -> bytes:
    told = {"queue_name": "normal", "actor_name": actor, "args": [], "kwargs": {}, "options": {}}
    return json.dumps({**told, "message_id": "x", "message_timestamp": 1}).encode()


UNREADABLE = (
    b"\xff\xfe\x00{",
    b"",
    b"null",
    b"[]",
    b'{"queue_name": 7}',
    b'{"a":' * 10_000,
    ring_of("os.system"),
    ring_of("deliver").replace(b'"args": []', b'"args": {"__class__": "x"}'),
    pickle.dumps(Mischief()),
    b"\x80" * 2_000_000,
)


def poison(broker: redis.Redis) -> None:
    for lane in Lane:
        broker.delete(f"comms:{lane.value}", f"comms:{lane.value}.msgs")
        for number, unreadable in enumerate(UNREADABLE):
            key = f"poison-{number}"
            broker.execute_command("HSET", f"comms:{lane.value}.msgs", key, unreadable)
            broker.rpush(f"comms:{lane.value}", key)
        broker.rpush(f"comms:{lane.value}", b"\xff-of-nothing")


def of_another_kind(broker: redis.Redis) -> None:
    """Every key that is there now holds something else than its reader thinks."""
    for key in broker.scan_iter("comms*"):
        kind = broker.type(key)
        broker.delete(key)
        if kind == b"string":
            broker.rpush(key, b"\xff")
        else:
            broker.set(key, b"\xff")


def test_poison_in_the_broker_stops_nobody(
    moves: None, sendgrid: SendGridServer, tmp_path: Path
) -> None:
    with (
        embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False) as valkey,
        Nursery(tmp_path, **env(sendgrid, REDIS_URL=valkey.url)) as nursery,
        redis.Redis.from_url(valkey.url, socket_timeout=20) as broker,
    ):
        worker = nursery.start("worker")
        eventually(lambda: has_started(worker.log), PATIENCE)
        for first, deed in ((0, poison), (20, of_another_kind), (40, poison)):
            deed(broker)
            for lane in Lane:
                accept(5, first=first + 5 * list(Lane).index(lane), lane=lane)
            eventually(all_ended, PATIENCE)
            assert worker.runs
    assert len(sendgrid.messages) == Delivery.objects.count() == 45
    invariants.check(sendgrid.messages)


RIGHTS = "on >little ~comms* &comms* +@all -@admin -@dangerous +keys +info"
"""What docs/deployment/MANY-MACHINES.md asks for: own keys and channels, no change of the server."""


def test_a_user_of_the_broker_with_few_rights_is_enough(
    moves: None, sendgrid: SendGridServer, tmp_path: Path
) -> None:
    with (
        embedded.Server(embedded.Valkey, tmp_path / "valkey", durable=False) as valkey,
        redis.Redis.from_url(valkey.url, socket_timeout=20) as broker,
    ):
        broker.execute_command("ACL", "SETUSER", "service", *RIGHTS.split())
        url = re.sub(r"//(?:[^@/]*@)?", "//service:little@", valkey.url, count=1)
        changes = {"REDIS_URL": url, "SENDGRID_LIMIT": "100/1"}
        port = free_port()
        with Nursery(tmp_path, **env(sendgrid, **changes)) as nursery:
            worker = nursery.start("worker")
            nursery.start("web", PORT=str(port))
            eventually(lambda: has_started(worker.log) and is_ready(port), PATIENCE)
            accept(20)
            eventually(all_ended, PATIENCE)
            asyncio.run(calls_itself(url))
            assert {"service"} < {one["user"] for one in broker.client_list()}
        assert broker.acl_log() == []
        with redis.Redis.from_url(url) as service:
            for forbidden in (
                "FLUSHALL",
                "CONFIG GET *",
                "SHUTDOWN",
                "GET other",
                "PUBLISH other x",
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    service.execute_command(*forbidden.split())
    invariants.check(sendgrid.messages)


async def calls_itself(url: str) -> None:
    layer = RedisPubSubChannelLayer(**channel_layers(url)["default"]["CONFIG"])
    channel = await layer.new_channel()
    await layer.group_add("all", channel)
    await layer.group_send("all", {"type": "x"})
    assert await layer.receive(channel) == {"type": "x"}
    await layer.flush()
