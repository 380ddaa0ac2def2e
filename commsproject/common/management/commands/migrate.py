"""Django's `migrate`, made to run beside the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import LockNotAvailable
from typing_extensions import override

from commsproject.common.postgres.session import answering_within

_MIGRATING = 0x636F6D6D73 + 1
"""An advisory lock: that of the scheduler plus one."""


class Command(migrate.Command):
    help = f"{migrate.Command.help} One at a time; gives up where a table is not to be had in 5 s."

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with _alone(connections[options["database"]]):
                super().handle(*args, **options)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise CommandError(
                "A table was busy for 5 s, and waiting longer would hold up everybody behind it."
                " What is done is kept: run it again."
            ) from None


@contextmanager
def _alone(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Two that start at once on one database must not both migrate it. An index of a large table may
    take its time, a lock on one must not: all others wait behind who waits.
    """
    with answering_within(database, None):
        with database.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATING])
            cursor.execute("SET lock_timeout = '5s'")
        try:
            yield
        finally:
            if database.is_usable():
                with database.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATING])
                    cursor.execute("RESET statement_timeout")
                    cursor.execute("RESET lock_timeout")
