"""Fixtures for every test: an agent and its API client, the engine run inline, a quiet broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rest_framework.test import APIClient

from commsproject.common import doorbell
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.providers import registry


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """What a process remembers between calls must not leak between tests."""
    doorbell._silent_until = 0.0
    registry.enabled.cache_clear()
    yield
    registry.enabled.cache_clear()


@pytest.fixture
def agent(db: None) -> ApiClient:
    return ApiClient.objects.create(name="billing")


@pytest.fixture
def api(agent: ApiClient) -> APIClient:
    """An HTTP client with a key of `agent` that may do everything."""
    _, secret = keys.issue(agent, list(Scope))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client
