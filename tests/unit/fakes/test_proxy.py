from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.fakes.behaviours import Answer
from tests.fakes.http import FakeHttpServer
from tests.fakes.proxy import Mode, TcpProxy


@pytest.fixture
def proxy(server: FakeHttpServer) -> Iterator[TcpProxy]:
    with TcpProxy(server.port) as running:
        yield running


def get(proxy: TcpProxy, timeout: float = 5) -> int:
    return requests.get(f"http://127.0.0.1:{proxy.port}/", timeout=timeout).status_code


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def read_one_byte(proxy: TcpProxy) -> bytes:
    with connect(proxy) as client:
        return client.recv(1)


def test_it_forwards_both_ways(server: FakeHttpServer, proxy: TcpProxy) -> None:
    url = f"http://127.0.0.1:{proxy.port}/"
    answer = requests.post(url, data=b"x" * 300_000, timeout=5)
    assert answer.json() == {"ok": True}
    assert len(server.ledger.last.body) == 300_000


def test_refuse_and_back(server: FakeHttpServer, proxy: TcpProxy) -> None:
    with proxy.fault("refuse"):
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert len(server.ledger) == 0
    assert get(proxy) == 200


def test_reset(proxy: TcpProxy, server: FakeHttpServer) -> None:
    with proxy.fault(Mode.RESET), pytest.raises(ConnectionResetError):
        read_one_byte(proxy)
    assert get(proxy) == 200
    assert len(server.ledger) == 1


def test_a_black_hole_accepts_and_lets_go_when_healed(
    server: FakeHttpServer, proxy: TcpProxy
) -> None:
    with proxy.fault(Mode.BLACKHOLE):
        with pytest.raises(requests.ReadTimeout):
            get(proxy, timeout=0.3)
        assert len(server.ledger) == 0
    server.ledger.wait_for(1)


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET])
def test_a_switch_hits_open_connections(
    server: FakeHttpServer, proxy: TcpProxy, mode: Mode
) -> None:
    with requests.Session() as session:
        session.get(f"http://127.0.0.1:{proxy.port}/", timeout=5)
        proxy.switch(mode)
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://127.0.0.1:{proxy.port}/", timeout=5)
    assert len(server.ledger) == 1


def test_what_a_black_hole_held_is_lost_when_it_becomes_a_refusal(
    server: FakeHttpServer, proxy: TcpProxy
) -> None:
    proxy.switch(Mode.BLACKHOLE)
    with pytest.raises(requests.ReadTimeout):
        get(proxy, timeout=0.3)
    proxy.switch(Mode.REFUSE)
    proxy.switch(Mode.PASS)
    assert get(proxy) == 200
    assert len(server.ledger) == 1


def test_a_black_hole_also_swallows_the_answer_under_way(
    server: FakeHttpServer, proxy: TcpProxy
) -> None:
    server.script.next(Answer(delay=0.6))
    hole = threading.Timer(0.2, proxy.switch, ["blackhole"])
    hole.start()
    with pytest.raises(requests.ReadTimeout):
        get(proxy, timeout=1)
    hole.join()
    assert len(server.accepted) == 1


def test_reset_after_some_bytes_of_the_answer_happens_once(
    server: FakeHttpServer, proxy: TcpProxy
) -> None:
    proxy.reset_after(10)
    with pytest.raises(requests.ConnectionError):
        get(proxy)
    assert len(server.accepted) == 1
    assert get(proxy) == 200


def test_latency(proxy: TcpProxy) -> None:
    proxy.latency = 0.05
    started = time.monotonic()
    assert get(proxy) == 200
    assert time.monotonic() - started > 0.1


def test_no_upstream_is_a_reset(server: FakeHttpServer, proxy: TcpProxy) -> None:
    server.refuse()
    with pytest.raises(requests.ConnectionError):
        get(proxy)


def test_stop_drops_what_a_black_hole_holds(server: FakeHttpServer) -> None:
    proxy = TcpProxy(server.port).start()
    proxy.switch(Mode.BLACKHOLE)
    with connect(proxy) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        proxy.stop()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
