"""The page on which two made-up people write to each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from commsproject.common.csp import STRICT


@pytest.mark.parametrize(
    ("query", "me", "other"),
    [
        ("", "ada", "bob"),
        ("?me=bob", "bob", "ada"),
        ("?me=eve&other=%3Cb%3E", "eve", "&lt;b&gt;"),
        ("?me=%00&other=", "ada", "bob"),
    ],
)
def test_it_is_two_peoples(query: str, me: str, other: str) -> None:
    answer = Client().get(f"/demo/{query}")
    assert answer.status_code == 200
    assert f'data-me="{me}" data-other="{other}"' in answer.content.decode()
    assert answer["Content-Security-Policy"] == STRICT
    assert "no-store" in answer["Cache-Control"]


def test_there_is_none_where_tokens_come_from_an_identity_service(settings: Any) -> None:
    settings.IDENTITY_DEVELOPMENT_ISSUER = False
    assert Client().get("/demo/").status_code == 404
