from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from notifications.providers.common.http import Answer
from notifications.providers.common.http_thread import MAX_BYTES, ThreadHttp
from notifications.types import ErrorClass, ProviderError
from tests.fakes.behaviours import Drip, HalfBody, Status
from tests.fakes.http import FakeHttpServer


@pytest.fixture
def server() -> Iterator[FakeHttpServer]:
    with FakeHttpServer() as server:
        yield server


@pytest.fixture
def http(settings: Any) -> Iterator[ThreadHttp]:
    settings.PROVIDER_CONNECT_TIMEOUT, settings.PROVIDER_READ_TIMEOUT = 0.3, 0.4
    http = ThreadHttp()
    yield http
    http.close()


def get(http: ThreadHttp, url: str) -> Answer:
    return http.call("GET", url, headers={}, params={"To": "+4915112345678"})


def test_an_answer(http: ThreadHttp, server: FakeHttpServer) -> None:
    answer = get(http, server.url)
    assert (answer.status, answer.json) == (200, {"ok": True})


def test_a_compressed_answer(http: ThreadHttp, server: FakeHttpServer) -> None:
    body = gzip.compress(b'{"ok": 1}')
    server.script.next(Status(201, body, {"Content-Encoding": "gzip"}))
    assert get(http, server.url).json == {"ok": 1}


def test_a_little_that_becomes_much_is_cut(http: ThreadHttp, server: FakeHttpServer) -> None:
    body = gzip.compress(b" " * 100 * MAX_BYTES)
    server.script.next(Status(200, body, {"Content-Encoding": "gzip"}))
    answer = get(http, server.url)
    assert answer.status == 200
    assert len(answer.body) < 2 * MAX_BYTES


def test_the_status_counts_where_the_body_ends_early(
    http: ThreadHttp, server: FakeHttpServer
) -> None:
    server.script.next(HalfBody())
    answer = get(http, server.url)
    assert (answer.status, answer.json) == (200, None)


def test_the_deadline_is_for_calls_by_a_proxy_too(
    http: ThreadHttp, server: FakeHttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert get(http, "http://vendor.example/a").status == 200
    assert server.ledger.last.target == "http://vendor.example/a?To=%2B4915112345678"
    server.script.next(Drip())
    with pytest.raises(ProviderError) as caught:
        get(http, "http://vendor.example/a")
    error = caught.value
    assert (error.error_class, error.code) == (ErrorClass.AMBIGUOUS, "read_timeout")


def test_addresses_in_a_query_are_not_logged(
    http: ThreadHttp, server: FakeHttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        get(http, server.url)
    assert "4915112345678" not in caplog.text
