"""What `manage.py smoke` says where something is wrong. That it works is in `test_run`."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from commsproject.console.smoke import PARTS
from tests.fakes.behaviours import Status
from tests.fakes.http import FakeHttpServer
from tests.inboxes import person
from tests.processes import free_port


def smoke(*arguments: str) -> dict[str, str]:
    """The lines by their parts."""
    output = io.StringIO()
    with pytest.raises(CommandError):
        call_command("smoke", *arguments, "--seconds", "0.5", stdout=output)
    lines = [line.split(maxsplit=2) for line in output.getvalue().splitlines()]
    return {part.rstrip(":"): f"{said} {' '.join(rest)}".strip() for said, part, *rest in lines}


@pytest.mark.parametrize(
    "arguments",
    [
        ("comms.example.com", "--api-key", "k"),
        ("https://", "--api-key", "k"),
        ("https://[", "--api-key", "k"),
        ("https://comms.example.com:99999", "--api-key", "k"),
        ("https://comms.example.com", "--api-key", ""),
        ("https://comms.example.com", "--api-key", "k", "--listen", "here"),
        ("https://comms.example.com", "--api-key", "k", "--listen", "127.0.0.1:70000"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"http|--api-key|--listen"):
        call_command("smoke", *arguments, stdout=io.StringIO())


def test_where_nobody_listens_each_part_says_so() -> None:
    said = smoke(f"http://127.0.0.1:{free_port()}", "--api-key", "k", "--skip", "receipt")
    assert list(said) == list(PARTS)
    assert said["receipt"] == "skipped"
    assert (
        said["health"] == "FAILED GET /health/ready: ConnectError: [Errno 111] Connection refused."
    )
    assert {line.split()[0] for line in said.values()} == {"FAILED", "skipped"}


@pytest.mark.parametrize(
    ("answer", "health"),
    [
        (Status(301, headers={"Location": "https://c.example/"}), "give https://c.example/ as URL"),
        (Status(200, "<h1>Welcome to nginx</h1>"), "no answer of this service"),
        (Status(200, {"hello": "world"}), "answers without `status`: no answer of this service"),
        (Status(502), "no answer of this service"),
    ],
)
def test_who_answers_but_is_not_the_service_is_told_so(answer: Status, health: str) -> None:
    server = FakeHttpServer()
    server.script.always(answer)
    server.start()
    said = smoke(server.url, "--api-key", "k", "--user-token", "t")
    server.stop()
    assert health in said["health"]
    assert list(said) == list(PARTS)
    assert {line.split()[0] for line in said.values()} == {"FAILED"}


def test_a_service_without_workers_is_told_from_one_that_is_well(
    live_server: Any, settings: Any
) -> None:
    settings.WEBHOOK_NETWORKS = ()
    _, key = keys.issue(ApiClient.objects.create(name="smoke"), list(Scope))
    said = smoke(live_server.url, "--api-key", key)
    assert said["key"].startswith("ok agent smoke")
    assert said["send"].startswith("ok message")
    assert "No worker runs" in said["receipt"]
    assert said["socket"].startswith("FAILED ws://")  # this server knows no sockets
    assert (
        "answers 400: It begins with https://. The service calls --webhook-url" in said["webhook"]
    )
    assert "WEBHOOK_NETWORKS (127.0.0.0/8" in said["webhook"]


def test_keys_that_are_not_what_they_should_be(live_server: Any) -> None:
    token = person("u-1")._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")  # type: ignore[attr-defined]  # DRF's own
    said = smoke(live_server.url, "--api-key", token, "--user-token", "nonsense")
    assert "is the token of a person" in said["key"]
    assert "answers 403" in said["send"]
    assert "answers 401" in said["socket"]
