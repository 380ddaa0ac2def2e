"""The web process. The application configures all logging, uvicorn's and the lines of requests too."""

from __future__ import annotations

import signal
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand
from typing_extensions import override

from commsproject.common import heartbeat
from commsproject.common.commands import heed_hangups, listen_on
from commsproject.common.heads import BoundedHeads
from commsproject.common.live.server import OPTIONS

STOP_SECONDS = 5
"""For requests that are under way. Sockets are closed at once; each client has its time to return."""


class Command(BaseCommand):
    help = "Answer HTTP and sockets on HOST and PORT until stopped."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        host, port = listen_on()
        heed_hangups()
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn raises again what it has heeded: a stop that was asked for is no failure.
            signal.signal(number, lambda *_: None)
        config = uvicorn.Config(
            "commsproject.asgi:application",
            host=host,
            port=port,
            http=BoundedHeads,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            callback_notify=_beat,
            timeout_notify=round(heartbeat.EVERY),
            **OPTIONS,
        )
        uvicorn.Server(config).run()


async def _beat() -> None:
    heartbeat.beat()
