"""A description of data as a JSON Schema (2020-12), and what is wrong with data that should fit it.

It has the few keywords of `KEYWORDS`; each means here what it means there, and none can be made to run
long, so authors may edit it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from templates_app.dates import is_date
from templates_app.errors import InvalidSchema
from templates_app.filters import is_number

Schema = Mapping[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_PROBLEMS = 100
"""Errors told of at once."""
MAX_DEPTH = 20
"""Schemas inside each other."""

_OF_PYTHON: dict[type, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}
TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}
"""The types of JSON Schema, and what people call them."""
_FORMATS: dict[str, tuple[Callable[[str], bool], str]] = {
    "decimal": (is_number, "is not a number"),
    "iso8601": (is_date, "is not an ISO 8601 date such as 2026-03-01"),
}
"""Our own, of texts; JSON Schema takes formats it does not know for remarks. Empty texts have any."""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 2_000


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_bound(value: object) -> bool:
    return type(value) in (int, float)


def _is_types(value: object) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in TYPES for name in names)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 500


KEYWORDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "$schema": (lambda value: value == DIALECT, DIALECT),
    "title": (_is_text, "a text"),
    "description": (_is_text, "a text"),
    "examples": (_is_list, "a list"),
    "default": (lambda _: True, ""),
    "type": (_is_types, f"of {', '.join(TYPES)}, or a list of them"),
    "enum": (_is_list, "a list"),
    "format": (_is_text, "a text"),
    "minimum": (_is_bound, "a number"),
    "maximum": (_is_bound, "a number"),
    "minLength": (_is_count, "a whole number"),
    "maxLength": (_is_count, "a whole number"),
    "minItems": (_is_count, "a whole number"),
    "maxItems": (_is_count, "a whole number"),
    "required": (_is_names, "a list of names"),
    "properties": (lambda value: isinstance(value, dict), "a mapping of names"),
    "items": (lambda value: isinstance(value, dict), "a schema"),
}
"""What a schema may say, and what each of it has to be."""


def check(schema: object, where: str = "", depth: int = 0) -> None:
    """Raises InvalidSchema for what is not a schema of `KEYWORDS`."""
    if not isinstance(schema, dict):
        raise InvalidSchema(where, "A schema is a mapping.")
    if depth > MAX_DEPTH:
        raise InvalidSchema(where, f"A schema has at most {MAX_DEPTH} levels.")
    for name, value in schema.items():
        if name not in KEYWORDS:
            raise InvalidSchema(where, f"There is no keyword {str(name)[:40]} here.")
        is_right, shape = KEYWORDS[name]
        if not is_right(value):
            raise InvalidSchema(where, f"{name} has to be {shape}.")
    for name, inner in schema.get("properties", {}).items():
        check(inner, f"{where}.{name}".lstrip("."), depth + 1)
    if "items" in schema:
        check(schema["items"], f"{where}[]", depth + 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` is written as in a template (`order.lines[2].price`); `message` never quotes a value."""

    path: str
    message: str

    @property
    def code(self) -> str:
        return "missing_variable" if self.message == _MISSING else "invalid_value"


_MISSING = "is missing."
_Path = tuple[str | int, ...]
_Found = Iterator[tuple[_Path, str]]


def validate(schema: Schema, data: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the data, in the order of the schema; at most `MAX_PROBLEMS`."""
    found: list[Problem] = []
    for path, message in _problems(schema, data, ()):
        found.append(Problem(_written(path), message))
        if len(found) == MAX_PROBLEMS:
            break
    return found


def _problems(schema: Schema, value: Any, path: _Path) -> _Found:
    name = _OF_PYTHON[type(value)]
    types = schema.get("type")
    if types is not None and not (name == types or name in types or _is_whole(value, types)):
        yield path, f"is {TYPES[name]}, not {_listed(types)}."
        return
    if "enum" in schema and not any(_equal(value, each) for each in schema["enum"]):
        yield path, "is none of the values there may be."
    if more := _MORE.get(name):
        yield from more(schema, value, path)


def _of_mapping(schema: Schema, value: dict[str, Any], path: _Path) -> _Found:
    for key in schema.get("required", ()):
        if key not in value:
            yield (*path, key), _MISSING
    for key, inner in schema.get("properties", {}).items():
        if key in value:
            yield from _problems(inner, value[key], (*path, key))


def _of_list(schema: Schema, value: list[Any], path: _Path) -> _Found:
    yield from _size(schema, len(value), "Items", path)
    if inner := schema.get("items"):
        for place, item in enumerate(value):
            yield from _problems(inner, item, (*path, place))


def _of_text(schema: Schema, value: str, path: _Path) -> _Found:
    yield from _size(schema, len(value), "Length", path)
    known = _FORMATS.get(schema.get("format", ""))
    if known and value.strip() and not known[0](value):
        yield path, f"{known[1]}."


def _of_number(schema: Schema, value: float, path: _Path) -> _Found:
    if value < schema.get("minimum", value):
        yield path, f"is less than {schema['minimum']}."
    if value > schema.get("maximum", value):
        yield path, f"is more than {schema['maximum']}."


_MORE: dict[str, Callable[[Schema, Any, _Path], _Found]] = {
    "object": _of_mapping,
    "array": _of_list,
    "string": _of_text,
    "number": _of_number,
}


def _size(schema: Schema, size: int, of: str, path: _Path) -> _Found:
    unit = "items" if of == "Items" else "characters"
    if size < schema.get(f"min{of}", 0):
        yield path, f"has less than {schema[f'min{of}']} {unit}."
    if size > schema.get(f"max{of}", size):
        yield path, f"has more than {schema[f'max{of}']} {unit}."


def _is_whole(value: object, types: str | list[str]) -> bool:
    return "integer" in types and type(value) in (int, float) and value == int(cast("float", value))


def _equal(value: object, other: object) -> bool:
    """In JSON true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _listed(types: str | list[str]) -> str:
    return " or ".join(TYPES[each] for each in ([types] if isinstance(types, str) else types))


def _written(path: _Path) -> str:
    found = ""
    for key in path:
        if isinstance(key, int):
            found += f"[{key}]"
        elif key.isidentifier():
            found += f".{key}" if found else key
        else:
            found += f"[{key[:64]!r}]"
    return found
