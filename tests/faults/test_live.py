"""Sockets of real servers: killed, cut off from Valkey or PostgreSQL, not read, left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection, connections
from typing_extensions import override

from commsproject.common.live import publish
from commsproject.common.live.closes import Close
from tests.fakes.proxy import Mode, TcpProxy
from tests.faults.conftest import Size
from tests.faults.crowd import Address, Crowd, Follower
from tests.faults.world import PATIENCE, is_ready
from tests.live_client import ticket, user
from tests.live_feed import rooms
from tests.live_wire import Wire
from tests.processes import Process, environment, eventually, free_port

P = ParamSpec("P")
T = TypeVar("T")

NOISE = '"logger": "channels_redis'
ROOMS = [f"open-{number}" for number in range(5)]
BIG = "open-big"


@pytest.fixture(autouse=True)
def _rooms(transactional_db: None) -> Iterator[None]:
    rooms.create_tables()
    yield
    rooms.drop_tables()


@pytest.fixture
def valkey() -> Iterator[TcpProxy]:
    """The broker of the servers, by a line that can break. The test's own is direct."""
    address = urlsplit(settings.REDIS_URL)
    with TcpProxy(address.port or 6379, address.hostname or "localhost") as proxy:
        yield proxy


class Server:
    """A web process with the feed of the tests."""

    def __init__(self, log: Path, **env: str) -> None:
        self.port = free_port()
        self._log = log
        self._env = {
            "DJANGO_SETTINGS_MODULE": "tests.live_settings",
            "PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            **env,
        }
        self.start()

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def start(self) -> None:
        self.process = Process("web", log=self._log, **self._env)

    def stop(self) -> None:
        if self.process.runs:
            self.process.stop()


@contextlib.contextmanager
def serving(log: Path, count: int = 1, **env: str) -> Iterator[list[Server]]:
    servers: list[Server] = []
    try:
        for _ in range(count):
            servers.append(Server(log, **env))
        # Where one listens and the other does not yet, everybody would be with the first.
        eventually(lambda: all(is_ready(one.port) for one in servers), PATIENCE)
        yield servers
    finally:
        for one in servers:
            one.stop()
        lines = log.read_text().splitlines()
        wrong = [line for line in lines if '"level": "error"' in line and NOISE not in line]
        assert not wrong, wrong[:3]


async def app(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    def call() -> T:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


def heads() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, last_seq FROM test_room")
        return dict(cursor.fetchall())


class Writer(threading.Thread):
    """Says a line in each room, in turn, until it is told to end."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._end = threading.Event()

    @override
    def run(self) -> None:
        turn = 0
        while not self._end.wait(self._pause):
            rooms.say(ROOMS[turn % len(ROOMS)], f"{turn}", "x" * 200)
            turn += 1
        connections.close_all()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()


def test_a_crowd_loses_nothing(
    tmp_path: Path, size: Size, valkey: TcpProxy, within: Callable[[float], float]
) -> None:
    """G14: a server killed, Valkey flushed, dead and cut off, some who do not read."""
    url = settings.REDIS_URL.replace(f":{urlsplit(settings.REDIS_URL).port}/", f":{valkey.port}/")
    count, slow = int(size["sockets"]), int(size["slow"])

    async def story(servers: list[Server]) -> None:
        addresses = [one.address for one in servers]
        lazy = [Follower(n, addresses, [ROOMS[0], BIG]) for n in range(slow)]
        others = [Follower(n, addresses, [ROOMS[n % len(ROOMS)]]) for n in range(slow, count)]
        async with Crowd([*lazy, *others]) as crowd:
            await crowd.until(lambda: crowd.connected == count, within(60 + count / 20))
            small = memory(servers)
            with Writer(0.05):
                with deaf(lazy):
                    await app(rooms.say, BIG, *(["y" * 20_000] * 480))
                    async with asyncio.timeout(within(30)):
                        while await app(closed_as_slow, servers) < slow:  # noqa: ASYNC110 - polled
                            await asyncio.sleep(0.2)
                await app(flush)
                await asyncio.sleep(size["seconds"])
                servers[0].process.kill()
                with valkey.fault(Mode.BLACKHOLE):
                    await asyncio.sleep(size["seconds"] / 2)
                    servers[0].start()
                    await asyncio.sleep(size["seconds"] / 2)
                with valkey.fault(Mode.RESET):
                    await asyncio.sleep(1)
            await crowd.until_all_have(await app(heads), within(15 + count / 50))
            assert memory(servers) - small < 60e6 + count * 20e3

    with serving(tmp_path / "web.log", 2, REDIS_URL=url) as servers:
        asyncio.run(story(servers))


@contextlib.contextmanager
def deaf(followers: Sequence[Follower]) -> Iterator[None]:
    """They read nothing, and have little room for it."""
    wires: list[Any] = [one.socket for one in followers]
    for wire in wires:
        raw: socket.socket = wire.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.transport.pause_reading()
    yield
    for wire in wires:
        if not wire.transport.is_closing():
            wire.transport.resume_reading()


def closed_as_slow(servers: list[Server]) -> int:
    """Of the servers that are."""
    name = 'comms_live_closed_total{reason="slow"} '
    found = 0
    for one in servers:
        request = urllib.request.Request(
            f"http://127.0.0.1:{one.port}/metrics", headers={"Authorization": "Bearer metrics"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found += sum(int(float(line[len(name) :])) for line in lines if line.startswith(name))
    return found


def flush() -> None:
    import redis

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()


def memory(servers: list[Server]) -> int:
    """Resident bytes of the largest."""
    pages = [Path(f"/proc/{one.process.popen.pid}/statm").read_text().split()[1] for one in servers]
    return max(int(count) * os.sysconf("SC_PAGE_SIZE") for count in pages)


def test_an_idle_socket_stays(tmp_path: Path, size: Size, within: Callable[[float], float]) -> None:
    """G15: not closed, and it hears by the layer: the heartbeat is longer than the test."""

    async def story(servers: list[Server]) -> None:
        follower = Follower(1, [servers[0].address], ["open"])
        async with Crowd([follower]) as crowd:
            await crowd.until(lambda: crowd.connected, within(30))
            await app(rooms.say, "open", "first")
            await crowd.until_all_have({"open": 1}, within(10))
            await asyncio.sleep(size["seconds"])
            await app(rooms.say, "open", "second")
            await crowd.until_all_have({"open": 2}, within(5))
            assert not follower.codes

    with serving(tmp_path / "web.log", LIVE_HEARTBEAT_SECONDS="300") as servers:
        asyncio.run(story(servers))


def test_sockets_live_on_the_heartbeat_alone(
    tmp_path: Path, within: Callable[[float], float]
) -> None:
    """G16: every message of the layer is lost, from before the first connection on. G6: and while the
    database is away they stay open.
    """
    address = urlsplit(environment()["DATABASE_URL"])

    async def story(servers: list[Server], database: TcpProxy) -> None:
        followers = [Follower(n, [servers[0].address], ROOMS) for n in range(20)]
        async with Crowd(followers) as crowd:
            await crowd.until(lambda: crowd.connected == 20, within(30))
            for room in ROOMS:
                await app(rooms.say, room, *("x" * 7))
            await crowd.until_all_have(await app(heads), within(10))
            with database.fault(Mode.REFUSE):
                for room in ROOMS:
                    await app(rooms.say, room, *("y" * 7))
                await asyncio.sleep(3)
            await crowd.until_all_have(await app(heads), within(15))
            assert not any(one.codes for one in followers)

    gone = f"redis://127.0.0.1:{free_port()}/0"
    with TcpProxy(address.port or 5432, address.hostname or "localhost") as database:
        where = address.netloc.rpartition("@")[0]
        url = address._replace(netloc=f"{where}@{database.host}:{database.port}").geturl()
        with serving(tmp_path / "web.log", REDIS_URL=gone, DATABASE_URL=url) as servers:
            asyncio.run(story(servers, database))


def test_a_server_that_stops_says_when_to_come_back(
    tmp_path: Path, within: Callable[[float], float]
) -> None:
    """G17: within ten seconds, though some do not read; nobody loses anything."""

    async def story(servers: list[Server]) -> None:
        going = servers[0]
        followers = [Follower(n, [one.address for one in servers], ["open"]) for n in range(40)]
        async with Crowd(followers) as crowd:
            await crowd.until(lambda: crowd.connected == 40, within(30))
            assert len({one.told_to_wait for one in followers}) > 30  # not all at once
            await app(rooms.say, "open", "x")
            await crowd.until_all_have({"open": 1}, within(10))
            mine = [one for one in followers if port_of(one) == going.port]
            assert mine
            with deaf(mine[:1]):
                stopping = asyncio.create_task(app(going.process.stop, within(10)))
                await app(rooms.say, "open", "y")
                assert await stopping in (0, -15)
            await crowd.until_all_have({"open": 2}, within(30))
            assert all(one.codes[1012] == 1 for one in mine[1:])
            assert not any(one.codes for one in followers if one not in mine)

    with serving(tmp_path / "web.log", 2) as servers:
        asyncio.run(story(servers))


def port_of(follower: Follower) -> int:
    wire: Any = follower.socket
    return int(wire.transport.get_extra_info("peername")[1])


class Caller(Wire):
    """Somebody at one server, and the last that was heard of others."""

    def __init__(self) -> None:
        super().__init__()
        self.is_in = False
        self.others: dict[str, str] = {}

    @override
    def frame_received(self, data: bytes) -> None:
        frame = json.loads(data)
        self.is_in = True
        if frame["type"] == "presence":
            self.others[frame["user_id"]] = frame["state"]


@contextlib.asynccontextmanager
async def calling(server: Server, person: str) -> AsyncIterator[Caller]:
    """After the first frame; or after the end, where there is none."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(OSError):  # it does not listen yet
            _, one = await loop.create_connection(Caller, "127.0.0.1", server.port)
            break
        await asyncio.sleep(0.1)
    try:
        given = await app(ticket, user(person))  # not before: it lasts 30 seconds
        one.shake_hands("127.0.0.1", server.port, "comms.v1", f"ticket.{given}")
        await until(lambda: one.is_in or one.ended.done())
        yield one
    finally:
        one.transport.abort()
        await one.ended


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - frames tell nobody
        await asyncio.sleep(0.05)


def test_servers_know_of_each_others_people(tmp_path: Path) -> None:
    """Who is there, and how many sockets a person has: of all processes, and soon right again when one
    of them is killed.
    """

    async def story(here: Server, there: Server) -> None:
        async with (
            calling(here, "ada") as ada,
            calling(there, "bob") as bob,
            calling(there, "cleo") as phone,
            calling(here, "cleo") as page,
        ):
            assert phone.is_in
            assert page.is_in
            for server in (here, there):
                async with calling(server, "cleo") as refused:
                    assert refused.code == Close.CROWD.code
            ada.send(type="presence.watch", users=["bob"])
            await until(lambda: ada.others.get("bob") == "active")
            bob.send(type="presence", state="away")
            await until(lambda: ada.others["bob"] == "away")
            there.process.kill()
            has_seat = False
            while not has_seat:
                async with calling(here, "cleo") as again:
                    has_seat = again.is_in
            await until(lambda: ada.others["bob"] == "offline")

    limits = {"LIVE_HEARTBEAT_SECONDS": "1", "LIVE_MAX_PER_PERSON": "2"}
    with serving(tmp_path / "web.log", 2, **limits) as servers:
        asyncio.run(asyncio.wait_for(story(*servers), 300))


def test_publishing_never_waits_for_the_broker() -> None:
    """A broker that answers nothing costs the writer nothing; what does not fit is dropped."""
    publisher = publish._Publisher()
    publisher._start = lambda: None  # type: ignore[method-assign]  # nobody takes from the queue
    publisher.put([("head", "rooms", "open", 1)] * (publish.MOST_WAITING + 7))
    assert publisher.dropped == 7
