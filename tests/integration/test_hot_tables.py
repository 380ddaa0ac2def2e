"""What PostgreSQL is told about the tables that every message changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

from commsproject.common.models import ApiClient
from notifications.models import Attempt, Delivery, Work
from notifications.states import State
from tests.engine import drain, make_everything_due
from tests.integration.test_engine import send
from tests.scripted import entry, temporary

pytestmark = pytest.mark.django_db

_RECORD = """
CREATE TABLE hot_change (name text, field text);
CREATE FUNCTION hot_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hot_change
    SELECT TG_TABLE_NAME, now.key FROM jsonb_each(to_jsonb(NEW)) AS now
    JOIN jsonb_each(to_jsonb(OLD)) AS was USING (key) WHERE now.value IS DISTINCT FROM was.value;
    RETURN NULL;
END $$;
"""

_WATCH = "CREATE TRIGGER hot_note AFTER UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION hot_note()"

_INDEXED = """
SELECT DISTINCT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid
WHERE indrelid = %s::regclass AND (attnum = ANY(indkey) OR EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
        AND refobjid = indrelid AND refobjsubid = attnum))
"""
"""Columns of the indexes of a table, of their conditions and expressions too."""

HOT = [Work, Delivery, Attempt]


def test_no_index_has_a_column_that_sending_changes(agent: ApiClient, settings: Any) -> None:
    """Else each update of a row would write into every index of its table (no HOT update)."""
    tables = [model._meta.db_table for model in HOT]
    with connection.cursor() as cursor:
        cursor.execute(_RECORD)
        for table in tables:
            cursor.execute(_WATCH.format(table))
        settings.PROVIDERS = {"a": entry(answer=temporary())}
        send(agent, 3)
        drain()
        changes = _taken(cursor)
        settings.PROVIDERS = {"b": entry()}
        make_everything_due()
        _taken(cursor)  # that was no doing of the engine's
        drain()
        changes |= _taken(cursor)
        assert set(Delivery.objects.values_list("state", flat=True)) == {State.SENT}
        for table in tables:
            changed = {field for name, field in changes if name == table}
            cursor.execute(_INDEXED, [table])
            indexed = {field for (field,) in cursor.fetchall()}
            assert changed
            assert "id" in indexed
            assert not changed & indexed, table


def _taken(cursor: CursorWrapper) -> set[tuple[str, str]]:
    cursor.execute("DELETE FROM hot_change RETURNING name, field")
    return set(cursor.fetchall())


def test_their_dead_rows_are_cleared_away_early_and_updates_find_room() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reloptions FROM pg_class WHERE relname = ANY(%s)",
            [[model._meta.db_table for model in HOT]],
        )
        found = {name: dict(one.split("=") for one in options) for name, options in cursor}
    assert len(found) == len(HOT)
    for options in found.values():
        assert int(options["fillfactor"]) == 50
    work = found[Work._meta.db_table]
    assert float(work["autovacuum_vacuum_scale_factor"]) <= 0.01
    assert int(work["autovacuum_vacuum_cost_delay"]) == 0
