"""Commands of the service: one that needs the database says in a sentence that it is away."""

from __future__ import annotations

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
