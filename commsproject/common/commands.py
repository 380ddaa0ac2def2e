"""Commands of the service: one that needs the database says in a sentence that it is away."""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from typing_extensions import override


class DatabaseCommand(BaseCommand):
    """Ends with a sentence and 1 where PostgreSQL does not answer, not with a traceback."""

    @override
    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (InterfaceError, OperationalError) as error:
            kind = type(error.__cause__ or error).__name__
            raise CommandError(
                "PostgreSQL does not answer, or refuses the user or the database that DATABASE_URL "
                f"names ({kind})."
            ) from None


def listen_on() -> tuple[str, int]:
    """Host and port of the web process, by `HOST` and `PORT`. Raises CommandError."""
    text = os.environ.get("PORT", "8002")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CommandError(f"PORT is {text!r}. It must be a number from 1 to 65535.")
    return listening_host(), int(text)


def listening_host() -> str:
    return os.environ.get("HOST", "127.0.0.1")


def heed_stops(stopping: threading.Event) -> None:
    """Set `stopping` at SIGTERM and SIGINT.

    Not in the handler, which runs inside whatever the main thread is doing: in the midst of
    `stopping.wait()` it would wait for a lock that it holds itself, for ever.
    """
    asked: SimpleQueue[int] = SimpleQueue()  # whose put() may interrupt anything

    def heed() -> None:
        asked.get()
        stopping.set()

    threading.Thread(target=heed, name="stops", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.put(number))
