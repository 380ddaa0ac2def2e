"""The page on which two made-up people write to each other, and a bell rings."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from commsproject.common import clock
from commsproject.common.csp import STRICT
from commsproject.common.models import ApiKey

pytestmark = pytest.mark.django_db


def start(query: str = "") -> Any:
    """What the page's script is given."""
    answer = Client().get(f"/demo/{query}")
    assert answer.status_code == 200
    assert answer["Content-Security-Policy"] == STRICT
    assert "no-store" in answer["Cache-Control"]
    found = re.search(r'<script id="start"[^>]*>(.*?)</script>', answer.content.decode(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("query", "left", "right"),
    [
        ("", "ada", "bob"),
        ("?left=bob", "bob", "ada"),
        ("?left=eve&right=%3C/script%3E", "eve", "</script>"),
        ("?left=%00&right=", "ada", "bob"),
    ],
)
def test_it_is_two_peoples(query: str, left: str, right: str) -> None:
    assert [one["id"] for one in start(query)["people"]] == [left, right]


def test_its_credentials_are_those_of_the_page_and_end() -> None:
    given = start()
    ApiKey.objects.update(expires_at=clock.now() - timedelta(hours=1))
    again = start()
    assert ApiKey.objects.count() == 1
    client = APIClient()
    for credential, status in ((given["key"], 401), (again["key"], 202)):
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {credential}")
        asked = {"to": {"user_id": "ada"}, "channels": ["inapp"], "content": {"title": "Hi"}}
        assert client.post("/api/v1/notifications", asked, format="json").status_code == status
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {again['people'][0]['token']}")
    assert client.get("/api/v1/whoami").json()["user_id"] == "ada"


def test_there_is_none_where_tokens_come_from_an_identity_service(settings: Any) -> None:
    settings.IDENTITY_DEVELOPMENT_ISSUER = False
    assert Client().get("/demo/").status_code == 404
