"""Many sockets in one process, told what to do by lines of JSON: the same for every server.

`{"say": count, "every": seconds}` has the publisher say so much; the answer is how many arrived, when
the last did, and what each took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import django
import uvloop
from typing_extensions import override

from tests.live_wire import Wire

PER_ROUND = 50


class Spec:
    """What the parent asks for: the server's port, how many sockets, and whether it is ours."""

    def __init__(self, text: str) -> None:
        given = json.loads(text)
        self.port: int = given["port"]
        self.count: int = given["count"]
        self.is_ours: bool = given["ours"]


def tickets(count: int) -> list[str]:
    django.setup()
    from commsproject.common.live import tickets
    from commsproject.common.live.people import Kind, Person
    from commsproject.common.live.sessions import Login

    return [tickets.issue(Login(Person(Kind.USER, f"u-{number}")), "") for number in range(count)]


async def main(spec: Spec) -> None:
    took: list[float] = []
    acks = 0

    class Listener(Wire):
        @override
        def frame_received(self, data: bytes) -> None:
            nonlocal acks
            at = data.find(b"@")
            if at >= 0:
                took.append(time.time() - float(data[at + 1 : at + 18]))
            elif b'"ack"' in data:
                acks += 1

    loop = asyncio.get_running_loop()
    sockets: list[Listener] = []
    for some in (range(n, min(n + PER_ROUND, spec.count)) for n in range(0, spec.count, PER_ROUND)):
        given = await asyncio.to_thread(tickets, len(some)) if spec.is_ours else [""] * len(some)
        for ticket in given:
            _, one = await loop.create_connection(Listener, "127.0.0.1", spec.port)
            offered = ["comms.v1", f"ticket.{ticket}"] if ticket else ["comms.v1"]
            one.shake_hands("127.0.0.1", spec.port, *offered)
            sockets.append(one)
        await asyncio.gather(*(one.opened for one in sockets[-len(some) :]))
    if spec.is_ours:
        for one in sockets:
            one.send(type="subscribe", id="1", rooms={"open": None}, notes=None)
        while acks < spec.count:  # noqa: ASYNC110 - the sockets tell nobody
            await asyncio.sleep(0.05)
    await _serve(spec, took)


async def _serve(spec: Spec, took: list[float]) -> None:
    """Answer each line of the parent: wait for so many frames."""
    _answer({"ready": spec.count})
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        wanted: dict[str, Any] = json.loads(line)
        deadline = time.monotonic() + wanted["seconds"]
        while len(took) < wanted["frames"] and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        _answer({"frames": len(took), "at": time.time(), "took": sorted(took)})
        took.clear()


def _answer(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(Spec(sys.argv[1])))
