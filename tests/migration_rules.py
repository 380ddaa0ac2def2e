"""What a migration may do while the release before it still runs: docs/how-to/migrate-without-downtime.md.

The rules are about operations and the state before them; no database is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
)
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.fields import NOT_PROVIDED

SHIPPED = {
    "common": "0008_staff",
    "conversations": "0004_staff_inbox",
    "notifications": "0019_address_by_value",
    "templates_app": "0006_replies",
    "tracking": "0008_forged_senders",
}
"""The last of each app that was there before anything ran in production: the rules hold for later ones."""

_RENAMES = (operations.RenameField, operations.RenameModel, operations.AlterModelTable)
_DROPS = (operations.RemoveField, operations.DeleteModel)


def findings(migration: Migration, before: ProjectState) -> Iterator[str]:
    """What is wrong with a migration, in sentences; `before` is the state that it starts from."""
    state = before.clone()
    new: set[str] = set()
    for one in migration.operations:
        yield from _of(one, migration, state, new)
        if isinstance(one, operations.CreateModel):
            new.add(one.name_lower)
        one.state_forwards(migration.app_label, state)


def _of(one: Operation, migration: Migration, state: ProjectState, new: set[str]) -> Iterator[str]:
    what = one.describe()
    if isinstance(one, operations.SeparateDatabaseAndState):
        for inner in one.database_operations:
            if not isinstance(inner, _DROPS):  # the code forgot it a release ago
                yield from _of(inner, migration, state, new)
        return
    if not one.reversible:
        yield f"{what}: give it a way back."
    if isinstance(one, _RENAMES):
        yield f"{what}: the release that runs asks by the old name. Add, copy, and drop later."
    if isinstance(one, _DROPS):
        yield f"{what}: the release that runs still asks for it. Drop it from the state first."
    if isinstance(one, AddIndexConcurrently | RemoveIndexConcurrently) and migration.atomic:
        yield f"{what}: atomic = False."
    if getattr(one, "model_name_lower", None) in new:
        return  # nobody uses a table that this migration makes
    yield from _of_a_table_in_use(one, migration.app_label, state)


def _of_a_table_in_use(one: Operation, app: str, state: ProjectState) -> Iterator[str]:
    what = one.describe()
    if isinstance(one, operations.AddField) and _refuses_old_rows(one.field):
        yield f"{what}: the release that runs does not fill it. Let it be null, or give db_default."
    if isinstance(one, operations.AddField) and _has_index(one.field):
        yield f"{what}: {_INDEX}"
    if isinstance(one, operations.AlterField):
        old = state.models[app, one.model_name_lower].fields[one.name_lower]
        if _rewrites(old, one.field):
            yield f"{what}: rewrites or locks the table. Add a new column instead."
        if _has_index(one.field) and not _has_index(old):
            yield f"{what}: {_INDEX}"
    if isinstance(one, operations.AlterUniqueTogether) and one.option_value:
        yield f"{what}: {_INDEX}"
    if isinstance(one, operations.AddIndex) and not isinstance(one, AddIndexConcurrently):
        yield f"{what}: locks the table while it is built. AddIndexConcurrently, atomic = False."
    if isinstance(one, operations.AddConstraint) and not isinstance(one, AddConstraintNotValid):
        yield f"{what}: locks the table. AddConstraintNotValid and ValidateConstraint, or an index."


_INDEX = "builds an index while the table is locked. Without it, and then AddIndexConcurrently."


def _has_index(field: models.Field[Any, Any]) -> bool:
    """A foreign key has one unless told."""
    return field.unique or bool(getattr(field, "db_index", False))


def _refuses_old_rows(field: models.Field[Any, Any]) -> bool:
    has_column = not isinstance(field, models.ManyToManyField)
    return has_column and not field.null and field.db_default is NOT_PROVIDED


def _rewrites(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> bool:
    """Not where only Python looks at what changes, nor where a limit is raised or taken away."""
    if old.get_internal_type() != new.get_internal_type():
        return True
    unlimited = float("inf")
    narrower = (new.max_length or unlimited) < (old.max_length or unlimited)
    precise = ("max_digits", "decimal_places")
    other = any(getattr(old, name, None) != getattr(new, name, None) for name in precise)
    return narrower or other or (old.null and not new.null) or (new.unique and not old.unique)
