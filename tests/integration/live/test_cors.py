"""Pages of other origins: those that may open the socket may read what widgets ask for, no others."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from commsproject.common.identity import issuer
from tests.integration.live.conftest import HOUR
from tests.integration.live.test_handshake import ORIGINS

pytestmark = pytest.mark.django_db

READ = "/api/v1/inbox/counts"
OPEN = (
    "/api/v1/conversations",
    "/api/v1/inbox/read",
    "/api/v1/presence",
    "/api/v1/recipients/ada/preferences",
    "/api/v1/whoami",
    "/api/v1/ws-ticket",
)
OTHERS = (
    "/api/v1/notifications",
    "/api/v1/recipients",
    "/api/v1/templates",
    "/api/schema/",
    "/demo/",
    "/health",
    "/admin/",
)
APP = "https://app.example.com"


def headers(origin: str) -> dict[str, str]:
    return {"origin": origin} if origin else {}


def test_the_list_is_that_of_the_socket(settings: Any) -> None:
    settings.PUBLIC_URL = "https://comms.example.com"
    client = APIClient()
    for allowed, listed, origin in ORIGINS:
        settings.LIVE_ORIGINS = listed
        asked = {**headers(origin), "access-control-request-method": "POST"}
        for answer in (
            client.options(READ, headers=asked),
            client.get(READ, headers=headers(origin)),
        ):
            told = answer.headers.get("Access-Control-Allow-Origin")
            assert told == (origin if allowed and origin else None), origin
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_preflight_is_answered_without_credentials_and_the_request_with_its_token(
    settings: Any,
) -> None:
    settings.LIVE_ORIGINS = [APP]
    client = APIClient()
    for path in OPEN:
        asked = {**headers(APP), "access-control-request-method": "PUT"}
        answer = client.options(path, headers=asked)
        assert (answer.status_code, answer.content) == (204, b""), path
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    with_token = {**headers(APP), "authorization": f"Bearer {issuer.issue('ada', HOUR)}"}
    answer = client.get(READ, headers=with_token)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    refused = client.get(READ, headers=headers(APP))
    assert refused.status_code == 401  # and the page can read why
    assert refused.headers["Access-Control-Allow-Origin"] == APP


def test_other_paths_and_cookies_are_not_for_other_origins(settings: Any) -> None:
    settings.LIVE_ORIGINS = [APP]
    client = APIClient()
    for path in OTHERS:
        asked = {**headers(APP), "access-control-request-method": "POST"}
        for answer in (client.options(path, headers=asked), client.get(path, headers=headers(APP))):
            assert "Access-Control-Allow-Origin" not in answer.headers, path
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("ada"))
    answer = client.post("/api/v1/ws-ticket", headers=headers(APP))
    assert answer.status_code == 403


def test_the_modules_are_for_pages_of_all_origins() -> None:
    for name in ("comms-chat.js", "comms-inbox.js", "comms-client.js", "words/ar.js"):
        answer = APIClient().get(f"/static/comms/{name}", headers=headers(APP))
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.headers["Last-Modified"]
        answer.close()
