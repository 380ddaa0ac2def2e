from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import SettingsFrame
from typing_extensions import override

from notifications.providers.common import http2_loop
from notifications.providers.common.http import Answer
from notifications.providers.common.http2_loop import LoopHttp2
from notifications.types import ErrorClass, ProviderError
from tests.fakes.behaviours import Answer as Normal
from tests.fakes.behaviours import Behaviour, Close, Exchange, Hang, HugeBody
from tests.fakes.http2 import FakeHttp2Server, GoAway, Http2Exchange, RefuseStream
from tests.fakes.smtp import SmtpServer
from tests.fakes.wire import Request, Response
from tests.providers.contract import own_certificate, run, wait_until

TEMPORARY, AMBIGUOUS = ErrorClass.TEMPORARY, ErrorClass.AMBIGUOUS


class Server(FakeHttp2Server):
    """Each call is for a number: the end of its path."""

    @override
    def recipients(self, request: Request) -> tuple[str, ...]:
        return (request.path.rpartition("/")[2],)

    @override
    def respond(self, request: Request) -> Response:
        return Response(200, request.body, {"X-Number": self.recipients(request)[0]})


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _patience(settings):
    settings.PROVIDER_CONNECT_TIMEOUT = settings.PROVIDER_READ_TIMEOUT = 10.0


@pytest.fixture
def http(server: Server) -> Iterator[LoopHttp2]:
    http = LoopHttp2(server.url)
    yield http
    run(http.aclose())


async def post(http: LoopHttp2, number: int, *, size: int = 10) -> Answer:
    body = str(number).encode().ljust(size)
    return await http.post(f"/{number}", body, headers={"x-a": "b"}, read=20_000)


def calls(http: LoopHttp2, *numbers: int, size: int = 10) -> list[Answer | BaseException]:
    async def all_at_once() -> list[Answer | BaseException]:
        waiting = (post(http, number, size=size) for number in numbers)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return run(all_at_once())


def failed(http: LoopHttp2, number: int = 1) -> tuple[ErrorClass, str]:
    (answer,) = calls(http, number)
    assert isinstance(answer, ProviderError)
    return answer.error_class, answer.code


def bodies(answers: list[Any]) -> list[bytes]:
    return [answer.body.strip() for answer in answers]


def test_an_answer(http, server):
    (answer,) = calls(http, 17)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body.strip(), answer.headers["X-NUMBER"]) == (200, b"17", "17")
    (request,) = server.ledger
    assert (request.method, request.target) == ("POST", "/17")
    assert request.headers["content-length"] == "10"


def test_answers_come_to_who_asked(http, server):
    assert bodies(calls(http, *range(300))) == [str(n).encode() for n in range(300)]
    assert {request.connection for request in server.ledger} == {1}


def test_one_that_hangs_holds_up_no_other(http, server, settings):
    settings.PROVIDER_READ_TIMEOUT = 1.0
    calls(http, 0)
    server.script.when("7", Hang())
    answers = calls(http, *range(20))
    stuck = answers.pop(7)
    assert isinstance(stuck, ProviderError)
    assert (stuck.error_class, stuck.code) == (AMBIGUOUS, "read_timeout")
    assert all(isinstance(answer, Answer) for answer in answers)
    assert wait_until(lambda: server.open_streams == 0)
    calls(http, 99)
    assert {request.connection for request in server.ledger} == {1}


class LateGreeting(Hang):
    """Our settings are acknowledged when the call is there already; then nothing more."""

    @override
    async def play(self, exchange: Exchange) -> None:
        exchange.writer.write(SettingsFrame(0, flags=["ACK"]).serialize())
        await super().play(exchange)


@pytest.mark.parametrize("silence", [Hang(), LateGreeting()])
def test_a_connection_that_says_nothing_more_is_left(http, server, settings, silence):
    settings.PROVIDER_READ_TIMEOUT = 0.4
    server.script.next(silence)
    assert failed(http) == (AMBIGUOUS, "read_timeout")
    settings.PROVIDER_READ_TIMEOUT = 10.0
    calls(http, 2)
    assert [request.connection for request in server.ledger] == [1, 2]
    assert wait_until(lambda: server.connections == 1)


def test_no_more_at_once_than_the_server_allows(http, server):
    server.concurrent = 3
    server.script.always(Normal(delay=0.01))
    assert bodies(calls(http, *range(20))) == [str(n).encode() for n in range(20)]
    assert server.most_streams == 3


def test_no_more_bytes_than_the_server_has_room_for(http, server):
    """Its window for a connection is 65,535 bytes until it has read them."""
    answers = calls(http, *range(20), size=15_000)
    assert bodies(answers) == [str(n).encode() for n in range(20)]


def test_what_there_was_no_room_for_in_time_is_not_sent(http, server, settings):
    server.concurrent = 1
    settings.PROVIDER_READ_TIMEOUT = 0.5
    server.script.always(Hang())
    found = {(error.error_class, error.code) for error in calls(http, 1, 2)}  # type: ignore[union-attr]
    assert found == {(AMBIGUOUS, "read_timeout"), (TEMPORARY, "connect_timeout")}
    assert len(server.ledger) == 1


def test_a_body_longer_than_a_frame_is_not_sent(http, server):
    (error,) = calls(http, 1, size=http2_loop.MAX_BODY + 1)
    assert isinstance(error, ProviderError)
    assert error.error_class is ErrorClass.PERMANENT_MESSAGE
    assert len(server.ledger) == 0


@pytest.mark.parametrize("many", [10, 200])
def test_calls_under_way_are_answered_after_a_goaway(http, server, many):
    calls(http, 0)
    server.script.always(Normal(delay=0.1))
    server.script.when("5", GoAway(answers=True))
    assert bodies(calls(http, *range(1, many))) == [str(n).encode() for n in range(1, many)]
    assert len(server.ledger) == many
    calls(http, 999)
    assert server.ledger.last.connection == 2
    assert wait_until(lambda: server.connections == 1)


def test_calls_that_a_goaway_leaves_out_go_elsewhere(http, server):
    server.script.next(GoAway(last=0, accepts=False))
    assert bodies(calls(http, 1)) == [b"1"]
    assert [request.connection for request in server.ledger] == [1, 2]
    assert len(server.accepted) == 1


def test_a_goaway_and_no_answer_is_ambiguous(http, server):
    server.script.always(GoAway())
    assert failed(http) == (AMBIGUOUS, "connection_lost")
    assert len(server.ledger) == 1


def test_a_call_that_is_refused_untouched_is_made_again(http, server):
    server.script.next(RefuseStream())
    assert bodies(calls(http, 1)) == [b"1"]
    assert len(server.accepted) == 1


def test_but_not_for_ever(http, server):
    server.script.always(RefuseStream())
    assert failed(http) == (TEMPORARY, "connection_refused")
    assert len(server.ledger) == http2_loop.TRIES


def test_any_other_end_of_a_call_is_ambiguous(http, server):
    server.script.always(RefuseStream(code=2, accepts=True))
    assert failed(http) == (AMBIGUOUS, "stream_reset")
    assert len(server.ledger) == 1


def test_of_an_answer_without_end_the_beginning_is_enough(http, server):
    server.script.next(HugeBody())
    (answer,) = calls(http, 1)
    assert isinstance(answer, Answer)
    assert len(answer.body) == 20_000
    assert wait_until(lambda: server.open_streams == 0)
    calls(http, 2)
    assert server.ledger.last.connection == 1


class Silence(Behaviour):
    """The headers of an answer, and no more."""

    @override
    async def play(self, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 418 I am a teapot\r\nX-A: b\r\n\r\n")
        await exchange.client_gone()


def test_a_status_counts_whatever_becomes_of_the_body(http, server, settings):
    settings.PROVIDER_READ_TIMEOUT = 0.5
    server.script.next(Silence())
    (answer,) = calls(http, 1)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["x-a"], answer.body) == (418, "b", b"")


class HugeFrame(Behaviour):
    """The head of a frame that is larger than we allow."""

    @override
    async def play(self, exchange: Exchange) -> None:
        exchange.writer.write(b"\xff\xff\xff\0\0\0\0\0\1")


def test_a_server_that_breaks_the_protocol_is_left(http, server):
    server.script.next(HugeFrame())
    assert failed(http) == (AMBIGUOUS, "connection_lost")
    calls(http, 2)
    assert server.ledger.last.connection == 2


class InPieces(Behaviour):
    """The normal answer, its frames a few bytes at a time."""

    @override
    async def play(self, exchange: Exchange) -> None:
        assert isinstance(exchange, Http2Exchange)
        h2, stream = exchange.link.h2, exchange.stream
        h2.send_headers(stream, [(":status", "200"), ("x-number", "1")])
        h2.send_data(stream, b"whole", end_stream=True)
        data = h2.data_to_send()
        for start in range(0, len(data), 12):
            exchange.writer.write(data[start : start + 12])
            await exchange.writer.drain()
            await asyncio.sleep(0.005)


def test_frames_may_come_in_pieces(http, server):
    server.script.next(InPieces())
    assert bodies(calls(http, 1)) == [b"whole"]


def test_who_waits_for_room_on_a_connection_that_ends_goes_elsewhere(http, server):
    server.concurrent = 1
    server.script.next(Close(), Normal())
    first, second = calls(http, 1, 2)
    assert isinstance(first, ProviderError)
    assert (first.error_class, first.code) == (AMBIGUOUS, "connection_lost")
    assert bodies([second]) == [b"2"]
    assert [request.connection for request in server.ledger] == [1, 2]


def test_what_is_no_request_is_not_sent(http, server):
    async def once() -> None:
        await http.post("/1", b"{}", headers={":path": "/2"})

    with pytest.raises(ProviderError) as caught:
        run(once())
    assert caught.value.error_class is TEMPORARY
    assert len(server.ledger) == 0


def test_more_settings_may_come_later(http, server):
    class FewerNow(Behaviour):
        @override
        async def play(self, exchange: Exchange) -> None:
            assert isinstance(exchange, Http2Exchange)
            exchange.link.h2.update_settings({3: 2})
            exchange.link.flush()
            await exchange.answer(exchange.response)

    server.script.next(FewerNow())
    calls(http, 0)
    server.script.always(Normal(delay=0.01))
    server.most_streams = 0
    assert len(bodies(calls(http, *range(1, 10)))) == 9
    assert server.most_streams == 2


@contextmanager
def mute() -> Iterator[int]:
    """A port where connections are taken, and nobody speaks."""
    over = threading.Event()

    def take() -> None:
        with listener.accept()[0]:
            over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=take)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join(10)


def test_a_server_that_does_not_greet_has_been_sent_nothing(settings):
    settings.PROVIDER_CONNECT_TIMEOUT = 0.3
    with mute() as port:
        http = LoopHttp2(f"http://127.0.0.1:{port}")
        assert failed(http) == (TEMPORARY, "connect_timeout")
        run(http.aclose())


def test_a_server_of_another_kind_has_been_sent_nothing():
    with SmtpServer() as server:
        http = LoopHttp2(f"http://127.0.0.1:{server.port}")
        assert failed(http) == (TEMPORARY, "connect_failed")
        run(http.aclose())


def test_encrypted(server, tmp_path: Path, monkeypatch):
    context, pem = own_certificate(tmp_path)
    context.set_alpn_protocols(["h2"])
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with Server() as encrypted:
        encrypted.tls = context
        encrypted.refuse()
        encrypted.accept()
        http = LoopHttp2(f"https://localhost:{encrypted.port}")
        assert bodies(calls(http, *range(20))) == [str(n).encode() for n in range(20)]
        run(http.aclose())
        assert wait_until(lambda: encrypted.connections == 0)


def test_who_stops_waiting_for_a_connection_stops_no_other(server):
    http = LoopHttp2(server.url)

    async def two() -> Answer:
        first, second = (asyncio.ensure_future(post(http, number)) for number in (1, 2))
        for _ in range(4):
            await asyncio.sleep(0)
        first.cancel()
        return await second

    assert run(two()).status == 200
    run(http.aclose())


def test_closing_ends_what_is_under_way(http, server):
    server.script.always(Hang())

    async def close() -> None:
        call = asyncio.ensure_future(post(http, 1))
        await asyncio.to_thread(server.ledger.wait_for, 1)
        await http.aclose()
        with pytest.raises(ProviderError) as caught:
            await call
        assert caught.value.error_class is AMBIGUOUS

    run(close())


def test_closing_before_there_is_a_connection(server):
    http = LoopHttp2(server.url)

    async def close() -> None:
        call = asyncio.ensure_future(post(http, 1))
        for _ in range(4):
            await asyncio.sleep(0)
        await http.aclose()
        with pytest.raises((ProviderError, asyncio.CancelledError)):
            await call

    run(close())
