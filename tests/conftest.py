"""Fixtures for every test: an agent and its API client, the engine run inline, a quiet broker."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from django.conf import settings as django_settings
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test.client import ClientHandler
from hypothesis import HealthCheck
from rest_framework.test import APIClient

from commsproject.common import limits, outbox, valkey
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from commsproject.common.outbox import publisher
from notifications.providers import registry
from notifications.providers.simulator import Simulator
from notifications.services import metrics, route
from tests import api_calls, canaries, told
from tests.api_calls import ApiCalls
from tests.fakes.proxy import TcpProxy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-faults",
        action="store_true",
        help="run the fault tests at their full sizes, and properties with 400 examples each",
    )
    parser.addoption(
        "--write-examples",
        action="store_true",
        help="write what the API answers in its tour into the examples of its description",
    )


for _name, _examples in (("short", 60), ("full", 400)):
    # How long an example takes says something about the machine, nothing about the code.
    hypothesis.settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("full" if config.getoption("full_faults") else "short")
    config.pluginmanager.register(ApiCalls(config))


@pytest.fixture(scope="session", autouse=True)
def _logs_tell_nothing() -> Iterator[None]:
    """Of the whole session, when it ends: the last test is seldom the one that it is about."""
    watch = canaries.Watch()
    logging.getLogger().addHandler(watch)
    yield
    logging.getLogger().removeHandler(watch)
    assert not watch.told, "\n".join(watch.told[:20])


@pytest.fixture(scope="session", autouse=True)
def _flushed_as_a_whole() -> Iterator[None]:
    """Between tests that commit, the trail of staff goes with the rest: by the door of retention."""
    flush = DatabaseOperations.sql_flush

    def through_the_door(*args: Any, **options: Any) -> list[str]:
        return ["SET LOCAL comms.audit_purge = 'on'", *flush(*args, **options)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", through_the_door)
        yield


@pytest.fixture(scope="session", autouse=True)
def _calls_keep_to_the_description() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientHandler, "get_response", api_calls.recorded(ClientHandler.get_response))
        yield


@pytest.fixture(scope="session", autouse=True)
def _events_keep_to_their_schemas() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "emit", told.checked(outbox.emit))
        patch.setattr(publisher, "_events", told.checked_rows(publisher._events))
        yield


@pytest.fixture(scope="session")
def _patient() -> Iterator[redis.Redis]:
    """The broker by a client that waits for it."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        yield client


@pytest.fixture(autouse=True)
def _fresh_process(_patient: redis.Redis) -> Iterator[None]:
    """What a process remembers between calls must not leak between tests."""
    valkey._silent_until = 0.0
    _forget_limits(_patient)
    registry.forget()
    metrics._kept = None
    route._heard.clear()
    yield
    _send_postmen_home()
    registry.forget()


def _forget_limits(patient: redis.Redis) -> None:
    if left := list(patient.scan_iter("comms:limit:*", count=1000)):
        patient.delete(*left)
    limits._observed.clear()
    limits._observed_here.clear()
    limits._local = limits._Local()
    limits._earned = limits._Earned()


def _send_postmen_home() -> None:
    """No thread of a test's simulator may look for receipts in the next test's database."""
    for provider in registry.made():
        if isinstance(provider, Simulator):
            provider._never.set()
            provider._postman.shutdown(cancel_futures=True)


@pytest.fixture
def broker(settings: Any) -> Iterator[TcpProxy]:
    """The broker of this process, by a line that can break."""
    address = urlsplit(settings.REDIS_URL)
    with TcpProxy(address.port or 6379, address.hostname or "localhost") as proxy:
        where = f"{address.netloc.rpartition('@')[0]}@{proxy.host}:{proxy.port}".lstrip("@")
        settings.REDIS_URL = f"redis://{where}{address.path}"
        valkey.client.cache_clear()
        yield proxy
        valkey.client().close()
    valkey.client.cache_clear()


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


_is_live = False


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _is_live
    _is_live = item.get_closest_marker("live") is not None


def _only_loopback(event: str, args: tuple[object, ...]) -> None:
    """No test but the live ones reaches the network: connecting or resolving beyond the loopback is
    an error.
    """
    if _is_live:
        return
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = str(args[1][0])
    elif event == "socket.getaddrinfo":
        host = args[0].decode() if isinstance(args[0], bytes) else str(args[0])
    else:
        return
    # 198.18: the hosts of tests.faults.hosts, in namespaces of their own.
    is_near = host in {"localhost", "0.0.0.0", "::", "::1", "None", ""}
    is_near = is_near or host.startswith(("127.", "198.18."))
    if not is_near and not host.endswith(".invalid"):  # which resolves nowhere (RFC 2606)
        raise RuntimeError(f"a test wants to reach {host}")


sys.addaudithook(_only_loopback)
