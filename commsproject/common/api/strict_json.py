"""JSON in: strict, and nothing that PostgreSQL could not store afterwards."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

_MAX_DEPTH = 50


class BadJSON(ValueError):
    """Not acceptable; the text says why and where, and quotes nothing."""


def loads(raw: bytes) -> Any:
    """RFC 8259 JSON. Raises `BadJSON`.

    Refused beyond malformed text: NaN and Infinity (1e400 too), a name twice in one object, NUL
    and lone surrogates in strings (PostgreSQL stores none of them), nesting deeper than 50.
    """
    try:
        value = _DECODER.decode(raw.decode())
    except RecursionError:
        raise BadJSON("The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise BadJSON("This is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BadJSON(
            f"Malformed JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except BadJSON:
        raise
    except ValueError:  # Python's own limit of 4,300 digits
        raise BadJSON("A number is too large.") from None
    # Most texts can hold nothing of what is looked for: the walk costs as much as the parsing.
    if b"\\u" in raw or raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH:
        _check(value, 0)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadJSON(f"{name} is not JSON.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadJSON("A number is too large.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJSON("A name occurs twice in one object.")
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique
)


def _check(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise BadJSON("The JSON is nested too deeply.")
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise BadJSON("A string holds a NUL or a lone surrogate.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
