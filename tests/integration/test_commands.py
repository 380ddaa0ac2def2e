"""The commands of the service, as they are called."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from notifications.models import Delivery, Work
from tests.engine import drain
from tests.processes import ROOT

pytestmark = pytest.mark.timeout(180)  # processes, on a machine that others use too

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
        timeout=150,
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


def test_the_deployment_check_names_what_receipts_need() -> None:
    command = ("check", "--deploy", "--fail-level", "WARNING")
    providers = {
        "SENDGRID_API_KEY": "k",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "k",
        "AWS_SES_REGION": "eu-west-1",
    }
    missing = {"SENDGRID_WEBHOOK_PUBLIC_KEY": "x", "SNS_TOPIC_ARNS": "x"}
    done = manage(*command, **PRODUCTION, **providers)
    assert done.returncode != 0
    for name in missing:
        assert f"{name} is not set" in done.stderr
    assert manage(*command, **PRODUCTION, **providers, **missing).returncode == 0


WRONG = {
    "PUBLIC_URL": "localhost:8002",
    "DEFAULT_FROM_EMAIL": "nonsense",
    "REPLY_DOMAIN": "reply.example.com,",
    "WEBPUSH_HOSTS": "push.example.com,*",
    "SENDGRID_API_URL": "not a url",
    "AWS_ENDPOINT_URL": "zzz",
    "AWS_SES_REGION": "frankfurt",
    "POSTMARK_API_URL": "https://user:hunter2@api.example.com/",
    "MAILGUN_API_URL": "api.example.com",
    "RESEND_API_URL": "https://",
    "BREVO_API_URL": "https://api.example.com/?x=1",
    "SMTP_URL": "smtp://relay.example.com:99999",
    "TWILIO_API_URL": "ftp://api.example.com",
    "TWILIO_FROM_NUMBER": "+banana",
    "AWS_SNS_REGION": "eu central 1",
    "FCM_API_URL": "https://fcm.example.com:0",
    "APNS_API_URL": "https:/api.example.com",
    "VAPID_SUBJECT": "me",
}
ON = dict.fromkeys(
    (
        *("SENDGRID_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BREVO_API_KEY"),
        *("POSTMARK_SERVER_TOKEN", "MAILGUN_API_KEY", "RESEND_API_KEY", "FCM_SERVICE_ACCOUNT"),
        *("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "VAPID_PRIVATE_KEY"),
        *("APNS_KEY", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC"),
    ),
    "x",
)


def test_the_check_names_each_variable_that_is_written_wrong() -> None:
    done = manage("check", **{**PRODUCTION, **ON, **WRONG})
    assert done.returncode != 0
    for name in WRONG:
        assert re.search(rf"\(notifications\.E00[12]\) (\w+: )?{name} ", done.stderr), name
    assert "hunter2" not in done.stderr


def test_the_check_names_what_is_missing_of_credentials() -> None:
    half = {"AWS_ACCESS_KEY_ID": "x", "TWILIO_ACCOUNT_SID": "x", "APNS_KEY": "x"}
    done = manage("check", "--fail-level", "WARNING", **PRODUCTION, **half)
    assert done.returncode != 0
    for missing in (
        "AWS_SECRET_ACCESS_KEY not set: ses",
        "AWS_SECRET_ACCESS_KEY not set: aws_sms",
        "TWILIO_AUTH_TOKEN not set: twilio",
        "APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC not set: apns",
    ):
        assert missing in done.stderr


@pytest.mark.parametrize(
    "missing", ["SECRET_KEY", "ADDRESS_HASH_KEY", "PUBLIC_URL", "DEFAULT_FROM_EMAIL"]
)
def test_production_does_not_start_without_what_it_must_be_told(missing: str) -> None:
    env = {name: value for name, value in PRODUCTION.items() if name != missing}
    done = manage("check", **env)
    assert done.returncode != 0
    assert missing in done.stderr


def test_production_reads_secrets_from_files_answers_probes_and_pretends_no_delivery(
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    file.write_text(PRODUCTION["SECRET_KEY"] + "\n")  # as editors and `echo` leave it
    env = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}
    ask = (
        "from django.conf import settings;"
        "from django.test import Client;"
        "from notifications.providers import registry;"
        "print(repr(settings.SECRET_KEY));"
        "print(Client().get('/health/live', headers={'host': '10.1.2.3:8002'}).status_code);"
        "print(list(registry.enabled()))"
    )
    done = manage("shell", "-v0", "-c", ask, **env, SECRET_KEY_FILE=str(file))
    secret, by_address, providers = done.stdout.splitlines()
    assert secret == repr(PRODUCTION["SECRET_KEY"]), done.stderr
    assert by_address == "200"
    assert providers == "['inapp']"


def test_development_makes_keys_of_its_own_and_keeps_them(tmp_path: Path) -> None:
    env = {
        "COMMS_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgres://nobody@localhost/nothing",
        "REDIS_URL": "redis://localhost:6379/0",
        "PATH": "/usr/bin:/bin",
    }
    say_nothing = ("shell", "-v0", "-c", "pass")
    assert manage(*say_nothing, **env).returncode == 0
    key = tmp_path / "secret-key"
    first = key.read_text()
    assert len(first) > 50
    assert key.stat().st_mode & 0o077 == 0
    assert manage(*say_nothing, **env).returncode == 0
    assert key.read_text() == first


def test_a_provider_that_could_send_nothing_is_named_at_start() -> None:
    done = manage("check", **PRODUCTION, SMTP_URL="foo://relay.example.com")
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


def test_a_database_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    commands = [("audit",), ("check_providers",), ("create_api_key", "someone"), ("seed_demo",)]
    with socket.socket() as free, ThreadPoolExecutor() as pool:
        free.bind(("127.0.0.1", 0))  # and nobody listens
        env = {
            "COMMS_DATA_DIR": str(tmp_path),
            "DATABASE_URL": f"postgres://nobody@127.0.0.1:{free.getsockname()[1]}/nothing",
            "REDIS_URL": "redis://localhost:6379/0",
            "PATH": "/usr/bin:/bin",
        }
        for done in pool.map(lambda command: manage(*command, **env), commands):
            assert done.returncode == 1
            assert done.stdout == ""
            logged = done.stderr.strip().splitlines()
            (sentence,) = (line for line in logged if '"logger": "psycopg.pool"' not in line)
            assert sentence.startswith("CommandError: PostgreSQL does not answer")


@pytest.mark.django_db
def test_a_database_of_another_release_is_a_sentence() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE notifications_work RENAME TO notifications_other")
    with pytest.raises(CommandError, match=r"run `python manage\.py migrate`"):
        call_command("audit")
