"""Every call of the API that a test makes is held against the published description, and noted.

Where the whole suite ran, an operation that no test called with success, or whose call none saw refused
for anything but missing credentials, fails the run: the summary names it. A run of a part, or one that
failed, cannot know: its summary says so.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

import jsonschema_rs
import pytest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")
ROOT = "urn:comms:openapi"
PROBLEM = "application/problem+json"


class Operation(NamedTuple):
    """As the description names it: `GET`, `/api/v1/batches/{batch_id}`."""

    method: str
    path: str

    @classmethod
    def of(cls, method: str, route: str) -> Operation:
        return cls(method, "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route))


class Call(NamedTuple):
    operation: Operation
    status: int


seen: set[Call] = set()


_one_at_a_time = threading.Lock()
"""drf-spectacular loads its extensions when it is first asked, which threads must not do together."""


@cache
def _generated() -> dict[str, Any]:
    # Not `ROOT_URLCONF`: the first to ask may be a test that has put another in its place.
    generator = SchemaGenerator(urlconf="commsproject.urls")
    found: dict[str, Any] = generator.get_schema(request=None, public=True)
    return found


def description() -> dict[str, Any]:
    """The OpenAPI document as it is served."""
    with _one_at_a_time:
        return _generated()


@cache
def operations() -> dict[Operation, dict[str, Any]]:
    return {
        Operation(method.upper(), path): item[method]
        for path, item in description()["paths"].items()
        for method in METHODS
        if method in item
    }


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(ROOT, {"$id": ROOT, **description()})])


@cache
def validator(*place: str) -> jsonschema_rs.Draft202012Validator:
    """Of the schema at `place` in the description."""
    pointer = "/".join(quote(part.replace("~", "~0").replace("/", "~1")) for part in place)
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"{ROOT}#/{pointer}"}, registry=_registry(), validate_formats=True
    )


def _resolved(*place: str) -> tuple[str, ...]:
    """The place that is meant, where at `place` is a reference."""
    found = at(place)
    return tuple(found["$ref"].split("/")[1:]) if "$ref" in found else place


def at(place: tuple[str, ...]) -> dict[str, Any]:
    found = description()
    for part in place:
        found = found[part]
    return found


def recorded(
    get_response: Callable[[Any, HttpRequest], HttpResponseBase],
) -> Callable[[Any, HttpRequest], HttpResponseBase]:
    """`ClientHandler.get_response` that looks at each answer before the test does."""

    def answer(self: Any, request: HttpRequest) -> HttpResponseBase:
        response = get_response(self, request)
        match = request.resolver_match
        if match is not None and match.route.startswith("api/v1/"):
            operation = Operation.of(request.method or "", match.route)
            if operation in operations():
                seen.add(Call(operation, response.status_code))
                check(operation, response)
        return response

    return answer


def check(operation: Operation, response: Any) -> None:
    """Raises AssertionError for an answer that the description does not have."""
    if response.status_code == 500:
        return  # a test that makes one knows; no description has it
    told = operations()[operation]["responses"]
    status = str(response.status_code)
    where = f"{operation.method} {operation.path} answered {status}"
    code = _code(response)
    assert status in told, f"{where} ({code}), which its description does not have"
    place = _resolved("paths", operation.path, operation.method.lower(), "responses", status)
    content = at(place).get("content", {})
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if response.streaming or not response.content:
        return
    assert kind in content, f"{where} as {kind}, described as {list(content)}"
    if kind == PROBLEM:
        codes = list(content[kind]["examples"])
        assert code in codes, f"{where} with {code!r}, where its description has {codes}"
    if kind.endswith("json"):
        found = validator(*place, "content", kind, "schema")
        body = response.content.decode()
        for error in found.iter_errors(json.loads(body)):
            raise AssertionError(f"{where}, unlike its description: {error}")


def _code(response: Any) -> str:
    """Of a problem; empty for other answers."""
    if response.headers.get("Content-Type", "") != PROBLEM:
        return ""
    return str(json.loads(response.content)["code"])


def uncalled(calls: set[Call]) -> list[str]:
    """Operations that lack an answer of 2xx, or one of 4xx: where anything can be asked wrongly, one
    that has to do with what was asked.
    """
    statuses: dict[Operation, set[int]] = {}
    for call in calls:
        statuses.setdefault(call.operation, set()).add(call.status)
    return [
        f"{operation.method} {operation.path}: never {kind}"
        for operation, told in operations().items()
        for kind, wanted in (("2xx", {*range(200, 300)}), ("4xx", _refusals(told)))
        if not statuses.get(operation, set()) & wanted
    ]


def _refusals(told: dict[str, Any]) -> set[int]:
    has_input = told.get("parameters") or "requestBody" in told
    return {*range(400, 500)} - ({401, 403} if has_input else set())


_KEY = "api_calls"
"""In what a worker hands over."""


class ApiCalls:
    """A plugin of pytest; xdist's workers hand over what they saw when they end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seen: set[Call] = set()
        self._left_out: list[str] | None = None
        """None: not looked at."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        for method, path, status in getattr(node, "workeroutput", {}).get(_KEY, ()):
            self._seen.add(Call(Operation(method, path), status))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._seen |= seen
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_KEY] = [[*call.operation, call.status] for call in self._seen]
        elif exitstatus == pytest.ExitCode.OK and self._is_whole():
            self._left_out = uncalled(self._seen)
            if self._left_out:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._left_out is None and self._seen:
            called = len({call.operation for call in self._seen})
            terminalreporter.line(
                f"{called} of {len(operations())} operations of the API were called. That each is, "
                "with success and in vain, is seen to where the whole suite passes."
            )
        if self._left_out:
            terminalreporter.section("operations of the API that no test called", red=True)
            for line in self._left_out:
                terminalreporter.line(line)

    def _is_whole(self) -> bool:
        """The tests that `pytest` runs where it is told nothing."""
        option, ours = self._config.option, self._config.getini("addopts")
        narrowed = option.keyword or option.markexpr != ours[ours.index("-m") + 1]
        return not narrowed and self._config.args == self._config.getini("testpaths")
