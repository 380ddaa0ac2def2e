"""People who write to each other over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework.test import APIClient

from commsproject.common.identity import issuer

V1 = "/api/v1/conversations"


def person(user_id: str) -> APIClient:
    client = APIClient()
    token = issuer.issue(user_id, timedelta(hours=1))
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def call(client: APIClient, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = getattr(client, method)(V1 + path, body, format="json")
    assert answer.status_code == status, (answer.status_code, answer.content)
    return answer.json() if answer.content else None


def start(
    client: APIClient, kind: str = "direct", *people: str, status: int = 201, **more: Any
) -> Any:
    return call(client, "post", "", {"kind": kind, "participants": list(people), **more}, status)


def write(client: APIClient, conversation: Any, body: str = "Hello", **more: Any) -> Any:
    return call(client, "post", f"/{conversation['id']}/entries", {"body": body, **more}, 201)


def read(client: APIClient, conversation: Any, query: str = "") -> Any:
    return call(client, "get", f"/{conversation['id']}/entries{query}")
