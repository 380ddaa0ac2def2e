"""The published description of the API leaves nothing out."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse

from commsproject.common.api import problems
from commsproject.common.errors import CommsError, Conflict
from notifications.errors import KeyInFlight, NameTaken
from tests import api_calls, api_snapshot
from tests.api_calls import PROBLEM, Call, Operation


def test_nothing_is_without_a_description() -> None:
    document = api_calls.description()
    bare = [
        f"{operation.method} {operation.path}: {part}"
        for operation, told in api_calls.operations().items()
        for part in undescribed(told)
    ]
    for name, schema in document["components"]["schemas"].items():
        bare += [f"{name}.{path}" for path in unnamed(schema)]
    assert bare == []


def undescribed(told: dict[str, Any]) -> Iterator[str]:
    yield from (part for part in ("summary", "description") if not told.get(part))
    for parameter in told.get("parameters", ()):
        if not parameter.get("description"):
            yield f"parameter {parameter['name']}"
    for status, answer in told["responses"].items():
        if not answer.get("description") and "$ref" not in answer:
            yield status


def unnamed(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Fields without a description, those of objects inside too."""
    for field, told in schema.get("properties", {}).items():
        if not told.get("description"):
            yield f"{path}{field}"
        yield from unnamed(told, f"{path}{field}.")
    if isinstance(schema.get("items"), dict):
        yield from unnamed(schema["items"], f"{path}[].")


def test_every_body_has_an_example_that_keeps_to_its_schema() -> None:
    wrong = [
        f"{operation.method} {operation.path} {'/'.join(place)}: {what}"
        for operation, told in api_calls.operations().items()
        for place in bodies(told)
        for what in flaws(operation, place)
    ]
    assert wrong == []


def bodies(told: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for kind in told.get("requestBody", {}).get("content", {}):
        yield "requestBody", "content", kind
    for status, answer in told["responses"].items():
        for kind in answer.get("content", {}):
            yield "responses", status, "content", kind


def flaws(operation: Operation, place: tuple[str, ...]) -> Iterator[str]:
    where = ("paths", operation.path, operation.method.lower(), *place)
    told = api_calls.at(where)
    examples = told.get("examples", {})
    if not examples:
        yield "no example"
    if place[-1] in ("application/json", PROBLEM):
        validator = api_calls.validator(*where, "schema")
        for name, example in examples.items():
            yield from (f"{name}: {error}" for error in validator.iter_errors(example["value"]))


def test_every_error_says_what_it_is() -> None:
    for told in api_calls.operations().values():
        for status, answer in told["responses"].items():
            if status >= "4":
                found = (
                    api_calls.at(tuple(answer["$ref"].split("/")[1:]))
                    if "$ref" in answer
                    else answer
                )
                assert found["description"]
                for example in found["content"][PROBLEM]["examples"].values():
                    assert str(example["value"]["status"]) == status
                    api_calls.validator("components", "schemas", "Problem").validate(
                        example["value"]
                    )


def test_the_published_description_is_fresh_and_has_lost_nothing() -> None:
    now, before = api_calls.description(), api_snapshot.published()
    assert api_snapshot.lost(before, now) == []
    assert api_snapshot.FILE.read_text() == api_snapshot.dumped(now), "run `make openapi`"


def test_a_loss_is_noticed() -> None:
    before = api_calls.description()
    now = copy.deepcopy(before)
    del now["paths"]["/api/v1/whoami"]
    del now["components"]["schemas"]["AcceptedOutput"]["properties"]["status"]
    now["components"]["schemas"]["TopicInputRequest"]["required"].append("owner")
    now["components"]["schemas"]["NewRequest"] = {"required": ["owner"]}
    gone = api_snapshot.lost(before, now)
    assert "GET /api/v1/whoami" in gone
    assert "AcceptedOutput.status" in gone
    assert [one for one in gone if one.startswith("new")] == ["new demand: TopicInputRequest.owner"]


def test_a_code_that_is_not_described_is_noticed() -> None:
    """Of every answer that a test gets: `api_calls.recorded`."""
    send = Operation("POST", "/api/v1/notifications")
    api_calls.check(send, answered(KeyInFlight()))
    for error in (NameTaken(), Conflict()):  # of a status that is described
        with pytest.raises(AssertionError, match=error.code):
            api_calls.check(send, answered(error))


def answered(error: CommsError) -> HttpResponse:
    assert error.status == KeyInFlight.status
    return problems.answer(error)


def test_what_no_test_calls_is_named() -> None:
    """At the end of a whole run: `ApiCalls`."""
    calls = {Call(one, status) for one in api_calls.operations() for status in (200, 401, 404)}
    assert api_calls.uncalled(calls) == []
    export = Operation("GET", "/api/v1/templates/export")
    assert api_calls.uncalled(calls - {Call(export, 200)}) == [f"GET {export.path}: never 2xx"]
    assert api_calls.uncalled(calls - {Call(export, 404)}) == [f"GET {export.path}: never 4xx"]
    whoami = Operation("GET", "/api/v1/whoami")  # which can only be asked by a stranger
    assert api_calls.uncalled(calls - {Call(whoami, 404)}) == []
