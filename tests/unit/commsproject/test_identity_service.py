from __future__ import annotations

import time

import pytest

from commsproject.common.identity import service
from commsproject.common.identity.errors import IdentityUnavailable
from commsproject.common.identity.service import CoolDown, call
from tests.fakes.behaviours import (
    Behaviour,
    Close,
    Drip,
    Garbage,
    HalfBody,
    Hang,
    HugeBody,
    Redirect,
    Reset,
)
from tests.fakes.http import FakeHttpServer


@pytest.fixture
def server():
    with FakeHttpServer() as running:
        yield running


def test_an_answer_comes_with_its_status_and_body(server):
    answer = call("GET", f"{server.url}/x")
    assert (answer.status, answer.body) == (200, b'{"ok": true}')


@pytest.mark.parametrize(
    "behaviour",
    [
        Hang(),
        Drip(interval=0.3),
        Reset(),
        Close(),
        HalfBody(),
        Garbage(),
        HugeBody(service.MAX_ANSWER + 1),
    ],
    ids=lambda behaviour: behaviour.name,
)
def test_whatever_it_does_instead_is_an_outage_within_three_seconds(server, behaviour: Behaviour):
    server.script.always(behaviour)
    started = time.monotonic()
    with pytest.raises(IdentityUnavailable):
        call("GET", server.url)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("url", ["http://nowhere.invalid/", "ftp://x/", "no url", "http://[::bad/"])
def test_a_url_that_leads_nowhere_is_an_outage(url):
    with pytest.raises(IdentityUnavailable):
        call("GET", url)


def test_a_port_that_refuses_is_an_outage(server):
    server.refuse()
    with pytest.raises(IdentityUnavailable):
        call("GET", server.url)


def test_a_redirect_is_an_answer_and_not_followed(server):
    server.script.always(Redirect(f"{server.url}/elsewhere"))
    assert call("GET", server.url).status == 302
    assert len(server.ledger) == 1


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    service._client().close()
    service._client.cache_clear()
    assert call("GET", server.url).status == 200


def test_one_failure_too_many_stops_everyone_but_one_caller_in_a_while():
    outage = CoolDown(failures=2, seconds=0.1)
    outage.failed()
    outage.check()
    outage.failed()
    with pytest.raises(IdentityUnavailable):
        outage.check()
    time.sleep(0.11)
    outage.check()
    with pytest.raises(IdentityUnavailable):
        outage.check()


def test_a_success_ends_the_cool_down():
    outage = CoolDown(failures=1, seconds=60)
    outage.failed()
    outage.succeeded()
    outage.check()
