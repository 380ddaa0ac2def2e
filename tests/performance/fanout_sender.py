"""Says lines to a fan-out server, at the pace the parent asks for. Ours are stored first."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable

import django

PADDING = "x" * 180


def line() -> str:
    """About 200 characters, with the time in front."""
    return f"@{time.time():.6f} {PADDING}"


def speaker(kind: str) -> Callable[[], object]:
    """How a line is said to each of the servers."""
    if kind == "ours":
        django.setup()
        from tests.live_feed import rooms

        return lambda: rooms.say("open", line())
    if kind == "channels":
        django.setup()
        from channels.layers import get_channel_layer

        layer, runner = get_channel_layer(), asyncio.Runner()
        return lambda: runner.run(layer.group_send("fanout", {"type": "line", "text": line()}))
    import redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    return lambda: client.publish("fanout", line())


def main(kind: str) -> None:
    say = speaker(kind)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for order in sys.stdin:
        wanted = json.loads(order)
        began = time.time()
        for number in range(wanted["lines"]):
            pause = began + number * wanted["every"] - time.time()
            if pause > 0:
                time.sleep(pause)
            say()
        sys.stdout.write(json.dumps({"began": began, "seconds": time.time() - began}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1])["kind"])
