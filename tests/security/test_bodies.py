"""No stranger fills the disk or the memory with bodies: by TCP, against a web process."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.test import Client
from django.urls import get_resolver, resolve

from commsproject.common import bodies
from commsproject.common.api.parsers import StrictJSONParser
from commsproject.common.bodies import OF_STRANGERS, SMALL
from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import Batch
from tests.faults.nursery import Infant, Nursery
from tests.faults.world import PATIENCE, is_ready, secret_of
from tests.integration.test_staff_sign_in import PASSWORD
from tests.processes import eventually, free_port

MIB = 1024 * 1024
USUAL = 5 * MIB
PIECE = b"x" * 65_536
BATCHES = "/api/v1/batches?" + "content=%7B%22subject%22%3A%22Hi%22%2C%22text%22%3A%22Hi%22%7D"

ROWS = b"".join(
    b'{"to": {"email": "p%d@example.org"}, "data": {"x": "%s"}}\n' % (number, b"x" * 200_000)
    for number in range(30)
)
"""More than any page takes of a stranger."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        return found


@dataclass(frozen=True)
class Web:
    port: int
    process: Infant
    temporary: Path

    def call(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    @property
    def bodies(self) -> list[int]:
        """Bytes of each on the disk: their files have no name any more."""
        found = []
        for one in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                if one.readlink().is_relative_to(self.temporary):
                    found.append(one.stat().st_size)
        return found

    @property
    def stored(self) -> int:
        return sum(self.bodies)


@contextmanager
def web(logs: Path, **env: str) -> Iterator[Web]:
    temporary = logs / "temporary"
    temporary.mkdir()
    port = free_port()
    env = {"SENDGRID_API_KEY": "SG.fake", "TMPDIR": str(temporary), **env}
    with Nursery(logs, **env) as nursery:
        process = nursery.start("web", PORT=str(port))
        eventually(lambda: is_ready(port), PATIENCE)
        yield Web(port, process, temporary)
        assert process.runs
    assert "Traceback" not in process.log.read_text()


def head(path: str, body: str, **headers: str) -> bytes:
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{told}{body}\r\n\r\n".encode()


def announced(count: int) -> str:
    return f"Content-Length: {count}"


CHUNKED = "Transfer-Encoding: chunked"


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def answer(wire: socket.socket) -> Answer:
    with HTTPResponse(wire) as said:
        said.begin()
        headers = {name.lower(): value for name, value in said.getheaders()}
        return Answer(said.status, headers, said.read())


def upload(one: Web, rows: bytes, key: str, **headers: str) -> Answer:
    headers = {"Content_Type": "application/x-ndjson", **headers}
    with one.call() as wire:
        wire.sendall(head(BATCHES, announced(len(rows)), Authorization=f"Bearer {key}", **headers))
        with suppress(ConnectionError):
            wire.sendall(rows)
        return answer(wire)


PAGES = {
    "/u/abc": (USUAL, 413, "too_large"),
    "/health/live": (USUAL, 413, "too_large"),
    "/metrics": (USUAL, 413, "too_large"),
    "/no-such-page": (USUAL, 413, "too_large"),
    "/admin/login/": (USUAL, 413, "too_large"),
    "/admin/compose/batch/": (USUAL, 401, "unauthenticated"),
    "/webhooks/nobody/": (USUAL, 413, "too_large"),
    "/webhooks/sendgrid/": (MIB, 413, "too_large"),
    "/webhooks/sendgrid/inbound/": (32 * MIB, 413, "too_large"),
    "/api/v1/notifications": (USUAL, 413, "too_large"),
    "/api/v1/batches": (USUAL, 401, "unauthenticated"),
    "/api/v1/recipients/import": (USUAL, 401, "unauthenticated"),
    f"/api/v1/conversations/{uuid4()}/attachments": (USUAL, 401, "unauthenticated"),
}
"""What each takes of somebody who shows no key, and how more is refused."""


def test_a_stranger_stores_no_more_than_a_page_takes(
    transactional_db: None, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with web(tmp_path) as one:
        for path, (limit, status, code) in PAGES.items():
            with subtests.test(path, how="announced"), one.call() as wire:
                wire.sendall(head(path, announced(2**31)))
                got = answer(wire)
                assert (got.status, got.problem["code"]) == (status, code)
                assert got.headers["connection"] == "close"
                assert one.stored == 0, "nothing was read"
            with subtests.test(path, how="in chunks"), one.call() as wire:
                wire.sendall(head(path, CHUNKED))
                most = 0
                with suppress(ConnectionError):
                    for _ in range(2 * limit // len(PIECE)):
                        wire.sendall(chunk(PIECE))
                        most = max(most, one.stored)
                got = answer(wire)
                assert (got.status, got.problem["code"]) == (status, code)
                assert most <= limit
                assert one.stored == 0
            with subtests.test(path, how="ends"), one.call() as wire:
                wire.sendall(head(path, announced(SMALL + 1)) + b"x" * (SMALL + 1))
                assert answer(wire).status not in (413, 503)


def test_who_is_known_may_send_more(transactional_db: None, tmp_path: Path) -> None:
    client = ApiClient.objects.create(name="reader")
    with web(tmp_path) as one:
        assert upload(one, ROWS, secret_of("billing")).status == 202
        assert Batch.objects.get().received == 30
        refused = upload(one, ROWS, f"{keys.MARK}guessed")
        assert (refused.status, refused.problem["code"]) == (401, "unauthenticated")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        reader = keys.issue(client, [Scope.NOTIFICATIONS_READ])[1]
        assert upload(one, ROWS, reader).problem["code"] == "forbidden"
        assert Batch.objects.count() == 1


def test_staff_may_send_files_while_they_are_signed_in(
    transactional_db: None, tmp_path: Path
) -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    browser = Client()
    browser.force_login(User.objects.get())
    cookie = f"sessionid={browser.cookies['sessionid'].value}"
    path = f"/admin/inbox/{uuid4()}/upload"
    body = b"x" * (USUAL + 1)
    with web(tmp_path) as one:
        for shown, wanted in ((cookie, 403), ("sessionid=guessed", 401)):
            with one.call() as wire:
                wire.sendall(head(path, announced(len(body)), Cookie=shown))
                with suppress(ConnectionError):
                    wire.sendall(body)
                # 403: it was taken, and Django says that it has no token of the form.
                assert answer(wire).status == wanted


def test_what_is_held_for_long_has_an_end_and_keeps_no_one_out_who_is_known(
    transactional_db: None, tmp_path: Path
) -> None:
    key = secret_of("billing")
    with web(tmp_path, UPLOADS_ROOM=str(len(ROWS) + MIB)) as one, ExitStack() as held:
        each = USUAL - len(PIECE)
        for _ in range(OF_STRANGERS // each):
            wire = held.enter_context(one.call())
            wire.sendall(head("/u/abc", CHUNKED) + chunk(b"x" * each))
        with one.call() as wire:
            wire.sendall(head("/u/abc", CHUNKED) + chunk(b"x" * each))
            got = answer(wire)
        assert (got.status, got.problem["code"]) == (503, "unavailable")
        assert int(got.headers["retry-after"]) > 0
        assert one.stored <= OF_STRANGERS
        with one.call() as wire:
            begin = head(BATCHES, CHUNKED, Authorization=f"Bearer {key}")
            wire.sendall(begin + chunk(ROWS[:-1]))
            # The first to come has the room: who overtakes it is let in, and ends it.
            eventually(lambda: max(one.bodies) > USUAL, PATIENCE)
            assert upload(one, ROWS, key).status == 503
        eventually(lambda: upload(one, ROWS, key).status == 202, PATIENCE)


def test_a_stranger_who_stops_sending_gives_the_room_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "STRANGERS_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "OF_STRANGERS", USUAL)  # one has it all
    monkeypatch.setattr(bodies, "_LINGER", 0.1)
    sent: list[Mapping[str, Any]] = []
    piece = {"type": "http.request", "body": b"x" * USUAL, "more_body": True}
    pieces: Iterator[Mapping[str, Any]]

    async def receive() -> Mapping[str, Any]:
        for piece in pieces:
            return piece
        return await asyncio.Future[Mapping[str, Any]]()

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/u/abc",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")],
    }
    front = bodies.BoundedBodies(ASGIHandler())
    for _ in range(2):
        sent.clear()
        pieces = iter([piece])
        asyncio.run(front(scope, receive, send))
        assert sent[0]["status"] == 503
        assert b"too slowly" in sent[1]["body"]


def test_a_full_disk_is_told_and_nothing_is_half_done(
    transactional_db: None, tmp_path: Path
) -> None:
    key = secret_of("billing")
    with web(tmp_path) as one:
        room = resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (4 * MIB, -1))
        once = upload(one, ROWS, key, Idempotency_Key="a")
        assert (once.status, once.problem["code"]) == (503, "unavailable")
        assert int(once.headers["retry-after"]) > 0
        assert (one.stored, Batch.objects.count()) == (0, 0)
        resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, room)
        assert upload(one, ROWS, key, Idempotency_Key="a").status == 202
    assert '"disk full"' in one.process.log.read_text()


def views(resolver: Any = None) -> Iterator[Any]:
    for one in (resolver or get_resolver()).url_patterns:
        if hasattr(one, "url_patterns"):
            yield from views(one)
        else:
            yield one.callback


def test_what_takes_uploads_says_how_large() -> None:
    kinds = {view.cls for view in views() if hasattr(view, "cls")}
    uploads = {kind for kind in kinds if {*kind.parser_classes} != {StrictJSONParser}}
    assert len(uploads) == 4
    assert all(hasattr(kind, "body_bound") for kind in uploads)
    for path in ("/admin/compose/batch/", f"/admin/inbox/{uuid4()}/upload"):
        assert hasattr(resolve(path).func, "body_bound"), path
