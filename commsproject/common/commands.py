"""Commands of the service: one that needs the database says in a sentence that it is away."""

from __future__ import annotations

import os
import signal
import threading
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


_STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def heed_stops(stopping: threading.Event) -> None:
    """Set `stopping` at SIGTERM, SIGINT and SIGHUP.

    By the byte that Python's handler in C writes at once. One in Python runs between two steps of
    the main thread: in the midst of `stopping.wait()` it would wait for a lock that it holds itself,
    and what comes as that thread falls asleep is not heard before the next signal (4 % of stops on
    busy cores, measured).
    """
    heard, said = os.pipe()
    os.set_blocking(said, False)

    def heed() -> None:
        while os.read(heard, 1)[0] not in _STOPS:
            pass
        stopping.set()

    signal.set_wakeup_fd(said)
    for number in _STOPS:
        if number != signal.SIGHUP or not _outlives_terminals():
            signal.signal(number, lambda *_: None)
    threading.Thread(target=heed, name="stops", daemon=True).start()


def heed_hangups() -> None:
    """A terminal that goes asks for the same as SIGTERM, but of a process that `nohup` has started."""
    if not _outlives_terminals():
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _outlives_terminals() -> bool:
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
