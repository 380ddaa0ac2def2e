"""What the socket needs of uvicorn beyond ASGI, which knows neither a connection's buffers nor its end
by force. uvicorn's `send` is a method of its protocol, and that has the transport; behind another
server nothing happens here, and its own timeouts have to do.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from commsproject.common.live.frames import MAX_FRAME

OPTIONS: dict[str, Any] = {
    "server_header": False,  # what we are made of is nobody's business
    "ws": "websockets-sansio",
    "ws_max_size": MAX_FRAME,
    # 40 KB for each socket otherwise, and frames are small.
    "ws_per_message_deflate": False,
    # A client that has gone without a word is closed after 40 s.
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
"""Of `uvicorn.Config`."""

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_BUFFER = 64 * 1024
"""Bytes that the kernel keeps of what a client has not read; Linux doubles it, and would take 4 MB."""

_NO_LINGER = struct.pack("ii", 1, 0)


def bound_buffer(send: Send) -> None:
    """Keep no more for a client that does not read than a few frames."""
    if (transport := _transport(send)) is not None:
        _set(transport, socket.SO_SNDBUF, _BUFFER)


def abort(send: Send) -> None:
    """End the connection now, with all that was written and not read: a close frame would wait
    behind it.
    """
    if (transport := _transport(send)) is not None:
        _set(transport, socket.SO_LINGER, _NO_LINGER)
        transport.abort()


def _transport(send: Send) -> asyncio.Transport | None:
    return getattr(getattr(send, "__self__", None), "transport", None)


def _set(transport: asyncio.Transport, option: int, value: int | bytes) -> None:
    """Not once it is closed: the number of its file may be that of another connection by now."""
    if transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, option, value)
