from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest

from notifications.providers.common.http import Answer
from notifications.providers.common.http_loop import LoopHttp, failure
from notifications.types import ErrorClass, ProviderError
from tests.fakes.http import FakeHttpServer
from tests.providers.contract import run

CONFIG, TEMPORARY, AMBIGUOUS = (
    ErrorClass.AUTH_CONFIG,
    ErrorClass.TEMPORARY,
    ErrorClass.AMBIGUOUS,
)


@pytest.fixture
def server() -> Iterator[FakeHttpServer]:
    with FakeHttpServer() as server:
        yield server


def post(url: str, headers: dict[str, str] | None = None) -> Answer:
    http = LoopHttp(url, headers or {})

    async def once() -> Answer:
        try:
            return await http.post(b"{}")
        finally:
            await http.aclose()

    return run(once())


def failed(url: str, headers: dict[str, str] | None = None) -> tuple[ErrorClass, str]:
    with pytest.raises(ProviderError) as caught:
        post(url, headers)
    return caught.value.error_class, caught.value.code


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (TimeoutError(), (TEMPORARY, "connect_timeout"), (AMBIGUOUS, "read_timeout")),
        (
            aiohttp.ServerDisconnectedError(),
            (TEMPORARY, "connection_lost"),
            (AMBIGUOUS, "connection_lost"),
        ),
        (
            aiohttp.ClientConnectionResetError(),
            (TEMPORARY, "connection_lost"),
            (AMBIGUOUS, "connection_lost"),
        ),
        (OSError("told"), (TEMPORARY, "connection_lost"), (AMBIGUOUS, "connection_lost")),
    ],
    ids=repr,
)
def test_how_far_a_request_has_come_decides(error, before, after):
    for sent, expected in ((False, before), (True, after)):
        found = failure(error, sent=sent)
        assert (found.error_class, found.code) == expected
        assert "told" not in found.detail


def test_a_large_body_is_no_warning(server):
    http = LoopHttp(server.url, {})

    async def once() -> Answer:
        answer = await http.post(b"x" * 3_000_000)
        await http.aclose()
        return answer

    assert run(once()).status == 200
    assert len(server.ledger.last.body) == 3_000_000


def test_a_header_with_a_line_break_is_our_fault(server):
    assert failed(server.url, {"Authorization": "a\nb"}) == (CONFIG, "bad_url")
    assert len(server.ledger) == 0


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxies")
class TestProxies:
    def test_the_environments_is_used(self, server, monkeypatch):
        monkeypatch.setenv("http_proxy", server.url)
        assert post("http://vendor.invalid/send").status == 200
        assert server.ledger.last.target == "http://vendor.invalid/send"

    def test_not_for_hosts_that_are_excepted(self, server, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert post(server.url).status == 200

    def test_one_that_does_not_answer_is_our_fault(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert failed("http://vendor.invalid/send") == (CONFIG, "proxy")


def test_a_handshake_that_fails_has_sent_nothing(server):
    assert failed(server.url.replace("http:", "https:"))[0] is TEMPORARY
    assert len(server.ledger) == 0
