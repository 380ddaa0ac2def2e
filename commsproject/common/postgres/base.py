"""A database that takes no writes, or has ended our session, counts as one that is away.

psycopg calls both internal errors, beside corrupted rows: they are of SQLSTATE's class 25 "invalid
transaction state". A write is refused (25006) by a standby, and by hosts of databases before a disk
is full: it ends some time, and is met like an outage. What only reads goes on. A session is ended
for having stood still within a transaction (25P03, 25P04), which is what PostgreSQL sees when it,
or we, stood still altogether: a machine that was suspended, a frozen process.
"""

from __future__ import annotations

from types import TracebackType

from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.errors import (
    IdleInTransactionSessionTimeout,
    ReadOnlySqlTransaction,
    TransactionTimeout,
)
from typing_extensions import override

_AWAY = (IdleInTransactionSessionTimeout, ReadOnlySqlTransaction, TransactionTimeout)


class _Errors(DatabaseErrorWrapper):
    def __init__(self, database: DatabaseWrapper) -> None:
        super().__init__(database)
        self._database = database

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, _AWAY):
            super().__exit__(kind, error, trace)
            return
        self._database.errors_occurred = True
        raise OperationalError(*error.args).with_traceback(trace) from error


class DatabaseWrapper(base.DatabaseWrapper):
    @cached_property
    @override
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)
