"""The service as it runs: web, worker and scheduler as processes, the simulator's own webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.services import audit
from tests.faults.world import PATIENCE
from tests.processes import eventually, free_port, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[httpx2.Client]:
    """An HTTP client of the running service, with a key that may do everything."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    _, key = keys.issue(ApiClient.objects.create(name="billing"), list(Scope))
    env = {"PORT": str(port), "PUBLIC_URL": url}
    with ExitStack() as stack:
        for command in ("web", "worker", "scheduler"):
            stack.enter_context(running(command, log=tmp_path / command, **env))
        client = stack.enter_context(
            httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        )
        eventually(lambda: _answers(client), PATIENCE)
        yield client


def _answers(client: httpx2.Client) -> bool:
    try:
        return bool(client.get("/health/ready").json()["status"] == "ok")
    except httpx2.HTTPError:
        return False


def send(service: httpx2.Client, address: str) -> str:
    body = {"to": {"email": address}, "content": {"subject": "Hello", "text": "It works."}}
    answer = service.post("/api/v1/notifications", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def story(service: httpx2.Client, message_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get(f"/api/v1/notifications/{message_id}").json()
    return found


def has_status(service: httpx2.Client, message_id: str, status: str) -> bool:
    return bool(story(service, message_id)["status"] == status)


def test_messages_go_all_the_way(service: httpx2.Client) -> None:
    outcomes = {
        "ada@simulator.test": "delivered",
        "bounce@simulator.test": "bounced",
        "bounce+1@simulator.test": "bounced",
        "complaint@simulator.test": "complained",
        "fail@simulator.test": "failed",
        "throttle@simulator.test": "delivered",
    }
    sent = {address: send(service, address) for address in outcomes}
    for address, outcome in outcomes.items():
        eventually(partial(has_status, service, sent[address], outcome), 20)
    (delivery,) = story(service, sent["ada@simulator.test"])["deliveries"]
    assert len(delivery["attempts"]) == 1
    events = [event["type"] for event in delivery["events"]]
    assert events[:2] == ["accepted", "sending"]
    assert sorted(events[2:]) == ["delivered", "sent"]  # a receipt may be quicker than our own note
    again = send(service, "bounce+1@simulator.test")
    assert story(service, again)["status"] == "suppressed"
    again = send(service, "bounce@simulator.test")  # nobody's address: it always does what it says
    assert story(service, again)["status"] != "suppressed"
    assert list(audit.findings()) == []

    # A body that is far too large is refused, and the service goes on.
    body = b'{"to": {"email": "a@example.org"}, "data": "' + b"x" * 10_000_000 + b'"}'
    answer = service.post(
        "/api/v1/notifications", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert service.get("/health/live").status_code == 200

    # A body in chunks, without a length, is a body.
    def chunks(size: int) -> Iterator[bytes]:
        yield b'{"to": {"email": "ada@simulator.test"}, "content": {"subject": "s", "text": "'
        for _ in range(size // 1000):
            yield b"x" * 1000
        yield b'"}}'

    headers = {"content-type": "application/json"}
    sized = {
        size: service.post("/api/v1/notifications", content=chunks(size), headers=headers)
        for size in (5_000, 6_000_000)
    }
    assert {size: answer.status_code for size, answer in sized.items()} == {
        5_000: 202,
        6_000_000: 413,
    }
