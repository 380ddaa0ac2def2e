"""JSON in: strict, bounded, and nothing that PostgreSQL could not store afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from typing_extensions import override

from commsproject.common.api.problems import TooLarge

_MAX_DEPTH = 50


class StrictJSONParser(BaseParser):
    """RFC 8259 JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Refused beyond malformed text: NaN and Infinity (1e400 too), a name twice in one object, NUL
    and lone surrogates in strings (PostgreSQL stores none of them), nesting deeper than 50.
    """

    media_type = "application/json"

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"A body may have at most {limit} bytes.")
        try:
            value = json.loads(
                raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique
            )
            _check(value, 0)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except json.JSONDecodeError as error:
            raise ParseError(
                f"Malformed JSON at line {error.lineno}, column {error.colno}: {error.msg}."
            ) from None
        except ValueError as error:
            raise ParseError(str(error)) from None
        return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name occurs twice in one object.")
    return found


def _check(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("The JSON is nested too deeply.")
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("A string holds a NUL or a lone surrogate.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("A number is too large.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
