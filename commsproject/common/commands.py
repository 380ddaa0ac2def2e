"""Commands of the service: one that needs the database says in a sentence that it is away."""

from __future__ import annotations

import os
import signal
import threading
from queue import SimpleQueue
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable
from typing_extensions import override


class DatabaseCommand(BaseCommand):
    """Ends with a sentence and 1 where PostgreSQL does not answer or its schema is another's."""

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
        except ProgrammingError as error:
            if not isinstance(error.__cause__, (UndefinedTable, UndefinedColumn)):
                raise
            raise CommandError(
                "The database is not that of this release: run `python manage.py migrate`."
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
    """Set `stopping` at SIGTERM, SIGINT and SIGHUP.

    Not in the handler, which runs inside whatever the main thread is doing: in the midst of
    `stopping.wait()` it would wait for a lock that it holds itself, for ever.
    """
    asked: SimpleQueue[int] = SimpleQueue()  # whose put() may interrupt anything

    def heed() -> None:
        asked.get()
        stopping.set()

    threading.Thread(target=heed, name="stops", daemon=True).start()
    heed_hangups()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.put(number))


def heed_hangups() -> None:
    """A terminal that goes asks for the same as SIGTERM, but of a process that `nohup` has started."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
