"""What the published description says beyond each view's own words: the errors that an operation
answers with, what fields and parameters of the same name mean everywhere, and the examples of
`api/examples.json` of each app.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from django.apps import apps
from drf_spectacular.openapi import AutoSchema
from typing_extensions import override

from commsproject.common.api import vocabulary
from commsproject.common.api.problems import CONTENT_TYPE, Forbidden, TooLarge, Unauthenticated
from commsproject.common.errors import (
    CommsError,
    FieldError,
    InvalidInput,
    NotFound,
    RateLimited,
    ServiceUnavailable,
)
from commsproject.common.identity.errors import IdentityUnavailable
from commsproject.common.identity.permissions import allows_end_users

Error = type[CommsError]
_F = TypeVar("_F", bound=Callable[..., Any])

_WITH_BODY = {"POST", "PUT", "PATCH"}

PROBLEM = {
    "type": "object",
    "description": "What is wrong, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "`urn:comms:problem:` and the code."},
        "title": {"type": "string", "description": "The kind of problem, in words."},
        "status": {"type": "integer", "description": "The HTTP status, once more."},
        "detail": {"type": "string", "description": "What happened this time, and what to do."},
        "code": {"type": "string", "description": "The kind of problem, for programs: stable."},
        "errors": {
            "type": "array",
            "description": "Each field that is wrong, where it is fields that are.",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {
                        "type": "string",
                        "description": "Its path: `to.email`, `rows.3.to`.",
                    },
                    "code": {"type": "string", "description": "What is wrong, for programs."},
                    "message": {"type": "string", "description": "What is wrong, in words."},
                },
            },
        },
    },
}


BODY_AS_POST = {"x-body-as": "post"}
"""For `extensions` of a `DELETE` that says in its body what goes: drf-spectacular leaves bodies out."""


class NotAcceptable(CommsError):
    """As DRF answers; here for the description."""

    code = "not_acceptable"
    status = 406
    title = "Not acceptable"


class UnsupportedMediaType(CommsError):
    """As DRF answers; here for the description."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported media type"


_ANY_CALL: tuple[Error, ...] = (
    *(InvalidInput, Unauthenticated, Forbidden),
    *(NotAcceptable, RateLimited, ServiceUnavailable),
)


_SUCCESS = {
    "200": "As asked.",
    "201": "It was made.",
    "202": "It was taken in, and will be done.",
    "204": "Done; there is nothing to say.",
}


def can_fail(*errors: Error) -> Callable[[_F], _F]:
    """Of a view's method: the errors that not every call has."""

    def marked(method: _F) -> _F:
        method.errors = errors  # type: ignore[attr-defined]  # a function takes any attribute
        return method

    return marked


class Described(AutoSchema):
    """An operation with the problems that it may answer, named after its path unless it says how."""

    @override
    def get_operation_id(self) -> str:
        return "_".join(self._tokenize_path())

    @override
    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        by_status: dict[int, list[Error]] = defaultdict(list)
        for error in self._errors():
            by_status[error.status].append(error)
        for status, errors in sorted(by_status.items()):
            bodies[str(status)] = _reference(errors) if len(errors) == 1 else _answer(errors)
        return bodies

    def _errors(self) -> Iterator[Error]:
        yield from _ANY_CALL
        if allows_end_users(self.view):
            yield IdentityUnavailable
        if "{" in self.path:
            yield NotFound
        if self.method in _WITH_BODY and self.get_request_serializer() is not None:
            yield from (TooLarge, UnsupportedMediaType)
        yield from getattr(getattr(self.view, self.method.lower()), "errors", ())


def _reference(errors: list[Error]) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{errors[0].code}"}


def _answer(errors: list[Error]) -> dict[str, Any]:
    return {
        "description": " Or: ".join(f"{error.title}." for error in errors),
        "content": {
            CONTENT_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {error.code: {"value": _example(error)} for error in errors},
            }
        },
    }


def _example(error: Error) -> dict[str, Any]:
    if error is InvalidInput:
        message = "A value is required."
        field = FieldError("to", "required", message)
        return InvalidInput(f"to: {message}", errors=[field]).problem()
    return error().problem()


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The post-processing hook of drf-spectacular: what the views leave out is filled in."""
    components = result["components"]
    components["schemas"]["Problem"] = PROBLEM
    components["responses"] = {error.code: _answer([error]) for error in _referred(result)}
    for schema in components["schemas"].values():
        _describe_fields(schema)
    for item in result["paths"].values():
        _give_bodies(item)
    for operation in _operations(result):
        for parameter in operation.get("parameters", ()):
            _describe_parameter(parameter)
        for status in _SUCCESS.keys() & operation["responses"].keys():
            _describe_success(status, operation["responses"][status])
        _show(operation, _examples().get(operation["operationId"], {}))
    return result


def _give_bodies(item: dict[str, Any]) -> None:
    for operation in item.values():
        if other := operation.pop("x-body-as", ""):
            operation["requestBody"] = item[other]["requestBody"]


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in result["paths"].values():
        yield from (one for one in item.values() if isinstance(one, dict))


def _referred(result: dict[str, Any]) -> list[Error]:
    known = {error.code: error for error in _all_errors(CommsError)}
    wanted = {
        answer["$ref"].rpartition("/")[2]
        for operation in _operations(result)
        for answer in operation["responses"].values()
        if "$ref" in answer
    }
    return [known[code] for code in sorted(wanted)]


def _all_errors(base: Error) -> Iterator[Error]:
    yield base
    for kind in base.__subclasses__():
        yield from _all_errors(kind)


def _describe_fields(schema: dict[str, Any]) -> None:
    for field, told in schema.get("properties", {}).items():
        if told.get("format") == "time":  # JSON Schema's has a zone, a time of day has none
            told |= {"format": "time-of-day", "pattern": r"^\d{2}:\d{2}(:\d{2}(\.\d+)?)?$"}
        if "description" not in told and (text := vocabulary.FIELDS.get(field)):
            told["description"] = text


def _describe_success(status: str, answer: dict[str, Any]) -> None:
    answer["description"] = answer.get("description") or _SUCCESS[status]


def _describe_parameter(parameter: dict[str, Any]) -> None:
    if "description" not in parameter and (text := vocabulary.PARAMETERS.get(parameter["name"])):
        parameter["description"] = text


def _show(operation: dict[str, Any], examples: dict[str, Any]) -> None:
    parts = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for name, part in parts.items():
        for kind, content in part.get("content", {}).items():
            shown = examples.get(f"{name} {kind}", examples.get(name))
            if shown is not None and "examples" not in content:
                content["examples"] = {"Example": {"value": shown}}


@cache
def _examples() -> dict[str, dict[str, Any]]:
    """By operation, then by `request` or the status of the answer; of what is not JSON, with the media
    type behind it.
    """
    found: dict[str, dict[str, Any]] = {}
    for app in apps.get_app_configs():
        file = Path(app.path) / "api" / "examples.json"
        if file.exists():
            found |= json.loads(file.read_text())
    return found
