"""A web process as an attacker has it: by TCP, with requests that no client library would make."""

from __future__ import annotations

import base64
import socket
import time
from contextlib import suppress
from pathlib import Path

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import Notification
from tests.faults.nursery import Nursery
from tests.faults.world import PATIENCE, is_ready
from tests.processes import eventually, free_port

PAGE = "http://comms.example.com"

ORIGINS = {
    "https://evil.example": 403,
    "null": 403,
    f"{PAGE}.evil.example": 403,
    PAGE.replace("//", "//sub."): 403,
    f"{PAGE}:8443": 403,
    PAGE.replace("http", "https"): 403,
    f"{PAGE}, https://evil.example": 403,
    PAGE: 101,
    "": 101,  # no browser; who it is, the ticket says
}

API = (
    b"POST /api/v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
INNER = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

MALFORMED = (
    API + b"Content-Length: 4\r\nContent-Length: 60\r\n\r\nnull" + INNER,
    API + b"Content-Length: 4, 60\r\n\r\nnull" + INNER,
    API + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    API + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
    API + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER,
    API + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    API + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    API + b"Content-Length: -1\r\n\r\n",
    API + b"Content-Length: +4\r\n\r\nnull",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Y\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
    API + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 200_000 + b"\r\n",
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
)

PATIENT = (
    API + b"Transfer-Encoding: chunked\r\n\r\n" + b"a\r\n0123456789\r\n" * 20_000 + b"0\r\n\r\n"
)
"""An honest body in small pieces, whose frames are longer than a head may be."""


MESSAGE = b'{"to":{"email":"ada@simulator.test"},"content":{"subject":"Hi","text":"It works."}}'
JSON = b"Content-Type: application/json\r\n"

TOLD = (
    (JSON, MESSAGE, 202),
    (b"Content-Type: application/json; charset=utf-8\r\n", MESSAGE, 202),
    (JSON + b"Expect: 100-continue\r\n", MESSAGE, 202),
    (JSON + b"X-Two: a\r\nX-Two: b\r\n", MESSAGE, 202),
    (JSON, MESSAGE[:-1], 400),
    (JSON, MESSAGE[:-1] + b',"colour":"red"}', 400),
    (JSON, MESSAGE[:-1] + b',"tags":[' + b"[]," * 20_000 + b"[]]}", 400),
    (JSON, b"\xff" + MESSAGE, 400),
    (JSON, MESSAGE.replace(b"@", b" "), 400),
    (JSON + b"Idempotency-Key: " + b"k" * 300 + b"\r\n", MESSAGE, 400),
    (JSON + b"Idempotency-Key: k-1\r\nIdempotency-Key: k-2\r\n", MESSAGE, 202),
    (b"Content-Type: application/json; charset=utf-16\r\n", MESSAGE, 202),
    (b"Content-Type: text/plain\r\n", MESSAGE, 415),
    (JSON + b"Accept: text/html\r\n", MESSAGE, 406),
)
"""Headers and body of who has a key, and the answer. The fast door hands on what it does not take, with
the body that it has read.
"""


def sent(port: int, key: str, headers: bytes, body: bytes) -> int:
    """The status of a message whose body comes in two parts."""
    head = (
        b"POST /api/v1/notifications HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n".encode()
    )
    half = len(body) // 2
    answer = asked(port, head + headers + b"\r\n" + body[:half], body[half:])
    return status(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))


def asked(port: int, *parts: bytes) -> bytes:
    """What is answered, and what comes in the second after it."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as wire,
        suppress(ConnectionError, TimeoutError),
    ):
        for part in parts:
            wire.sendall(part)
            time.sleep(0.02)  # for each to be a piece of its own
        while piece := wire.recv(65536):
            answer += piece
            wire.settimeout(1)
    return answer


def status(answer: bytes) -> int:
    """0 where the connection just ended."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def handshake(origin: str) -> bytes:
    key = base64.b64encode(b"0123456789abcdef").decode()
    told = f"Origin: {origin}\r\n" if origin else ""
    return (
        "GET /ws/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{told}"
        "Sec-WebSocket-Protocol: comms.v1\r\nCookie: sessionid=x\r\n\r\n"
    ).encode()


def test_no_request_however_it_is_made_gets_further(transactional_db: None, tmp_path: Path) -> None:
    port = free_port()
    with Nursery(tmp_path, PUBLIC_URL=PAGE) as nursery:
        web = nursery.start("web", PORT=str(port))
        eventually(lambda: is_ready(port), PATIENCE)
        plain = asked(port, b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert status(plain) == 200
        assert b"\r\nserver:" not in plain.lower()
        assert status(asked(port, PATIENT)) == 401
        for origin, wanted in ORIGINS.items():
            assert status(asked(port, handshake(origin))) == wanted, origin
        for request in MALFORMED:
            answer = asked(port, request)
            assert status(answer) in {0, *range(400, 500)}, (request[:150], answer[:80])
            assert answer.count(b"HTTP/1.1 ") <= 1, "one request, one answer"
        assert is_ready(port)
        assert web.runs
    lines = web.log.read_text()
    assert "Traceback" not in lines


def test_a_body_that_the_fast_door_hands_on_is_whole(
    transactional_db: None, tmp_path: Path
) -> None:
    port = free_port()
    _, key = keys.issue(ApiClient.objects.create(name="billing"), list(Scope))
    with Nursery(tmp_path, PUBLIC_URL=PAGE) as nursery:
        web = nursery.start("web", PORT=str(port))
        eventually(lambda: is_ready(port), PATIENCE)
        found = [(headers, body, sent(port, key, headers, body)) for headers, body, _ in TOLD]
        assert found == list(TOLD)
        assert web.runs
    assert Notification.objects.count() == sum(status == 202 for _, _, status in TOLD)
