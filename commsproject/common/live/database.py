"""The socket's questions to PostgreSQL: on a few threads of their own, never on the event loop.

Channels' `database_sync_to_async` puts all of a process on one thread; twenty queries of 0.1 s then
take two seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

THREADS = 8

AWAY = (OperationalError, InterfaceError)
"""What is raised while PostgreSQL cannot be reached."""

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, "live-database")


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns, called with a connection that is given back afterwards."""

    def call() -> T:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_threads, call)
