"""Every operation of the API once and in a sensible order, with the requests that its description
shows. What has no example in a view is written down here, and published by `api/examples.json`:

    .venv/bin/pytest tests/integration/test_api_examples.py --write-examples
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.apps import apps
from rest_framework.test import APIClient

from tests import api_calls
from tests.api_calls import Operation

JSON = "application/json"
Body = dict[str, Any] | list[Any] | str

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d(?:\.\d+)?(Z|\+00:00)")
_SECRETS = (
    (re.compile(r"whsec_[\w+/=]+"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
    (re.compile(r"cursor=[\w%=-]+"), "cursor=cD0wMTlhMDAwMA"),
    (re.compile(r"/files/[^\"?]+"), "/files/eyJmIjoiMDE5YSJ9"),
    (re.compile(r'"[0-9a-f]{64}"'), f'"{"5f" * 32}"'),
    (re.compile(r"http://(testserver|localhost:8002)"), "https://comms.example.com"),
)


@dataclass(frozen=True)
class Shown:
    """What an operation was sent and what it answered, as it may be published."""

    operation_id: str
    key: str
    """`request` or the status, and the media type unless that is JSON."""
    value: Body


@dataclass
class Tour:
    """`known`: the ids that stand in examples, and what they are this time. `at`: of paths."""

    agent: APIClient
    user: APIClient
    known: dict[str, str] = field(default_factory=dict)
    at: dict[str, Any] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)

    def go(
        self,
        operation_id: str,
        status: int = 200,
        *,
        by: APIClient | None = None,
        body: Any = None,
        kind: str = JSON,
        query: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> Any:
        """Send `body`, or each example of the description. The last answer; AssertionError where it
        is not `status`.
        """
        operation, told = described(operation_id)
        bodies = [body] if body is not None else self._examples(told, kind)
        if body is not None and "requestBody" in told:
            self._show(operation_id, "request", kind, body)
        for one in bodies:
            response = self._send(operation, by or self.agent, one, kind, query or {}, accept)
            text = _text(response)
            assert response.status_code == status, (operation_id, response.status_code, text)
        told_kind = response.headers.get("Content-Type", JSON).partition(";")[0]
        answer = json.loads(text) if told_kind == JSON and text else text
        if answer:
            self._show(operation_id, str(status), told_kind, answer)
        return answer

    def _examples(self, told: dict[str, Any], kind: str) -> list[Any]:
        content = told.get("requestBody", {}).get("content", {}).get(kind, {})
        values = [one["value"] for one in content.get("examples", {}).values()]
        text = json.dumps(values)
        for placeholder, real in self.known.items():
            text = text.replace(placeholder, real)
        return json.loads(text) or [None]

    def _send(
        self,
        operation: Operation,
        by: APIClient,
        body: Any,
        kind: str,
        query: Mapping[str, str],
        accept: str,
    ) -> Any:
        path = operation.path.format(**self.at)
        headers = {"Accept": accept} if accept else {}
        call = getattr(by, operation.method.lower())
        if operation.method == "GET":
            return call(path, query, headers=headers)
        if query:
            path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
        if kind == JSON:
            return call(path, body, format="json", headers=headers)
        if kind.startswith("multipart"):
            return call(path, body, format="multipart", headers=headers)
        return call(path, body, content_type=kind, headers=headers)

    def _show(self, operation_id: str, key: str, kind: str, value: Any) -> None:
        if kind.startswith("multipart"):
            value = dict.fromkeys(value, "(the file)")
        full = key if kind == JSON or kind.startswith("multipart") else f"{key} {kind}"
        self.shown.append(Shown(operation_id, full, self._published(value)))

    def _published(self, value: Any) -> Any:
        text = json.dumps(value)
        stands_for = {real: placeholder for placeholder, real in self.known.items()}
        for found in _UUID.findall(text):
            number = 0x100 + len(stands_for)
            text = text.replace(found, stands_for.setdefault(found, str(UUID(int=_BASE + number))))
        text = _MOMENT.sub(r"\1:00Z", text)
        for pattern, plain in _SECRETS:
            text = pattern.sub(plain, text)
        self.known |= {placeholder: real for real, placeholder in stands_for.items()}
        return json.loads(text)


_BASE = UUID("019a0000-0000-7000-8000-000000000000").int


def described(operation_id: str) -> tuple[Operation, dict[str, Any]]:
    for operation, told in api_calls.operations().items():
        if told["operationId"] == operation_id:
            return operation, told
    raise LookupError(operation_id)


def _text(response: Any) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return str(body.decode())


def write(tour: Tour) -> None:
    """The examples that no view has, into the `api/examples.json` of the app that has the view."""
    files: dict[Path, dict[str, dict[str, Any]]] = {}
    for one in tour.shown:
        operation, told = described(one.operation_id)
        if _has_own(told, one.key):
            continue
        file = files.setdefault(_file(operation), {})
        file.setdefault(one.operation_id, {}).setdefault(one.key, one.value)
    for path, found in files.items():
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n")


def _has_own(told: dict[str, Any], key: str) -> bool:
    name, _, kind = key.partition(" ")
    part = told.get("requestBody") if name == "request" else told["responses"].get(name)
    content = (part or {}).get("content", {})
    kinds = [content[kind]] if kind in content else [] if kind else list(content.values())
    return any("Example" not in one["examples"] for one in kinds if one.get("examples"))


def _file(operation: Operation) -> Path:
    from django.urls import resolve

    concrete = re.sub(r"{(\w+)}", _filled, operation.path)
    module = resolve(concrete).func.__module__
    app = next(one for one in apps.get_app_configs() if module.startswith(f"{one.name}."))
    return Path(app.path) / "api" / "examples.json"


def _filled(match: re.Match[str]) -> str:
    name = match[1]
    return "1" if name == "number" else str(UUID(int=_BASE)) if name.endswith("_id") else "x"
