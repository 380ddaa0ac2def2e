"""Steps over the rows of a table, for those apps whose rows are of the plain kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from commsproject.common import ids
from commsproject.common.personal_data.registry import (
    PAGE_ROWS,
    STEP_ROWS,
    Erased,
    Export,
    Gone,
    Page,
    Person,
    Purge,
    Row,
)

STEP_SECONDS = 10
"""For a statement of a step; it is tried again later."""


def told(found: Callable[[Person], QuerySet[Any]], tell: Callable[[Any], Row]) -> Export:
    """An export of the rows that `found` finds, in the order of their ids."""

    def export(person: Person, after: str) -> Page:
        rows = found(person).order_by("pk")
        page = list(rows.filter(pk__gt=UUID(after))[:PAGE_ROWS] if after else rows[:PAGE_ROWS])
        more = str(page[-1].pk) if len(page) == PAGE_ROWS else ""
        return Page([tell(row) for row in page], more)

    return export


def deleted(rows: QuerySet[Any]) -> Erased:
    """A step that deletes up to `PAGE_ROWS` of `rows` with all that hangs on them."""
    pks = list(rows.order_by("pk").values_list("pk", flat=True)[:PAGE_ROWS])
    rows.model._default_manager.filter(pk__in=pks).delete()  # noqa: SLF001 - documented API
    return Erased(len(pks), "more" if len(pks) == PAGE_ROWS else "")


def fields(row: Model, *without: str) -> Row:
    """All columns of a row, but for `without`."""
    return {
        one.attname: getattr(row, one.attname)
        for one in row._meta.concrete_fields  # noqa: SLF001 - documented API
        if one.attname not in without and not one.generated
    }


def older(
    model: type[Model],
    age: Callable[[], timedelta],
    why: str,
    *,
    where: str = "TRUE",
    values: Mapping[str, Any] | None = None,
) -> Purge:
    """Rows of `model`, whose key is a uuid7, made longer than `age` ago. Nothing may hang on them.

    `where`: SQL that narrows it down, with `values`.
    """
    table = connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001 - documented API
    old = f"id < %(floor)s AND ({where})"

    def ask(query: str, now: datetime) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(query, {"floor": ids.floor(now - age()), **(values or {})})
            return cursor.fetchone()[0] if cursor.description else cursor.rowcount

    def count(now: datetime) -> int:
        return int(ask(f"SELECT count(*) FROM {table} WHERE {old}", now))  # noqa: S608 - names of ours

    def step(now: datetime) -> Gone:
        with transaction.atomic():
            limited(STEP_SECONDS)
            rows = ask(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {old}"  # noqa: S608
                f" ORDER BY id LIMIT {STEP_ROWS} FOR UPDATE SKIP LOCKED)",
                now,
            )
        return Gone(rows, rows == STEP_ROWS)

    return Purge(model._meta.db_table, why, count, step)  # noqa: SLF001


def limited(seconds: int) -> None:
    """In this transaction no statement runs longer, and none waits a second for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{seconds}s'")
        cursor.execute("SET LOCAL lock_timeout = '1s'")
