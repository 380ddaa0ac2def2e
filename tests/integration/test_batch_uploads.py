"""Uploads over a real connection to a real server: broken ones, killed ones, large ones."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient, IdempotencyKey
from notifications.models import Batch, Delivery, Notification, Work
from notifications.services import bulk
from tests.processes import Process, eventually, free_port, running

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = quote(json.dumps({"subject": "S", "text": "Hello {{ name }}{{ filling }}"}))
PATH = f"/api/v1/batches?content={CONTENT}"
NDJSON = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "k"}


class Web:
    """A web process and a key for it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        agent = ApiClient.objects.create(name="uploader")
        self.headers = {"Authorization": f"Bearer {keys.issue(agent, list(Scope))[1]}"}

    @contextmanager
    def call(
        self, method: str, path: str, body: bytes | Iterator[bytes] = b"", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        chunked = {} if isinstance(body, bytes) else {"Transfer-Encoding": "chunked"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=50)) as line:
            sent = {**self.headers, **headers, **chunked}
            line.request(method, path, body, sent, encode_chunked=bool(chunked))
            with line.getresponse() as answer:
                yield answer

    def upload(self, body: bytes | Iterator[bytes], key: str = "k") -> dict[str, Any]:
        headers = {**NDJSON, "Idempotency-Key": key}
        with self.call("POST", PATH, body, **headers) as answer:
            batch: dict[str, Any] = json.load(answer)
            assert answer.status == 202, batch
            assert answer.headers["Idempotent-Replayed"] is None
            return batch

    def peak_memory(self) -> int:
        """Bytes, the most it ever had."""
        status = Path(f"/proc/{self.process.popen.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    port = free_port()
    with running("web", log=tmp_path / "web.log", PORT=str(port)) as process:
        eventually(lambda: _answers(port))
        yield Web(process, port)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def lines(count: int, filling: str = "") -> Iterator[bytes]:
    for number in range(count):
        row = {
            "to": {"email": f"p{number}@example.com"},
            "data": {"name": "x", "filling": filling},
        }
        yield json.dumps(row).encode() + b"\n"


def test_a_connection_that_breaks_leaves_nothing_and_its_key_is_free(web: Web) -> None:
    whole = b"".join(lines(10))
    with socket.create_connection(("127.0.0.1", web.port)) as line:
        head = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {len(whole)}"]
        head += [f"{name}: {value}" for name, value in {**web.headers, **NDJSON}.items()]
        line.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + whole[:-20])
    web.upload(whole)
    assert Batch.objects.count() == 1
    assert Delivery.objects.count() == 10


def test_an_upload_whose_server_is_killed_is_removed_and_its_key_usable_again(
    web: Web, tmp_path: Path
) -> None:
    with socket.create_connection(("127.0.0.1", web.port)) as line:
        whole = b"".join(lines(60_000))
        head = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {len(whole)}"]
        head += [f"{name}: {value}" for name, value in {**web.headers, **NDJSON}.items()]
        line.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + whole)
        eventually(lambda: Batch.objects.filter(received__gt=0).exists())
        web.process.kill()
    batch = Batch.objects.get()
    assert batch.state == "receiving"
    assert not Work.objects.filter(held=False).exists()
    Batch.objects.update(heard_at=timezone.now() - 2 * bulk.SILENT)
    bulk.abort_dead()
    batch.refresh_from_db()
    assert batch.state == "aborted"
    for model in (Notification, Delivery, Work, IdempotencyKey):
        assert not model._default_manager.exists(), model
    with running("web", log=tmp_path / "second.log", PORT=str(web.port)):
        eventually(lambda: _answers(web.port))
        web.upload(b"".join(lines(3)))


def test_a_large_upload_and_its_results_never_are_in_memory_as_a_whole(web: Web) -> None:
    web.upload(b"".join(lines(1)))
    before = web.peak_memory()
    count, filling = 20_000, "x" * 5000
    batch = web.upload(lines(count, filling), key="large")
    assert batch["accepted"] == count
    with web.call("GET", f"/api/v1/batches/{batch['id']}/results?format=ndjson") as results:
        assert results.status == 200
        assert sum(1 for _ in results) == count
    assert web.peak_memory() - before < 50 * 2**20  # the upload has 100 MB
