"""A database that takes no writes counts as one that is away.

psycopg calls a refused write an internal error, beside corrupted rows (SQLSTATE 25006, of class 25
"invalid transaction state"). It is what a standby says, and what hosts of databases switch on
before a disk is full: it ends some time, and is met like an outage. What only reads goes on.
"""

from __future__ import annotations

from types import TracebackType

from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from django.utils.functional import cached_property
from psycopg.errors import ReadOnlySqlTransaction
from typing_extensions import override


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
        if not isinstance(error, ReadOnlySqlTransaction):
            super().__exit__(kind, error, trace)
            return
        self._database.errors_occurred = True
        raise OperationalError(*error.args).with_traceback(trace) from error


class DatabaseWrapper(base.DatabaseWrapper):
    @cached_property
    @override
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _Errors(self)
