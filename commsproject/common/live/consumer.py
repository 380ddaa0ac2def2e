"""`/ws/`: who may open a socket, and its life."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from channels.consumer import AsyncConsumer
from django.conf import settings
from typing_extensions import override

from commsproject.common.live import database, origins, tickets, wire
from commsproject.common.live.closes import Close
from commsproject.common.live.counts import counts
from commsproject.common.live.dialogue import Dialogue
from commsproject.common.live.frames import MAX_FRAME
from commsproject.common.live.hub import Hub, hubs
from commsproject.common.live.limits import (
    FRAMES_AT_ONCE,
    FRAMES_PER_SECOND,
    MOST_KEYS,
    Flood,
)
from commsproject.common.live.seats import Crowd
from commsproject.common.live.server import Send
from commsproject.common.live.sessions import Login
from commsproject.common.live.topics import REPLAY

SUBPROTOCOL = "comms.v1"
TICKET = "ticket."

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Refused(Exception):
    """Before or after the socket is open; the argument is the `Close`."""

    def __init__(self, why: Close) -> None:
        super().__init__(why.reason)
        self.why = why


class LiveConsumer(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """One socket. It takes no channel of the layer, the hub has one for all: a channel for each
    costs 15 times as much per message, and a task and a hop to another thread for each frame.
    """

    @override
    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if SUBPROTOCOL not in scope["subprotocols"] or not origins.is_allowed(_origin(scope)):
            counts.refused_handshakes += 1
            await send({"type": "websocket.close"})  # before it is open: HTTP 403
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        hub = hubs.get()
        hub.start()
        try:
            with hub.seats.at(address := _address(scope)):
                login = await _login(scope)
                async with hub.seats.of(login.person, address):
                    await _serve(hub, login, receive, send)
        except Crowd:
            await _close(send, Close.CROWD)
        except Refused as refused:
            await _close(send, refused.why)


class NoSocket(AsyncConsumer):  # type: ignore[misc]  # channels has no types
    """Every other path: HTTP 403."""

    @override
    async def __call__(self, _scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})


async def _serve(hub: Hub, login: Login, receive: Receive, send: Send) -> None:
    socket = hub.enter(login, send)
    try:
        await socket.answer(wire.message(_hello(socket.session.id)))
        dialogue = Dialogue(hub, socket)
        while (message := await receive())["type"] == "websocket.receive":
            if (
                socket.is_closing
            ):  # its login may have ended, whatever the client sends before it goes
                break
            await dialogue.hear(message.get("text"))
    except Flood:
        raise Refused(Close.FLOOD) from None
    except OSError:
        pass  # the client has gone while it was being answered
    finally:
        hub.leave(socket)


async def _login(scope: Mapping[str, Any]) -> Login:
    offered = [one.removeprefix(TICKET) for one in scope["subprotocols"] if one.startswith(TICKET)]
    if len(offered) != 1:
        raise Refused(Close.UNAUTHENTICATED)
    try:
        login = await database.run(tickets.redeem, offered[0], _origin(scope))
    except database.AWAY as error:
        log.warning("database unavailable", error=type(error).__name__)
        raise Refused(Close.AWAY) from None
    if login is None:
        raise Refused(Close.UNAUTHENTICATED)
    if login.has_expired:
        raise Refused(Close.ENDED)
    return login


def _origin(scope: Mapping[str, Any]) -> str:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    return values[0] if len(values) == 1 else ",".join(values)


def _address(scope: Mapping[str, Any]) -> str:
    """Where a proxy is trusted, uvicorn puts the client's here (FORWARDED_ALLOW_IPS)."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _hello(session: str) -> dict[str, Any]:
    spread = settings.LIVE_RECONNECT_SECONDS * 1000
    return {
        "type": "hello",
        "session": session,
        "heartbeat_ms": round(settings.LIVE_HEARTBEAT_SECONDS * 1000),
        "reconnect_after_ms": round(random.uniform(0, spread)),  # noqa: S311
        "limits": {
            "frame_bytes": MAX_FRAME,
            "frames_per_second": FRAMES_PER_SECOND,
            "frames_at_once": FRAMES_AT_ONCE,
            "keys": MOST_KEYS,
            "replay": REPLAY,
        },
    }


async def _close(send: Send, why: Close) -> None:
    counts.closed[why.name.lower()] += 1
    with contextlib.suppress(OSError, RuntimeError):  # it was closed meanwhile
        await send({"type": "websocket.close", "code": why.code, "reason": why.reason})
