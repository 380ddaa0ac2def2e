"""The data of a render: plain JSON within limits, and nothing but data to reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Admitted:
    """Data that was checked: `values` under the engine's names, `size` in bytes of JSON.

    Equal only to itself: forms are kept for the one object that many messages share.
    """

    values: Mapping[str, object]
    size: int


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
    for name, value in data.items():
        if type(value) is not str or len(value) > MAX_TEXT:
            _inspect(value, name, 1)
    return Admitted({**(shared.values if shared else ours()), **for_engine(data)}, size)


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
