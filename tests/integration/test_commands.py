"""The commands of the service, as they are called."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from notifications.models import Delivery, Work
from tests.engine import drain
from tests.processes import ROOT

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "commsproject.settings.prod",
    "SECRET_KEY": "of-a-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOP",
    "ADDRESS_HASH_KEY": "of-a-test",
    "DATABASE_URL": "postgres://nobody@localhost/nothing",
    "REDIS_URL": "redis://localhost:6379/0",
    "PUBLIC_URL": "https://comms.example.com",
    "DEFAULT_FROM_EMAIL": "comms@example.com",
    "IDENTITY_JWKS_URL": "https://identity.example.com/jwks.json",
    "IDENTITY_ISSUER": "https://identity.example.com",
    "IDENTITY_AUDIENCE": "comms",
    "PATH": "/usr/bin:/bin",
}


def manage(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *command],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )


def message(api: APIClient) -> None:
    body = {"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "t"}}
    assert api.post("/api/v1/notifications", body, format="json").status_code == 202


def test_audit_says_so_when_all_is_well(api: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
    message(api)
    drain()
    call_command("audit")
    assert capsys.readouterr().out == "The ledger adds up.\n"


def test_audit_names_what_is_wrong_and_fails(
    api: APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    message(api)
    Work.objects.all().delete()
    with pytest.raises(CommandError, match="1 rows are wrong"):
        call_command("audit")
    out = capsys.readouterr().out
    assert out.startswith(f"lost_work: delivery {Delivery.objects.get().id}: queued")


def test_production_settings_pass_the_deployment_check() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "provider"),
    [
        ("SENDGRID_WEBHOOK_PUBLIC_KEY", {"SENDGRID_API_KEY": "k"}),
        (
            "SNS_TOPIC_ARNS",
            {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k", "AWS_SES_REGION": "r"},
        ),
    ],
)
def test_the_deployment_check_names_what_receipts_need(
    missing: str, provider: dict[str, str]
) -> None:
    command = ("check", "--deploy", "--fail-level", "WARNING")
    done = manage(*command, **PRODUCTION, **provider)
    assert done.returncode != 0
    assert f"{missing} is not set" in done.stderr
    assert manage(*command, **PRODUCTION, **provider, **{missing: "x"}).returncode == 0


@pytest.mark.parametrize(
    "missing", ["SECRET_KEY", "ADDRESS_HASH_KEY", "PUBLIC_URL", "DEFAULT_FROM_EMAIL"]
)
def test_production_does_not_start_without_what_it_must_be_told(missing: str) -> None:
    env = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", **env)
    assert done.returncode != 0
    assert missing in done.stderr


def test_secrets_may_come_from_files(tmp_path: object) -> None:
    file = tmp_path / "key"  # type: ignore[operator]
    file.write_text(PRODUCTION["SECRET_KEY"] + "\n")  # as editors and `echo` leave it
    env = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}
    show = "from django.conf import settings; print(repr(settings.SECRET_KEY))"
    done = manage("shell", "-v0", "-c", show, **env, SECRET_KEY_FILE=str(file))
    assert done.stdout.strip() == repr(PRODUCTION["SECRET_KEY"]), done.stderr


def test_development_makes_keys_of_its_own_and_keeps_them(tmp_path: object) -> None:
    env = {
        "COMMS_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgres://nobody@localhost/nothing",
        "REDIS_URL": "redis://localhost:6379/0",
        "PATH": "/usr/bin:/bin",
    }
    assert manage("check", **env).returncode == 0
    key = tmp_path / "secret-key"  # type: ignore[operator]
    first = key.read_text()
    assert len(first) > 50
    assert key.stat().st_mode & 0o077 == 0
    assert manage("check", **env).returncode == 0
    assert key.read_text() == first


def test_a_probe_by_address_is_answered_in_production_too() -> None:
    ask = (
        "from django.test import Client;"
        "print(Client().get('/health/live', headers={'host': '10.1.2.3:8002'}).status_code)"
    )
    done = manage("shell", "-v0", "-c", ask, **PRODUCTION)
    assert done.stdout.strip() == "200", done.stderr


def test_production_does_not_pretend_to_deliver() -> None:
    show = "from notifications.providers import registry; print(list(registry.enabled()))"
    done = manage("shell", "-v0", "-c", show, **PRODUCTION)
    assert done.stdout.strip() == "['inapp']", done.stderr


@pytest.mark.parametrize("url", ["foo://relay.example.com", "relay.example.com:25", "smtp://"])
def test_a_provider_that_could_send_nothing_is_named_at_start(url: str) -> None:
    done = manage("check", **PRODUCTION, SMTP_URL=url)
    assert done.returncode != 0
    assert "SMTP_URL is none" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("POLL_SECONDS", "abc"), ("DATABASE_POOL", "seventeen")]
)
def test_a_variable_that_cannot_be_read_is_named(name: str, value: str) -> None:
    done = manage("check", **PRODUCTION, **{name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert value not in done.stderr.splitlines()[-1]


def test_a_secret_file_that_is_not_there_is_named() -> None:
    done = manage("check", **PRODUCTION, SENDGRID_API_KEY_FILE="/nonexistent")
    assert done.returncode != 0
    assert "SENDGRID_API_KEY" in done.stderr.splitlines()[-1]
