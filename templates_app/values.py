"""The data of a render: plain JSON within limits, and nothing but data to reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

import orjson

from templates_app.errors import InvalidValue, RenderLimit
from templates_app.links import ours

MAX_BYTES = 65_536
"""Of the whole data as JSON in UTF-8."""
MAX_TEXT = 10_240
"""Characters of one string."""
MAX_ITEMS = 500
"""Items of one list."""
MAX_DEPTH = 20
"""Lists and mappings inside each other."""

FREE = 200
"""Characters of a value that filters read, and the engine prints, at no cost but its fuel."""
_WHOLE = 2**63

_KINDS = frozenset({str, int, float, bool, type(None), dict, list})
_JSON_ONLY = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

METHOD_NAMES = frozenset(
    name for kind in (dict, list) for name in dir(kind) if not name.startswith("_")
)
"""Keys the engine would take for a method of Python's where the data lacks them: see `own_key`."""


class Shape(Enum):
    """What a name of the data holds. Simple is a text of up to `FREE` characters, or a whole number."""

    VALUE = auto()
    VALUES = auto()
    RECORD = auto()
    """A mapping of simple values."""
    TABLE = auto()
    """A list of records."""
    OTHER = auto()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Admitted:
    """Data that was checked: `values` under the engine's names, `size` in bytes of JSON, `shapes` of
    the names that are no simple values.

    Equal only to itself: forms are kept for the one object that many messages share.
    """

    values: Mapping[str, object]
    size: int
    shapes: Mapping[str, Shape]


def admit(data: Mapping[str, object], shared: Admitted | None = None) -> Admitted:
    """The data, checked; laid over what many `shared`, which is checked once for all of them.

    Raises InvalidValue for what is not JSON, RenderLimit for what is too large.
    """
    try:
        size = len(orjson.dumps(dict(data), option=_JSON_ONLY))
    except TypeError:
        raise InvalidValue("The data is not JSON (or is nested too deeply).") from None
    size += shared.size if shared else 0
    if size > MAX_BYTES:
        raise RenderLimit(f"The data is larger than {MAX_BYTES} bytes.")
    shapes = {}
    for name, value in data.items():
        if type(value) is not str or len(value) > FREE:
            shape = _shape(value)
            if shape is Shape.OTHER:
                _inspect(value, name, 1)
            if shape is not Shape.VALUE and name[:1] != "_":
                shapes[engine_name(name)] = shape
    values = for_engine(data)
    if shared is None:
        return Admitted({**ours(), **values}, size, shapes)
    beneath = {name: shape for name, shape in shared.shapes.items() if name not in values}
    return Admitted({**shared.values, **values}, size, {**beneath, **shapes})


def _shape(value: object) -> Shape:
    """OTHER has still to be looked at: it may be nothing that is allowed."""
    if isinstance(value, list) and len(value) <= MAX_ITEMS:
        if all(map(_is_record, value)):
            return Shape.TABLE
        return Shape.VALUES if _are_simple(value) else Shape.OTHER
    if _is_record(value):
        return Shape.RECORD
    return Shape.VALUE if _are_simple([value]) else Shape.OTHER


def _is_record(value: object) -> bool:
    return type(value) is dict and _are_simple(value.values())


def _are_simple(values: Iterable[object]) -> bool:
    for value in values:
        if type(value) is str:
            if len(value) > FREE:
                return False
        elif type(value) is not int or not -_WHOLE <= value < _WHOLE:
            return False
    return True


def _inspect(value: object, name: str, depth: int) -> None:
    kind = type(value)
    if kind not in _KINDS:
        raise InvalidValue(f"{name[:64]} has a value that is not JSON.")
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise RenderLimit(f"{name[:64]} has a text of more than {MAX_TEXT} characters.")
    elif isinstance(value, dict):
        _inspect_all(value.values(), name, depth)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise RenderLimit(f"{name[:64]} has a list of more than {MAX_ITEMS} items.")
        _inspect_all(value, name, depth)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"{name[:64]} has a number that is not finite.")


def _inspect_all(children: Iterable[object], name: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise RenderLimit(f"{name[:64]} is nested deeper than {MAX_DEPTH} levels.")
    for child in children:
        if type(child) is not str or len(child) > MAX_TEXT:  # most children need no more than this
            _inspect(child, name, depth + 1)


def engine_name(name: str) -> str:
    """What a name is called in the engine, which would find a method of the data's own dict."""
    return f"_{name}" if name in METHOD_NAMES else name


def for_engine(values: Mapping[str, object]) -> dict[str, object]:
    """The data under the engine's names; what begins with an underscore no template can read."""
    return {
        f"_{name}" if name in METHOD_NAMES else name: value
        for name, value in values.items()
        if name[:1] != "_"
    }


def own_key(key: object, owner: object) -> object:
    """The key, if `owner` is data that can have it, else one that nothing has.

    The engine looks for a Python method where a mapping lacks a key; this keeps `order.items` to the data.
    """
    if type(key) is int or (isinstance(key, str) and isinstance(owner, dict) and key in owner):
        return key
    return "\0"
