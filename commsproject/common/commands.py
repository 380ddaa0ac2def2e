"""Commands of the service: one that needs the database says in a sentence that it is away."""

from __future__ import annotations

import os
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
