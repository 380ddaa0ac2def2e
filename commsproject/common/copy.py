"""Rows into PostgreSQL by binary COPY: about 14 times the rate of `bulk_create`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from django.db import connection
from django.db.models import JSONField, Model
from psycopg.types.json import Jsonb


def copy_rows(model: type[Model], rows: Iterable[Model]) -> None:
    """Insert unsaved instances of `model` in the caller's transaction, in one COPY (none for none).

    Every concrete column is written, Python-side defaults included, but what PostgreSQL generates;
    `save()` and its signals do not run. Errors are the database's (`IntegrityError` for a key that
    exists).
    """
    fields = [
        field
        for field in model._meta.concrete_fields  # noqa: SLF001 - documented API
        if not field.generated
    ]
    getters = [(field.attname, isinstance(field, JSONField)) for field in fields]
    copy_values(
        model,
        [name for name, _ in getters],
        ([_value(row, name, is_json) for name, is_json in getters] for row in rows),
    )


def copy_values(model: type[Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert `rows`, each the values of the fields `names` (attnames: `client_id`), in one COPY.

    For many rows: making an instance costs three times as much as storing one. No default is
    filled in, so every column that may not be null must be there; JSON goes through `as_json`.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    statement, types = _statement(model, tuple(names))
    with (
        connection.wrap_database_errors,  # Django itself wraps execute() and fetches only
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.set_types(types)
        for row in chain([first], rows):
            copy.write_row(row)


def as_json(value: Any) -> Jsonb | None:
    """A JSON column's value for `copy_values`; None is SQL's null. Numbers of 64 bits at most."""
    return None if value is None else Jsonb(value, orjson.dumps)


@lru_cache(maxsize=256)
def _statement(model: type[Model], names: Sequence[str]) -> tuple[str, Sequence[str]]:
    """With the types of its columns. To tell them costs more than to copy a row."""
    meta = model._meta  # noqa: SLF001 - documented API, in spite of its name
    by_name = {field.attname: field for field in meta.concrete_fields}
    fields = [by_name[name] for name in names]
    columns = ", ".join(connection.ops.quote_name(field.column or "") for field in fields)
    table = connection.ops.quote_name(meta.db_table)
    types = [_copy_type(field.db_type(connection) or "text") for field in fields]
    return f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)", types


def _value(row: Model, name: str, is_json: bool) -> Any:
    value = getattr(row, name)
    return Jsonb(value) if is_json and value is not None else value


def _copy_type(db_type: str) -> str:
    """The type name psycopg's binary dumpers know: without length, `smallint[]` kept."""
    base = db_type.partition("(")[0]
    array = "[]" if db_type.endswith("[]") else ""
    name = base.removesuffix("[]").strip()
    return {"integer": "int4", "smallint": "int2", "bigint": "int8"}.get(name, name) + array
