"""Who gets a copy of the database or of the broker gets no secret that opens anything."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from commsproject.common import valkey
from commsproject.common.alerts import targets
from commsproject.common.identity import issuer, keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.live import sessions, tickets
from commsproject.common.models import AlertTarget, ApiClient
from commsproject.common.staff import factors, totp
from notifications.providers import registry
from tests.inboxes import DAY
from tests.integration.test_forged_webhooks import KEY, OPTIONS
from tests.live_client import user

pytestmark = pytest.mark.django_db

PASSWORD = "canary-of-a-password"
TOTP = b"canary-of-factor-123"
HOOK = "https://hooks.example.com/services/canary-of-a-hook"


def found(secrets: dict[str, bytes]) -> list[tuple[str, str]]:
    """Secret and table, for each that stands in one: as text or as bytes, in hexadecimal or base64."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        hits = []
        for (table,) in cursor.fetchall():
            for name, secret in secrets.items():
                cursor.execute(
                    f'SELECT EXISTS (SELECT FROM "{table}" AS row WHERE row::text LIKE ANY (%s))',
                    [[f"%{form}%" for form in forms(secret)]],
                )
                if cursor.fetchone()[0]:
                    hits.append((name, table))
    return hits


def forms(secret: bytes) -> set[str]:
    plain = secret.decode("latin-1").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {plain, secret.hex(), base64.b64encode(secret).decode().rstrip("=")}


def test_no_secret_can_be_read_in_the_database_or_the_broker(api: APIClient) -> None:
    ada = User.objects.create_superuser("ada", password=PASSWORD)
    codes = factors.set_up(ada, TOTP, totp.code(TOTP, int(time.time()) // totp.STEP))
    assert codes
    _, key = keys.issue(ApiClient.objects.create(name="other"), list(Scope))
    target = AlertTarget(name="hook")
    targets.put(target, HOOK)
    target.save()
    token = issuer.issue("ada", DAY)
    ticket = tickets.issue(sessions.Login(user("ada"), token=token), "")
    body = {"url": "https://agent.example.com/hook", "events": ["notification.*"]}
    endpoint = api.post("/api/v1/webhook-endpoints", body, format="json").json()
    signed_in = Client()
    signed_in.force_login(ada)

    secrets = {
        "password": PASSWORD.encode(),
        "second factor": TOTP,
        "second factor, as an app has it": base64.b32encode(TOTP),
        "recovery code": codes[0].encode(),
        "API key": key.encode(),
        "secret half of an API key": key.rpartition("_")[2].encode(),
        "address of alerts": b"canary-of-a-hook",
        "token of a person": token.encode(),
        "socket ticket": ticket.encode(),
        "secret of a webhook": endpoint["secret"].removeprefix("whsec_").encode(),
    }
    assert all(len(secret) > 8 for secret in secrets.values())
    assert found(secrets) == []
    assert found({"what can be found": b"agent.example.com"}) == [
        ("what can be found", "tracking_webhookendpoint")
    ]
    for name in valkey.client().scan_iter():
        assert not any(secret in name for secret in secrets.values())


def test_no_secret_is_in_what_a_provider_or_the_checks_print(
    capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    settings.PROVIDERS = {
        name: {**entry, "ENABLED": True, "OPTIONS": {**entry["OPTIONS"], **OPTIONS[name]}}
        for name, entry in settings.PROVIDERS.items()
        if name in OPTIONS
    }
    providers = registry.enabled().values()
    assert len(providers) > 5
    call_command("check")
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err + "".join(f"{one!r}{one}" for one in providers)
