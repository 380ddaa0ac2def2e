"""One message to a thousand sockets of one process; and what sockets cost that hear nothing."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from commsproject.common.live.server import OPTIONS
from tests.live_feed.tables import TABLES
from tests.performance import sinks
from tests.performance.report import Figures, percentile
from tests.performance.world import ROOT, Child, Failed, Sender, World, free_port, memory

SOCKETS = 1_000
IDLE = 5_000
BURST = 40
PACED = 25
EVERY = 0.2
PATIENCE = 30.0
SETTINGS = "tests.performance.live_settings"


@dataclass(frozen=True)
class Server:
    key: str
    title: str


OURS = Server("fanout", "Fan-out to 1,000 sockets")
PEERS = (
    Server("fanout-channels", "Fan-out: a Channels consumer each, group_send"),
    Server("fanout-websockets", "Fan-out: broadcast of the websockets library"),
)


def measure(world: World, server: Server) -> Figures:
    """Deliveries a second of a burst; latency of a message every 0.2 s. Raises `Failed` for any loss."""
    with contextlib.ExitStack() as stack:
        port, child = stack.enter_context(_serving(world, server))
        clients = stack.enter_context(_clients(world, port, SOCKETS, server))
        spec = {"kind": server.key.removeprefix("fanout-").replace("fanout", "ours")}
        module = "tests.performance.fanout_sender"
        says = stack.enter_context(_asked(world, f"{server.key}-sender", module, spec))
        _say(says, clients, 3, 0.1)
        paced = _say(says, clients, PACED, EVERY)
        cpu = world.cpu({"server": [child]})["server"]
        burst = _say(says, clients, BURST, 0)
        cpu = world.cpu({"server": [child]})["server"] - cpu
        size = memory([child])
    deliveries = BURST * SOCKETS
    return {
        "deliveries/s": deliveries / (burst["at"] - burst["began"]),
        "p50 ms": percentile(paced["took"], 0.5) * 1e3,
        "p99 ms": percentile(paced["took"], 0.99) * 1e3,
        "CPU of the server, us a delivery": cpu / deliveries * 1e6,
        "MB": size / 1e6,
    }


def idle(world: World) -> Figures:
    """Resident memory of the process that open, subscribed sockets cost, after two heartbeats."""
    with contextlib.ExitStack() as stack:
        port, child = stack.enter_context(_serving(world, OURS))
        stack.enter_context(_clients(world, port, 50, OURS))
        before = memory([child])
        started = time.monotonic()
        stack.enter_context(_clients(world, port, IDLE, OURS))
        opened = time.monotonic() - started
        after = memory([child])
        spent = world.cpu({"server": [child]})["server"]
        time.sleep(30)
        spent = world.cpu({"server": [child]})["server"] - spent
        beats = memory([child])
    return {
        "KB a socket": (after - before) / IDLE / 1e3,
        "KB a socket after two heartbeats": (beats - before) / IDLE / 1e3,
        "opened and subscribed a second": IDLE / opened,
        "% of a core when idle": spent / 30 * 100,
    }


def _say(says: _Asked, clients: _Asked, lines: int, every: float) -> dict[str, Any]:
    """Say so many lines; what became of them."""
    said = says.ask({"lines": lines, "every": every})
    found = clients.ask({"frames": lines * SOCKETS, "seconds": PATIENCE})
    if found["frames"] != lines * SOCKETS:
        raise Failed(f"{found['frames']} frames arrived of {lines * SOCKETS}")
    return {**found, **said}


class _Asked(Sender):
    """A child that answers each line of JSON with another."""

    def ask(self, question: object) -> Any:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(question).encode() + b"\n")
        self.popen.stdin.flush()
        return json.loads(self._line())


@contextlib.contextmanager
def _asked(world: World, name: str, module: str, spec: object) -> Iterator[_Asked]:
    command = [sys.executable, "-m", module, json.dumps(spec)]
    env = world.environment(PGAPPNAME=name, DJANGO_SETTINGS_MODULE=SETTINGS)
    child = _Asked(name, command, env, world.logs)
    try:
        yield child
    finally:
        child.stop()


@contextlib.contextmanager
def _clients(world: World, port: int, count: int, server: Server) -> Iterator[_Asked]:
    spec = {"port": port, "count": count, "ours": server is OURS}
    module = "tests.performance.fanout_clients"
    with _asked(world, f"{server.key}-clients-{count}", module, spec) as clients:
        yield clients


@contextlib.contextmanager
def _serving(world: World, server: Server) -> Iterator[tuple[int, Child]]:
    world.broker.flushdb()
    world.database.execute(TABLES.encode())
    port = free_port()
    with world.running(
        server.key, _command(server, port), DJANGO_SETTINGS_MODULE=SETTINGS
    ) as child:
        world.wait(lambda: sinks.listens(port), 30, [child])
        yield port, child


def _command(server: Server, port: int) -> Sequence[str]:
    if server.key == "fanout-websockets":
        return [sys.executable, "-m", "tests.performance.peers.fanout", str(port)]
    application = ["commsproject.asgi:application"]
    if server is not OURS:
        application = ["--factory", "tests.performance.peers.fanout:channels_application"]
    return [
        *(sys.executable, "-m", "uvicorn", *application, "--app-dir", str(ROOT)),
        *("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--lifespan", "off"),
        *(flag for name, value in OPTIONS.items() for flag in _flag(name, value)),
    ]


def _flag(name: str, value: object) -> tuple[str, str]:
    """An option of `uvicorn.Config` as its command line writes it."""
    return f"--{name.replace('_', '-')}", str(value).lower()
