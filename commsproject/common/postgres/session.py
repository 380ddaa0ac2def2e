"""A session with PostgreSQL whose answers are not waited for without end.

`statement_timeout` is kept by the server. One that stands still keeps nothing, and its kernel goes on
to acknowledge what arrives: neither keepalives nor TCP_USER_TIMEOUT notice. So the client has a clock
too. Without it a request hung for as long as PostgreSQL was frozen (measured with SIGSTOP).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.abc import RV, PQGen
from typing_extensions import override

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

ANSWERS_WITHIN = 75.0
"""Seconds. The server ends a statement after 60 by itself: later than that it stands still."""
CHECKED_WITHIN = 5.0
"""Seconds for the empty statement by which a pool tries a session."""
_LOOKS_EVERY = 0.1


class Session(psycopg.Connection[Any]):
    """Raises psycopg's OperationalError after `answers_within` seconds (None: never), and is closed."""

    answers_within: float | None = ANSWERS_WITHIN

    @override
    def wait(
        self, gen: PQGen[RV], interval: float = _LOOKS_EVERY, timeout: float | None = None
    ) -> RV:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answers_within)
        except errors._WaitTimeout:  # noqa: SLF001  there is no other name for it
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"PostgreSQL did not answer for {self.answers_within:g} seconds."
            ) from None

    @override
    def execute(self, *args: Any, **options: Any) -> Any:
        """Only a pool asks this way, an empty statement before it gives a session out: Django opens
        cursors. Whoever waits for a session is told within seconds that there is none.
        """
        with self.answering_within(CHECKED_WITHIN):
            return super().execute(*args, **options)

    @contextmanager
    def answering_within(self, seconds: float | None) -> Iterator[None]:
        """Another time for each answer to what the block asks."""
        before, self.answers_within = self.answers_within, seconds
        try:
            yield
        finally:
            self.answers_within = before


@contextmanager
def answering_within(database: BaseDatabaseWrapper, seconds: float | None) -> Iterator[None]:
    """The same for what this thread asks `database`. A session of no pool of ours has no clock."""
    database.ensure_connection()
    session = database.connection
    with session.answering_within(seconds) if isinstance(session, Session) else nullcontext():
        yield
