"""Each misbehaviour as the `requests` library reports it."""

from __future__ import annotations

import threading
import time

import httpx2
import pytest
import requests
from typing_extensions import override
from urllib3.exceptions import IncompleteRead, MaxRetryError, NewConnectionError, ProtocolError

from tests.fakes.behaviours import (
    Answer,
    Behaviour,
    Close,
    Drip,
    Garbage,
    HalfBody,
    Hang,
    HugeBody,
    MalformedJson,
    Redirect,
    Reset,
    Status,
    failed_after_accept,
    throttled,
)
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request, Response

TIMEOUT = 5
IMPATIENT = 0.3


def post(server: FakeHttpServer, timeout: float = TIMEOUT) -> requests.Response:
    return requests.post(server.url + "/x?y=1", json={"a": 1}, timeout=timeout)


def test_the_ledger_has_what_came_over_the_wire(server: FakeHttpServer) -> None:
    answer = post(server)

    assert answer.json() == {"ok": True}
    request = server.ledger.last
    assert (request.method, request.path, request.query) == ("POST", "/x", {"y": ["1"]})
    assert request.json == {"a": 1}
    assert request.headers["CONTENT-TYPE"] == "application/json"
    assert request.accepted
    assert abs(request.at - time.monotonic()) < 5
    assert request.wall.tzinfo is not None


def test_one_session_uses_one_connection(server: FakeHttpServer) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(server.url, timeout=TIMEOUT)
    assert {request.connection for request in server.ledger} == {1}


def test_a_refused_connection_was_never_sent(server: FakeHttpServer) -> None:
    server.refuse()
    with pytest.raises(requests.ConnectionError) as caught:
        post(server)
    cause = caught.value.args[0]
    assert isinstance(cause, MaxRetryError)
    assert isinstance(cause.reason, NewConnectionError)
    assert len(server.ledger) == 0

    server.accept()
    assert post(server).status_code == 200


def test_refuse_ends_idle_connections_too(server: FakeHttpServer) -> None:
    with requests.Session() as session:
        session.get(server.url, timeout=TIMEOUT)
        server.refuse()
        with pytest.raises(requests.ConnectionError):
            session.get(server.url, timeout=TIMEOUT)


@pytest.mark.parametrize("behaviour", [Reset(), Close(), Garbage()])
def test_a_connection_lost_without_an_answer_is_a_protocol_error(
    server: FakeHttpServer, behaviour: Behaviour
) -> None:
    server.script.always(behaviour)
    with pytest.raises(requests.ConnectionError) as caught:
        post(server)
    assert isinstance(caught.value.args[0], ProtocolError)
    assert server.ledger.last.accepted


def test_half_a_body_is_an_incomplete_read(server: FakeHttpServer) -> None:
    server.script.next(HalfBody())
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        post(server)
    assert isinstance(caught.value.args[0].args[1], IncompleteRead)


def test_no_answer_is_a_read_timeout(server: FakeHttpServer) -> None:
    server.script.next(Hang())
    with pytest.raises(requests.ReadTimeout):
        post(server, IMPATIENT)
    assert len(server.accepted) == 1


def test_a_late_answer_is_a_read_timeout(server: FakeHttpServer) -> None:
    server.script.next(Answer(delay=0.6))
    with pytest.raises(requests.ReadTimeout):
        post(server, IMPATIENT)


def test_malformed_json_is_a_decode_error(server: FakeHttpServer) -> None:
    server.script.next(MalformedJson())
    with pytest.raises(requests.exceptions.JSONDecodeError):
        post(server).json()


def test_a_slow_drip_outlives_the_read_timeout(server: FakeHttpServer) -> None:
    server.script.next(Drip(interval=0.02, step=3))
    started = time.monotonic()
    assert post(server, IMPATIENT).json() == {"ok": True}
    assert time.monotonic() - started > IMPATIENT


def test_a_redirect_is_seen_as_one(server: FakeHttpServer) -> None:
    server.script.next(Redirect("http://127.0.0.1:1/elsewhere"))
    answer = requests.post(server.url, timeout=TIMEOUT, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_huge_body_has_the_size_asked_for(server: FakeHttpServer) -> None:
    server.script.always(HugeBody(3_000_000))
    assert len(post(server).content) == 3_000_000
    with requests.get(server.url, stream=True, timeout=TIMEOUT) as answer:
        assert len(next(answer.iter_content(1000))) == 1000


@pytest.mark.parametrize(
    ("behaviour", "status", "accepted"),
    [
        (Status(503), 503, False),
        (Status(401), 401, False),
        (throttled(7), 429, False),
        (failed_after_accept(), 500, True),
    ],
)
def test_a_status_says_whether_the_message_was_taken(
    server: FakeHttpServer, behaviour: Behaviour, status: int, accepted: bool
) -> None:
    server.script.next(behaviour)
    answer = post(server)
    assert answer.status_code == status
    assert answer.json() == {"error": f"scripted {status}"}
    assert server.ledger.last.accepted is accepted
    assert server.ledger.last.behaviour == f"Status {status}"


def test_throttled_says_when_to_come_back(server: FakeHttpServer) -> None:
    server.script.next(throttled("Wed, 21 Oct 2026 07:28:00 GMT", {"detail": "slow down"}))
    answer = post(server)
    assert answer.headers["Retry-After"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    assert answer.json() == {"detail": "slow down"}


def test_a_queue_is_used_up_and_then_all_is_normal(server: FakeHttpServer) -> None:
    server.script.next(Status(503), times=2)
    assert [post(server).status_code for _ in range(3)] == [503, 503, 200]


def test_reset_forgets_the_script(server: FakeHttpServer) -> None:
    server.script.always(Status(503))
    server.script.reset()
    assert post(server).status_code == 200


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Hang(), httpx2.ReadTimeout),
        (Reset(), httpx2.ReadError),
        (Close(), httpx2.RemoteProtocolError),
        (HalfBody(), httpx2.RemoteProtocolError),
        (Garbage(), httpx2.RemoteProtocolError),
    ],
)
def test_httpx_sees_the_same_faults(
    server: FakeHttpServer, behaviour: Behaviour, error: type[Exception]
) -> None:
    server.script.next(behaviour)
    with httpx2.Client(timeout=0.3) as client, pytest.raises(error):
        client.post(server.url, json={})


def test_httpx_sees_a_refused_connection(server: FakeHttpServer) -> None:
    server.refuse()
    with httpx2.Client(timeout=0.3) as client, pytest.raises(httpx2.ConnectError):
        client.get(server.url)


def test_stop_ends_a_client_that_hangs() -> None:
    server = FakeHttpServer().start()
    server.script.always(Hang())
    ended = threading.Event()

    def client() -> None:
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url, timeout=20)
        ended.set()

    thread = threading.Thread(target=client)
    thread.start()
    server.ledger.wait_for(1)
    server.stop()
    assert ended.wait(5)
    thread.join()


def test_wait_for_counts_only_what_matches(server: FakeHttpServer) -> None:
    timer = threading.Timer(0.1, post, [server])
    timer.start()
    assert len(server.ledger.wait_for(1, where=lambda request: request.path == "/x")) == 1
    with pytest.raises(AssertionError, match="0 of 1"):
        server.ledger.wait_for(1, timeout=0.01, where=lambda request: request.path == "/y")
    timer.join()


def test_a_mistake_in_a_fake_is_not_hidden() -> None:
    class Broken(FakeHttpServer):
        @override
        @override
        def respond(self, request: Request) -> Response:
            raise ZeroDivisionError

    server = Broken().start()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=TIMEOUT)
    with pytest.raises(RuntimeError, match="fake itself"):
        server.stop()


def test_many_clients_at_once(server: FakeHttpServer) -> None:
    server.script.always(Answer(delay=0.2))
    threads = [threading.Thread(target=post, args=[server]) for _ in range(30)]
    for thread in threads:
        thread.start()
    server.ledger.wait_for(30)
    for thread in threads:
        thread.join()
    assert len({request.connection for request in server.ledger}) == 30
