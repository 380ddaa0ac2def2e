"""What a socket does when its client is no longer there."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from commsproject.common.live.sockets import Socket


async def _gone(message: Any) -> None:
    """As an ASGI server has it."""
    raise OSError


async def _closed(message: Any) -> None:
    """As uvicorn has it, after its own close frame."""
    raise RuntimeError


def answer(send: Any, *, closing: bool = False) -> None:
    async def story() -> None:
        socket = Socket(cast("Any", None), cast("Any", None), send, lambda _: None)
        if closing:
            socket.stop()
        await socket.answer({"type": "websocket.send", "text": "{}"})

    asyncio.run(story())


def test_an_answer_to_a_client_that_has_gone_is_dropped() -> None:
    answer(_gone)
    answer(_closed, closing=True)


def test_an_answer_after_a_close_that_nobody_asked_for_is_a_defect() -> None:
    with pytest.raises(RuntimeError):
        answer(_closed)
