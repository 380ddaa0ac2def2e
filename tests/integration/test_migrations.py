"""Migrations go back as well as forward, and none stops the release that still runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import CommandError, call_command
from django.core.management.commands.migrate import Command as BaseMigrate
from django.db import connection, connections, migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.signals import pre_migrate

from tests import migration_rules

OURS = set(migration_rules.SHIPPED)

_SCHEMA = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', udt_name, character_maximum_length, is_nullable, column_default, is_identity)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'table', relname, concat_ws(' ', relkind, reloptions::text)
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
"""


@contextmanager
def empty_database() -> Iterator[BaseDatabaseWrapper]:
    name = f"{connection.settings_dict['NAME']}_empty"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    other = connection.copy(alias="empty")
    other.settings_dict |= {"NAME": name, "OPTIONS": {}}  # no pool: nothing else may be connected
    connections["empty"] = other
    try:
        yield other
    finally:
        other.close()
        del connections["empty"]
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def schema(database: BaseDatabaseWrapper) -> dict[tuple[str, str], str]:
    with database.cursor() as cursor:
        cursor.execute(_SCHEMA)
        return {(kind, name): text for kind, name, text in cursor.fetchall()}


def migrate(database: BaseDatabaseWrapper, targets: list[Any]) -> None:
    MigrationExecutor(database).migrate(targets)


@pytest.mark.rollout
@pytest.mark.timeout(900)  # half a minute of computing, on a machine that others use too
@pytest.mark.django_db(transaction=True)
def test_forward_back_and_forward_again_gives_the_same_schema() -> None:
    with empty_database() as database:
        leaves = MigrationExecutor(database).loader.graph.leaf_nodes()
        migrate(database, leaves)
        first = schema(database)
        migrate(database, [(app, None) for app in sorted(OURS)])
        left = {name for kind, name in schema(database) if kind in ("table", "function")}
        assert not {name for name in left if name.startswith(tuple(f"{app}_" for app in OURS))}
        assert not {name for kind, name in schema(database) if kind in ("function", "trigger")}
        migrate(database, leaves)
        assert schema(database) == first
    assert schema(connection) == first  # what all other tests run on


@pytest.mark.django_db(transaction=True)
def test_migrating_waits_for_no_table_and_for_every_other_migration() -> None:
    seen = {}

    def look(**_: Any) -> None:
        with connection.cursor() as cursor:
            for name in ("lock_timeout", "statement_timeout"):
                cursor.execute(f"SHOW {name}")
                seen[name] = cursor.fetchone()[0]
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            )
            seen["locks"] = cursor.fetchone()[0]

    pre_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        pre_migrate.disconnect(look)
    during, seen = seen, {}
    assert during == {"lock_timeout": "5s", "statement_timeout": "0", "locks": 1}
    look()
    assert seen == {"lock_timeout": "10s", "statement_timeout": "1min", "locks": 0}


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_busy_ends_it_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any, **__: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            cursor.execute("SELECT 1 FROM notifications_work")

    other = connection.copy()
    other.settings_dict["OPTIONS"] = {}
    monkeypatch.setattr(BaseMigrate, "handle", busy)
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE notifications_work")
            with pytest.raises(CommandError, match="run it again"):
                call_command("migrate", verbosity=0)
    finally:
        other.close()


def test_no_migration_stops_the_release_before_it() -> None:
    loader = MigrationLoader(None)
    told = []
    for key in loader.disk_migrations:
        app, name = key
        if app in OURS and name > migration_rules.SHIPPED[app]:
            before = loader.project_state(key, at_end=False)
            told += [
                f"{app} {name}: {text}"
                for text in migration_rules.findings(loader.disk_migrations[key], before)
            ]
    assert not told, "docs/how-to/migrate-without-downtime.md says how:\n" + "\n".join(told)


def test_what_counts_as_shipped_exists() -> None:
    assert MigrationLoader(None).disk_migrations.keys() >= migration_rules.SHIPPED.items()


# --- The rules -------------------------------------------------------------------------------

_INDEX = models.Index(fields=["name"], name="i")
_CHECK = models.CheckConstraint(condition=models.Q(name="x"), name="c")
_BUILDS = "builds an index while the table is locked"


def _key(**options: Any) -> models.Field[Any, Any]:
    return models.ForeignKey("common.Thing", models.CASCADE, null=True, **options)


_THING = migrations.CreateModel("Other", [("name", models.TextField())])

ALLOWED = [
    _THING,
    migrations.AddField("Thing", "a", models.TextField(null=True)),
    migrations.AddField("Thing", "a", models.TextField(db_default="")),
    migrations.AddField("Thing", "a", _key(db_index=False)),
    migrations.AlterField("Thing", "name", models.CharField(max_length=200)),
    migrations.AlterField("Thing", "name", models.CharField()),
    migrations.AlterField("Thing", "name", models.CharField(max_length=100, null=True)),
    migrations.AlterField("Thing", "name", models.CharField(max_length=100, choices=[("a", "b")])),
    migrations.RemoveIndex("Thing", "i"),
    migrations.RunSQL("SELECT 1", reverse_sql=migrations.RunSQL.noop),
    migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("Thing", "name")]),
    migrations.SeparateDatabaseAndState(database_operations=[migrations.DeleteModel("Thing")]),
]
REFUSED = [
    (migrations.AddField("Thing", "a", models.TextField(default="")), "does not fill it"),
    (migrations.AddField("Thing", "a", models.TextField(null=True, db_index=True)), _BUILDS),
    (migrations.AddField("Thing", "a", models.TextField(null=True, unique=True)), _BUILDS),
    (migrations.AddField("Thing", "a", _key()), _BUILDS),
    (migrations.AlterField("Thing", "note", models.TextField(null=True, db_index=True)), _BUILDS),
    (migrations.AlterUniqueTogether("Thing", {("name", "note")}), _BUILDS),
    (migrations.AlterField("Thing", "title", models.CharField(max_length=9)), "rewrites or locks"),
    (
        migrations.AlterField("Thing", "price", models.DecimalField(None, None, 9, 4)),
        "rewrites or locks",
    ),
    (migrations.RemoveField("Thing", "name"), "still asks for it"),
    (migrations.DeleteModel("Thing"), "still asks for it"),
    (migrations.RenameField("Thing", "name", "title"), "by the old name"),
    (migrations.RenameModel("Thing", "Object"), "by the old name"),
    (migrations.AlterModelTable("Thing", "things"), "by the old name"),
    (migrations.AlterField("Thing", "name", models.CharField(max_length=50)), "rewrites or locks"),
    (migrations.AlterField("Thing", "name", models.IntegerField()), "rewrites or locks"),
    (migrations.AlterField("Thing", "note", models.TextField()), "rewrites or locks"),
    (migrations.AddIndex("Thing", _INDEX), "locks the table"),
    (AddIndexConcurrently("Thing", _INDEX), "atomic = False"),
    (migrations.AddConstraint("Thing", _CHECK), "locks the table"),
    (migrations.RunSQL("SELECT 1"), "a way back"),
    (migrations.RunPython(lambda *_: None), "a way back"),
]


def findings(*operations: Any) -> list[str]:
    state = ProjectState()
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=100)),
        ("note", models.TextField(null=True)),
        ("title", models.CharField()),
        ("price", models.DecimalField(max_digits=9, decimal_places=2)),
    ]
    state.add_model(ModelState("common", "Thing", fields, {"indexes": [_INDEX]}))
    kind = type("Migration", (migrations.Migration,), {"operations": list(operations)})
    migration = kind("0099_new", "common")
    return list(migration_rules.findings(migration, state))


def test_what_the_rules_let_pass() -> None:
    for one in ALLOWED:
        assert findings(one) == [], one
    assert findings(_THING, migrations.AddIndex("Other", _INDEX)) == []


def test_what_the_rules_refuse() -> None:
    for one, said in REFUSED:
        told = findings(one)
        assert any(said in text for text in told), (one, told)
